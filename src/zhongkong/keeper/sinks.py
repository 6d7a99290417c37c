"""Keeps a sink at what the store says: at every change, and again every minute whatever happened over there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random, SystemRandom
from typing import TypeAlias

from zhongkong.core.freshness import Freshness
from zhongkong.core.model import Account, AccountKind, Event, Record, Seconds, Secret, Slot
from zhongkong.core.ports import Clock, Sink, Store
from zhongkong.core.sinks import Placing, plan_entry
from zhongkong.errors import SinkError, SinkUnavailable, StoreError
from zhongkong.keeper.knowledge import Knowledge

AGAIN: Seconds = 60.0
"""Whatever became of what was written, it stands there again after so long."""
APART: Seconds = 1.0
"""A slot that changes all the time is not written more often."""
LONGEST_WAIT: Seconds = 30.0
"""Between two tries, so that a sink that is back holds everything again within `AGAIN`."""
WITHIN: Seconds = 10.0
AT_ONCE = 16
STORE_AWAY: Seconds = 5.0
TOLD_AFTER = 2
"""One failure is healed before anybody has read of it; so many in a row are an event."""

Observe: TypeAlias = Callable[[str, str], None]
"""Told after every write: the sink's name, and what came of it (a `Placing`, or `failed`)."""


class SinkKeeper:
    """Keeps one sink. Each has its own, so none waits for another, and no keeper of credentials waits for any.

    What is written is the store's record, loaded for that write. All of it belongs to the keeper's event loop.
    """

    def __init__(
        self,
        sink: Sink,
        store: Store,
        known: Knowledge,
        clock: Clock,
        *,
        random: Random | None = None,
        observe: Observe = lambda _sink, _outcome: None,
    ) -> None:
        self.name = sink.name
        self._sink = sink
        self._store = store
        self._known = known
        self._clock = clock
        self._random = random or SystemRandom()
        self._observe = observe
        self._wake = asyncio.Event()
        self._due: dict[Slot, Seconds] = {}
        """When to look at a slot again, on our boot-time clock."""
        self._written_for: dict[Slot, Account] = {}
        self._behind_since: dict[Slot, Seconds] = {}
        """Slots of which a later generation than the store's stands there."""
        self._strangers: dict[Slot, str] = {}
        """The stranger's value that was told last."""
        self._tries: dict[Slot, int] = {}
        self._troubles: dict[Slot, SinkError] = {}
        self._told: set[str] = set()
        """Causes that were told and still hold."""
        self._failures = 0
        """How often in a row nothing got there at all; while any did not, one write goes ahead of all."""
        self._paused_until: Seconds = float("-inf")
        self._news: list[Event] = []
        known.on_change(self._look_soon)

    def _look_soon(self, slot: Slot) -> None:
        """Write the slot soon, unless it waits after a failure."""
        if slot in self._tries or not self._sink.takes(slot):
            return
        self._due[slot] = min(self._due.get(slot, float("inf")), self._clock.boot() + APART)
        if slot not in self._written_for:
            self._due[slot] = self._clock.boot()
        self._wake.set()

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        for slot in self._known.slots():
            if self._sink.takes(slot):
                self._due.setdefault(slot, self._clock.boot())
        while True:
            self._wake.clear()
            slots = self._take()
            if slots:
                await asyncio.gather(*map(self._keep, slots))
            await self._tell()
            if not slots:
                await self._rest()

    def _take(self) -> list[Slot]:
        """Return what to write now, the longest due first; one alone while nothing gets there."""
        now = self._clock.boot()
        if now < self._paused_until:
            return []
        due = sorted((at, slot) for slot, at in self._due.items() if at <= now)
        slots = [slot for _, slot in due[: 1 if self._failures else AT_ONCE]]
        for slot in slots:
            del self._due[slot]
        return slots

    async def _rest(self) -> None:
        """Wait until something is due, or changes."""
        now = self._clock.boot()
        until = max(self._paused_until, min(self._due.values(), default=now + AGAIN))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, until - now)):
                await self._wake.wait()

    # --- one slot

    async def _keep(self, slot: Slot) -> None:
        try:
            record = await self._store.load(slot)
        except StoreError:
            self._due[slot] = self._clock.boot() + STORE_AWAY
            return
        try:
            async with asyncio.timeout(WITHIN):
                placing = await (self._take_back(record) if record.removed else self._write(record))
        except SinkError as error:
            self._fail(slot, error)
        except TimeoutError:
            self._fail(slot, SinkUnavailable("sink_silent", place=self.name))
        else:
            self._succeed(slot, placing, is_gone=record.removed)

    async def _write(self, record: Record) -> Placing | None:
        """Write what the record has to hand out; return None if that is nothing."""
        slot, known = record.slot, self._known
        account, freshness = known.account(slot.appid), known.freshness(record)
        if account is None or known.is_blind or freshness is Freshness.DEAD:
            return None
        entry = plan_entry(account, record, known.hand_out(record, freshness), known.now())
        if entry is None:
            return None
        behind_since = self._behind_since.get(slot)
        insist = behind_since is not None and self._clock.boot() - behind_since >= AGAIN
        placed = await self._sink.write(entry, insist=insist)
        self._written_for[slot] = account
        if placed.placing is Placing.OLDER:
            self._behind_since.setdefault(slot, self._clock.boot())
        else:
            self._behind_since.pop(slot, None)
        if placed.stranger and placed.stranger != self._strangers.get(slot):
            self._strangers[slot] = placed.stranger
            told: dict[str, str | int | float] = {"sink": self.name, "sha256": placed.stranger[:16]}
            self._news.append(Event("sink_foreign_writer", slot.appid, told))
        return placed.placing

    async def _take_back(self, record: Record) -> Placing | None:
        """Clear the place of an account that is gone, also of one that was gone when this process began."""
        slot = record.slot
        known = self._written_for.get(slot)
        accounts = [known] if known else [Account(slot.appid, kind, Secret("")) for kind in AccountKind]
        removed = [await self._sink.remove(one, slot.kind, record.generation) for one in accounts]
        return Placing.REMOVED if any(removed) else None

    # --- what came of it

    def _succeed(self, slot: Slot, placing: Placing | None, *, is_gone: bool) -> None:
        self._tries.pop(slot, None)
        if placing is not None or is_gone:
            self._troubles.pop(slot, None)
        if placing is not None:
            self._observe(self.name, placing)
            self._failures = 0
        if is_gone:
            self._written_for.pop(slot, None)
        else:
            self._due.setdefault(slot, self._clock.boot() + AGAIN)

    def _fail(self, slot: Slot, error: SinkError) -> None:
        now = self._clock.boot()
        self._observe(self.name, "failed")
        self._tries[slot] = self._tries.get(slot, 0) + 1
        self._troubles[slot] = error
        if isinstance(error, SinkUnavailable):
            self._due[slot] = now
            if now >= self._paused_until:
                self._failures += 1
                self._paused_until = now + self._wait(self._failures)
        else:
            self._due[slot] = now + self._wait(self._tries[slot])
            self._failures = 0

    def _wait(self, tries: int) -> Seconds:
        return float(min(LONGEST_WAIT, 2 ** min(tries - 1, 8)) * (1 + self._random.random()) / 2)

    # --- events

    async def _tell(self) -> None:
        """Put into the audit log what goes wrong, once for each cause, and that it is well again."""
        self._note_troubles()
        if not self._news:
            return
        news, self._news = self._news, []
        try:
            await self._store.tell(news)
        except StoreError:
            self._news = news

    def _note_troubles(self) -> None:
        now_wrong = {error.code for error in self._troubles.values()}
        for cause in sorted(self._told - now_wrong):
            self._told.discard(cause)
            self._news.append(Event("sink_well", "", {"sink": self.name, "cause": cause}))
        for slot, error in self._troubles.items():
            is_for_all = isinstance(error, SinkUnavailable)
            if error.code in self._told or (self._failures if is_for_all else self._tries.get(slot, 0)) < TOLD_AFTER:
                continue
            self._told.add(error.code)
            told = {**error.values, "sink": self.name, "cause": error.code}
            self._news.append(Event("sink_failing", "" if is_for_all else slot.appid, told))
