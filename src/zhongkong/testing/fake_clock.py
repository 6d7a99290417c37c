"""A clock that only moves when a test turns it: a whole scenario, keepers, hub and sandbox, runs in virtual time.

clock = FakeClock()
store = MemoryStore(clock.wall)                    # one clock for all of them
keeper = Keeper(store, platform, clock)
clock.begin(keeper.run())
clock.turn(7200)                                   # two hours, at once
handed = clock.run(keeper.credential(slot))        # waits as long as it takes, in virtual time
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from zhongkong.core.model import Instant, Seconds
from zhongkong.testing.virtual_loop import VirtualLoop

T = TypeVar("T")

START: Instant = 1_800_000_000.0


class FakeClock:
    """A `Clock` over an event loop in virtual time: no time passes but by `turn`, and in `run` while all wait.

    It begins at `start` by its wall, and at 0 seconds after boot. Everything it runs must belong to this loop: there
    are no threads and no sockets here.
    """

    def __init__(self, start: Instant = START) -> None:
        self.loop = VirtualLoop()  # type: ignore[abstract]  # typeshed calls all of a loop abstract; what tests need is there
        self._start = start

    def boot(self) -> Seconds:
        """Return the seconds since it began."""
        return self.loop.time()

    def wall(self) -> Instant:
        """Return its time, in seconds since the Unix epoch: also the clock of a memory store or a sandbox."""
        return self._start + self.loop.time()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until `coroutine` is done and return its result; time moves on as far as that takes.

        Raises: what the coroutine raises, and what a task raised that nobody holds any more.
        """
        result = self.loop.run_until_complete(coroutine)
        self._raise_unseen()
        return result

    def turn(self, seconds: Seconds) -> None:
        """Turn the clock: all that falls into the next `seconds` happens, in its order.

        Raises: what a task raised that nobody holds any more.
        """
        self.loop.run_until(self.loop.time() + seconds)
        self._raise_unseen()

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task; it runs while the clock is turned, and while something else is run."""
        return self.loop.create_task(coroutine)

    def _raise_unseen(self) -> None:
        for failure in self.loop.failures:
            raise failure.get("exception") or RuntimeError(failure["message"])
