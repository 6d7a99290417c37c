"""Work is given up when the client leaves, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from zhongkong.hub.gateway.bodies import ClientGone
from zhongkong.hub.gateway.leaving import A_MOMENT, WhileThere
from zhongkong.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Time that a test turns; no task may be left in it."""
    clock = FakeClock()
    yield clock
    clock.turn(1)
    assert not asyncio.all_tasks(clock.loop)
    clock.loop.close()


def leaving_after(seconds: float, *, noise: int = 0) -> Callable[[], Awaitable[Any]]:
    """Return what a server tells of a client who leaves so much later."""
    before = [{"type": "http.request", "body": b"", "more_body": False} for _ in range(noise)]

    async def receive() -> Any:
        if before:
            return before.pop()
        await asyncio.sleep(seconds)
        return {"type": "http.disconnect"}

    return receive


async def work(receive: Callable[[], Awaitable[Any]], seconds: float) -> str:
    """Return what came of work that takes so long."""
    try:
        with WhileThere(receive):
            await asyncio.sleep(seconds)
    except ClientGone:
        return "gone"
    return "done"


@pytest.mark.parametrize(
    ("leaves_after", "takes", "outcome"),
    [(0.0, A_MOMENT / 2, "done"), (0.0, 1.0, "gone"), (1.0, 5.0, "gone"), (5.0, 1.0, "done")],
)
def test_work_is_given_up_when_the_client_leaves(
    clock: FakeClock, leaves_after: float, takes: float, outcome: str
) -> None:
    """What takes but a moment is finished for nobody: it costs less than to listen."""
    assert clock.run(work(leaving_after(leaves_after, noise=2), takes)) == outcome


def test_whoever_is_cancelled_by_another_says_so(clock: FakeClock) -> None:
    """The server at its end; also when the client leaves at the same time."""

    async def story() -> None:
        for moment in (0.5, 1.0):
            task = asyncio.create_task(work(leaving_after(1.0 - A_MOMENT), 9.0))
            await asyncio.sleep(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    clock.run(story())


def test_an_error_of_the_work_is_the_works_own(clock: FakeClock) -> None:
    """It is not taken for a leaving."""

    async def story() -> None:
        with WhileThere(leaving_after(9.0)):
            await asyncio.sleep(1.0)
            raise KeyError

    with pytest.raises(KeyError):
        clock.run(story())
