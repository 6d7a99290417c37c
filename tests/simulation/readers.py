"""Business servers: they read, use what they read for as long as it was announced, and reject what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.answers import Complaint, Demand
from zhongkong.core.handing import Handed
from zhongkong.core.model import DEADLINE, Slot, hash_value
from zhongkong.errors import ZhongkongError
from zhongkong.keeper.keeper import PATIENCE, Rejected

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.simulation.universe import Replica, Universe
    from tests.simulation.weather import Fault

WAITS = (1.0, 30.0, 60.0, 600.0)
"""How long somebody waits for news."""
SLACK = 3.0
"""How much longer than his patience a caller may wait for an answer before that is a fault of ours."""


@dataclass
class Answer:
    """What came of a call to a replica. `value` is None if the replica went away meanwhile."""

    value: Any = None
    error: ZhongkongError | None = None
    waited: float = 0.0
    replica: Replica | None = None


def pick(universe: Universe, random: Random) -> Replica | None:
    """Return a replica that takes calls, as a balancer would."""
    up = [replica for replica in universe.replicas if replica.is_up]
    return random.choice(up) if up else None


async def call(universe: Universe, replica: Replica, coroutine: Coroutine[Any, Any, Any], limit: float) -> Answer:
    """Let a replica serve a call, and say what came of it within `limit` seconds."""
    universe.oracle.zeal.did(replica, "caller")
    loop, process = universe.loop, replica.process
    began = loop.time()
    disturbed_before = replica.disturbed_at
    task = loop.spawn(process, coroutine)
    if universe.is_on("hasty") and universe.noise.random() < 0.5:  # he hangs up, at whatever we await just then
        patience = universe.noise.random() * universe.noise.choice((0.0, 0.005, 0.3, 5.0))
        loop.call_later(patience, task.cancel, context=universe.context)
    done, _ = await asyncio.wait([task], timeout=limit)
    waited = loop.time() - began
    if not done:
        task.add_done_callback(_forget, context=universe.context.copy())
        if process.dead or process.stopped or replica.disturbed_at != disturbed_before:
            return Answer(waited=waited)
        universe.oracle.waits_too_long(replica, waited)
        return Answer(waited=waited)
    if task.cancelled():
        return Answer(waited=waited)
    error = task.exception()
    if error is None:
        return Answer(task.result(), waited=waited, replica=replica)
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
    began, limit = universe.loop.time(), PATIENCE + universe.oracle.store_wait(replica) + SLACK
    answer = await call(universe, replica, replica.keeper.credential(slot, seen=seen), limit)
    if isinstance(answer.value, Handed):
        universe.oracle.handed(replica, slot, answer.value, seen)
    elif answer.error is not None:
        universe.oracle.read_failed(replica, slot, answer.error, began, seen)
    return answer


async def reject(universe: Universe, slot: Slot, caller: str, refused: Handed, random: Random) -> Answer:
    """Reject a credential through some replica; the oracle judges the answer."""
    replica = pick(universe, random)
    if replica is None:
        return Answer()
    was_alive = universe.is_alive(slot, refused.value)
    by = random.choice(("value", "sha256", "generation"))
    complaint = Complaint(caller, refused.value, refused.generation, by, universe.loop.time(), was_alive)
    named: dict[str, Any] = {by: hash_value(refused.value) if by == "sha256" else getattr(refused, by)}
    limit = PATIENCE + DEADLINE + universe.oracle.store_wait(replica) + SLACK
    answer = await call(universe, replica, replica.keeper.reject(slot, caller, **named), limit)
    if isinstance(answer.value, Rejected):
        universe.oracle.rejected(replica, slot, complaint, answer.value)
    elif answer.error is not None:
        universe.oracle.reject_failed(replica, slot, complaint, answer.error)
    return answer


async def wait_for_news(
    universe: Universe, replica: Replica, slot: Slot, handed: Handed, patience: float
) -> Handed | None:
    """Wait at the replica that handed it out until there is another, or less of it holds, as `?wait=` does."""
    began = universe.loop.time()
    limit = patience + PATIENCE + universe.oracle.store_wait(replica) + SLACK
    answer = await call(universe, replica, replica.keeper.changed(slot, handed, patience), limit)
    if isinstance(answer.value, Handed):
        universe.oracle.news(replica, slot, handed, answer.value, began, patience)
        return answer.value
    if answer.error is not None:
        universe.oracle.read_failed(replica, slot, answer.error, began, handed.generation)
    return None


async def force(universe: Universe, slot: Slot, random: Random) -> Answer:
    """Have the credential replaced through some replica, refused or not; the oracle judges the answer."""
    replica = pick(universe, random)
    if replica is None:
        return Answer()
    demand = Demand(universe.store.peek(slot).generation, replica.knew(slot), universe.loop.time())
    limit = PATIENCE + universe.oracle.store_wait(replica) + SLACK
    answer = await call(universe, replica, replica.keeper.force(slot), limit)
    if isinstance(answer.value, Rejected):
        universe.oracle.forced(replica, slot, demand, answer.value)
    elif answer.error is not None:
        universe.oracle.force_failed(replica, slot, demand, answer.error)
    return answer


async def read_for_ever(universe: Universe, slot: Slot, every: float, random: Random) -> None:
    """Read now and again, use the token, reject it when the platform refuses it."""
    seen, waits = 0, random.choice((0.0, 0.0, 0.5))
    while True:
        await asyncio.sleep(random.expovariate(1 / every))
        answer = await read(universe, slot, random, seen)
        if not isinstance(answer.value, Handed):
            continue
        handed = answer.value
        seen = max(seen, handed.generation)
        if answer.replica is not None and random.random() < waits:
            handed = await wait_for_news(universe, answer.replica, slot, handed, random.choice(WAITS)) or handed
            seen = max(seen, handed.generation)
        await asyncio.sleep(random.random() * handed.refresh_in)
        if not universe.is_alive(slot, handed.value):
            await reject(universe, slot, f"{slot.kind} reader {slot.appid}", handed, random)


async def reject_good_ones(universe: Universe, slot: Slot, fault: Fault) -> None:
    """A buggy caller: rejects whatever it is handed, for a while."""
    random = Random(f"buggy {universe.plan.seed} {fault.at}")
    until = universe.loop.time() + fault.lasts
    caller = f"{slot.kind} buggy {random.randrange(3)}"
    while universe.loop.time() < until:
        answer = await read(universe, slot, random)
        if isinstance(answer.value, Handed):
            await reject(universe, slot, caller, answer.value, random)
        await asyncio.sleep(random.choice((0.1, 5.0, 20.0)))


async def force_for_a_while(universe: Universe, slot: Slot, fault: Fault) -> None:
    """Somebody whose key may force does so: once, or again and again."""
    random = Random(f"forcer {universe.plan.seed} {fault.at}")
    until = universe.loop.time() + fault.lasts
    while universe.loop.time() < until:
        await force(universe, slot, random)
        await asyncio.sleep(random.choice((0.1, 20.0, 36.0, 200.0)))


async def storm(universe: Universe, slot: Slot, size: int) -> None:
    """The platform ends the token behind our back, and a crowd rejects it at once."""
    random = Random(f"storm {universe.plan.seed} {universe.loop.time()}")
    answer = await read(universe, slot, random)
    if not isinstance(answer.value, Handed):
        return
    universe.revoke(slot)
    await asyncio.gather(
        *(reject(universe, slot, f"{slot.kind} crowd {index}", answer.value, random) for index in range(size))
    )
