"""Invariant 1, its second sentence: what a reject brings. And of every error: that the cause it names is true."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.families import is_wecom, line_of, modes_of, route_of
from tests.simulation.ledger import LONG_AGO, Flight, Watched
from tests.simulation.reckoning import (
    DEADLINE,
    ESCALATIONS_APART,
    PROBES_APART,
    REPEATED_APART,
    overlap,
    state_after,
    verdict_holds,
)
from zhongkong.core.model import Ambiguous, Kind, Mode, NotSent, Outcome, Slot
from zhongkong.errors import AccountUnknown, CredentialUnavailable, StoreError, ZhongkongError
from zhongkong.keeper.keeper import Rejected, RejectOutcome
from zhongkong.wechat.answers import Granted, Refused

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.spending import Spending
    from tests.simulation.universe import Replica

CROWD = 32
"""So many callers of one generation are told apart; the others share one patience."""
CROWD_HOLDS = 60.0
REMEMBERED = 64
FOUND_OUT = 75.0
"""Within so long all that a store holds is read again."""


@dataclass(frozen=True)
class Complaint:
    """A reject as its caller sends it. `value` is what he was refused, however he names it."""

    caller: str
    value: str
    generation: int
    by: str
    """`value`, `sha256` or `generation`."""
    began: float
    was_alive: bool


@dataclass(frozen=True)
class Demand:
    """A force as it is sent: the store's generation at that moment, and up to when the replica knew it."""

    generation: int
    knew: float
    began: float


class Answers:
    """Judges what rejects and failed calls are told."""

    def __init__(self, oracle: Oracle, spending: Spending) -> None:
        self._oracle = oracle
        self._universe = oracle.universe
        self._spending = spending
        self._times: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        """How often a caller rejected a value, by both."""

    # --- rejects

    def rejected(self, replica: Replica, slot: Slot, complaint: Complaint, result: Rejected) -> None:
        """Judge the answer to a reject."""
        fail, outcome, handed = self._oracle.fail, result.outcome, result.handed
        is_same = handed.value == complaint.value
        is_named = handed.generation == complaint.generation if complaint.by == "generation" else is_same
        if outcome is RejectOutcome.STILL_VALID and not is_named:
            fail("1", "a reject was answered still_valid with another credential than it named")
        if is_named and outcome is not RejectOutcome.STILL_VALID:
            fail("1", f"a reject was answered {outcome} with the very credential it named")
        old = self._universe.life_of(slot, complaint.value)
        new = self._universe.life_of(slot, handed.value)
        is_one_line = old is not None and new is not None and (old.mode, old.issued_at) == (new.mode, new.issued_at)
        is_replaced = old is not None and old.mode in ("classic", "stable")  # of other modes several live side by side
        if is_one_line and is_replaced and old is not None and new is not None and new.born_at < old.born_at:
            fail("1", f"a reject for {slot.appid} was answered with a value older than the rejected one")
        if is_same and not complaint.was_alive:
            died_at = old.dies_at if old is not None else LONG_AGO
            self._judge_still_valid(replica, slot, complaint, self._oracle.now() - died_at)
        times = self._times[handed.value if outcome is RejectOutcome.STILL_VALID else complaint.value]
        times[complaint.caller] += 1
        for gone in list(self._times)[:-REMEMBERED]:
            del self._times[gone]

    def _judge_still_valid(self, replica: Replica, slot: Slot, complaint: Complaint, dead_for: float) -> None:
        """A verdict holds for a while, the longer the more of them a caller did not hear; then he is told the truth."""
        times = self._times[complaint.value]
        longest = verdict_holds(times[complaint.caller])
        if complaint.caller not in times and len(times) >= CROWD:
            longest = max(longest, CROWD_HOLDS)
        longest = max(longest, overlap(self._universe.plan.expires_in) / 10)  # while in doubt
        waited = self._oracle.now() - complaint.began
        is_stepped = self._oracle.stepped_at > self._oracle.now() - dead_for - 600.0
        if dead_for > longest + waited + PROBES_APART + DEADLINE and not is_stepped:
            self._oracle.fail(
                "1", f"a token of {slot.appid}, dead for {dead_for:.0f} s, was called still valid by {replica.index}"
            )

    def escalated(self, slot: Slot, value: str, clock: float, last: float) -> None:
        """A credential is replaced unprobed: two callers came again, and not often."""
        if clock - last < ESCALATIONS_APART - 0.001:
            self._oracle.fail("3", f"{slot.appid} was replaced unprobed twice within ten minutes")
        insisting = [caller for caller, times in self._times[value].items() if times > 1]
        if not insisting:
            self._oracle.fail("3", f"{slot.appid} was replaced unprobed, and nobody insisted")

    # --- forces

    def forced(self, replica: Replica, slot: Slot, demand: Demand, result: Rejected) -> None:
        """Judge the answer to a force: `refreshed` is another one than there was, as far as the replica could know."""
        fail, generation, watched = self._oracle.fail, result.handed.generation, self._oracle.slots[slot]
        was_known = watched.saved_at.get(demand.generation, LONG_AGO) < demand.knew
        if result.outcome is RejectOutcome.REFRESHED and was_known and generation <= demand.generation:
            fail("1", f"a force at {replica.index} is called refreshed, and generation {generation} was there before")
        if result.outcome is RejectOutcome.ALREADY_NEWER:
            fail("1", "a force was answered already_newer")
        if result.outcome is RejectOutcome.STILL_VALID and generation > demand.generation:
            fail("1", f"a force at {replica.index} brought generation {generation}, and is called still_valid")

    # --- errors

    def failed(self, replica: Replica, slot: Slot, error: ZhongkongError, began: float, seen: int = 0) -> None:
        """Judge an error: its cause is, or was a moment ago, true in the world."""
        wait = error.retry_after
        if wait is not None and not 0.0 <= wait <= 86_400.0 + 60.0:
            self._oracle.fail("1", f"an error says to wait {wait} s: {error}")
        since = began - self._oracle.lag(replica) - 1.0
        if isinstance(error, AccountUnknown):
            is_true = self._oracle.slots[slot].absent or self._oracle.slots[slot].absent_at >= since
        elif isinstance(error, StoreError):
            is_true = self._is_store_at_fault(replica, slot, error, since, seen)
        elif isinstance(error, CredentialUnavailable):
            named = Slot(error.appid, Kind(error.kind))
            is_true = named in line_of(slot) and self._is_true(replica, named, error, since)
        else:
            is_true = False
        if not is_true:
            self._oracle.fail("1", f"an error of {slot.appid} names a cause that is not true: {error}")

    def _is_store_at_fault(self, replica: Replica, slot: Slot, error: StoreError, since: float, seen: int) -> bool:
        if error.code == "store_behind":
            return self._universe.store.peek(slot).generation < seen
        if error.code == "wrong_seal" and (slot in replica.blind or slot.appid in replica.blind_accounts):
            since -= FOUND_OUT  # that it can be unsealed again is found when all is read again
        return max(self._oracle.troubles.store_until(replica), self._oracle.store_lost_at) >= since

    def _is_true(self, replica: Replica, slot: Slot, error: CredentialUnavailable, since: float) -> bool:
        watched, cause = self._oracle.slots[slot], error.cause
        told = self._told(replica, slot, since)
        match cause:
            case "blocked" | "quota" | "refused":
                was = (cause, error.values.get("errcode"))
                is_true = any(was == _trouble_of(one, slot) for one in told)
            case "token_repeated":
                is_true = is_wecom(slot.appid) and self._is_repeated(slot, since)
            case "unanswered":
                is_true = self._is_silent(watched, since) or any(isinstance(one, Ambiguous) for one in told)
            case "unreachable":
                is_true = any(isinstance(one, NotSent) for one in told)
            case "refreshing":
                is_asking = any(replica.writing.get(one, 0) for one in line_of(slot)) or self._is_put_off(slot, since)
                is_asking |= replica.store is not self._universe.store  # an empty one answers, until the next poll
                is_busy = any(self._is_busy(self._oracle.slots[one], since) for one in line_of(slot))
                is_true = is_asking or is_busy or self._waits_for_store(replica, since)
            case "too_early":
                is_true = any(isinstance(one, Granted) for one in told) or self._spending.was_forced(slot, since)
            case "too_soon":
                is_true = self._spending.is_too_soon(slot, since)
            case "budget":
                is_true = self._is_spent(slot)
            case "contested":
                account = self._universe.store.kept_account(slot.appid)
                is_true = account is not None and account.on_contest is Mode.CLASSIC
            case _:
                is_true = False
        return is_true

    def _is_repeated(self, slot: Slot, since: float) -> bool:
        """Say whether WeCom repeated a token that it had ended, or that it refuses where a ticket is asked for."""
        refused_until = self._oracle.troubles.platform_until(Slot(slot.appid, Kind.JSAPI_TICKET))
        return max(self._universe.repeats_until(slot), refused_until) + REPEATED_APART + DEADLINE >= since

    def _told(self, replica: Replica, slot: Slot, since: float) -> list[Outcome]:
        """Return what the last requests of the slot came to, as the store knew it since then, or this replica alone."""
        told = self._oracle.slots[slot].told
        later = [outcome for at, outcome in told if at >= since]
        before = [outcome for at, outcome in told if at < since][-1:]
        alone = [
            one.outcome
            for one in self._oracle.slots[slot].flights
            if one.process is replica.process and one.outcome is not None and not _is_kept(one, since)
        ]
        return [*before, *later, *alone[-2:]]

    def _is_silent(self, watched: Watched, since: float) -> bool:
        """Say whether a probe is on its way or was not answered lately, or a request that can end a token was not."""
        lately = since - PROBES_APART - DEADLINE
        is_asked = watched.probing > 0 or watched.unknown_at >= lately or self._is_unheard(watched, lately)
        return is_asked or any(one.ends and one.closed_at is None for one in watched.attempts)

    def _is_unheard(self, watched: Watched, since: float) -> bool:
        """Say whether a probe began since then of which nobody heard: who sent it was disturbed, or lost the store."""
        began, prober = watched.probe_began_at, watched.prober
        if prober is None or began < since or watched.probe_ended_at >= began:
            return False
        return max(prober.disturbed_at, self._oracle.troubles.store_until(prober)) >= began

    def _is_put_off(self, slot: Slot, since: float) -> bool:
        """Say whether two callers insisted against a credential that is too young for a mint by the rhythm."""
        return self._oracle.slots[slot].unsuspected_at >= since and self._spending.is_too_young(slot, since)

    def _is_busy(self, watched: Watched, since: float) -> bool:
        """Say whether something was under way for the slot."""
        is_claimed = any(one.closed_at is None or one.closed_at >= since for one in watched.attempts)
        is_asked = any(one.answered is None or one.answered >= since for one in watched.flights)
        return is_claimed or is_asked or watched.probing > 0 or watched.probed_at >= since

    def _waits_for_store(self, replica: Replica, since: float) -> bool:
        """Say whether a call of the store is not answered yet, or so lately that nobody here calls it away."""
        found_out = 2 * self._universe.plan.poll_seconds + 1.0 + 2 * DEADLINE
        troubles, now = self._oracle.troubles, self._oracle.now()
        return now - troubles.store_since(replica) < found_out or since <= troubles.store_until(replica) <= now

    def _is_spent(self, slot: Slot) -> bool:
        account = self._universe.store.kept_account(slot.appid)
        return account is not None and any(
            self._spending.forbids(slot, mode, is_test=account.is_test, asked_for=True, forced=mode is Mode.STABLE)
            for mode in modes_of(slot, account)
        )


def _is_kept(flight: Flight, since: float) -> bool:
    """Say whether the store was told before `since` what became of the request."""
    return flight.attempt is not None and flight.attempt.closed_at is not None and flight.attempt.closed_at < since


def _trouble_of(outcome: Outcome, slot: Slot) -> tuple[str, int] | None:
    return (state_after(outcome.errcode, route_of(slot)), outcome.errcode) if isinstance(outcome, Refused) else None
