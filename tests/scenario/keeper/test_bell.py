"""A bell makes a keeper look sooner. It is not believed, and it is not waited for."""

from __future__ import annotations

import asyncio

from tests.scenario.keeper.scene import Scene
from zhongkong.core.model import Mode
from zhongkong.keeper.keeper import HEARD_APART


def test_what_another_replica_saved_is_known_at_once_where_a_bell_rings() -> None:
    """And at the next poll where it does not."""
    for rings in (True, False):
        scene = Scene(Mode.CLASSIC, replicas=2, poll_seconds=10.0)
        first = scene.read(0)
        scene.turn(30.5)
        scene.revoke_all()
        new = scene.reject(first.value, replica=0).handed
        if rings:
            scene.replicas[1].keeper.hear()
        scene.turn(0.2)
        handed = scene.replicas[1].keeper.peek(scene.slot)
        assert handed is not None
        assert (handed.value == new.value) is rings
        scene.turn(10.0)
        assert scene.read(1).value == new.value


def test_a_bell_that_never_stops_costs_ten_looks_a_second_and_nothing_else() -> None:
    """It is a hint: nothing is minted for it, and nobody waits longer."""
    scene = Scene(Mode.CLASSIC, poll_seconds=3.0)
    value = scene.read().value
    reader = scene.seat_reader()
    scene.turn(5.0)
    before = scene.store.polls

    async def ring() -> None:
        while True:
            scene.replicas[0].keeper.hear()
            await asyncio.sleep(0.001)

    task = scene.begin(ring())
    scene.turn(10.0)
    assert 50 < scene.store.polls - before <= 10 / HEARD_APART + 1
    task.cancel()
    scene.turn(1.0)
    before = scene.store.polls
    scene.turn(30.0)
    assert 9 <= scene.store.polls - before <= 11
    assert scene.read().value == value
    assert (reader.failed, reader.refused, len(scene.issued)) == ([], [], 1)
