"""Invariant 8: what is wrong does not stay wrong. And of idleness and zeal: nobody works more than there is to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.families import is_ticket, line_of, mode_of, name_of
from tests.simulation.ledger import LONG_AGO
from tests.simulation.reckoning import DEADLINE, LANDING, LEASE, due_between, overlap, trusted_until
from zhongkong.core.model import Credential, Record, Slot

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.spending import Spending
    from tests.simulation.universe import Replica
    from tests.simulation.zeal import Zeal

EVERY = 61.0
CALLS_A_TICKET = 5
"""What one may cost in a world where nothing goes wrong: four, and one where the announced end came a second early."""


class Audits:
    """Looks at every slot now and then, and at what the replicas did meanwhile."""

    def __init__(self, oracle: Oracle, spending: Spending, zeal: Zeal) -> None:
        self._oracle = oracle
        self._universe = oracle.universe
        self._spending = spending
        self._zeal = zeal

    async def audit_for_ever(self) -> None:
        """Look at every slot now and then."""
        while True:
            await asyncio.sleep(EVERY * max(1, self._universe.plan.accounts / 10))
            for slot in self._universe.all_slots:
                self.audit(slot)
            self._zeal.audit()

    def audit(self, slot: Slot) -> None:
        """Look at one slot: is it unwell, and since when could somebody have helped it?"""
        watched, now = self._oracle.slots[slot], self._oracle.now()
        record = self._universe.store.peek(slot)
        why = "" if watched.absent else self._ail(slot, record)
        helped_since = max(map(self._helped_since, line_of(slot)))
        if record.credential is not None:  # it was well when this one came, be it between two looks
            helped_since = max(helped_since, watched.brought.get(record.credential.value, LONG_AGO))
        if is_ticket(slot):
            helped_since = max(helped_since, self._oracle.slots[Slot(slot.appid)].meddled_at)
        if not why or helped_since > now or any(map(self._is_spent, line_of(slot))):
            watched.unwell_since = None
            return
        if watched.unwell_since is None or watched.unwell_since < helped_since:
            watched.unwell_since = max(now, helped_since)
            watched.well_until = now + sum(map(self._patience, line_of(slot)))
        elif now > watched.well_until:
            self._oracle.fail("8", f"{name_of(slot)} is {why} since {watched.unwell_since:.0f} at least")

    def _ail(self, slot: Slot, record: Record) -> str:
        """Say what is wrong with the slot, if anything is."""
        clock, credential = self._universe.store.clock, record.credential
        if credential is None:
            return "without a credential"
        if record.condemned:
            return "condemned"
        if record.suspected:
            return "suspected"
        open_since = [
            one.at
            for one in self._oracle.slots[slot].attempts
            if one.ends and one.mode is credential.mode and one.closed_at is None
        ]
        left, now = credential.expires_at - clock, self._oracle.now()
        if clock >= self._due_by(slot, credential):
            return "due"
        began = self._oracle.slots[slot].brought.get(credential.value, LONG_AGO)
        return "doubtful" if now >= trusted_until(now + left, credential.life, began, open_since) else ""

    def _due_by(self, slot: Slot, credential: Credential) -> float:
        """Return by when another one should have come."""
        if self._universe.is_repeated(slot):
            return credential.expires_at
        return due_between(credential.mode, credential.expires_at, credential.life)[1]

    def _patience(self, slot: Slot) -> float:
        """Return how long it may take to be well again when nothing is wrong any more."""
        record, watched = self._universe.store.peek(slot), self._oracle.slots[slot]
        wait = max(0.0, record.retry.next_try_at - self._universe.store.clock) if record.retry.trouble else 0.0
        length = self._universe.plan.expires_in
        open_since = [one.at for one in watched.attempts if one.ends and one.closed_at is None]
        doubt = max(overlap(length), DEADLINE + LANDING + 1.1 * overlap(length)) if open_since else 0.0
        return LEASE + DEADLINE + wait + doubt + 5.0

    def _helped_since(self, slot: Slot) -> float:
        """Return since when the platform is well to this slot and some replica was there to help it, undisturbed."""
        ready = [self._ready_since(one, slot) for one in self._universe.replicas if one.is_up]
        if not ready or not self._universe.is_secret_known(slot):
            return self._oracle.now() + 1.0
        told_by = DEADLINE + 5.0  # what the platform said last is in the record by then
        bad_until = (
            self._oracle.troubles.platform_until(slot),
            self._oracle.slots[slot].refused_at,
            self._universe.repeats_until(slot),
        )
        platform = max(bad_until) + told_by
        return max(min(ready), platform, self._oracle.stepped_at, self._oracle.slots[slot].changed_at)

    def _ready_since(self, replica: Replica, slot: Slot) -> float:
        found_out = 2 * self._universe.plan.poll_seconds + 15.0  # also that it can be written again
        well_since = max(self._oracle.troubles.store_until(replica), self._oracle.store_lost_at)
        return max(replica.disturbed_at, well_since + found_out, replica.wants_since(slot))

    def _is_spent(self, slot: Slot) -> bool:
        """Say whether the day forbids what would help."""
        account, record = self._universe.store.kept_account(slot.appid), self._universe.store.peek(slot)
        if account is None:
            return True
        is_due = record.credential is None or self._universe.store.clock >= record.refresh_at
        return self._spending.forbids(
            slot, mode_of(slot, account), is_test=account.is_test, asked_for=not is_due, forced=record.insist
        )

    def judge_calm(self) -> None:
        """In a world where nothing goes wrong all that was issued are generations, and tickets cost few calls.

        What came just before the world's end is on its way.
        """
        for slot in self._universe.all_slots:
            made, record = self._universe.made(slot), self._universe.store.peek(slot)
            if any(one.closed_at is None for one in self._oracle.slots[slot].attempts):
                continue
            if made != record.generation:
                self._oracle.fail("2", f"{made} were issued for {record.generation} generations of {name_of(slot)}")
            asked = self._spending.asked(slot)
            if is_ticket(slot) and asked > CALLS_A_TICKET * made:
                self._oracle.fail("3", f"{asked} calls brought {made} different {slot.kind} of {slot.appid}")
