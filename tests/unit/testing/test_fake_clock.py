"""The fake clock: what others build their tests on must itself keep to what it says."""

from __future__ import annotations

import asyncio

import pytest

from zhongkong.testing.fake_clock import START, FakeClock
from zhongkong.testing.virtual_loop import Stuck


def test_time_stands_still_until_it_is_turned() -> None:
    """Both its faces show the same, and half a day takes no time."""
    clock = FakeClock()
    assert (clock.boot(), clock.wall()) == (0.0, START)
    clock.turn(43_200.0)
    assert (clock.boot(), clock.wall()) == (43_200.0, START + 43_200.0)


def test_what_falls_into_a_turn_happens_in_its_order() -> None:
    """And what lies beyond it does not."""
    clock = FakeClock(start=0.0)
    seen: list[tuple[str, float]] = []

    async def tick(name: str, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            seen.append((name, clock.wall()))

    tasks = [clock.begin(tick("slow", 3.0)), clock.begin(tick("fast", 2.0))]
    clock.turn(6.0)
    assert seen == [("fast", 2.0), ("slow", 3.0), ("fast", 4.0), ("slow", 6.0), ("fast", 6.0)]
    assert not any(task.done() for task in tasks)


def test_running_takes_as_long_as_it_takes() -> None:
    """In virtual time, with a deadline that strikes when it should."""
    clock = FakeClock()

    async def wait_too_long() -> None:
        async with asyncio.timeout(30.0):
            await asyncio.sleep(3600.0)

    with pytest.raises(TimeoutError):
        clock.run(wait_too_long())
    assert clock.boot() == 30.0


def test_what_can_never_happen_is_said_at_once() -> None:
    """A test that waits for nothing must fail, not hang."""
    clock = FakeClock()
    with pytest.raises(Stuck):
        clock.run(asyncio.wait_for(clock.loop.create_future(), None))


def test_a_failure_that_nobody_saw_fails_the_test() -> None:
    """An exception in a task that is forgotten would otherwise be silence."""
    clock = FakeClock()

    async def fail() -> None:
        raise ValueError("unseen")

    forgotten = clock.begin(fail())
    del forgotten
    with pytest.raises(ValueError, match="unseen"):
        clock.turn(1.0)
