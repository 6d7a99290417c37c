"""The thread that does what coroutines ask of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from zhongkong.adapters.stores.worker import BATCH_WEIGHT, Task, Worker
from zhongkong.core.model import Slot
from zhongkong.errors import StoreUnavailable


class Recorder:
    """Does tasks on its list of batches; the first batch waits until `gate` is open."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gone = False
        self.worker: Worker[list[int]] = Worker("recorder", self.perform, self.let_go)

    def perform(self, tasks: Sequence[Task[list[int]]]) -> None:
        """Note how many came at once."""
        self.gate.wait(10)
        self.batches.append(len(tasks))
        for task in tasks:
            task.answer = task.do(self.batches)

    def let_go(self) -> None:
        """Note the end."""
        self.gone = True


def on_a_worker(story: Callable[[Recorder], Any]) -> Callable[[], None]:
    """Make a test of a coroutine that gets a recorder."""

    def test() -> None:
        async def tell() -> None:
            recorder = Recorder()
            try:
                await story(recorder)
            finally:
                recorder.gate.set()
                await recorder.worker.close()

        asyncio.run(tell())

    test.__doc__ = story.__doc__
    return test


def constant(number: int) -> Callable[[list[int]], int]:
    """Return something to do that answers `number`."""
    return lambda _: number


@on_a_worker
async def test_what_waits_is_done_together(recorder: Recorder) -> None:
    """While one batch is being committed the next one gathers."""
    first = asyncio.ensure_future(recorder.worker.ask(lambda _: 0))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(recorder.worker.ask(constant(number))) for number in range(1, 100)]
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(first, *others) == list(range(100))
    assert sum(recorder.batches) == 100
    assert len(recorder.batches) <= 2


@on_a_worker
async def test_no_batch_is_without_end(recorder: Recorder) -> None:
    """A transaction must not live long, however much waits."""
    slots = [Slot("wx1")] * (BATCH_WEIGHT // 4)
    calls = [asyncio.ensure_future(recorder.worker.ask(len, slots)) for _ in range(20)]
    await asyncio.sleep(0)
    recorder.gate.set()
    await asyncio.gather(*calls)
    assert max(recorder.batches) <= 4


@on_a_worker
async def test_who_is_cancelled_does_not_disturb_the_others(recorder: Recorder) -> None:
    """A caller's deadline passes while the thread is at it."""
    calls = [asyncio.ensure_future(recorder.worker.ask(constant(number))) for number in range(4)]
    await asyncio.sleep(0)
    calls[1].cancel()
    recorder.gate.set()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(done.pop(1), asyncio.CancelledError)
    assert done == [0, 2, 3]


@on_a_worker
async def test_a_bug_is_heard_and_the_thread_goes_on(recorder: Recorder) -> None:
    """Silence would be a caller that waits for ever."""
    recorder.gate.set()
    with pytest.raises(ZeroDivisionError):
        await recorder.worker.ask(lambda _: 1 // 0)
    assert await recorder.worker.ask(lambda _: 7) == 7


@on_a_worker
async def test_closing_does_what_was_asked_before_and_nothing_after(recorder: Recorder) -> None:
    """What was accepted is done; later callers are told."""
    asked = asyncio.ensure_future(recorder.worker.ask(lambda _: 7))
    await asyncio.sleep(0)
    recorder.gate.set()
    await recorder.worker.close()
    assert recorder.gone
    assert await asked == 7
    with pytest.raises(StoreUnavailable):
        await recorder.worker.ask(lambda _: 8)


def test_a_worker_serves_any_loop_and_outlives_it() -> None:
    """A loop that ended while the thread was at it is nobody's harm."""
    recorder = Recorder()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(recorder.worker.ask(lambda _: 1), 0.001)

    async def ask() -> int:
        return await recorder.worker.ask(lambda _: 2)

    asyncio.run(give_up())
    recorder.gate.set()
    assert asyncio.run(ask()) == 2
    asyncio.run(recorder.worker.close())


def test_a_worker_that_was_never_asked_is_closed_all_the_same() -> None:
    """No thread was started, and none is later."""
    recorder = Recorder()
    asyncio.run(recorder.worker.close())
    with pytest.raises(StoreUnavailable):
        asyncio.run(recorder.worker.ask(lambda _: 1))
