"""The save: what became of an attempt. Only the attempt's own answer closes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from zhongkong.core.command import Step
from zhongkong.core.freshness import trust_of
from zhongkong.core.issuing import (
    ISSUING,
    daily_budget,
    first_refresh_at,
    is_in_window,
    life_of,
    next_ask_at,
    overlap_of,
)
from zhongkong.core.model import (
    PAST_KEPT,
    Account,
    Ambiguous,
    Attempt,
    Credential,
    Event,
    Instant,
    NotSent,
    Outcome,
    Probe,
    Record,
    Retry,
    Slot,
    Trouble,
    hash_value,
)
from zhongkong.core.retry import FORCE_APART, pace, retry_after, unspend
from zhongkong.core.strangers import contest_events, with_sign
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict


@dataclass(frozen=True, slots=True)
class Saved:
    """What the platform answered is in the record; `again` if the same dead value came and the next ask is forced."""

    again: bool = False


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Somebody else claimed meanwhile, a late probe closed our attempt, or the account was changed: that stands."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No credential came; the record's `retry` says why and when to try again."""


SaveAnswer: TypeAlias = Saved | LeaseLost | Failed


@dataclass(frozen=True, slots=True)
class Save:
    """Tell the record what became of an attempt. Only the attempt's own answer closes it."""

    slot: Slot
    account: Account
    fence: str
    outcome: Outcome
    dice: float = 0.5

    def apply(self, record: Record, now: Instant) -> Step[SaveAnswer]:
        """Keep a grant under its fence, and nothing else; a refusal closes its attempt even when it comes late."""
        if isinstance(self.outcome, Granted):
            return self._granted(record, self.outcome, now)
        attempt = next((one for one in record.attempts if one.fence == self.fence), None)
        if attempt is None:
            return Step(record, Failed())
        after = record
        if not (isinstance(self.outcome, Ambiguous) and attempt.ends):
            after = replace(after, attempts=tuple(one for one in record.attempts if one.fence != self.fence))
        if isinstance(self.outcome, NotSent):
            after = replace(after, spent=unspend(record, attempt, now))
        if isinstance(self.outcome, Refused):
            after = replace(after, probe=after.probe._replace(answered_at=max(after.probe.answered_at, attempt.left)))
        if not self._is_mine(record):
            return Step(after, LeaseLost())
        retry = retry_after(record.retry, self.outcome, now=now, trust=trust_of(after), dice=self.dice)
        if retry.trouble is not None and (retry.trouble.state == "blocked" or trust_of(after) <= now):
            life = record.credential.life if record.credential else record.longest
            paced = now + pace(after, daily_budget(self.account, attempt.mode, life), now)
            retry = retry._replace(next_try_at=max(retry.next_try_at, paced))
        after = replace(after, lease=None, retry=retry)
        return Step(after, Failed(), _failure_events(record, after))

    def _is_mine(self, record: Record) -> bool:
        return record.lease is not None and record.lease.fence == self.fence

    def _granted(self, record: Record, granted: Granted, now: Instant) -> Step[SaveAnswer]:
        if record.credential is not None and record.credential.fence == self.fence:
            return Step(record, Saved(again=record.insist))
        attempt = next((one for one in record.attempts if one.fence == self.fence), None)
        if attempt is None or not self._is_mine(record):
            return Step(record, LeaseLost())
        digest = hash_value(granted.value)
        life = life_of(record, self.account, attempt.mode, granted.expires_in)
        settled = replace(
            record,
            lease=None,
            retry=Retry(),
            attempts=tuple(one for one in record.attempts if one.fence != self.fence),
            probe=record.probe._replace(answered_at=max(record.probe.answered_at, attempt.left)),
            longest=life if ISSUING[attempt.mode].announces_rest else record.longest,
        )
        expires_at = attempt.left + granted.expires_in
        old = record.credential
        if old is not None and old.sha256 == digest:
            kept = replace(old, left=attempt.left, expires_at=expires_at, life=life, fence=self.fence)
            return self._same(settled, kept, attempt, now)
        new = Credential(
            generation=record.generation + 1,
            value=granted.value,
            sha256=digest,
            mode=attempt.mode,
            since=attempt.left,
            left=attempt.left,
            expires_at=expires_at,
            life=life,
            fence=self.fence,
        )
        return self._other(settled, new, attempt, now)

    def _same(self, record: Record, kept: Credential, attempt: Attempt, now: Instant) -> Step[SaveAnswer]:
        """The same value again is the same generation with its end taken anew; dead, it is asked for with force.

        Condemned only because the account moved, it is shown by that to belong to the new place too.
        """
        if record.condemned in ("", "moved") and not record.suspected:
            refresh_at, asks = next_ask_at(self.slot, kept, record.asks, now)
            after = replace(record, credential=kept, condemned="", refresh_at=refresh_at, asks=asks)
            return Step(after, Saved())
        if ISSUING[kept.mode].announces_rest and not attempt.ends and not is_in_window(record, now):
            after = replace(record, credential=kept, insist=True)
            return Step(after, Saved(again=True))
        retry = Retry(now + FORCE_APART, record.retry.tries + 1, Trouble("too_early"))
        after = replace(record, credential=kept, retry=retry)
        return Step(after, Failed(), (Event("force_too_early", self.slot.appid),))

    def _other(self, record: Record, new: Credential, attempt: Attempt, now: Instant) -> Step[SaveAnswer]:
        old = record.credential
        events = [Event("minted", self.slot.appid, {"generation": new.generation, "mode": new.mode, "life": new.life})]
        contest = record.contest
        if old is not None and _came_too_early(record, old, attempt):
            contest = with_sign(contest, now)
            events.append(Event("foreign_mint", self.slot.appid, {"sign": "too_early"}))
        after = replace(
            record,
            generation=new.generation,
            credential=new,
            condemned="",
            suspected=False,
            insist=False,
            refresh_at=first_refresh_at(self.slot, new),
            asks=0,
            probe=Probe(
                began_at=record.probe.began_at, last=ProbeVerdict.UNKNOWN, answered_at=record.probe.answered_at
            ),
            complaints=(),
            contest=contest,
            past=((old.sha256, *record.past)[:PAST_KEPT] if old is not None else record.past),
        )
        return Step(after, Saved(), (*events, *contest_events(record, after, now)))


def _came_too_early(record: Record, old: Credential, attempt: Attempt) -> bool:
    """A stable answer brings another value before its window only if somebody else forced it (5 s for the clocks)."""
    if attempt.ends or attempt.mode is not old.mode or not ISSUING[old.mode].announces_rest:
        return False
    return not record.condemned and attempt.left < old.expires_at - overlap_of(old.life) - 5.0


def _failure_events(before: Record, after: Record) -> tuple[Event, ...]:
    """A failure is an event when it is a new one; the same one again is silence."""
    trouble = after.retry.trouble
    was = before.retry.trouble
    if trouble is None or (was is not None and (was.state, was.errcode) == (trouble.state, trouble.errcode)):
        return ()
    values: dict[str, str | int | float] = {"state": trouble.state, "errmsg": trouble.errmsg, "rid": trouble.rid}
    if trouble.errcode is not None:
        values["errcode"] = trouble.errcode
    return (Event("mint_failed", after.slot.appid, values),)


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Close an attempt that never left: the lease was too short for it, or the parent refused."""

    slot: Slot
    fence: str

    def apply(self, record: Record, now: Instant) -> Step[None]:  # noqa: ARG002 (one signature for all commands)
        """Forget the attempt; free the lease if it is still ours."""
        after = replace(record, attempts=tuple(one for one in record.attempts if one.fence != self.fence))
        if record.lease is not None and record.lease.fence == self.fence:
            after = replace(after, lease=None)
        return Step(after if after != record else record, None)
