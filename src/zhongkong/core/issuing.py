"""The table of issuing modes, and the spans that follow from a credential's life.

Spans that the platform gives for a life of 7,200 s shrink with shorter lives, so that a token of a minute rotates like
a real one. Source: 获取 Access Token; 获取稳定版接口调用凭据; 获取access_token (企业微信).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zhongkong.core.model import (
    TICKET_MODES,
    TICKETS,
    Account,
    AccountKind,
    Credential,
    HandedOn,
    Instant,
    Mode,
    Record,
    Seconds,
    Slot,
    spread,
)
from zhongkong.core.strangers import is_contested
from zhongkong.wechat.endpoints import (
    GETTOKEN,
    STABLE_TOKEN,
    TICKET,
    TOKEN,
    WECOM_TICKET,
    Endpoint,
    is_platform_host,
)

_ASK_STEPS = (1, 2, 4)
RELAYED_APART = 10
"""Asks of a leader are at least this part of an overlap apart: 30 s, or 2,880 a day, of a token of two hours."""


@dataclass(frozen=True, slots=True)
class Issuing:
    """What a mode does when it is asked again."""

    ends_former: bool
    """A mint ends the credential in use, after `overlap`; hence the rules of open attempts apply."""
    announces_rest: bool
    """Asked again it returns the same value with its remaining life, until its last `window` seconds."""
    can_force: bool
    """It can be told to give another value now, which ends the former."""
    is_relayed: bool
    """A leader mints: it says when to ask again, judges what is refused, and deals with strangers."""
    has_probe: bool
    """Somebody can be asked whether a credential lives. If not, asking for another is the one thing that helps."""
    has_strangers: bool
    """Whoever else holds the secret can end the credential in use; a leader deals with them by itself."""
    endpoint: Endpoint | None
    """The platform's call; None where it is not the platform that is asked."""
    daily_budget: int
    daily_budget_of_test_account: int


ISSUING = {
    Mode.CLASSIC: Issuing(
        ends_former=True,
        announces_rest=False,
        can_force=False,
        is_relayed=False,
        has_probe=True,
        has_strangers=True,
        endpoint=TOKEN,
        daily_budget=200,
        daily_budget_of_test_account=100,
    ),
    Mode.STABLE: Issuing(
        ends_former=False,
        announces_rest=True,
        can_force=True,
        is_relayed=False,
        has_probe=True,
        has_strangers=True,
        endpoint=STABLE_TOKEN,
        daily_budget=2000,
        daily_budget_of_test_account=2000,
    ),
    Mode.FOLLOW: Issuing(
        ends_former=False,
        announces_rest=True,
        can_force=False,
        is_relayed=True,
        has_probe=True,
        has_strangers=False,
        endpoint=None,
        daily_budget=6000,
        daily_budget_of_test_account=6000,
    ),
    Mode.WECOM: Issuing(
        ends_former=False,
        announces_rest=True,
        can_force=False,
        is_relayed=False,
        has_probe=True,
        has_strangers=False,
        endpoint=GETTOKEN,
        daily_budget=2000,
        daily_budget_of_test_account=2000,
    ),
    Mode.TICKET: Issuing(
        ends_former=False,
        announces_rest=True,
        can_force=False,
        is_relayed=False,
        has_probe=False,
        has_strangers=False,
        endpoint=TICKET,
        daily_budget=100,
        daily_budget_of_test_account=100,
    ),
}
ISSUING[Mode.WECOM_TICKET] = replace(ISSUING[Mode.TICKET], endpoint=WECOM_TICKET)


def overlap_of(life: Seconds) -> Seconds:
    """Return how long a former token still works after it was replaced; also the last window of a stable one."""
    return min(life / 2, max(2.0, min(300.0, life / 24)))


def margin_of(life: Seconds) -> Seconds:
    """Return how long before its end a classic credential or a ticket becomes due: what an outage may last."""
    return life / 4


def window_of(mode: Mode, life: Seconds) -> Seconds:
    """Return how long before its end a mode that announces the rest is asked for another.

    A ticket may come anew at any time, or at its end only: nobody knows which, so it is asked for as early as pays.
    """
    return margin_of(life) if mode in TICKET_MODES else overlap_of(life)


def life_of(record: Record, account: Account, mode: Mode, expires_in: int) -> int:
    """Return the life to reckon with: a stable answer announces only the rest, so the longest ever seen counts.

    What a removed account's tokens lived, which may have been another platform's, says nothing of the next one.
    """
    if not ISSUING[mode].announces_rest:
        return expires_in
    floor = 7200 if is_platform_host(account.base_url) else 0
    return max(floor, record.longest if record.credential else 0, expires_in)


def mode_now(account: Account, record: Record, now: Instant) -> Mode:
    """Return the mode to mint by: the account's, or `on_contest` while a stranger ends our classic tokens.

    A ticket has a mode of its own, unless a leader is asked for it.
    """
    if record.slot.kind in TICKETS and not ISSUING[account.mode].is_relayed:
        return Mode.WECOM_TICKET if account.kind is AccountKind.WECOM else Mode.TICKET
    return account.on_contest if account.mode is Mode.CLASSIC and is_contested(record, now) else account.mode


def daily_budget(account: Account, mode: Mode, life: int) -> int:
    """Return the departures allowed per slot and Shanghai day; more where a sandbox's tokens live shorter."""
    issuing = ISSUING[mode]
    budget = issuing.daily_budget_of_test_account if account.is_test else issuing.daily_budget
    if life and not is_platform_host(account.base_url):
        return int(budget * max(1.0, 7200 / life))
    return budget


def first_refresh_at(slot: Slot, credential: Credential) -> Instant:
    """Return when a credential becomes due, the slot's jitter included; a leader's answer says it better."""
    issuing = ISSUING[credential.mode]
    if issuing.is_relayed:
        return credential.left + overlap_of(credential.life) / RELAYED_APART
    if issuing.announces_rest:
        unit = _unit_of(credential)
        return credential.expires_at - window_of(credential.mode, credential.life) + unit + 5 * unit * spread(slot)
    margin = margin_of(credential.life)
    return credential.expires_at - margin - margin / 10 * spread(slot)


def told_refresh_at(credential: Credential, handed_on: HandedOn) -> Instant:
    """Return when a leader is to be asked again: when it says so, but not at every second of a trouble of its own.

    What it promises may end before that: then at half of what is left, so that a successor is seen before the end.
    """
    wait = max(float(handed_on.refresh_in), overlap_of(credential.life) / RELAYED_APART)
    if handed_on.expires_in:
        wait = min(wait, max(1.0, handed_on.expires_in / 2))
    return credential.left + wait


def is_in_window(record: Record, now: Instant) -> bool:
    """Say whether a mode that announces the rest gives another value by itself now, unforced."""
    credential = record.credential
    return credential is not None and now >= first_refresh_at(record.slot, credential)


def next_ask_at(slot: Slot, credential: Credential, asks: int, now: Instant) -> tuple[Instant, int]:
    """Return when to ask again after the same value came, and the count of such asks in this window.

    Before the window that is its beginning; inside, after 1, 2, 4, 4, 4 … units, and where nothing is known of a
    window, at WeCom, also at its end. A ticket that is repeated till its end, of which a day allows few, whenever three
    quarters of what is left are over, and at its end.
    """
    first = first_refresh_at(slot, credential)
    if now < first:
        return first, 0
    if not ISSUING[credential.mode].announces_rest:
        return now + overlap_of(credential.life), asks + 1
    if credential.mode in TICKET_MODES:
        quarter, unit = (credential.expires_at - now) / 4, _unit_of(credential)
        return (now + 3 * quarter if quarter > 3 * unit else max(credential.expires_at, now + unit)), asks + 1
    at = now + _unit_of(credential) * _ASK_STEPS[min(asks, len(_ASK_STEPS) - 1)]
    is_over_end = credential.mode is Mode.WECOM and now < credential.expires_at < at
    return (credential.expires_at if is_over_end else at), asks + 1


def _unit_of(credential: Credential) -> Seconds:
    """Return the rhythm of asks inside the window: 5 s of a real token's 300, 30 s of a real ticket's 1,800.

    A tenth of a second at least, unless the window of a token of seconds is too short for that.
    """
    window = window_of(credential.mode, credential.life)
    return max(window / 60, min(0.1, window / 8))
