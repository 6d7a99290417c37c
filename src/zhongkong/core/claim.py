"""The claim: who may mint for a slot, and when. Lease, open attempt and budget are taken in one write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from zhongkong.core.command import Step
from zhongkong.core.freshness import Freshness, is_unanswered, judge_freshness
from zhongkong.core.issuing import ISSUING, is_in_window, mode_now, overlap_of
from zhongkong.core.model import (
    LEASE,
    NEVER,
    Account,
    Attempt,
    Instant,
    Lease,
    Record,
    Slot,
    Trouble,
)
from zhongkong.core.retry import Asking, budget_allows, budget_of, contest_allows, force_allowed_at, spend
from zhongkong.core.rounds import hold_end, needs_mint
from zhongkong.core.strangers import is_contested


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lease is ours: mint by `attempt.mode`, forced if `forced`, and save under `attempt.fence`."""

    attempt: Attempt
    forced: bool
    until: Instant
    """When the lease ends, on the store's clock."""


@dataclass(frozen=True, slots=True)
class Faster:
    """There is nothing to mint: somebody else was faster, or the need is gone."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another holder is at it until `until` at the latest."""

    until: Instant


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nobody may mint before `until`. `trouble` says why, when it is more than a matter of rhythm."""

    until: Instant
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class ProbeFirst:
    """The platform left the last request unanswered: probe with the token we hold before anything that ends one."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The account is gone or was changed since the caller read it: read it again."""


ClaimAnswer: TypeAlias = Claimed | Faster | Held | NotYet | ProbeFirst | Moved


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for the right to mint for a slot: takes the lease, opens the attempt, counts the budget, all at once.

    `beyond` is the generation that the caller wants surpassed. A crash after it leaves the attempt open, which is the
    truth: the request may or may not have left.
    """

    slot: Slot
    account: Account
    fence: str
    beyond: int
    in_round: bool = False
    force: bool = False

    def apply(self, record: Record, now: Instant) -> Step[ClaimAnswer]:
        """Decide by one table: moved, mine already, no need, held, not yet, probe first, claimed."""
        if record.removed or record.revision != self.account.revision:
            return Step(record, Moved())
        lease = record.lease
        if lease is not None and lease.fence == self.fence and lease.holds(now):
            return Step(record, _claimed(record, lease))
        if not self._is_needed(record, now):
            return Step(record, Faster())
        if lease is not None and lease.holds(now):
            return Step(record, Held(lease.until))
        asking = self._asking(record, now)
        until, trouble = self._wait(record, asking, now)
        if until > now:
            return Step(record, NotYet(until, trouble))
        if asking.ends and is_unanswered(record):
            return Step(record, ProbeFirst())
        lease = Lease(self.fence, now + LEASE)
        after = self._take(record, asking, lease, now)
        return Step(after, _claimed(after, lease))

    def _is_needed(self, record: Record, now: Instant) -> bool:
        if self.force:
            return record.generation <= self.beyond
        if record.generation > self.beyond and judge_freshness(record, now) is not Freshness.DEAD:
            return False
        return needs_mint(record, now)

    def _asking(self, record: Record, now: Instant) -> Asking:
        """A mint that would not be due but for a reject is the reject's, whoever claims it."""
        mode = mode_now(self.account, record, now)
        is_due = record.credential is None or now >= record.refresh_at
        return Asking(
            mode=mode,
            forced=ISSUING[mode].can_force and (self.force or (record.insist and not is_in_window(record, now))),
            for_reject=not is_due and (record.suspected or record.condemned == "rejected"),
            for_key=self.force,
        )

    def _wait(self, record: Record, asking: Asking, now: Instant) -> tuple[Instant, Trouble | None]:
        budget = budget_of(record, self.account, asking.mode)
        too_soon = Trouble("too_soon")
        waits = (
            (record.retry.holds_until(now), record.retry.trouble),
            (budget_allows(record, budget, asking, now), Trouble("budget")),
            (contest_allows(record, asking, now), Trouble("contested")),
            (force_allowed_at(record, asking, now), too_soon if self.force else Trouble("too_early")),
            (self._rhythm(record, asking, now), too_soon if self.force else None),
        )
        return max(waits, key=lambda wait: wait[0])

    def _rhythm(self, record: Record, asking: Asking, now: Instant) -> Instant:
        """Return when the rhythm allows a mint; a credential dead by proof or by age waits for nobody."""
        credential = record.credential
        if credential is None or judge_freshness(record, now) is Freshness.DEAD:
            return NEVER
        until = NEVER
        if asking.ends:
            until = max(hold_end(record), credential.since + 0.3 * overlap_of(credential.life))
        if self.in_round and not ISSUING[asking.mode].is_relayed:
            until = max(until, credential.since + min(60.0, credential.life / 10))
        return min(until, credential.expires_at) if credential.since <= now else NEVER

    def _take(self, record: Record, asking: Asking, lease: Lease, now: Instant) -> Record:
        contest = record.contest
        if not is_contested(record, now):
            contest = contest._replace(tries=0)
        elif asking.for_reject:
            contest = contest._replace(tries=contest.tries + 1, last_mint=now)
        attempt = Attempt(self.fence, now, asking.mode, asking.ends)
        others = (one for one in record.attempts if one.ends and one.fence != self.fence)
        return replace(
            record,
            lease=lease,
            attempts=(*others, attempt),
            spent=spend(record, asking, now),
            last_force=now if asking.forced else record.last_force,
            contest=contest,
        )


def _claimed(record: Record, lease: Lease) -> Claimed:
    attempt = next(attempt for attempt in record.attempts if attempt.fence == lease.fence)
    forced = attempt.ends and ISSUING[attempt.mode].can_force
    return Claimed(attempt, forced, lease.until)
