"""A thread that does what coroutines ask of it, as much at once as is waiting.

They wait by futures, each in its own loop: any number of them, without a thread each.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from zhongkong.adapters.stores.forks import at_work, forget
from zhongkong.core.model import Slot
from zhongkong.errors import StoreRefused, StoreUnavailable

AnswerT = TypeVar("AnswerT")
GroundT = TypeVar("GroundT")
ReadT = TypeVar("ReadT")

BATCH_WEIGHT = 1000
"""How many commands are taken at once, more or less: a transaction must not live long."""


@dataclass(slots=True, eq=False)
class Task(Generic[GroundT]):
    """Something to do on a ground (a transaction, a snapshot), and what came of it."""

    do: Callable[[GroundT], Any]
    slots: Sequence[Slot]
    """The slots whose records it may change, once for each command."""
    loop: asyncio.AbstractEventLoop
    then: Callable[[Any], Any] | None = None
    """What is made of a reader's answer once the snapshot is over."""
    future: asyncio.Future[Any] = field(init=False)
    answer: object = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()

    @property
    def weight(self) -> int:
        """How many commands it is, or another kind of work that takes about as long as one."""
        return len(self.slots) or 1

    def settle(self) -> None:
        """Tell who waits; he may have been cancelled meanwhile."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)


class Worker(Generic[GroundT]):
    """The thread. It ends with the process, or when it is closed; a fork waits until it has done what it is doing."""

    def __init__(
        self, name: str, perform: Callable[[Sequence[Task[GroundT]]], None], let_go: Callable[[], None]
    ) -> None:
        """Take what does the tasks and leaves an answer or an error in each; the thread starts with the first task.

        `let_go` closes what was opened for that, at the end and before a fork; the next task opens it anew.
        """
        self._perform = perform
        self._let_go = let_go
        self._waiting: SimpleQueue[Task[GroundT]] = SimpleQueue()
        self._last: Task[GroundT] | None = None
        self._is_closed = False
        self._lock = Lock()
        self._thread = Thread(target=self._work, name=name, daemon=True)

    async def ask(self, do: Callable[[GroundT], AnswerT], slots: Sequence[Slot] = ()) -> AnswerT:
        """Return what `do` returns, done in the thread; whoever is cancelled meanwhile does not stop it.

        Raises: whatever `do` raises. StoreUnavailable: this worker was closed.
        """
        answer: AnswerT = await self._ask(Task(do, slots, asyncio.get_running_loop()))
        return answer

    async def read(self, do: Callable[[GroundT], ReadT], then: Callable[[ReadT], AnswerT]) -> AnswerT:
        """Return what `then` makes of what `do` read, in the thread too and with no transaction open meanwhile.

        For what takes long: a server ends transactions in which nothing happens. Raises: as `ask`.
        """
        answer: AnswerT = await self._ask(Task(do, (), asyncio.get_running_loop(), then))
        return answer

    async def _ask(self, task: Task[GroundT]) -> Any:  # noqa: ANN401 (whatever the task returns)
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("store_closed")
            if self._thread.ident is None:
                self._thread.start()
            self._waiting.put(task)
        return await task.future

    async def close(self) -> None:
        """End the thread after what was asked before is done."""
        task: Task[GroundT] = Task(lambda _: None, (), asyncio.get_running_loop())
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            if was_closed or self._thread.ident is None:
                return
            self._last = task
            self._waiting.put(task)
        await task.future

    def _work(self) -> None:
        is_over = False
        while not is_over:
            tasks = self._take()
            is_over = tasks[-1] is self._last
            _guard(self._at_work, tasks[:-1] if is_over else tasks)
            if is_over:
                self._end()
            _settle(tasks)

    def _at_work(self, tasks: Sequence[Task[GroundT]]) -> None:
        with at_work(self._let_go):
            self._perform(tasks)

    def _end(self) -> None:
        with suppress(StoreRefused), at_work(self._let_go):
            self._let_go()
        forget(self._let_go)

    def _take(self) -> list[Task[GroundT]]:
        tasks = [self._waiting.get()]
        weight = tasks[0].weight
        with suppress(Empty):
            while weight < BATCH_WEIGHT and tasks[-1] is not self._last:
                tasks.append(self._waiting.get_nowait())
                weight += tasks[-1].weight
        return tasks


def _guard(perform: Callable[[Sequence[Task[GroundT]]], None], tasks: Sequence[Task[GroundT]]) -> None:
    """Keep the thread alive whatever happens, and let those who wait hear of it."""
    try:
        if tasks:
            perform(tasks)
    except BaseException as error:  # noqa: BLE001 (nobody else would hear of it)
        for task in tasks:
            task.error = error


def _settle(tasks: Sequence[Task[GroundT]]) -> None:
    """Wake each loop once, however many of its coroutines wait; a loop that is gone has nobody who waits."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[Task[GroundT]]] = defaultdict(list)
    for task in tasks:
        by_loop[task.loop].append(task)
    for loop, its_own in by_loop.items():
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_all, its_own)


def _settle_all(tasks: Sequence[Task[GroundT]]) -> None:
    for task in tasks:
        task.settle()
