"""The save: what became of an attempt. Only the attempt's own answer closes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from zhongkong.core.change import MOVED
from zhongkong.core.command import Step
from zhongkong.core.freshness import trust_of
from zhongkong.core.issuing import (
    ISSUING,
    first_refresh_at,
    is_in_window,
    life_of,
    next_ask_at,
    overlap_of,
    told_refresh_at,
)
from zhongkong.core.model import (
    NEVER,
    PAST_KEPT,
    Account,
    Ambiguous,
    Attempt,
    Credential,
    Event,
    HandedOn,
    Instant,
    NotSent,
    Outcome,
    Record,
    Retry,
    Seconds,
    Slot,
    Trouble,
    hash_value,
)
from zhongkong.core.retry import (
    FORCE_APART,
    REPEATED_APART,
    TOKEN_REPEATED,
    budget_events,
    budget_of,
    pace,
    retry_after,
    unspend,
    wants_a_person,
)
from zhongkong.core.strangers import contest_events, with_sign
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

HEARD_BY_ALL: Seconds = 5.0
"""After so long all replicas of a leader know what one of them said: their polls are a second apart."""
DOUBT_HELD: Seconds = 60.0
"""How long a credential that its leader doubts is handed out when the leader is not heard of any more."""


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
        step = self._judge(record, now)
        attempt = next((one for one in record.attempts if one.fence == self.fence), None)
        if attempt is None or isinstance(self.outcome, NotSent) or step.record is record:
            return step
        budget = budget_of(record, self.account, attempt.mode)
        return step._replace(events=(*step.events, *budget_events(record, budget, now)))

    def _judge(self, record: Record, now: Instant) -> Step[SaveAnswer]:
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
        trust = trust_of(after)
        retry = retry_after(record.retry, self.outcome, now=now, trust=trust, dice=self.dice, mode=attempt.mode)
        if retry.trouble is not None:
            hurry_until = NEVER if wants_a_person(retry.trouble) else trust
            paced = now + pace(after, budget_of(record, self.account, attempt.mode), now, hurry_until)
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
        )
        old = record.credential
        if ISSUING[attempt.mode].announces_rest or old is None:
            settled = replace(settled, longest=life if ISSUING[attempt.mode].announces_rest else 0)
        is_same = old is not None and old.sha256 == digest
        credential = Credential(
            generation=record.generation + (not is_same),
            value=granted.value,
            sha256=digest,
            mode=attempt.mode,
            since=old.since if old is not None and is_same else attempt.left,
            left=attempt.left,
            expires_at=attempt.left + granted.expires_in,
            life=life,
            fence=self.fence,
        )
        if isinstance(granted, HandedOn):
            credential = _as_marked(credential, granted)
        if not is_same:
            return self._other(settled, credential, attempt, now)
        if ISSUING[attempt.mode].is_relayed:
            return self._handed_on_again(settled, credential, now)
        return self._same(settled, credential, attempt, now, before=record)

    def _handed_on_again(self, record: Record, kept: Credential, now: Instant) -> Step[SaveAnswer]:
        """A leader's word lifts what it said before; unless a replica of it spoke that has not heard of that yet."""
        believed_from = record.probe.began_at + HEARD_BY_ALL
        if record.condemned in ("rejected", "probed") and record.probe.began_at <= kept.left < believed_from:
            retry = Retry(max(now, believed_from), record.retry.tries + 1, Trouble("leader_unwell", errmsg="behind"))
            return Step(replace(record, credential=kept, retry=retry), Failed())
        refresh_at = self._due(kept)
        after = replace(record, credential=kept, condemned="", suspected=False, refresh_at=refresh_at, asks=0)
        return Step(after, Saved())

    def _due(self, credential: Credential) -> Instant:
        if isinstance(self.outcome, HandedOn):
            return told_refresh_at(credential, self.outcome)
        return first_refresh_at(self.slot, credential)

    def _same(
        self, record: Record, kept: Credential, attempt: Attempt, now: Instant, *, before: Record
    ) -> Step[SaveAnswer]:
        """The same value again is the same generation with its end taken anew; dead, it is asked for with force.

        Condemned only because the account moved, it is shown by that to belong to the new place too. What has no probe
        is good because it came.
        """
        is_doubted = record.suspected or record.condemned not in ("", MOVED)
        if not is_doubted or not ISSUING[kept.mode].has_probe:
            refresh_at, asks = next_ask_at(self.slot, kept, record.asks, now)
            after = replace(record, credential=kept, condemned="", suspected=False, refresh_at=refresh_at, asks=asks)
            return Step(after, Saved())
        if not ISSUING[kept.mode].can_force:
            return self._repeated(record, kept, now, before)
        if not attempt.ends and not is_in_window(record, now):
            after = replace(record, credential=kept, insist=True)
            return Step(after, Saved(again=True))
        retry = Retry(now + FORCE_APART, record.retry.tries + 1, Trouble("too_early"))
        after = replace(record, credential=kept, retry=retry)
        return Step(after, Failed(), (Event("force_too_early", self.slot.appid),))

    def _repeated(self, record: Record, kept: Credential, now: Instant, before: Record) -> Step[SaveAnswer]:
        """Nothing makes this platform replace a token: one that is proved dead is asked for again until it does.

        One that was only suspected is what the platform hands out and takes in probes: then it is good.
        """
        if not record.condemned:
            refresh_at, asks = next_ask_at(self.slot, kept, record.asks, now)
            probe = record.probe._replace(alive_at=max(record.probe.alive_at, kept.left))
            after = replace(record, credential=kept, suspected=False, refresh_at=refresh_at, asks=asks, probe=probe)
            return Step(after, Saved())
        retry = Retry(now + REPEATED_APART, before.retry.tries + 1, Trouble(TOKEN_REPEATED))
        after = replace(record, credential=kept, retry=retry)
        return Step(after, Failed(), _failure_events(before, after))

    def _other(self, record: Record, new: Credential, attempt: Attempt, now: Instant) -> Step[SaveAnswer]:
        old = record.credential
        told: dict[str, str | int | float] = {"kind": self.slot.kind, "generation": new.generation}
        told |= {"mode": new.mode, "life": new.life}
        events = [Event("minted", self.slot.appid, told)]
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
            refresh_at=self._due(new),
            asks=0,
            probe=record.probe._replace(last=ProbeVerdict.UNKNOWN, alive_at=NEVER, again_at=None),
            complaints=(),
            contest=contest,
            past=((old.sha256, *record.past)[:PAST_KEPT] if old is not None else record.past),
        )
        return Step(after, Saved(), (*events, *contest_events(record, after, now)))


def _as_marked(credential: Credential, handed_on: HandedOn) -> Credential:
    """Return it with its leader's marks. Of a doubtful one nothing is promised; so long it is handed out, marked."""
    held = max(credential.expires_at, credential.left + DOUBT_HELD) if handed_on.doubtful else credential.expires_at
    return replace(credential, expires_at=held, doubtful=handed_on.doubtful, stale=handed_on.stale)


def _came_too_early(record: Record, old: Credential, attempt: Attempt) -> bool:
    """A stable answer brings another value before its window only if somebody else forced it (5 s for the clocks)."""
    if attempt.ends or attempt.mode is not old.mode or not ISSUING[old.mode].can_force:
        return False
    return not record.condemned and attempt.left < old.expires_at - overlap_of(old.life) - 5.0


def _failure_events(before: Record, after: Record) -> tuple[Event, ...]:
    """A failure is an event when it is a new one; the same one again is silence."""
    trouble = after.retry.trouble
    was = before.retry.trouble
    if trouble is None or (was is not None and (was.state, was.errcode) == (trouble.state, trouble.errcode)):
        return ()
    values: dict[str, str | int | float] = {
        "kind": after.slot.kind,
        "state": trouble.state,
        "errmsg": trouble.errmsg,
        "rid": trouble.rid,
    }
    if trouble.errcode is not None:
        values["errcode"] = trouble.errcode
    return (Event("mint_failed", after.slot.appid, values),)


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Close an attempt that came to nothing: the lease was too short for it, or the parent was refused.

    `refused` is that refusal. Nobody has to wait for it, but it is not believed twice: see `core.lineage`.
    """

    slot: Slot
    fence: str
    refused: Refused | None = None

    def apply(self, record: Record, now: Instant) -> Step[None]:
        """Forget the attempt; free the lease if it is still ours."""
        after = replace(record, attempts=tuple(one for one in record.attempts if one.fence != self.fence))
        if record.lease is not None and record.lease.fence == self.fence:
            after = replace(after, lease=None)
            if self.refused is not None:
                trouble = Trouble("refused", self.refused.errcode, self.refused.errmsg, self.refused.rid)
                after = replace(after, retry=record.retry._replace(next_try_at=now, trouble=trouble))
        return Step(after if after != record else record, None)
