"""Several replicas on one store: one of them mints, whatever becomes of it the others go on."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import MODES, Scene
from zhongkong.core.freshness import threats
from zhongkong.core.model import LEASE, Mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_that_find_a_token_due_at_once_mint_one(mode: Mode, replicas: int) -> None:
    """They see the same instant come; the claim in the store lets one of them go."""
    scene = Scene(mode, replicas=replicas)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at + 5.0)
    assert len(scene.line.asked()) == 2
    assert {scene.read(index).value for index in range(replicas)} == {scene.issued[1].value}


def test_every_replica_hands_out_the_new_token_within_a_poll() -> None:
    """Who did not mint it hears of it from the store."""
    scene = Scene(Mode.CLASSIC, replicas=3)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at)
    while scene.record.generation == 1:
        scene.turn(0.05)
    scene.turn(1.1)
    assert {scene.read(index).generation for index in range(3)} == {2}


def test_a_replica_killed_before_its_request_arrived_costs_an_overlap() -> None:
    """Nobody can know that it never arrived: the old token is trusted for 300 s more, then the other one mints."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 0.5)
    scene.line.is_cut = True
    survivor = _kill_the_sender(scene)
    reader = scene.seat_reader(survivor)
    scene.line.is_cut = False
    (attempt,) = threats(scene.record)
    scene.turn_to(attempt.left + 299.0)
    assert len(scene.issued) == 1
    scene.turn_to(attempt.left + 310.0)
    assert len(scene.issued) == 2
    assert (reader.failed, reader.refused) == ([], [])


def test_a_replica_killed_after_its_request_arrived_breaks_no_promise() -> None:
    """The token it fetched is lost; the former one dies 300 s later, and by then there is another."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 0.5)
    survivor = _kill_the_sender(scene)
    reader = scene.seat_reader(survivor)
    scene.turn(1.0)
    assert len(scene.issued) == 2
    scene.turn(900.0)
    assert len(scene.issued) == 3
    assert reader.refused == []
    assert reader.longest_wait <= 5.0
    assert scene.read(survivor).value == scene.issued[2].value


def test_a_replica_killed_while_it_asks_for_a_stable_token_costs_its_lease() -> None:
    """Asking again ends nothing, so the other one does when the lease is over, and gets what was issued."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 0.5)
    survivor = _kill_the_sender(scene)
    killed_at = scene.time()
    reader = scene.seat_reader(survivor)
    scene.turn(LEASE + 2.0)
    assert len(scene.issued) == 2
    assert scene.read(survivor).value == scene.issued[1].value
    assert scene.line.asked()[-1].at - killed_at <= LEASE + 1.1
    assert (reader.failed, reader.refused, reader.marks) == ([], [], set())


def test_a_replica_that_slept_after_its_claim_does_not_send_it() -> None:
    """Awake, it sees on its own clock that the lease may end before its deadline: given back, and claimed anew."""
    scene = Scene(Mode.CLASSIC)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 0.5)
    while not scene.record.attempts:
        scene.turn(0.0005)
    (attempt,) = scene.record.attempts
    scene.clock.loop.stop_process(scene.replicas[0].process)
    scene.turn(15.0)
    assert len(scene.line.departed) == 1
    scene.clock.loop.resume(scene.replicas[0].process)
    scene.turn(0.05)
    assert attempt.fence not in [one.fence for one in scene.record.attempts]
    scene.turn(5.0)
    assert scene.record.attempts == ()
    assert (scene.record.spent.total, len(scene.line.departed), len(scene.issued)) == (3, 2, 2)


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_comes_after_the_lease_went_to_somebody_else_changes_nothing(mode: Mode) -> None:
    """The late saver's fence is refused: what stands stands, whatever his answer was."""
    scene = Scene(mode, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 0.5)
    sender = _wait_for_the_sender(scene)
    scene.clock.loop.stop_process(scene.replicas[sender].process)
    scene.turn(400.0)
    assert scene.record.generation == 2
    stands = scene.record.credential
    scene.clock.loop.resume(scene.replicas[sender].process)
    scene.turn(5.0)
    assert scene.record.credential == stands
    assert scene.is_alive(scene.read(sender).value)


def _wait_for_the_sender(scene: Scene) -> int:
    """Turn the clock until a request has left, and return which replica's it is."""
    before = len(scene.line.departed)
    while len(scene.line.departed) == before:
        scene.turn(0.0005)
    return [replica.ip for replica in scene.replicas].index(scene.line.departed[-1])


def _kill_the_sender(scene: Scene) -> int:
    """Kill whoever sends the next request before it can have arrived, and return the other one."""
    sender = _wait_for_the_sender(scene)
    scene.clock.loop.kill(scene.replicas[sender].process)
    return 1 - sender


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_store_clock_that_steps_is_told_either_way(step: float) -> None:
    """Once per replica: forward it renews everything early, back everything is stamped anew."""
    scene = Scene(Mode.STABLE)
    scene.read()
    scene.turn(10.0)
    scene.store.step = step
    scene.turn(60.0)
    told = [kept.event for kept in scene.run(scene.store.events(0, 100)) if kept.event.code == "store_clock_stepped"]
    assert [event.values for event in told] == [{"seconds": pytest.approx(step, abs=0.1)}]
