"""Parents and children: a ticket is asked for with a token that may be dead. Invariants 2 and 3, of two slots."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.simulation.families import NO_SUCH_TOKEN, name_of, parent_of, route_of
from tests.simulation.ledger import LONG_AGO, Aside, Flight
from tests.simulation.surroundings import LEASED
from zhongkong.core.command import Command
from zhongkong.core.model import Slot, hash_value
from zhongkong.core.reject import EndProbe, Reject
from zhongkong.wechat.answers import Refused

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.universe import Replica

REMEMBERED = 32
FOUND_OUT = 15.0
"""And two polls: by then a replica knows that the store is back, and has told it what it owes."""
UNDER_WAY = 2.0
"""How long it may take from looking for the parent to the child's claim."""


class Lineage:
    """Watches what is asked for with what, who waits for whom, and who is blamed."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._universe = oracle.universe
        self._asked_with: defaultdict[Slot, list[Flight]] = defaultdict(list)
        """The last requests for each ticket."""

    def obtains(self, replica: Replica, slot: Slot) -> None:
        """Leases never nest: who holds a child's waits for no parent."""
        leased = LEASED.get()
        if leased is None or leased.slot == slot:
            return
        lease = self._universe.store.peek(leased.slot).lease
        if lease is not None and lease.fence == leased.fence and lease.holds(self._universe.store.clock):
            self._oracle.fail(
                "2", f"replica {replica.index} waits for {name_of(slot)} and holds the lease of {name_of(leased.slot)}"
            )

    def judge_caller(self, command: Command[Any]) -> None:
        """A child's reject never touches its parent: callers say in their names what they were refused."""
        if not isinstance(command, Reject | EndProbe):
            return
        kind, _, _ = command.caller.partition(" ")
        if kind and kind != command.slot.kind:
            self._oracle.fail("3", f"{name_of(command.slot)} was looked at because of a rejected {kind}")

    # --- asked with a dead parent

    def departs(self, flight: Flight) -> None:
        """A request leaves: never again with a token that it was refused with, unless that failure was waited out."""
        parent, asked = parent_of(flight.slot), self._asked_with[flight.slot]
        if (flight.order.parent is None) is not (parent is None):
            self._oracle.fail("2", f"{name_of(flight.slot)} was asked for with the wrong thing")
        if parent is None:
            return
        digest = _parent(flight)
        for one in asked:
            is_same = _parent(one) == digest and self._is_refused(one)
            if not is_same or self._is_over(parent, one, digest, by=flight.replica):
                continue
            if self._is_known(parent, one, digest, to=flight):
                self._oracle.fail(
                    "3", f"{name_of(flight.slot)} was asked for again with the token that it was refused with"
                )
        self._asked_with[flight.slot] = [*asked, flight][-REMEMBERED:]

    def judge_blame(self, command: EndProbe) -> None:
        """A living token was condemned on a child's word: believed if the platform said it, and not twice."""
        slots, digest = self._universe.families[command.slot.appid], command.sha256
        flights = [one for slot in slots for one in self._asked_with[slot] if _parent(one) == digest]
        said = [one for one in flights if self._is_refused(one)]
        self._oracle.slots[command.slot].asides.append(Aside(self._oracle.now(), "a child was refused"))
        if not said:
            self._oracle.fail("1", f"{name_of(command.slot)} lives, and was condemned for a child that nobody refused")
        for one in said:
            attempt = one.attempt
            if attempt is None or attempt.clock != command.began_at:
                continue
            if attempt.trouble is not None and attempt.trouble in NO_SUCH_TOKEN[route_of(one.slot)]:
                self._oracle.fail(
                    "1", f"{name_of(command.slot)} lives, and {name_of(one.slot)} had been refused with another one too"
                )

    def is_blamed(self, replica: Replica, slot: Slot, value: str) -> bool:
        """Say whether this replica was refused a child with the token, and no probe of its own found it alive since."""
        digest, alive_at = hash_value(value), replica.found_alive.get(slot, LONG_AGO)
        return any(
            one.process is replica.process
            and _parent(one) == digest
            and self._is_refused(one)
            and (one.answered or LONG_AGO) > alive_at
            for child in self._universe.families[slot.appid]
            for one in self._asked_with[child]
        )

    def _is_refused(self, flight: Flight) -> bool:
        outcome = flight.outcome
        return isinstance(outcome, Refused) and outcome.errcode in NO_SUCH_TOKEN[route_of(flight.slot)]

    def _is_over(self, parent: Slot, refused: Flight, digest: str, *, by: Replica) -> bool:
        """Say whether that refusal speaks no longer: it was waited out, or a probe found the token alive since.

        Or nobody can tell: who sends this one was disturbed, or lost the store, or the account was changed meanwhile.
        """
        watched, (alive, found_at) = self._oracle.slots[refused.slot], self._oracle.slots[parent].found_alive
        answered = refused.answered if refused.answered is not None else float("inf")
        if watched.failed_at >= answered or (alive == digest and found_at >= answered):
            return True
        told_by = (
            2 * self._universe.plan.poll_seconds + FOUND_OUT
        )  # what memory alone knows, a store that is back does not
        store_until = max(self._oracle.troubles.store_until(by), self._oracle.store_lost_at) + told_by
        disturbed = max(by.disturbed_at, store_until)
        return max(disturbed, watched.changed_at) >= refused.needed_at

    def _is_known(self, parent: Slot, refused: Flight, digest: str, *, to: Flight) -> bool:
        """Say whether who sends this one knew of that refusal, by himself or by the store."""
        if to.process is refused.process:
            return refused.answered is not None and to.needed_at >= refused.answered
        gone_at = self._oracle.slots[parent].gone_at.get(digest, float("inf"))
        return gone_at + self._oracle.lag(to.replica) + UNDER_WAY < to.needed_at


def _parent(flight: Flight) -> str:
    """Return the sha-256 of what it was asked with."""
    parent = flight.order.parent
    return hash_value(parent.reveal()) if parent is not None else ""
