"""Invariants 2 and 3: one mint to a generation, and no more than a day allows. Counted from what left and landed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.families import is_ticket, mode_of, name_of, route_of
from tests.simulation.ledger import LONG_AGO, Aside, Attempt, Flight, Watched
from tests.simulation.reckoning import (
    ASKED_APART,
    DEADLINE,
    FORCES_A_DAY,
    FORCES_A_DAY_FOR_REJECTS,
    FORCES_APART,
    LANDING,
    LEASE,
    REPEATED_APART,
    allowed_a_day,
    due_between,
    kept_for_rounds,
    longest_spread,
    longest_wait,
    overlap,
    shanghai_day,
    state_after,
    trusted_until,
)
from tests.simulation.surroundings import REFUSED_WITHIN
from zhongkong.core.claim import Claim
from zhongkong.core.model import Account, Ambiguous, Credential, Mode, NotSent, Record, Slot
from zhongkong.core.ports import Order
from zhongkong.core.reject import EndProbe
from zhongkong.core.save import GiveBack, LeaseLost, Save
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.universe import Replica

DAY = 86_400.0
REMEMBERED = 64
REMEMBERED_FOR = 3700.0
"""Seconds: the longest wait that a request leaves behind."""


@dataclass
class Day:
    """What one slot cost on one day, by the store's clock."""

    total: int = 0
    for_rejects: int = 0
    """And for keys that force."""
    forces: int = 0
    forces_for_rejects: int = 0


@dataclass
class Spent:
    """What a slot cost so far."""

    days: defaultdict[int, Day] = field(default_factory=lambda: defaultdict(Day))
    forced_at: float = LONG_AGO


class Spending:
    """Follows every claim from its grant over its departure to its answer."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._universe = oracle.universe
        self._spent: defaultdict[Slot, Spent] = defaultdict(Spent)

    def today(self, slot: Slot) -> Day:
        """Return what today has cost so far."""
        return self._spent[slot].days[shanghai_day(self._universe.store.clock)]

    def asked(self, slot: Slot) -> int:
        """Return what it has cost altogether."""
        return sum(day.total for day in self._spent[slot].days.values())

    def forbids(self, slot: Slot, mode: Mode, *, is_test: bool, asked_for: bool, forced: bool) -> bool:
        """Say whether the day allows no such request any more, `asked_for` by a reject or a key."""
        clock, day = self._universe.store.clock, self.today(slot)
        allowed = allowed_a_day(mode, self._known_life(slot), is_test=is_test)
        if day.total >= allowed:
            return True
        if forced and (day.forces >= FORCES_A_DAY or day.forces_for_rejects >= FORCES_A_DAY_FOR_REJECTS):
            return True
        return asked_for and (day.for_rejects >= allowed // 2 or day.total >= allowed - kept_for_rounds(clock))

    def _known_life(self, slot: Slot) -> float:
        """Return the life that a day's requests are reckoned by: the platform's own until the first one was granted."""
        return self._universe.plan.expires_in if self._universe.store.peek(slot).generation else 7200.0

    def is_too_soon(self, slot: Slot, since: float) -> bool:
        """Say whether a force had to wait since then: for the last one, the rhythm of mints, or an open attempt."""
        watched, credential = self._oracle.slots[slot], self._universe.store.peek(slot).credential
        if self.was_forced(slot, since) or self._oracle.stepped_at >= since - FORCES_APART:
            return True
        if credential is None:
            return False
        is_open = any(one.ends and (one.closed_at is None or one.closed_at >= since) for one in watched.attempts)
        return is_open or self.is_too_young(slot, since)

    def was_forced(self, slot: Slot, since: float) -> bool:
        """Say whether the last force was so short before then that another one would have done nothing."""
        return self._spent[slot].forced_at + FORCES_APART >= since

    def is_too_young(self, slot: Slot, since: float) -> bool:
        """Say whether by the rhythm of mints the last one was too short ago for another."""
        saved_at = max(self._oracle.slots[slot].saved_at.values(), default=LONG_AGO)
        return saved_at + 0.3 * overlap(self._universe.plan.expires_in) >= since

    # --- the claim

    def claimed(self, replica: Replica | None, command: Claim, before: Record, after: Record) -> None:
        """A claim was granted: it takes the lease, opens the attempt, and costs one of the day's requests."""
        watched, now = self._oracle.slots[before.slot], self._oracle.now()
        granted = next(one for one in after.attempts if one.fence == command.fence)
        is_forced = granted.ends and granted.mode is Mode.STABLE
        cause = self._cause(command, before)
        attempt = Attempt(
            before.slot,
            command.fence,
            replica,
            replica.process if replica else None,
            granted.mode,
            is_forced or granted.mode is Mode.CLASSIC,
            cause,
            before.generation,
            now,
            self._universe.store.clock,
        )
        attempt.trouble = before.retry.trouble.errcode if before.retry.trouble else None
        if cause == "key":
            watched.asides.append(Aside(now, "forced"))
        self._judge_need(attempt, before)
        self._judge_repeated(watched, attempt, before)
        self._judge_silence(watched, attempt, before)
        self._judge_rhythm(watched, attempt, before)
        self._count(command.account, attempt, forced=is_forced)
        again = [one for one in watched.attempts if one.fence == command.fence]
        if any(one.flight is not None for one in again):
            self._oracle.fail("2", f"a request for {before.slot.appid} was claimed again after it left")
        watched.attempts = [
            one
            for one in watched.attempts
            if one not in again and (one.closed_at is None or one.closed_at > now - 7200.0)
        ]
        watched.attempts.append(attempt)

    def _cause(self, command: Claim, before: Record) -> str:
        """Return who or what made the claim necessary; what is due anyway is nobody's fault."""
        if command.force:
            return "key"
        old, clock, watched = before.credential, self._universe.store.clock, self._oracle.slots[before.slot]
        if old is None or clock >= before.refresh_at or clock >= due_between(old.mode, old.expires_at, old.life)[1]:
            return "due"
        if before.suspected or (before.condemned and watched.condemned_by):
            return "reject"
        return "due"

    def _judge_need(self, attempt: Attempt, before: Record) -> None:
        old, clock = before.credential, self._universe.store.clock
        if before.retry.next_try_at > clock:
            early = before.retry.next_try_at - clock
            self._oracle.fail("3", f"{before.slot.appid} was claimed {early:.1f} s before its next try")
        is_excused = old is None or before.condemned or before.suspected or before.attempts or attempt.cause == "key"
        if is_excused or old is None:
            return
        earliest = due_between(old.mode, old.expires_at, old.life)[0]
        if clock < min(earliest, before.refresh_at) - 1.0:
            self._oracle.fail("2", f"{before.slot.appid} was claimed {earliest - clock:.0f} s before it was due")

    def _judge_repeated(self, watched: Watched, attempt: Attempt, before: Record) -> None:
        """At most one mint for rejects per generation: another one only after one that brought nothing."""
        if attempt.cause != "reject":
            return
        for one in watched.attempts:
            flight = one.flight
            if one.cause != "reject" or one.generation != attempt.generation or flight is None:
                continue
            outcome = flight.outcome
            is_other = isinstance(outcome, Granted) and outcome.value != (before.credential and before.credential.value)
            if is_other and not self._is_excused(flight):
                self._oracle.fail(
                    "3", f"rejects cost generation {attempt.generation} of {attempt.slot.appid} two mints"
                )

    def _judge_silence(self, watched: Watched, attempt: Attempt, before: Record) -> None:
        """After a request that nobody answered the platform is asked something harmless before what ends a token."""
        if not attempt.ends or before.credential is None:
            return
        settled = max(self._oracle.stepped_at, watched.moved_back_at, watched.changed_at, watched.lost_at)
        for one in watched.attempts:
            if one.ends and one.closed_at is None and one.at > max(watched.heard_at + 0.001, settled):
                self._oracle.fail("2", f"{attempt.slot.appid} is asked for again into the silence after {one.at:.3f}")

    def _judge_rhythm(self, watched: Watched, attempt: Attempt, before: Record) -> None:
        """What has no probe is asked for again for rejects once in a minute, counted from what brought it last."""
        credential = before.credential
        if attempt.cause != "reject" or not is_ticket(attempt.slot) or credential is None:
            return
        brought_at = watched.brought.get(credential.value, LONG_AGO)
        ago, moved_at = attempt.at - brought_at, max(self._oracle.stepped_at, watched.moved_back_at)
        if ago < ASKED_APART - 0.001 and moved_at < brought_at - LANDING:
            self._oracle.fail("3", f"{name_of(attempt.slot)} was asked for again for a reject after {ago:.1f} s")

    def _count(self, account: Account, attempt: Attempt, *, forced: bool) -> None:
        slot, clock, now = attempt.slot, self._universe.store.clock, self._oracle.now()
        spent, day = self._spent[slot], self.today(slot)
        is_asked_for = attempt.cause in ("reject", "key")
        day.total += 1
        day.for_rejects += is_asked_for
        day.forces += forced
        day.forces_for_rejects += forced and attempt.cause != "key"
        is_apart = now - spent.forced_at >= FORCES_APART - 0.001
        spent.forced_at = now if forced else spent.forced_at
        if max(self._oracle.stepped_at, self._oracle.slots[slot].lost_at) > now - DAY:
            return
        allowed = allowed_a_day(attempt.mode, self._universe.plan.expires_in, is_test=account.is_test)
        wrong = ""
        if day.total > allowed:
            wrong = f"{day.total} requests on one day, {allowed} allowed"
        elif is_asked_for and day.for_rejects > allowed // 2:
            wrong = f"{day.for_rejects} requests for rejects on one day, {allowed // 2} allowed"
        elif is_asked_for and day.total > allowed - kept_for_rounds(clock) + 1:
            wrong = f"a reject had the last but {allowed - day.total} of the day"
        elif forced and not is_apart:
            wrong = "two forces within 35 s"
        elif forced and (day.forces > FORCES_A_DAY or day.forces_for_rejects > FORCES_A_DAY_FOR_REJECTS):
            wrong = f"{day.forces} forces on one day, {day.forces_for_rejects} of them for rejects"
        if wrong:
            self._oracle.fail("3", f"{slot.appid}: {wrong}")

    # --- the flight

    def departs(self, replica: Replica, slot: Slot, order: Order, fence: str) -> Flight:
        """A request leaves. Invariant 2."""
        now, watched = self._oracle.now(), self._oracle.slots[slot]
        attempt = next((one for one in watched.attempts if one.fence == fence and one.closed_at is None), None)
        ends = order.mode is Mode.CLASSIC or order.force
        if attempt is not None and (attempt.mode is not order.mode or attempt.ends is not ends):
            attempt = None
        flight = Flight(replica, replica.process, slot, order, ends, now, attempt)
        if attempt is not None:
            if attempt.flight is not None:
                self._oracle.fail("2", f"two requests for {slot.appid} left under one claim")
            attempt.flight = flight
        elif ends:
            self._oracle.fail("2", f"a request that ends a token of {slot.appid} left without a claim")
        elif self._oracle.troubles.store_until(replica) < now - 60.0:
            self._oracle.fail("3", f"{slot.appid} was asked for without a claim, and the store is well")
        if _is_alone(flight):
            self._judge_alone(watched, flight)
        watched.flights = [one for one in watched.flights if one.left > now - REMEMBERED_FOR or one.may_bring]
        watched.flights.append(flight)
        return flight

    def _judge_alone(self, watched: Watched, flight: Flight) -> None:
        for other in watched.flights:
            is_under_way = other.answered is None and flight.left < other.left + DEADLINE
            if _is_alone(other) and is_under_way and not (self._is_excused(other) or self._is_excused(flight)):
                self._oracle.fail("2", f"two requests are under way for {name_of(flight.slot)}")

    def _is_excused(self, flight: Flight) -> bool:
        """Say whether its holder was disturbed or lost the store, or the lease was void, since it was claimed."""
        asked_first = 0.0 if flight.attempt is not None else REFUSED_WITHIN  # the store, who leaves on memory's word
        replica, since = flight.replica, flight.needed_at - asked_first - 1.0
        return (
            replica.process is not flight.process
            or replica.disturbed_at >= since
            or self._oracle.troubles.store_until(replica) >= since
            or self._oracle.stepped_at >= since - LEASE
            or self._oracle.slots[flight.slot].changed_at >= since - LEASE
            or self._oracle.slots[flight.slot].lost_at >= since - LEASE
        )

    # --- the answer

    def saved(self, command: Save, answer: object, attempt: Attempt) -> None:
        """Its own answer reached the store. Only that closes an attempt, unless it comes too late."""
        outcome, flight = command.outcome, attempt.flight
        if flight is None or (flight.outcome is not None and flight.outcome != outcome):
            self._oracle.fail("2", f"an answer for {attempt.slot.appid} was saved that nobody gave")
        if isinstance(outcome, Granted) and isinstance(answer, LeaseLost):
            return
        if isinstance(outcome, NotSent):
            self._uncount(attempt)
        if isinstance(outcome, Granted | Refused):
            watched = self._oracle.slots[attempt.slot]
            watched.heard_at = max(watched.heard_at, attempt.at)
        if not (isinstance(outcome, Ambiguous) and attempt.ends):
            attempt.closed_at = attempt.closed_at or self._oracle.now()
        if isinstance(outcome, Granted):
            watched = self._oracle.slots[attempt.slot]
            if outcome.value in watched.brought:
                watched.brought_again[outcome.value] = self._oracle.now(), watched.brought[outcome.value]
            watched.brought[outcome.value] = attempt.at
            for old in list(watched.brought)[:-REMEMBERED]:
                del watched.brought[old]
                watched.brought_again.pop(old, None)

    def judge_wait(self, command: Save, before: Record, after: Record) -> None:
        """No wait is longer than its cause warrants: what was refused, and how much of the day is left."""
        retry, clock, old = after.retry, self._universe.store.clock, after.credential
        slot = before.slot
        if isinstance(command.outcome, Granted):
            wait = REPEATED_APART if route_of(slot) == "wecom" else FORCES_APART
            longest = wait if retry.trouble is not None else 0.0
        else:
            trust_left = self._trust_of(slot, old) - self._oracle.now() if old is not None else 0.0
            outcome = command.outcome
            state = state_after(outcome.errcode, route_of(slot)) if isinstance(outcome, Refused) else "silent"
            life = self._known_life(slot)
            allowed = allowed_a_day(mode_of(slot, command.account), life, is_test=command.account.is_test)
            spread = longest_spread(self.today(slot).total, allowed, clock)
            if state != "blocked" and trust_left > 0:
                spread = min(spread, trust_left / 4)
            longest = max(longest_wait(state, trust_left), spread)
        if retry.next_try_at - clock > longest + 0.001 and self._oracle.stepped_at < self._oracle.now() - DAY:
            wait = retry.next_try_at - clock
            self._oracle.fail("8", f"{before.slot.appid} waits for {wait:.0f} s, {longest:.0f} s would do")

    def _trust_of(self, slot: Slot, credential: Credential) -> float:
        watched, now = self._oracle.slots[slot], self._oracle.now()
        expires_at = now + credential.expires_at - self._universe.store.clock
        open_since = [
            one.at for one in watched.attempts if one.ends and one.mode is credential.mode and one.closed_at is None
        ]
        return trusted_until(expires_at, credential.life, watched.brought.get(credential.value, LONG_AGO), open_since)

    def _uncount(self, attempt: Attempt) -> None:
        """Not a byte of it left: it is no departure."""
        clock = self._universe.store.clock
        today, claimed_on = shanghai_day(clock), shanghai_day(clock - (self._oracle.now() - attempt.at))
        if attempt.closed_at is None and today == claimed_on:
            day = self._spent[attempt.slot].days[today]
            day.total -= 1
            day.for_rejects -= attempt.cause == "reject"  # what a key asked for stays counted

    def given_back(self, command: GiveBack) -> None:
        """It never left."""
        for one in self._oracle.slots[command.slot].attempts:
            if one.fence == command.fence:
                one.closed_at = self._oracle.now()

    def probed(self, command: EndProbe, before: Record) -> None:
        """A probe that found the token alive, late enough, proves of older requests that they did not end it."""
        credential = before.credential
        if command.verdict is not ProbeVerdict.ALIVE or credential is None or credential.sha256 != command.sha256:
            return
        now = self._oracle.now()
        ago = self._universe.store.clock - command.began_at
        proves_after = DEADLINE + LANDING + overlap(credential.life)
        for one in self._oracle.slots[command.slot].attempts:
            later = max(now - ago - one.at, command.began_at - one.clock)  # a clock that steps on makes it look older
            if one.mode is credential.mode and later > proves_after:
                one.closed_at = one.closed_at or now

    def generation(self, record: Record) -> None:
        """A generation was saved. Invariant 2: one request that can end a token for each, but for those that failed."""
        watched = self._oracle.slots[record.slot]
        mine = [one for one in watched.flights if not one.saved]
        granted = [one for one in mine if one.ends and isinstance(one.outcome, Granted) and not self._is_excused(one)]
        if len(granted) > 1:
            self._oracle.fail(
                "2", f"{len(granted)} tokens were granted for generation {record.generation} of {record.slot.appid}"
            )
        for one in mine:
            one.saved = True


def _is_alone(flight: Flight) -> bool:
    """Say whether no other request for the slot may be under way: it can end a token, or its platform counts them."""
    return flight.ends or flight.order.mode is not Mode.STABLE
