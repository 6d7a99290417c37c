"""What this replica knows: accounts, records, and how the store's clock runs beside its own.

Memory is for handing out and for planning; whoever changes something asks the store. Only while the store is away may
something be known here that the store does not know yet: an answer that waits to be saved, a look of our own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

from zhongkong.core.change import Restamp, WriteBack
from zhongkong.core.command import AnswerT, Applied, Command, run
from zhongkong.core.freshness import Freshness, judge_freshness, trust_of, trust_seen
from zhongkong.core.handing import Handed, hand_out
from zhongkong.core.model import NEVER, Account, Instant, Record, Seconds, Slot
from zhongkong.core.ports import Changes, Clock

REREAD: Seconds = 10.0
"""How far back every poll reads again: commits become visible later than they are stamped."""
DRIFT = 1e-4
"""How much faster the store's clock may run than ours, at worst."""
STEP: Seconds = 2.0
"""A store's clock that moves by more against ours has stepped."""


class Knowledge:
    """The replica's memory. All instants are the store's; `now()` is its clock as we reckon it."""

    def __init__(self, clock: Clock, stale_after: Seconds) -> None:
        self._clock = clock
        self._stale_after = stale_after
        self._offset: Seconds = 0.0
        self._error: Seconds = 0.0
        """By how much the offset may be wrong: half the round trip it was measured on."""
        self._last_contact: Seconds = NEVER
        self._records: dict[Slot, Record] = {}
        self._unsaved: dict[Slot, Record] = {}
        self._accounts: dict[str, Account] = {}
        self._watchers: defaultdict[Slot, list[asyncio.Future[None]]] = defaultdict(list)
        self._on_change: list[Callable[[Slot], None]] = []
        self.seen: Instant = NEVER
        """The store's time of the last answered poll."""
        self._incarnation = ""

    # --- time

    def now(self) -> Instant:
        """Return the store's time, reckoned on our own boot-time clock."""
        return self._clock.boot() + self._offset

    @property
    def is_stale(self) -> bool:
        """Say whether the store was not reached lately."""
        return self._clock.boot() - self._last_contact > self._stale_after

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
        """Return the record that a round goes by: the store's own, unless the store is away."""
        return self.record(slot) if self.is_stale else self._records.get(slot)

    def account(self, appid: str) -> Account | None:
        """Return the account, if it is known and not removed."""
        return self._accounts.get(appid)

    def freshness(self, record: Record) -> Freshness:
        """Say whether the record's credential may be handed out now, as far as we can know."""
        return judge_freshness(record, self.now(), trust_seen(record, self.seen))

    def hand_out(self, record: Record, freshness: Freshness) -> Handed:
        """Return what a caller gets now."""
        trust = trust_seen(record, self.seen) if self.is_stale else trust_of(record)
        late = self.now() + self._error + DRIFT * (self._clock.boot() - self._last_contact)
        return hand_out(record, freshness, late, seen=self.seen, trust=trust, stale=self.is_stale)

    # --- learning

    def learn_changes(self, changes: Changes, asked_at: Seconds, answered_at: Seconds) -> list[Restamp]:
        """Take in an answered poll; return what to tell the store if its clock stepped back meanwhile.

        `asked_at` and `answered_at` are on our boot-time clock.
        """
        stepped_back = self._reckon(changes.now, asked_at, answered_at)
        restamps = (
            [Restamp(slot, one.version, stepped_back) for slot, one in self._records.items()] if stepped_back else []
        )
        self._last_contact = asked_at
        self.seen = changes.now
        self._incarnation = changes.incarnation
        for account in changes.accounts:
            self._accounts[account.appid] = account
        for record in changes.records:
            self.learn(record)
        self._drop_unsaved()
        return restamps

    def _reckon(self, store_now: Instant, asked_at: Seconds, answered_at: Seconds) -> Seconds:
        offset = store_now - (asked_at + answered_at) / 2
        back = self._offset - offset if self._last_contact != NEVER else 0.0
        error = (answered_at - asked_at) / 2
        is_step = back > STEP + self._error + error
        self._offset, self._error = offset, error
        return back if is_step else 0.0

    def learn(self, record: Record) -> None:
        """Take in a record read from the store; an older one than ours changes nothing."""
        known = self._records.get(record.slot)
        if known is not None and known.version >= record.version:
            return
        self._records[record.slot] = record
        unsaved = self._unsaved.get(record.slot)
        if unsaved is not None and unsaved.generation <= record.generation:
            del self._unsaved[record.slot]
        if record.removed:
            self._accounts.pop(record.slot.appid, None)
        self._told(record.slot)

    def is_estranged(self, changes: Changes) -> bool:
        """Say whether another store answered than the one we know: it was lost and made anew, or replaced."""
        return self._incarnation not in ("", changes.incarnation)

    def remembered(self) -> tuple[list[Account], list[WriteBack]]:
        """Return what to tell a store that lost everything."""
        return list(self._accounts.values()), [WriteBack(slot, record) for slot, record in self._records.items()]

    def forget_store(self) -> None:
        """The next poll is that of another store: its versions and its accounts are its own."""
        self._incarnation = ""
        self._records.clear()
        self._accounts.clear()

    def learn_account(self, account: Account) -> None:
        """Take in an account that was read on its own."""
        known = self._accounts.get(account.appid)
        if known is None or known.revision <= account.revision:
            self._accounts[account.appid] = account

    # --- while the store is away

    def pretend(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        """Apply a command to memory alone, as the store would: its outcome holds until the store knows better.

        However many credentials come and go meanwhile, all are of the generation that the store will count next: who
        asks several replicas sees no generation fall, then or later.
        """
        record = self.record(command.slot) or Record(command.slot)
        applied, _events = run(command, record, self.now())
        kept = self._records.get(command.slot)
        after, credential = applied.record, applied.record.credential
        next_one = kept.generation + 1 if kept is not None else 1
        if credential is not None and after.generation > next_one:
            after = replace(after, generation=next_one, credential=replace(credential, generation=next_one))
        self._unsaved[command.slot] = after
        self._told(command.slot)
        return applied._replace(record=after)

    def forget_unsaved(self, slot: Slot) -> None:
        """The store's own record stands again."""
        if self._unsaved.pop(slot, None) is not None:
            self._told(slot)

    def _drop_unsaved(self) -> None:
        """The store is back: what it knows stands, but for a newer credential that it is still to be told."""
        for slot, mine in list(self._unsaved.items()):
            kept = self._records.get(slot)
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
        watchers.append(waiter)
        try:
            await waiter
        finally:
            if waiter in watchers:
                watchers.remove(waiter)

    def _told(self, slot: Slot) -> None:
        for tell in self._on_change:
            tell(slot)
        for waiter in self._watchers.pop(slot, ()):
            if not waiter.done():
                waiter.set_result(None)
