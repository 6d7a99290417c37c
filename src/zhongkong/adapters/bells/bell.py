"""A bell over whatever carries a word from one process to others: it listens, rings, and hears whether it does.

Each word is the name of the process that rings. Who rings waits until he hears himself: that is how he knows that the
bell works, and it is why many saves at once are one ring.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from secrets import token_hex
from typing import Any, NamedTuple

from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock
from zhongkong.errors import StoreUnavailable

logger = logging.getLogger("zhongkong.bell")

ECHO_WITHIN: Seconds = 5.0
"""Longer than this nobody waits to connect, or to hear himself."""
PROVED_EVERY: Seconds = 30.0
"""A bell that nobody rings is rung to hear whether it still does: a line may be dead and say nothing."""
APART: Seconds = 0.02
"""Between two rings of a process."""
BEGIN_AGAIN: Seconds = 5.0


class Line(NamedTuple):
    """What a word goes out and comes in by. Both raise `BellBroken`."""

    send: Callable[[str], Awaitable[object]]
    heard: AsyncIterator[str]


class BellBroken(Exception):
    """The line is gone, or cannot be made. `why` is safe to show."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Bell(ABC):
    """Tells replicas that the store has something new. It decides nothing: what is new, a poll finds.

    It may be silent, late, or ring for nothing: whoever hears it polls sooner than he would, and that is all. Whole
    when constructed; connects when it runs.
    """

    def __init__(self, place: str, clock: Clock) -> None:
        """Take where it hangs, as it may be shown."""
        self.place = place
        self._clock = clock
        self._name = token_hex(8)
        self._rung = asyncio.Event()
        self._echo = asyncio.Event()
        self._trouble = ""

    @abstractmethod
    def _connected(self) -> AbstractAsyncContextManager[Line]:
        """Connect, and listen from then on. Raises: BellBroken."""

    def ring(self) -> None:
        """Have others hear soon. Returns at once; may be lost."""
        self._rung.set()

    async def run(self, hear: Callable[[], None]) -> None:
        """Listen and ring until cancelled; what breaks is made anew. `hear` is called when another process rings."""
        while True:
            try:
                await self._session(hear, lambda: self._note(""))
            except BellBroken as broken:
                self._note(broken.why)
            await asyncio.sleep(BEGIN_AGAIN)

    async def prove(self) -> Seconds:
        """Ring once and return how long it took to be heard here.

        Raises: StoreUnavailable: it was not heard; the error says where and why.
        """
        proved, began = asyncio.Event(), self._clock.boot()
        session = asyncio.create_task(self._session(lambda: None, proved.set))
        waiting = asyncio.create_task(proved.wait())
        try:
            await asyncio.wait([session, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not proved.is_set():
                await session
        except BellBroken as broken:
            raise StoreUnavailable("bell_silent", place=self.place, why=broken.why) from broken
        finally:
            await _end(session, waiting)
        return self._clock.boot() - began

    def _note(self, trouble: str) -> None:
        """Log that the bell fell silent, or rings again; once as long as it is the same."""
        if trouble != self._trouble:
            logger.warning("bell %s: %s", self.place, trouble or "it rings again")
        self._trouble = trouble

    async def _session(self, hear: Callable[[], None], proved: Callable[[], None]) -> None:
        async with self._connected() as line:
            listening = asyncio.create_task(self._listen(line, hear))
            ringing = asyncio.create_task(self._keep_ringing(line, proved))
            try:
                ended, _ = await asyncio.wait([listening, ringing], return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    await task
                raise BellBroken("closed")
            finally:
                await _end(listening, ringing)

    async def _listen(self, line: Line, hear: Callable[[], None]) -> None:
        async for name in line.heard:
            if name == self._name:
                self._echo.set()
            else:
                hear()

    async def _keep_ringing(self, line: Line, proved: Callable[[], None]) -> None:
        self._rung.set()  # to begin with: to prove it, and because others may have waited for a bell that was broken
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROVED_EVERY):
                    await self._rung.wait()
            self._rung.clear()
            self._echo.clear()
            try:
                async with asyncio.timeout(ECHO_WITHIN):
                    await line.send(self._name)
                    await self._echo.wait()
            except TimeoutError:
                raise BellBroken("silent") from None
            proved()
            await asyncio.sleep(APART)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
