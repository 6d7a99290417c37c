"""The loop under the simulation: what it promises of time, of order, and of processes that crash or stop."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from zhongkong.testing.virtual_loop import Process, VirtualLoop


def new_loop(seed: int | None = None) -> VirtualLoop:
    """Return a loop, in the seed's order if there is one."""
    return VirtualLoop(Random(seed) if seed is not None else None)  # type: ignore[abstract]  # typeshed, as in FakeClock


def order_of_ten(loop: VirtualLoop) -> list[int]:
    """Return in which order ten tasks that are ready at once are run."""
    seen: list[int] = []

    async def note(number: int) -> None:
        seen.append(number)

    async def all_ten() -> None:
        await asyncio.gather(*(note(number) for number in range(10)))

    loop.run_until_complete(all_ten())
    return seen


def test_without_a_seed_who_came_first_goes_first() -> None:
    """As on every other loop."""
    assert order_of_ten(new_loop()) == list(range(10))


def test_a_seed_chooses_the_order_and_replays_it() -> None:
    """A failure that cannot be seen twice is a rumour."""
    orders = [tuple(order_of_ten(new_loop(seed))) for seed in range(20)]
    assert len(set(orders)) > 15
    assert orders == [tuple(order_of_ten(new_loop(seed))) for seed in range(20)]


def test_timers_of_one_instant_are_drawn_too() -> None:
    """Two replicas that wake at the same moment must be tried in both orders."""
    firsts = set()
    for seed in range(20):
        loop, seen = new_loop(seed), list[str]()
        loop.call_later(1.0, seen.append, "one")
        loop.call_later(1.0, seen.append, "two")
        loop.run_until(2.0)
        firsts.add(seen[0])
    assert firsts == {"one", "two"}


async def leave_traces(seen: list[str]) -> None:
    """Write down what is run of a task that is interrupted at its only await."""
    try:
        seen.append("begun")
        await asyncio.sleep(10.0)
        seen.append("done")
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
    finally:
        seen.append("finally")


def test_a_killed_process_runs_not_another_line() -> None:
    """As after kill -9: no `except`, no `finally`."""
    loop, process, seen = new_loop(), Process("one"), list[str]()
    task = loop.spawn(process, leave_traces(seen))
    loop.run_until(5.0)
    loop.kill(process)
    loop.run_until(100.0)
    assert seen == ["begun"]
    assert not task.done()


def test_a_stopped_process_goes_on_where_it_was_when_it_is_resumed() -> None:
    """What came due meanwhile happens late, and not before."""
    loop, process, seen = new_loop(), Process("one"), list[str]()
    task = loop.spawn(process, leave_traces(seen))
    loop.run_until(5.0)
    loop.stop_process(process)
    loop.run_until(3600.0)
    assert seen == ["begun"]
    loop.resume(process)
    loop.run_until(3600.0)
    assert seen == ["begun", "done", "finally"]
    assert task.done()


def test_a_process_that_is_killed_while_stopped_stays_dead() -> None:
    """Nothing that was kept for it is run."""
    loop, process, seen = new_loop(), Process("one"), list[str]()
    task = loop.spawn(process, leave_traces(seen))
    loop.run_until(5.0)
    loop.stop_process(process)
    loop.run_until(20.0)
    loop.kill(process)
    loop.resume(process)
    loop.run_until(40.0)
    assert seen == ["begun"]
    assert not task.done()


def test_what_a_process_begins_dies_with_it() -> None:
    """Its tasks' tasks and its timers too; those of others go on."""
    loop, one, two = new_loop(), Process("one"), Process("two")
    seen: list[str] = []

    async def begin(name: str) -> None:
        await asyncio.gather(asyncio.sleep(1.0), asyncio.create_task(leave_traces(seen)))
        seen.append(name)

    tasks = [loop.spawn(one, begin("one")), loop.spawn(two, begin("two"))]
    loop.run_until(5.0)
    loop.kill(one)
    loop.run_until(20.0)
    assert seen == ["begun", "begun", "done", "finally", "two"]
    assert [task.done() for task in tasks] == [False, True]


def test_there_are_no_sockets_here() -> None:
    """A test that reaches for the network is told so, instead of waiting for it."""
    with pytest.raises(NotImplementedError):
        new_loop().run_until_complete(asyncio.open_connection("127.0.0.1", 1))
