"""The end of the audit log: tells whoever waits that there are new events, with one look at the store for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zhongkong.core.model import Seconds
from zhongkong.core.ports import Events, KeptEvent
from zhongkong.errors import StoreError

LOOK_EVERY: Seconds = 1.0
PAGE = 500


class Tail:
    """The newest event as far as this process knows. `run` keeps looking until cancelled."""

    def __init__(self, store: Events) -> None:
        self._store = store
        self._moved = asyncio.Condition()
        self._listeners: list[Callable[[KeptEvent], None]] = []
        self.last = 0

    def listen(self, tell: Callable[[KeptEvent], None]) -> None:
        """Have `tell` called with each event that is found from now on."""
        self._listeners.append(tell)

    async def run(self) -> None:
        """Look for new events again and again; what was there before is passed over."""
        started = False
        while True:
            try:
                if not started:
                    newest = await self._store.last_events(1)
                    self.last = newest[-1].id if newest else 0
                    started = True
                await self._look()
            except StoreError:
                pass
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        while events := await self._store.events(self.last, PAGE):
            self.last = events[-1].id
            for event in events:
                for tell in self._listeners:
                    tell(event)
            async with self._moved:
                self._moved.notify_all()

    async def beyond(self, event_id: int, patience: Seconds) -> None:
        """Return when there is an event after `event_id`, or after `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._moved:
                await self._moved.wait_for(lambda: self.last > event_id)
        except TimeoutError:
            return
