"""The end of the audit log: tells whoever waits that there are new events, with one look at the store for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from zhongkong.core.model import Seconds
from zhongkong.core.ports import Events, KeptEvent
from zhongkong.errors import StoreError
from zhongkong.messages import Language, render
from zhongkong.wechat.advice import explain_error

logger = logging.getLogger("zhongkong.hub")

LOOK_EVERY: Seconds = 1.0
PAGE = 500


class Tail:
    """The newest event as far as this process knows. `run` keeps looking until cancelled."""

    def __init__(self, store: Events, log_in: Language = "en") -> None:
        self._store = store
        self._log_in = log_in
        self._moved = asyncio.Condition()
        self._listeners: list[Callable[[KeptEvent], None]] = []
        self._is_begun = False
        self._trouble = ""
        self.last = 0

    def listen(self, tell: Callable[[KeptEvent], None]) -> None:
        """Have `tell` called with each event that is found from now on."""
        self._listeners.append(tell)

    async def run(self) -> None:
        """Look for new events again and again; what was there before is passed over."""
        while True:
            try:
                await (self._look() if self._is_begun else self._begin())
            except StoreError as error:
                self._note_store(error)
            else:
                self._note_store(None)
            await asyncio.sleep(LOOK_EVERY)

    async def _begin(self) -> None:
        newest = await self._store.last_events(1)
        self.last = newest[-1].id if newest else 0
        self._is_begun = True

    async def _look(self) -> None:
        while events := await self._store.events(self.last, PAGE):
            self.last = events[-1].id
            for event in events:
                for tell in self._listeners:
                    tell(event)
            async with self._moved:
                self._moved.notify_all()

    def _note_store(self, error: StoreError | None) -> None:
        """Log that the store went away, and who must do what, or that it is back."""
        trouble = error.code if error else ""
        if trouble != self._trouble:
            told = explain_error(error, self._log_in) if error else render("store_reached_again", self._log_in)
            logger.warning("store: %s", told)
        self._trouble = trouble

    async def moves_beyond(self, event_id: int, patience: Seconds) -> bool:
        """Return true once there is an event after `event_id`, or false after `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._moved:
                await self._moved.wait_for(lambda: self.last > event_id)
        except TimeoutError:
            return False
        return True
