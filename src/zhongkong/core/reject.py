"""Reject and probe: a caller says that a credential was refused. Never believed unseen, never ignored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from zhongkong.core.change import MOVED
from zhongkong.core.command import Step
from zhongkong.core.freshness import Freshness, closes_at, judge_freshness, threats
from zhongkong.core.issuing import ISSUING, overlap_of
from zhongkong.core.model import (
    NEVER,
    Complaint,
    Credential,
    Event,
    Instant,
    Record,
    Retry,
    Seconds,
    Slot,
)
from zhongkong.core.rounds import PROBES_APART, is_repeated
from zhongkong.core.strangers import contest_events, with_sign
from zhongkong.wechat.errcodes import ProbeVerdict

VERDICT_HOLDS: Seconds = 10.0
VERDICT_HOLDS_LONGEST: Seconds = 300.0
ASKED_HOLDS: Seconds = 60.0
"""What has no probe is asked for again at most so often, whoever saw it refused: its platform counts every call."""
INSISTS_WITHIN: Seconds = 60.0
ESCALATIONS_APART: Seconds = 600.0
COMPLAINTS_KEPT = 32
"""Callers who have a patience of their own; whoever complains besides shares one, so that the record stays small."""
CROWD = ""
"""The name under which these are kept."""
CROWD_HOLDS_LONGEST: Seconds = 60.0
"""Among them may be one who never complained before: he must not wait as long as who does nothing else."""
FOREIGN_SIGNS_APART: Seconds = 60.0
"""A storm of values that were never ours is one sign of a stranger, one write and one event."""


@dataclass(frozen=True, slots=True)
class AlreadyNewer:
    """The rejected one is not the current one."""


@dataclass(frozen=True, slots=True)
class StillValid:
    """It was found alive, or brought by the platform, a moment ago; the same caller gets this answer until `until`."""

    until: Instant


@dataclass(frozen=True, slots=True)
class Join:
    """It is dead or doubtful already: join what is under way for the slot."""


@dataclass(frozen=True, slots=True)
class ProbeNow:
    """The caller is the one to probe the record's credential; `began_at` names this probe."""

    began_at: Instant


@dataclass(frozen=True, slots=True)
class ProbeRecent:
    """Somebody probed within the last 5 s: wait for the record's `probe.last`, or ask again later."""


BeginAnswer: TypeAlias = Join | ProbeNow | ProbeRecent
RejectAnswer: TypeAlias = AlreadyNewer | StillValid | BeginAnswer


@dataclass(frozen=True, slots=True)
class Reject:
    """A caller reports a refused credential, by sha-256 or by generation. Never believed unseen, never ignored."""

    slot: Slot
    caller: str
    sha256: str = ""
    generation: int = 0

    def apply(self, record: Record, now: Instant) -> Step[RejectAnswer]:
        """Decide by one table: older or foreign, dead or doubtful, believed alive, insisted upon, to be probed."""
        credential = record.credential
        if credential is None:
            return Step(record, Join())
        if not self._names(credential):
            return self._other(record, credential, now)
        is_relayed = ISSUING[credential.mode].is_relayed
        freshness = judge_freshness(record, now)
        if freshness is Freshness.DEAD or (freshness is Freshness.DOUBTFUL and not is_relayed):
            return Step(record, Join())
        if not ISSUING[credential.mode].has_probe:
            return self._ask_again(record, credential, now)
        mine, found_alive = complaint_of(record.complaints, self.caller), record.probe.alive_at
        until = found_alive + _holds(mine)
        holds = found_alive <= now < until
        if holds and mine is not None and mine.at >= found_alive:
            return Step(record, StillValid(until))
        if mine is not None and not is_relayed and self._is_insisted(record, mine, now):
            after = replace(record, suspected=True, escalated_at=now)
            return Step(after, Join(), (Event("replaced_unprobed", self.slot.appid),))
        if holds:
            complaints = with_complaint(record.complaints, self.caller, now)
            until = found_alive + _holds(complaint_of(complaints, self.caller))
            return Step(replace(record, complaints=complaints), StillValid(until))
        return begin_probe(record, now)

    def _ask_again(self, record: Record, credential: Credential, now: Instant) -> Step[RejectAnswer]:
        """Have what has no probe asked for again, unless that was done a moment ago."""
        until = credential.left + ASKED_HOLDS
        if credential.left <= now < until:
            return Step(record, StillValid(until))
        return Step(record if record.suspected else replace(record, suspected=True), Join())

    def _names(self, credential: Credential) -> bool:
        return self.sha256 == credential.sha256 if self.sha256 else self.generation == credential.generation

    def _other(self, record: Record, credential: Credential, now: Instant) -> Step[RejectAnswer]:
        if not ISSUING[credential.mode].has_strangers:  # it ends none of ours, or is the leader's next one
            return Step(record, AlreadyNewer())
        known = not self.sha256 or self.sha256 in record.past or self.sha256 == record.contest.foreign_sha256
        last = record.contest.seen[-1] if record.contest.seen else NEVER
        if known or 0 <= now - last < FOREIGN_SIGNS_APART:
            return Step(record, AlreadyNewer())
        contest = with_sign(record.contest, now)._replace(foreign_sha256=self.sha256)
        after = replace(record, contest=contest)
        event = Event("foreign_token", self.slot.appid, {"sha256": self.sha256, "caller": self.caller})
        return Step(after, AlreadyNewer(), (event, *contest_events(record, after, now)))

    def _is_insisted(self, record: Record, mine: Complaint, now: Instant) -> bool:
        """Two callers came again soon after `still_valid`: the platform's nodes may disagree with its probe."""
        if 0 <= now - record.escalated_at < ESCALATIONS_APART or not _comes_again(mine, now):
            return False
        return any(
            other.again and 0 <= now - other.at <= INSISTS_WITHIN
            for other in record.complaints
            if other.caller != self.caller
        )


def _comes_again(mine: Complaint | None, now: Instant) -> bool:
    """Say whether who complains now is known to have complained a moment ago; of a crowd nobody knows."""
    return mine is not None and mine.caller != CROWD and 0 <= now - mine.at <= INSISTS_WITHIN


def _holds(mine: Complaint | None) -> Seconds:
    """Return how long a verdict holds for a caller: the longer, the more of them he would not hear."""
    if mine is None:
        return VERDICT_HOLDS
    longest = CROWD_HOLDS_LONGEST if mine.caller == CROWD else VERDICT_HOLDS_LONGEST
    return min(longest, VERDICT_HOLDS * 2.0 ** min(mine.times - 1, 8))


def complaint_of(complaints: tuple[Complaint, ...], caller: str) -> Complaint | None:
    """Return the caller's complaint, or the one he shares with all for whom there was no room."""
    own = next((one for one in complaints if one.caller == caller), None)
    if own is not None or len(complaints) < COMPLAINTS_KEPT:
        return own
    return next((one for one in complaints if one.caller == CROWD), None)


def with_complaint(complaints: tuple[Complaint, ...], caller: str, now: Instant) -> tuple[Complaint, ...]:
    """Return the complaints with one more of `caller`, the latest last.

    Nobody is forgotten before the generation is: callers who push each other out would each begin anew, for ever.
    """
    mine = complaint_of(complaints, caller)
    if mine is not None:
        caller = mine.caller
    elif len(complaints) >= COMPLAINTS_KEPT:
        caller = CROWD
    others = tuple(one for one in complaints if one.caller != caller)
    return (*others, Complaint(caller, now, 1 + (mine.times if mine else 0), again=_comes_again(mine, now)))


def begin_probe(record: Record, now: Instant) -> Step[BeginAnswer]:
    """Note that a probe leaves now, unless one left within the last 5 s."""
    if 0 <= now - record.probe.began_at < PROBES_APART:
        return Step(record, ProbeRecent())
    after = replace(record, probe=record.probe._replace(began_at=now, last=None, generation=record.generation))
    return Step(after, ProbeNow(now))


@dataclass(frozen=True, slots=True)
class BeginProbe:
    """Ask for the right to probe the credential of `generation`; `Join` if there is another one by now."""

    slot: Slot
    generation: int

    def apply(self, record: Record, now: Instant) -> Step[BeginAnswer]:
        """Begin it, if the credential is still there."""
        if record.credential is None or record.generation != self.generation:
            return Step(record, Join())
        return begin_probe(record, now)


@dataclass(frozen=True, slots=True)
class EndProbe:
    """Tell what a probe proved of the credential with `sha256`; a proof of death condemns it, for whatever `reason`.

    `caller` is who rejected it, if somebody did.
    """

    slot: Slot
    sha256: str
    began_at: Instant
    verdict: ProbeVerdict
    reason: str
    caller: str = ""

    def apply(self, record: Record, now: Instant) -> Step[None]:
        """Close what an alive verdict closes, condemn what a dead one proves dead, remember the answer."""
        probe = record.probe
        if self.verdict is not ProbeVerdict.UNKNOWN:
            probe = probe._replace(answered_at=max(probe.answered_at, self.began_at))
        credential = record.credential
        if credential is None or credential.sha256 != self.sha256:
            return Step(replace(record, probe=probe), None)
        if self.began_at == probe.began_at:
            probe = probe._replace(last=self.verdict)
        after = replace(record, probe=probe)
        if self.verdict is ProbeVerdict.ALIVE:
            return self._alive(after, credential, now)
        if self.verdict is ProbeVerdict.DEAD and not record.condemned:
            return self._dead(after, credential, now)
        return Step(after, None)

    def _alive(self, record: Record, credential: Credential, now: Instant) -> Step[None]:
        still_open = tuple(
            one
            for one in record.attempts
            if not one.ends or one.mode is not credential.mode or self.began_at <= closes_at(one, credential.life)
        )
        again_at = record.probe.again_at
        if again_at is not None and again_at <= now:
            again_at = None
        complaints = record.complaints
        if self.caller:
            complaints = with_complaint(complaints, self.caller, now)
        if self.caller and not ISSUING[credential.mode].is_relayed:
            again_at = again_at or now + overlap_of(credential.life) + 10.0
        latest = self.began_at >= record.probe.began_at
        after = replace(
            record,
            attempts=still_open,
            complaints=complaints,
            condemned="" if latest and record.condemned != MOVED else record.condemned,
            retry=Retry() if latest and is_repeated(record) else record.retry,
            probe=record.probe._replace(alive_at=max(record.probe.alive_at, self.began_at), again_at=again_at),
        )
        return Step(after, None)

    def _dead(self, record: Record, credential: Credential, now: Instant) -> Step[None]:
        """Death before its time with no attempt of ours open is a stranger's work, where there can be one."""
        told: dict[str, str | int | float] = {
            "kind": self.slot.kind,
            "generation": record.generation,
            "reason": self.reason,
        }
        events = [Event("condemned", self.slot.appid, told)]
        contest = record.contest
        if not threats(record) and now < credential.expires_at and ISSUING[credential.mode].has_strangers:
            contest = with_sign(contest, now)
            events.append(Event("foreign_mint", self.slot.appid, {"sign": "condemned"}))
        after = replace(
            record, condemned=self.reason, suspected=False, contest=contest, probe=record.probe._replace(again_at=None)
        )
        return Step(after, None, (*events, *contest_events(record, after, now)))
