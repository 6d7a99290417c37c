"""Nobody works more than there is to do: a loop that never rests would break no other invariant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.ledger import LONG_AGO, Watched
from tests.simulation.reckoning import PROBES_APART, overlap
from zhongkong.core.model import Slot

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.universe import Replica

CALLS_A_CALLER = 30
"""What one caller may cost the store at most: he waits 15 s at the longest, and looks twice a second."""
CALLS_A_LOOK = 6
"""What one look at a slot may cost the store: to begin a probe or a claim, to end it, to read again."""
STEPS_A_CALL = 40
"""What one call may cost the loop, by far."""


class Zeal:
    """Counts what replicas do between one audit and the next."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._universe = oracle.universe
        self._did: Counter[tuple[int, str]] = Counter()
        self._began = 0.0
        self._steps = 0
        self._probed_at: dict[Slot, float] = {}
        self._strangers: set[int] = set()
        """Replicas that met a store meanwhile which is not the one they knew."""

    def did(self, replica: Replica, what: str) -> None:
        """A replica did something: `poll`, `call` (of the store), `caller` (was called itself), `ask` or `probe`."""
        self._did[replica.index, what] += 1
        if what == "poll" and replica.store is not self._universe.store:
            self._strangers.add(replica.index)

    def probe_begins(self, slot: Slot, watched: Watched) -> None:
        """The right to probe was taken in the store. What moves the clock or the record moves the last probe too."""
        now, before = self._oracle.now(), self._probed_at.get(slot, LONG_AGO)
        self._probed_at[slot] = now
        is_as_it_was = max(self._oracle.stepped_at, watched.moved_back_at) < before
        if now - before < PROBES_APART - 0.01 and is_as_it_was:
            self._oracle.fail("3", f"two probes of {slot.appid} within {now - before:.2f} s")

    def audit(self) -> None:
        """Judge what was done since the last time."""
        now, steps = self._oracle.now(), self._universe.loop.steps
        took, did = now - self._began, self._did
        for replica in self._universe.replicas:
            self._judge(replica, took)
        looks = self._universe.size * took / PROBES_APART
        most = 100 + STEPS_A_CALL * sum(did.values()) + len(self._universe.replicas) * (2 * took + 3 * looks)
        if steps - self._steps > most:
            self._oracle.fail("3", f"{steps - self._steps} steps in {took:.0f} s for {sum(did.values())} calls")
        self._began, self._steps = now, steps
        did.clear()
        self._strangers.clear()

    def _judge(self, replica: Replica, took: float) -> None:
        plan, did, index = self._universe.plan, self._did, replica.index
        polls = 3 + 1.05 * took / plan.poll_seconds
        if index in self._strangers:
            polls = 2 * polls + 1  # who meets another store reads all of it each time, until it is told what was known
        if did[index, "poll"] > polls:
            self._oracle.fail("3", f"{did[index, 'poll']} polls of replica {index} in {took:.0f} s")
        looks = self._universe.size * (2 + took / PROBES_APART)
        calls = 30 + CALLS_A_LOOK * looks + CALLS_A_CALLER * did[index, "caller"]
        if did[index, "call"] > calls:
            self._oracle.fail("3", f"{did[index, 'call']} calls of the store by replica {index} in {took:.0f} s")
        probes = (
            2
            + self._universe.size * (2 + took / max(PROBES_APART, overlap(plan.expires_in) / 10))
            + did[index, "caller"]
        )
        if did[index, "probe"] > probes:
            self._oracle.fail("3", f"{did[index, 'probe']} probes by replica {index} in {took:.0f} s")
