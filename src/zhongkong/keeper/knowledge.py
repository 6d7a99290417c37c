"""What this replica knows: accounts, records, and how the store's clock runs beside its own.

Memory is for handing out and for planning; whoever changes something asks the store. Only while the store is away may
something be known here that the store does not know yet: an answer that waits to be saved, a look of our own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf

from zhongkong.core.change import MOVED, Change, Restamp, WriteBack
from zhongkong.core.command import AnswerT, Applied, Command, run
from zhongkong.core.freshness import Freshness, judge_freshness, trust_of, trust_seen
from zhongkong.core.handing import Handed, hand_out
from zhongkong.core.model import NEVER, TICKETS, Account, Attempt, Instant, Record, Seconds, Slot
from zhongkong.core.ports import Changes, Clock
from zhongkong.errors import StoreUnavailable

REREAD: Seconds = 10.0
"""How far back every poll reads again: commits become visible later than they are stamped."""
DRIFT = 1e-4
"""How much faster the store's clock may run than ours, at worst."""
STEP: Seconds = 2.0
"""A store's clock that moves by more against ours has stepped."""
ROUNDING: Seconds = 1e-5
"""By how much sums of instants may be wrong, and more."""
WRITE_AGAIN: Seconds = 10.0
"""A store that can be read and not written is asked this often whether it can be written again."""
WRITES_APART: Seconds = 60.0
"""Two writes that failed at a greater distance, and two polls, say nothing of the time between them."""
KEPT_UNREAD: Seconds = 86_400.0
"""A ticket that nobody read for so long is asked for no more."""
_NOTHING: tuple[None, Seconds] = (None, NEVER)


class Knowledge:
    """The replica's memory. All instants are the store's; `now()` is its clock as we reckon it."""

    def __init__(self, clock: Clock, stale_after: Seconds) -> None:
        self._clock = clock
        self.stale_after = stale_after
        """How long after the last answered poll the store counts as reached."""
        self._offset: Seconds = 0.0
        self._error: Seconds = 0.0
        """By how much the offset may be wrong: half the round trip it was measured on."""
        self._least_offset: Seconds = NEVER
        """What it must be, by what was learnt since the last poll: no change is yet to come."""
        self._last_contact: Seconds = NEVER
        self._unwritten_since: Seconds | None = None
        """When the first write failed of those that failed since the last one that did not."""
        self._write_failed_at: Seconds = NEVER
        self._records: dict[Slot, Record] = {}
        self._unsaved: dict[Slot, Record] = {}
        self._accounts: dict[str, Account] = {}
        self._handed: dict[Slot, tuple[Handed, Seconds]] = {}
        """What was handed out last, and until when on our boot-time clock it stays, unless something is learned."""
        self._read_at: dict[Slot, Seconds] = {}
        """When tickets were read here last, on our boot-time clock, give or take a poll."""
        self._watchers: defaultdict[Slot, dict[asyncio.Future[None], None]] = defaultdict(dict)
        self._on_change: list[Callable[[Slot], None]] = []
        self._unreadable: dict[Slot, Instant] = {}
        """Slots whose record cannot be unsealed here, and the store's time of the last poll at which it could."""
        self._unreadable_accounts: set[str] = set()
        self.seen: Instant = NEVER
        """The store's time of the last answered poll."""
        self.stepped: Seconds = 0.0
        """By how much the store's clock had stepped at that poll, against ours; negative if it stepped back."""
        self._incarnation = ""

    @property
    def incarnation(self) -> str:
        """Return which store it is that answered last; empty before the first poll."""
        return self._incarnation

    # --- time

    def now(self) -> Instant:
        """Return the store's time, reckoned on our own boot-time clock."""
        return self._clock.boot() + self._offset

    @property
    def _doubt(self) -> Seconds:
        """By how much `now()` may be wrong."""
        return self._error + DRIFT * (self._clock.boot() - self._last_contact)

    def told_now(self) -> Instant:
        """Return the store's time, for whoever would take any other for the truth.

        Raises: StoreUnavailable: the store never told it.
        """
        if self.is_blind:
            raise StoreUnavailable("store_unavailable", retry_after=1.0)
        return self.now()

    @property
    def is_stale(self) -> bool:
        """Say whether the store was not reached lately."""
        return self._clock.boot() > self.stale_at

    @property
    def stale_at(self) -> Seconds:
        """Return from when, on our boot-time clock, the store counts as away unless it answers before."""
        return self._last_contact + self.stale_after

    @property
    def is_unwritable(self) -> bool:
        """Say whether writes have been failing for a while, be it that the store can be read."""
        return self._unwritten_since is not None and self._write_failed_at - self._unwritten_since > self.stale_after

    @property
    def is_cut_off(self) -> bool:
        """Say whether the store was not reached lately, or nothing can be kept there: then memory has to do."""
        return self.is_stale or self.is_unwritable

    def is_cut_off_from(self, slot: Slot) -> bool:
        """Say whether memory has to do for this slot: also if the store answers, but with what we cannot unseal."""
        return self.is_cut_off or slot in self._unreadable

    def is_unreadable(self, slot: Slot) -> bool:
        """Say whether the store holds something of the slot that cannot be unsealed here, be it the account."""
        return slot in self._unreadable or slot.appid in self._unreadable_accounts

    def unreadable(self) -> list[Slot]:
        """Return the slots of which that is true."""
        return sorted({*self._unreadable, *map(Slot, self._unreadable_accounts)})

    @property
    def is_blind(self) -> bool:
        """Say whether no poll was ever answered: then not even the store's time is known."""
        return self._last_contact == NEVER

    # --- what is known

    def slots(self) -> Iterator[Slot]:
        """Return all known slots."""
        return iter(self._records)

    def record(self, slot: Slot) -> Record | None:
        """Return what is known of the slot, what waits to be saved included."""
        return self._unsaved.get(slot) or self._records.get(slot)

    def planned(self, slot: Slot) -> Record | None:
        """Return the record that rounds and probes go by: the store's own, unless we are cut off from it."""
        return self.record(slot) if self.is_cut_off_from(slot) else self._records.get(slot)

    def accounts(self) -> Iterator[Account]:
        """Return all known accounts."""
        return iter(self._accounts.values())

    def account(self, appid: str) -> Account | None:
        """Return the account, if it is known and not removed."""
        return self._accounts.get(appid)

    def freshness(self, record: Record) -> Freshness:
        """Say whether the record's credential may be handed out now, as far as we can know."""
        return judge_freshness(record, self.now(), trust_seen(record, self._seen_of(record)))

    def _seen_of(self, record: Record) -> Instant:
        """Return the store's time of the last answered poll that could have told of a change of this record."""
        return self._unreadable.get(record.slot, self.seen)

    def hand_out(self, record: Record, freshness: Freshness) -> Handed:
        """Return what a caller gets now."""
        slot, seen = record.slot, self._seen_of(record)
        boot, is_stale = self._clock.boot(), self.is_stale or slot in self._unreadable
        is_ours_alone = is_stale or slot in self._unsaved  # others may mint as if it were not there
        trust = trust_seen(record, seen) if is_ours_alone else trust_of(record)
        late = boot + max(self._offset + self._doubt, self._least_offset)
        handed = hand_out(record, freshness, late, seen=seen, trust=trust, stale=self.is_cut_off_from(slot))
        if not handed.doubtful and record is self.record(slot):
            ends = [handed.same_for / (1 + DRIFT), trust_seen(record, seen) - boot - self._offset]
            if not is_stale:
                ends.append(self._last_contact + self.stale_after - boot)
            self._handed[slot] = handed, boot + min(ends) - ROUNDING
        return handed

    def handed(self, slot: Slot) -> Handed | None:
        """Return what was handed out of the slot a moment ago, if it is what a caller gets now, to the second."""
        handed, until = self._handed.get(slot, _NOTHING)
        return handed if self._clock.boot() < until else None

    def note_read(self, slot: Slot) -> bool:
        """Take down that somebody reads the slot, and say whether it had not been wanted."""
        was_wanted = self.is_wanted(slot)
        if slot.kind in TICKETS:
            self._read_at[slot] = self._clock.boot()
        return not was_wanted

    def is_wanted(self, slot: Slot) -> bool:
        """Say whether to keep the slot fresh: a ticket is, for as long as somebody reads it here now and then."""
        return slot.kind not in TICKETS or self._clock.boot() - self._read_at.get(slot, NEVER) < KEPT_UNREAD

    # --- learning

    def learn_changes(self, changes: Changes, asked_at: Seconds, answered_at: Seconds) -> list[Restamp]:
        """Take in an answered poll; return what to tell the store if its clock stepped back meanwhile.

        `asked_at` and `answered_at` are on our boot-time clock.
        """
        self._handed.clear()
        self.stepped = self._reckon(changes.now, asked_at, answered_at)
        restamps = self._restamp(-self.stepped) if self.stepped < 0 else []
        self._last_contact = asked_at
        self._note_unreadable(changes)
        self.seen = changes.now
        self._incarnation = changes.incarnation
        for account in changes.accounts:
            self._accounts[account.appid] = account
        for record in changes.records:
            self.learn(record)
        self._least_offset = NEVER
        if not self.is_cut_off:
            self._drop_unsaved()
        return restamps

    def _restamp(self, by: Seconds) -> list[Restamp]:
        """Move all that is known back; return what to tell the store, which perhaps cannot be told for long."""
        restamps = [Restamp(slot, one.version, by) for slot, one in self._records.items()]
        for records in (self._records, self._unsaved):
            for slot, one in records.items():
                records[slot] = Restamp(slot, one.version, by).apply(one, self.now()).record
        for slot in {**self._records, **self._unsaved}:
            self._told(slot)
        return restamps

    def _note_unreadable(self, changes: Changes) -> None:
        """Take down what cannot be unsealed, until it is read again; an account also until it is gone."""
        for record in changes.records:
            self._unreadable.pop(record.slot, None)
            if record.removed:
                self._unreadable_accounts.discard(record.slot.appid)
        self._unreadable_accounts.difference_update(account.appid for account in changes.accounts)
        self._unreadable_accounts.update(changes.unreadable_accounts)
        for slot in changes.unreadable_records:
            if slot not in self._unreadable:
                self._unreadable[slot] = self.seen
                self._told(slot)

    def _reckon(self, store_now: Instant, asked_at: Seconds, answered_at: Seconds) -> Seconds:
        offset = store_now - (asked_at + answered_at) / 2
        moved = offset - self._offset if self._last_contact != NEVER else 0.0
        error = (answered_at - asked_at) / 2
        is_step = abs(moved) > STEP + self._error + error
        self._offset, self._error = offset, error
        return moved if is_step else 0.0

    def write_failed(self) -> None:
        """Take down that a write came to nothing, or that nobody said what came of it."""
        self._handed.clear()
        now, before = self._clock.boot(), self._write_failed_at
        self._write_failed_at = now
        if self._unwritten_since is None or now - before > max(WRITES_APART, self.stale_after):
            self._unwritten_since = now

    def wrote(self) -> None:
        """Take down that a write was done."""
        if self._unwritten_since is not None:
            self._handed.clear()
            self._unwritten_since = None
            if not self.is_cut_off:
                self._drop_unsaved()

    @property
    def unwritten_for(self) -> Seconds:
        """Return for how long writes have been failing; 0 while they do not."""
        return self._clock.boot() - self._unwritten_since if self._unwritten_since is not None else 0.0

    @property
    def must_write_again(self) -> bool:
        """Say whether it is time to look if a store that could not be written can be."""
        return self.is_unwritable and self._clock.boot() - self._write_failed_at >= WRITE_AGAIN

    def learn(self, record: Record) -> bool:
        """Take in a record read from the store and say whether it was news; an older one than ours changes nothing."""
        known = self._records.get(record.slot)
        if known is not None and known.version >= record.version:
            return False
        self._records[record.slot] = record
        self._note_change_at(record.changed_at)
        unsaved = self._unsaved.get(record.slot)
        if unsaved is not None and (unsaved.generation <= record.generation or record.removed):
            del self._unsaved[record.slot]
        elif unsaved is not None and unsaved.revision < record.revision:
            change = Change(record.slot, record.revision, moved=record.condemned == MOVED)
            self._unsaved[record.slot] = change.apply(unsaved, self.now()).record
        if record.removed:
            self._accounts.pop(record.slot.appid, None)
        self._told(record.slot)
        return True

    def _note_change_at(self, instant: Instant) -> None:
        least = instant - self._clock.boot()
        if least > max(self._offset + self._doubt, self._least_offset):
            self._least_offset = least
            self._handed.clear()

    def is_estranged(self, changes: Changes, *, in_full: bool = False) -> bool:
        """Say whether another store answered than the one we know: made anew, replaced, or put back to what it was.

        `in_full`: all that there is was asked for.
        """
        if self._incarnation not in ("", changes.incarnation):
            return True
        told: dict[Slot, float] = dict.fromkeys(self._records, 0) if in_full else {}
        told.update({record.slot: record.version for record in changes.records})
        told.update(dict.fromkeys(changes.unreadable_records, inf))
        settled = changes.now - REREAD
        return any(
            known.version > told[slot] and known.changed_at < settled
            for slot, known in self._records.items()
            if slot in told
        )

    def remembered(self) -> tuple[list[Account], list[WriteBack]]:
        """Return what to tell a store that lost everything."""
        return list(self._accounts.values()), [WriteBack(slot, record) for slot, record in self._records.items()]

    def forget_store(self) -> None:
        """The next poll is that of another store: its versions and its accounts are its own."""
        self._incarnation = ""
        self._records.clear()
        self._accounts.clear()
        self._unreadable.clear()
        self._unreadable_accounts.clear()
        self._handed.clear()

    def learn_account(self, account: Account) -> None:
        """Take in an account that was read on its own."""
        known = self._accounts.get(account.appid)
        if known is None or known.revision <= account.revision:
            self._accounts[account.appid] = account

    # --- while the store is away

    def pretend(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        """Apply a command to memory alone, as the store would: its outcome holds until the store knows better.

        However many credentials come and go meanwhile, all are of the generation that the store will count next: who
        asks several replicas sees no generation fall, then or later. What is asked for is stamped with the earliest
        moment that it may be, so that no promise outlives the credential when the store's time is known better; but not
        before the last probe, which is over.
        """
        record = self.record(command.slot) or Record(command.slot)
        applied, _events = run(command, record, self.now())
        kept = self._records.get(command.slot)
        after = self._stamped_early(applied.record, opened_before=record.attempts)
        credential = after.credential
        next_one = kept.generation + 1 if kept is not None else 1
        if credential is not None and after.generation > next_one:
            after = replace(after, generation=next_one, credential=replace(credential, generation=next_one))
        self._unsaved[command.slot] = after
        self._told(command.slot)
        return applied._replace(record=after)

    def _stamped_early(self, record: Record, *, opened_before: Sequence[Attempt]) -> Record:
        def early(attempt: Attempt) -> Attempt:
            if attempt in opened_before:
                return attempt
            return attempt._replace(left=max(attempt.left - self._doubt, min(attempt.left, record.probe.began_at)))

        return replace(record, attempts=tuple(map(early, record.attempts)))

    def forget_unsaved(self, slot: Slot) -> None:
        """The store's own record stands again."""
        if self._unsaved.pop(slot, None) is not None:
            self._told(slot)

    def _drop_unsaved(self) -> None:
        """The store is back: what it knows stands, but for a newer credential that it is still to be told."""
        for slot, mine in list(self._unsaved.items()):
            kept = self._records.get(slot)
            if slot in self._unreadable:
                continue
            if kept is None or kept.generation >= mine.generation or trust_of(mine) <= self.now():
                self.forget_unsaved(slot)
            else:
                self._told(slot)

    # --- watching

    def on_change(self, tell: Callable[[Slot], None]) -> None:
        """Have `tell` called with every slot whose record changes."""
        self._on_change.append(tell)

    async def changed(self, slot: Slot) -> None:
        """Return when the slot's record changes the next time."""
        waiter = asyncio.get_running_loop().create_future()
        watchers = self._watchers[slot]
        watchers[waiter] = None  # a set that keeps its order, so that a run can be replayed
        try:
            await waiter
        finally:
            watchers.pop(waiter, None)

    def _told(self, slot: Slot) -> None:
        self._handed.pop(slot, None)
        for tell in self._on_change:
            tell(slot)
        for waiter in self._watchers.pop(slot, ()):
            if not waiter.done():
                waiter.set_result(None)
