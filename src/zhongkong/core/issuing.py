"""The table of issuing modes, and the spans that follow from a credential's life.

Spans that the platform gives for a life of 7,200 s shrink with shorter lives, so that a token of a minute rotates like
a real one. Source: 获取 Access Token; 获取稳定版接口调用凭据.
"""

from __future__ import annotations

from dataclasses import dataclass

from zhongkong.core.model import (
    Account,
    Credential,
    Instant,
    Mode,
    Record,
    Seconds,
    Slot,
    spread,
)
from zhongkong.core.strangers import is_contested
from zhongkong.wechat.endpoints import is_platform_host

_ASK_STEPS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Issuing:
    """What a mode does when it is asked again."""

    ends_former: bool
    """A mint ends the credential in use, after `overlap`; hence the rules of open attempts apply."""
    announces_rest: bool
    """Asked again it returns the same value with its remaining life, until its last `window` seconds."""
    daily_budget: int
    daily_budget_of_test_account: int


ISSUING = {
    Mode.CLASSIC: Issuing(ends_former=True, announces_rest=False, daily_budget=200, daily_budget_of_test_account=100),
    Mode.STABLE: Issuing(ends_former=False, announces_rest=True, daily_budget=2000, daily_budget_of_test_account=2000),
}


def overlap_of(life: Seconds) -> Seconds:
    """Return how long a former token still works after it was replaced; also the last window of a stable one."""
    return min(life / 2, max(2.0, min(300.0, life / 24)))


def margin_of(life: Seconds) -> Seconds:
    """Return how long before its end a classic credential becomes due: what an outage may last."""
    return life / 4


def life_of(record: Record, account: Account, mode: Mode, expires_in: int) -> int:
    """Return the life to reckon with: a stable answer announces only the rest, so the longest ever seen counts."""
    if not ISSUING[mode].announces_rest:
        return expires_in
    floor = 7200 if is_platform_host(account.base_url) else 0
    return max(floor, record.longest, expires_in)


def mode_now(account: Account, record: Record, now: Instant) -> Mode:
    """Return the mode to mint by: the account's, or `on_contest` while a stranger ends our classic tokens."""
    return account.on_contest if account.mode is Mode.CLASSIC and is_contested(record, now) else account.mode


def daily_budget(account: Account, mode: Mode, life: int) -> int:
    """Return the departures allowed per slot and Shanghai day; more where a sandbox's tokens live shorter."""
    issuing = ISSUING[mode]
    budget = issuing.daily_budget_of_test_account if account.is_test else issuing.daily_budget
    if life and not is_platform_host(account.base_url):
        return int(budget * max(1.0, 7200 / life))
    return budget


def first_refresh_at(slot: Slot, credential: Credential) -> Instant:
    """Return when a credential becomes due, the slot's jitter included."""
    if ISSUING[credential.mode].announces_rest:
        unit = _unit_of(credential)
        return credential.expires_at - overlap_of(credential.life) + unit + 5 * unit * spread(slot)
    margin = margin_of(credential.life)
    return credential.expires_at - margin - margin / 10 * spread(slot)


def is_in_window(record: Record, now: Instant) -> bool:
    """Say whether a mode that announces the rest gives another value by itself now, unforced."""
    credential = record.credential
    return credential is not None and now >= first_refresh_at(record.slot, credential)


def next_ask_at(slot: Slot, credential: Credential, asks: int, now: Instant) -> tuple[Instant, int]:
    """Return when to ask again after the same value came, and the count of such asks in this window.

    Before the window that is its beginning; inside, after 1, 2, 4, 4, 4 … units.
    """
    first = first_refresh_at(slot, credential)
    if now < first:
        return first, 0
    if not ISSUING[credential.mode].announces_rest:
        return now + overlap_of(credential.life), asks + 1
    return now + _unit_of(credential) * _ASK_STEPS[min(asks, len(_ASK_STEPS) - 1)], asks + 1


def _unit_of(credential: Credential) -> Seconds:
    """Return the rhythm of asks inside the window: 5 s of a real token's 300."""
    return max(overlap_of(credential.life) / 60, 0.1)
