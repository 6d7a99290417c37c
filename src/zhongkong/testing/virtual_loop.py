"""An asyncio loop whose time is a number: nothing waits, and a seed may choose who goes first.

`VirtualLoop()` runs ready callbacks in order, `VirtualLoop(random)` in an order that the seed chooses. Time moves only
when nothing is ready, straight to the next timer. There are no sockets, threads or signals here; whoever asks for them
gets the NotImplementedError of the base class.

Callbacks belong to a *process*: the `ContextVar` PROCESS of their context. A process can be stopped (its callbacks
wait), resumed, and killed (they never run again, as after `kill -9`: no `finally`, no `except`).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Process:
    """Something that can be stopped, resumed and killed as one."""

    __slots__ = ("counted", "dead", "held", "name", "stopped")

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = False
        self.dead = False
        self.held: list[asyncio.Handle] = []
        self.counted: tuple[int, Callable[[], object]] | None = None
        """How many more steps until what is called; see `VirtualLoop.call_after_steps`."""

    def __repr__(self) -> str:
        return f"<Process {self.name}>"


PROCESS: ContextVar[Process | None] = ContextVar("zhongkong_process", default=None)


class Stuck(Exception):
    """Nothing is ready and no timer is set: what is awaited can never happen."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs coroutines in virtual time. `start` is what `time()` says at first, in seconds."""

    def __init__(self, random: Random | None = None, start: float = 0.0) -> None:
        self._random = random
        self._now = start
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._closed = False
        self._running = False
        self._stopping = False
        self.steps = 0
        self.killed: list[object] = []
        """Tasks of killed processes: kept from the garbage collector, which would run their `finally`."""
        self.failures: list[dict[str, Any]] = []

    # --- time

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` at this instant, after or before whatever else is ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` in `delay` seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at `when`; timers of one instant fire in the seed's order."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        tie = self._random.random() if self._random else 0.0
        heapq.heappush(self._timers, (when, tie, next(self._order), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is dropped when its time comes."""

    # --- running

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until `future` is done and return its result.

        Raises: Stuck: it can never be done.
        """
        task = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]  # a generator is awaitable to asyncio
        self._run(task.done)
        return task.result()

    def run_forever(self) -> None:
        """Run until `stop`."""
        self._stopping = False
        self._run(lambda: self._stopping)

    def run_until(self, when: float) -> None:
        """Run everything up to the virtual time `when`, or until `stop`."""
        self._stopping = False
        self._run(lambda: self._stopping, until=when)

    def _run(self, is_done: Callable[[], bool], until: float | None = None) -> None:
        outer = asyncio._get_running_loop()  # noqa: SLF001 (the way for loops to announce themselves)
        asyncio._set_running_loop(self)  # noqa: SLF001
        self._running = True
        try:
            while not is_done():
                if self._ready:
                    self._step()
                elif not self._advance(until):
                    return
        finally:
            self._running = False
            asyncio._set_running_loop(outer)  # noqa: SLF001

    def _step(self) -> None:
        ready = self._ready
        if self._random is not None and len(ready) > 1:
            index = int(self._random.random() * len(ready))
            ready[index], ready[-1] = ready[-1], ready[index]
            handle = ready.pop()
        else:
            handle = ready.pop(0)
        if handle._cancelled:  # noqa: SLF001
            return
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # noqa: SLF001
        if process is not None and (process.dead or process.stopped):
            (self.killed if process.dead else process.held).append(handle)
            return
        self.steps += 1
        handle._run()  # noqa: SLF001
        if process is not None and process.counted is not None:
            self._count(process, *process.counted)

    def _count(self, process: Process, steps: int, act: Callable[[], object]) -> None:
        process.counted = (steps - 1, act) if steps > 1 else None
        if steps <= 1:
            act()

    def _advance(self, until: float | None) -> bool:
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers:
            if until is None:
                raise Stuck
            self._now = max(self._now, until)
            return False
        when = timers[0][0]
        if until is not None and when > until:
            self._now = max(self._now, until)
            return False
        self._now = max(self._now, when)
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[3]
            if not timer.cancelled():
                self._ready.append(timer)
        return True

    # --- processes

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task of `process`; what it begins belongs to the process too."""
        context = copy_context()
        context.run(PROCESS.set, process)
        return asyncio.Task(coroutine, loop=self, context=context)

    def kill(self, process: Process) -> None:
        """End the process as `kill -9` does: not another line of it runs."""
        process.dead = True
        self.killed.extend(process.held)
        process.held.clear()

    def stop_process(self, process: Process) -> None:
        """Stop the process as SIGSTOP does."""
        process.stopped = True

    def call_after_steps(self, process: Process, steps: int, act: Callable[[], object]) -> None:
        """Call `act` when the process has made so many more steps: at some `await`, whatever it waits for there."""
        process.counted = steps, act

    def resume(self, process: Process) -> None:
        """Let the process go on: all that came due meanwhile is ready at once."""
        process.stopped = False
        self._ready.extend(process.held)
        process.held.clear()

    # --- what asyncio asks of a loop

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Begin a task."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what nobody caught: a test looks into `failures`."""
        process = PROCESS.get()
        if process is None or not process.dead:
            self.failures.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember it likewise."""
        self.failures.append(context)

    def get_debug(self) -> bool:
        """Return False: the simulation has its own ways."""
        return False

    def is_running(self) -> bool:
        """Say whether it runs."""
        return self._running

    def is_closed(self) -> bool:
        """Say whether it was closed."""
        return self._closed

    def stop(self) -> None:
        """Let `run_forever` return."""
        self._stopping = True

    def close(self) -> None:
        """Close it; what was pending is forgotten."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    async def shutdown_asyncgens(self) -> None:
        """There is nothing to shut down."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncio's own signature)
        """There is nothing to shut down."""
