"""Renewal: the old token is handed out while the new one is fetched, and every promise outlives it."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import MODES, SLOT, Scene
from zhongkong.core.issuing import first_refresh_at
from zhongkong.core.model import Mode

DAY = 86_400.0


@pytest.mark.parametrize("mode", MODES)
def test_readers_are_served_through_a_day_of_renewals(mode: Mode) -> None:
    """No read fails, none waits, and not one token is refused while it is used as announced."""
    scene = Scene(mode, replicas=2, poll_seconds=5.0)
    scene.turn(6.0)
    readers = [scene.seat_reader(0, every=5.0), scene.seat_reader(1, every=5.0)]
    scene.turn(DAY)
    assert len(scene.issued) > 12
    for reader in readers:
        assert reader.served >= DAY / 5.0 - 10.0
        assert (reader.failed, reader.refused, reader.marks) == ([], [], set())
        assert reader.longest_wait == 0.0


@pytest.mark.parametrize("mode", MODES)
def test_every_generation_costs_one_request(mode: Mode) -> None:
    """Two replicas and nothing goes wrong: as many tokens as generations, and as many requests."""
    scene = Scene(mode, replicas=2, poll_seconds=5.0)
    scene.turn(DAY)
    assert len(scene.issued) == len(scene.line.asked()) == scene.record.generation


def test_a_classic_token_is_renewed_a_quarter_of_its_life_ahead() -> None:
    """An outage of 25 minutes must find a token with so much life left; the jitter is at most a tenth of it."""
    scene = Scene(Mode.CLASSIC)
    first = scene.read()
    renewed_at = _time_of_the_second(scene)
    left = scene.issued[0].expires_at - (scene.clock.wall() - scene.time() + renewed_at)
    assert 1799.0 <= left <= 1980.0
    assert scene.issued[0].value == first.value


def test_a_stable_token_is_asked_for_again_inside_its_last_300_seconds() -> None:
    """Before them the platform only repeats it; and it leaves time for more than one try."""
    scene = Scene(Mode.STABLE)
    scene.read()
    renewed_at = _time_of_the_second(scene)
    left = scene.issued[0].expires_at - (scene.clock.wall() - scene.time() + renewed_at)
    assert 265.0 <= left <= 296.0


@pytest.mark.parametrize("mode", MODES)
def test_the_former_token_still_works_when_the_last_reader_lets_go_of_it(mode: Mode) -> None:
    """Who looks again when told has the new one long before the overlap is over."""
    scene = Scene(mode)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 0.5)
    handed = scene.read()
    scene.turn(handed.refresh_in)
    assert scene.is_alive(handed.value)
    assert scene.read().generation == 2
    assert scene.world.find(handed.value) is not None


@pytest.mark.parametrize("mode", MODES)
def test_what_is_announced_is_never_more_than_what_is_true(mode: Mode) -> None:
    """`expires_in` holds whatever mint comes next: read at every minute of a life, and compared with the death."""
    scene = Scene(mode)
    scene.read()
    promises: list[tuple[str, float]] = []
    for _ in range(118):
        handed = scene.read()
        promises.append((handed.value, scene.clock.wall() + handed.expires_in))
        scene.turn(60.0)
    assert len({value for value, _ in promises}) == 2
    assert all(until <= (scene.world.dies_at(value) or 0.0) for value, until in promises)


def test_replicas_agree_on_when_a_token_is_due() -> None:
    """The jitter is the slot's own, so that not every replica has another idea of it."""
    scene = Scene(Mode.CLASSIC, replicas=3)
    scene.turn(5.0)
    for replica in scene.replicas:
        known = replica.keeper.known.record(SLOT)
        assert known is not None
        assert known.refresh_at == first_refresh_at(SLOT, scene.credential)


def _time_of_the_second(scene: Scene) -> float:
    scene.turn(7200.0)
    return scene.line.asked()[1].at
