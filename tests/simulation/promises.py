"""Invariants 1, 4 and 7: what is handed out is good for as long as was announced, and what is good is handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.families import is_ticket, line_of, mode_of, name_of
from tests.simulation.ledger import CLOCK_STEPPED, LONG_AGO, Flight, Life, Promise, Watched
from tests.simulation.reckoning import DEADLINE, LANDING, LEASE, SMALL_STEP, due_between, overlap, trusted_until
from zhongkong.core.handing import Handed
from zhongkong.core.model import Mode, Slot, hash_value

if TYPE_CHECKING:
    from tests.simulation.oracle import Oracle
    from tests.simulation.universe import Replica

REMEMBERED = 192
NOT_STALE_AFTER = 75.0
"""What was read in full, what can be written again: all of it is found out within a minute."""
FOUND_OUT = 30.0
"""Within so long a replica knows that it must do without the store; what comes at its very end only, waits for that."""
FAIR_FOR = 1000.0
"""More than the longest wait that a trouble leaves behind, and than the window of a stable token."""
FAIR_FOR_A_TICKET = 3700.0
"""An hour of refusals spends half of its hundred calls, and the rest is spread over the day."""


class Promises:
    """Compares what was handed out with the platform's truth, then and at every later end of a token."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._universe = oracle.universe

    # --- handing out

    def handed(self, replica: Replica, slot: Slot, handed: Handed, seen: int) -> None:
        """Judge what a caller got."""
        watched, now = self._oracle.slots[slot], self._oracle.now()
        fail = self._oracle.fail
        if handed.generation < seen:
            fail("7", f"generation {handed.generation} of {slot.appid} after {seen} was seen")
        longest = max(1.0, min(60.0, overlap(self._universe.plan.expires_in) / 4))
        if handed.expires_in < 0 or not 1 <= handed.refresh_in <= longest or (handed.doubtful and handed.expires_in):
            fail("1", f"a promise that makes no sense: {handed!r}")
        self._judge_staleness(replica, slot, handed)
        if watched.absent and not self._is_late_news(replica, slot, handed, watched.absent_at):
            fail("1", f"a token of {slot.appid} was handed out although the account is gone")
        life = self._universe.life_of(slot, handed.value)
        is_dead = life is None or life.dies_at <= now
        if handed.doubtful:
            self._judge_doubt(replica, slot, handed, life)
        elif self._is_misdated(replica, slot, handed.value):
            return
        elif life is None or is_dead:
            self._judge_dead(replica, slot, handed, life)
        else:
            self._judge_promise(replica, slot, handed, life)

    def _judge_staleness(self, replica: Replica, slot: Slot, handed: Handed) -> None:
        """`stale` says that the store was not reached lately: no more, and no less."""
        now = self._oracle.now()
        ago = now - replica.read_at(slot)
        if not handed.stale and ago > self._oracle.lag(replica):
            self._oracle.fail("1", f"{slot.appid} is not called stale, {ago:.1f} s after the store was read")
        well_since = max(self._oracle.troubles.store_until(replica), replica.disturbed_at, self._oracle.store_lost_at)
        if handed.stale and now - well_since > NOT_STALE_AFTER:
            self._oracle.fail("1", f"{slot.appid} is called stale, and the store is well since {well_since:.0f}")

    def _is_late_news(self, replica: Replica, slot: Slot, handed: Handed, at: float) -> bool:
        """Say whether a replica need not know yet what was saved at `at`."""
        if replica.knew(slot) > at:
            return False
        return handed.stale or self._oracle.now() - replica.read_at(slot) <= self._oracle.lag(replica)

    def _judge_dead(self, replica: Replica, slot: Slot, handed: Handed, life: Life | None) -> None:
        """The exceptions are those of docs/correctness.md, by letter."""
        watched, now = self._oracle.slots[slot], self._oracle.now()
        gone_at = watched.gone_at.get(hash_value(handed.value))
        died_at = life.dies_at if life is not None else LONG_AGO
        flight = watched.shortened.get(handed.value, (0.0, None))[1]
        is_of_age = life is None or life.end == "age"
        if not is_of_age and flight is None and gone_at is None:
            return  # (a)
        if gone_at is not None and self._is_late_news(replica, slot, handed, gone_at):
            return  # (b)
        if not is_of_age and handed.stale and replica.knew(slot) <= died_at:
            return  # (d)
        if flight is not None and _came_late(flight):
            return  # (e)
        why = "of age" if is_of_age or life is None else life.end if flight is None else f"by {flight.replica.ip}"
        self._oracle.fail(
            "1", f"{name_of(slot)}, dead for {now - died_at:.1f} s ({why}), was handed out by {replica.index}"
        )

    def _judge_promise(self, replica: Replica, slot: Slot, handed: Handed, life: Life) -> None:
        watched, now = self._oracle.slots[slot], self._oracle.now()
        promise = Promise(now + handed.expires_in, replica.knew(slot), replica.read_at(slot), now)
        if life.dies_at < promise.until - 1e-6 and not self._is_aside(watched, handed.value, promise):
            self._oracle.fail(
                "1", f"{slot.appid}: {handed.expires_in} s announced, {life.dies_at - now:.6f} s are left"
            )
        standing = [one for one in watched.promises.get(handed.value, ()) if one.until > promise.until]
        watched.promises[handed.value] = [*standing, promise]
        self._judge_modesty(replica, slot, handed, life)

    def _judge_modesty(self, replica: Replica, slot: Slot, handed: Handed, life: Life) -> None:
        """Who announces nothing keeps every promise: as much is announced as surely holds."""
        watched, now = self._oracle.slots[slot], self._oracle.now()
        brought_at = watched.brought.get(handed.value, LONG_AGO)
        again_at, before = watched.brought_again.get(handed.value, (LONG_AGO, brought_at))
        brought_at = before if replica.knew(slot) <= again_at else brought_at
        is_stamped_otherwise = max(self._oracle.stepped_at, watched.moved_back_at) > brought_at - LANDING
        if handed.stale or watched.shortened.get(handed.value) or is_stamped_otherwise:
            return
        expires_at, length = life.dies_at, self._universe.plan.expires_in
        open_since = self._open_since(slot, life.mode, replica.knew(slot))
        until = trusted_until(expires_at, length, brought_at, open_since)
        if life.mode == "classic":
            is_changed = watched.changed_at > life.born_at - 60.0
            due_at = LONG_AGO if is_changed else due_between("classic", expires_at, length)[0]
            until = min(until, max(due_at, replica.read_at(slot)) + overlap(length))
        if now + handed.expires_in < until - DEADLINE - LANDING * bool(open_since) - 3.0:
            self._oracle.fail("1", f"{slot.appid}: only {handed.expires_in} s announced, {until - now:.0f} s are sure")

    # --- doubt

    def _judge_doubt(self, replica: Replica, slot: Slot, handed: Handed, life: Life | None) -> None:
        """`doubtful` has a cause: requests that may have ended it, callers who insist, or a store that is away."""
        watched, now, knew = self._oracle.slots[slot], self._oracle.now(), replica.knew(slot)
        if is_ticket(slot):
            self._oracle.fail(
                "1", f"{name_of(slot)} is called doubtful: nothing ends a ticket, and nobody can probe it"
            )
        if watched.suspected_at > LONG_AGO and watched.unsuspected_at >= min(knew, watched.suspected_at):
            return
        length, slack = self._universe.plan.expires_in, self._oracle.clock_error(replica)
        mode = life.mode if life is not None else ""
        began = watched.brought.get(handed.value, LONG_AGO)
        trust = trusted_until(now + length, length, began, self._open_since(slot, mode, knew))
        if mode == "classic" and handed.stale:
            trust = min(trust, replica.read_at(slot) + LEASE + overlap(length))
        if now < trust - slack and self._oracle.stepped_at < began - 60.0:
            self._oracle.fail("1", f"{slot.appid} is called doubtful by {replica.index}, and nothing threatens it")

    def _open_since(self, slot: Slot, mode: str, since: float) -> list[float]:
        """Return when those requests left that may end a token of this mode and whose answer was not saved by then."""
        return [
            one.at
            for one in self._oracle.slots[slot].attempts
            if one.ends and one.mode == mode and (one.closed_at is None or one.closed_at >= since)
        ]

    # --- a token ends

    def ended_by(self, slot: Slot, flight: Flight | None) -> None:
        """Something happened at the platform: note whose ends it moved. Who touched a token once is to blame for it."""
        watched = self._oracle.slots[slot]
        for value in self._universe.issued_lately(slot):
            life, known = self._universe.life_of(slot, value), watched.shortened.get(value)
            if life is None or life.end == "age":
                watched.shortened.pop(value, None)  # it may have been moved away and back
                continue
            if known is None or life.dies_at < known[0]:
                is_foreign = known is not None and known[1] is None
                watched.shortened[value] = (life.dies_at, None if is_foreign else flight)
        for old in list(watched.shortened)[:-REMEMBERED]:
            del watched.shortened[old]

    def judge_promises(self, slot: Slot) -> None:
        """Invariant 1, its last sentence: who uses what he was handed as long as announced is never refused."""
        watched, now = self._oracle.slots[slot], self._oracle.now()
        for value in list(watched.promises):
            standing = [one for one in watched.promises[value] if one.until >= now]
            life = self._universe.life_of(slot, value)
            if not standing or life is None:
                del watched.promises[value]
                continue
            watched.promises[value] = standing
            for one in standing:
                if life.dies_at < one.until - 1e-6 and not self._is_aside(watched, value, one):
                    short = one.until - life.dies_at
                    self._oracle.fail("1", f"a token of {slot.appid} dies {short:.1f} s before what was announced")

    def _is_aside(self, watched: Watched, value: str, promise: Promise) -> bool:
        """Say whether what ended the token sets the promise aside: it came later than what the promiser knew."""
        ended = watched.shortened.get(value)
        if ended is None:
            return False
        flight = ended[1]
        if flight is None or _came_late(flight):
            return True
        return any(
            (promise.polled if one.why == CLOCK_STEPPED else promise.knew) < one.at <= flight.needed_at
            for one in watched.asides
        )

    def _is_misdated(self, replica: Replica, slot: Slot, value: str) -> bool:
        """Say whether the store's clock stepped back under the record: for a poll, and where nobody could move it."""
        back_at = self._oracle.stepped_back_at
        if replica.knew(slot) <= back_at:
            return True
        watched = self._oracle.slots[slot]
        again_at, before = watched.brought_again.get(value, (LONG_AGO, LONG_AGO))
        if replica.knew(slot) <= again_at and before - 60.0 <= back_at:
            return True  # the same one was stamped anew since; this replica does not know yet
        credential = self._universe.store.peek(slot).credential
        life = self._universe.life_of(slot, value)
        if credential is None or life is None or back_at < watched.brought.get(value, 0.0) - 60.0:
            return False
        if credential.value != value:
            return self._oracle.stepped_back_by <= SMALL_STEP  # in memory alone; so small a step is none to anybody
        known_clock = self._universe.store.clock - self._universe.store.step + replica.step_read
        return credential.expires_at - known_clock > life.expires_at - self._oracle.now()

    # --- withholding

    def withheld(self, replica: Replica, slot: Slot, error: object, began: float, seen: int) -> None:
        """A read failed: was there something good that the replica knew, or could it have been had?"""
        record = self._universe.store.peek(slot)
        watched, credential = self._oracle.slots[slot], record.credential
        if watched.absent or credential is None or record.condemned:
            return
        is_behind = replica.knew(slot) <= watched.written_at or record.generation < seen
        is_behind |= replica.read_at(slot) <= self._oracle.stepped_at  # what it read it dates by another clock
        is_over = self._universe.store.clock >= credential.expires_at - self._oracle.clock_error(replica)
        if self._universe.is_alive(slot, credential.value) and not is_over and not is_behind:
            self._oracle.fail("4", f"a live credential of {slot.appid} was withheld at {replica.index}: {error}")
        known = [generation for generation, at in watched.saved_at.items() if at <= replica.knew(slot)]
        if seen > max(known, default=0) and self._oracle.troubles.store_until(replica) >= began:
            return  # he has seen what this replica never had in memory, and the store cannot tell it
        if self._is_fair(replica, slot, credential.mode):
            self._oracle.fail("4", f"nothing was wrong, and {slot.appid} went dark at {replica.index}: {error}")

    def _is_fair(self, replica: Replica, slot: Slot, mode: Mode) -> bool:
        """Say whether for long nothing kept this replica from renewing; stable does not need the store for that."""
        account = self._universe.store.kept_account(slot.appid)
        if account is None or mode_of(slot, account) is not mode or replica.read_store_at <= replica.disturbed_at:
            return False
        found_out_at = self._oracle.troubles.store_since(replica) + 3 * self._universe.plan.poll_seconds + FOUND_OUT
        if self._oracle.now() < found_out_at:  # a write that fails, and a while of that
            return False
        disturbed = [self._oracle.stepped_at, *(self._disturbed_at(one) for one in line_of(slot))]
        if account.mode is Mode.CLASSIC:
            disturbed += [
                self._oracle.troubles.any_store_until(),
                *(one.disturbed_at for one in self._universe.replicas),
            ]
        if self._needs_force(Slot(slot.appid)):
            disturbed.append(self._oracle.troubles.store_until(replica))
        is_spent = any(map(self._oracle.is_spent, line_of(slot)))
        fair_for = FAIR_FOR_A_TICKET if is_ticket(slot) else FAIR_FOR
        return self._oracle.now() - max(*disturbed, replica.disturbed_at) > fair_for and not is_spent

    def _needs_force(self, slot: Slot) -> bool:
        """Say whether the token was ended early and is repeated all the same: to force another takes the store."""
        credential = self._universe.store.peek(slot).credential
        life = self._universe.life_of(slot, credential.value) if credential is not None else None
        is_ended = life is not None and life.end == "revoked"
        return is_ended and self._universe.plan.switches.revoked_stable == "same"

    def _disturbed_at(self, slot: Slot) -> float:
        watched = self._oracle.slots[slot]
        return max(
            watched.changed_at,
            watched.meddled_at,
            watched.refused_at,
            watched.lost_at,
            self._oracle.troubles.platform_until(slot),
            self._universe.repeats_until(slot),
        )


def _came_late(flight: Flight) -> bool:
    return flight.landed_at is not None and flight.landed_at > flight.left + DEADLINE + LANDING
