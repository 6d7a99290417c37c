"""Business servers: they read, use what they read for as long as it was announced, and reject what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from zhongkong.core.handing import Handed
from zhongkong.core.model import Slot
from zhongkong.errors import ZhongkongError
from zhongkong.keeper.keeper import PATIENCE, Rejected

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.simulation.universe import Replica, Universe
    from tests.simulation.weather import Fault

SLACK = 3.0
"""How much longer than his patience a caller may wait for an answer before that is a fault of ours."""


@dataclass
class Answer:
    """What came of a call to a replica. `value` is None if the replica went away meanwhile."""

    value: Any = None
    error: ZhongkongError | None = None
    waited: float = 0.0


def pick(universe: Universe, random: Random) -> Replica | None:
    """Return a replica that takes calls, as a balancer would."""
    up = [replica for replica in universe.replicas if replica.is_up]
    return random.choice(up) if up else None


async def call(universe: Universe, replica: Replica, coroutine: Coroutine[Any, Any, Any], limit: float) -> Answer:
    """Let a replica serve a call, and say what came of it within `limit` seconds."""
    loop, process = universe.loop, replica.process
    began = loop.time()
    disturbed_before = replica.disturbed_at
    task = loop.spawn(process, coroutine)
    done, _ = await asyncio.wait([task], timeout=limit)
    waited = loop.time() - began
    if not done:
        task.add_done_callback(_forget, context=universe.context.copy())
        if process.dead or process.stopped or replica.disturbed_at != disturbed_before:
            return Answer(waited=waited)
        universe.oracle.waits_too_long(replica, waited)
        return Answer(waited=waited)
    error = task.exception()
    if error is None:
        return Answer(task.result(), waited=waited)
    if isinstance(error, ZhongkongError):
        return Answer(error=error, waited=waited)
    raise error


def _forget(task: asyncio.Task[Any]) -> None:
    """Look at the exception of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


async def read(universe: Universe, slot: Slot, random: Random, seen: int = 0) -> Answer:
    """Read once through some replica; the oracle judges what was handed."""
    replica = pick(universe, random)
    if replica is None:
        return Answer()
    answer = await call(
        universe, replica, replica.keeper.credential(slot, seen=seen), PATIENCE + universe.oracle.store_wait() + SLACK
    )
    if isinstance(answer.value, Handed):
        universe.oracle.handed(replica, slot, answer.value, seen)
    elif answer.error is not None:
        universe.oracle.read_failed(replica, slot, answer.error)
    return answer


async def reject(universe: Universe, slot: Slot, caller: str, value: str, random: Random) -> Answer:
    """Reject a value through some replica; the oracle judges the answer."""
    replica = pick(universe, random)
    if replica is None:
        return Answer()
    was_alive = universe.world.is_alive(value, universe.now())
    answer = await call(
        universe, replica, replica.keeper.reject(slot, caller, value=value), 30.0 + universe.oracle.store_wait()
    )
    if isinstance(answer.value, Rejected):
        universe.oracle.rejected(replica, slot, value, answer.value, was_alive=was_alive)
    return answer


async def read_for_ever(universe: Universe, slot: Slot, every: float, random: Random) -> None:
    """Read now and again, use the token, reject it when the platform refuses it."""
    seen = 0
    while True:
        await asyncio.sleep(random.expovariate(1 / every))
        answer = await read(universe, slot, random, seen)
        if not isinstance(answer.value, Handed):
            continue
        handed = answer.value
        seen = max(seen, handed.generation)
        await asyncio.sleep(random.random() * handed.refresh_in)
        if not universe.world.is_alive(handed.value, universe.now()):
            await reject(universe, slot, f"reader {slot.appid}", handed.value, random)


async def reject_good_ones(universe: Universe, slot: Slot, fault: Fault) -> None:
    """A buggy caller: rejects whatever it is handed, for a while."""
    random = Random(f"buggy {universe.plan.seed} {fault.at}")
    until = universe.loop.time() + fault.lasts
    caller = f"buggy {random.randrange(3)}"
    while universe.loop.time() < until:
        answer = await read(universe, slot, random)
        if isinstance(answer.value, Handed):
            await reject(universe, slot, caller, answer.value.value, random)
        await asyncio.sleep(random.choice((0.1, 5.0, 20.0)))


async def storm(universe: Universe, slot: Slot, size: int) -> None:
    """The platform ends the token behind our back, and a crowd rejects it at once."""
    random = Random(f"storm {universe.plan.seed} {universe.loop.time()}")
    answer = await read(universe, slot, random)
    if not isinstance(answer.value, Handed):
        return
    universe.world.revoke_all(slot.appid, universe.now())
    value = answer.value.value
    await asyncio.gather(*(reject(universe, slot, f"crowd {index}", value, random) for index in range(size)))
