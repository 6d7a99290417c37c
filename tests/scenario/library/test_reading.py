"""Programs on one store: one mint for all of them, reads that wait for nobody, and no promise that does not hold."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.keeper.scene import Scene
from tests.scenario.library.program import Program
from zhongkong.core.model import Mode
from zhongkong.errors import CredentialUnavailable

MODES = [Mode.STABLE, Mode.CLASSIC]
LIFE = 7200


def programs(scene: Scene, count: int) -> list[Program]:
    """Return so many programs over the scene's store."""
    return [Program(scene, index) for index in range(count)]


@pytest.mark.parametrize("mode", MODES)
def test_programs_that_begin_at_once_mint_once(mode: Mode) -> None:
    """Each has ten readers who find nothing: whoever claims first mints, and all get the same."""
    scene = Scene(mode, replicas=0)

    async def all_read() -> list[str]:
        reads = [one.begin(one.read()) for one in programs(scene, 20) for _ in range(10)]
        return [read.value for read in await asyncio.gather(*reads)]

    assert len(set(scene.run(all_read()))) == 1
    assert len(scene.line.asked()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_for_hours_no_reader_waits_and_none_uses_a_dead_token(mode: Mode) -> None:
    """Two programs renew in turn; their readers look into memory and nowhere else, and what they find is alive."""
    scene = Scene(mode, replicas=0)
    both = programs(scene, 2)
    seen = {one.credential().value for one in both}
    for _ in range(13_000 // 40):
        scene.turn(40.0)
        for one in both:
            held = one.held
            assert held is not None
            assert scene.time() < held.holds_until
            assert scene.is_alive(held.value)
            seen.add(held.value)
    assert len(seen) == len(scene.issued)
    assert len(seen) > 1


@pytest.mark.parametrize("mode", MODES)
def test_a_renewal_that_takes_its_time_keeps_no_reader_waiting(mode: Mode) -> None:
    """The platform answers after nine seconds; till then the former token is handed out from memory."""
    scene = Scene(mode, replicas=0)
    program = Program(scene)
    former = program.credential()
    scene.turn_to(scene.record.refresh_at - 1.0)
    scene.line.latency = 9.0
    values = set()
    for _ in range(300):
        scene.turn(0.1)
        before = scene.time()
        values.add(program.credential().value)
        assert scene.time() == before
    assert former.value in values
    assert len(scene.line.asked()) > 1
    assert program.waited == 1


def test_what_is_promised_runs_down_while_the_credential_is_held() -> None:
    """A program may keep the value elsewhere: it is told what is left, not for how long we keep it in memory."""
    scene = Scene(replicas=0)
    program = Program(scene)
    first = program.credential()
    assert 7190 < first.expires_in <= LIFE
    assert 40 < first.refresh_in <= 60
    scene.turn(100.25)
    later = program.credential()
    assert first.expires_in - later.expires_in in (100, 101)
    assert later.refresh_in > 40
    assert program.waited == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_program_that_was_stopped_asks_before_it_hands_out(mode: Mode) -> None:
    """Meanwhile another one found the token dead and replaced it: memory is a matter of seconds, not of its promise."""
    scene = Scene(mode, replicas=0)
    stopped, other = programs(scene, 2)
    dead = stopped.credential()
    scene.clock.loop.stop_process(stopped.process)
    scene.revoke_all()
    scene.turn(5.0)
    better = other.reject(dead.value).credential
    scene.turn(30.0)
    scene.clock.loop.resume(stopped.process)
    assert stopped.credential().value == better.value != dead.value


@pytest.mark.parametrize("mode", MODES)
def test_a_dead_token_is_out_of_every_memory_within_a_poll(mode: Mode) -> None:
    """One program proves that it is dead; the others hear of it at their next poll."""
    scene = Scene(mode, replicas=0)
    several = programs(scene, 3)
    (dead,) = {one.credential().value for one in several}
    scene.revoke_all()
    several[0].reject(dead)
    assert several[0].credential().value != dead
    scene.turn(1.5)
    assert dead not in {one.credential().value for one in several}
    assert len(scene.line.asked()) == 2


def test_a_store_that_is_away_is_marked_and_keeps_no_reader_waiting() -> None:
    """What memory holds is handed out, marked, however long; when the store is back the mark goes."""
    scene = Scene(replicas=0)
    program = Program(scene)
    value = program.credential().value
    scene.store.is_away = True
    scene.turn(10.0)
    for _ in range(600):
        scene.turn(1.0)
        read = program.credential()
        assert (read.value, read.stale) == (value, True)
    scene.store.is_away = False
    scene.turn(3.0)
    assert not program.credential().stale
    assert program.waited == 1


def test_a_classic_token_that_may_have_been_replaced_is_handed_out_marked() -> None:
    """Its minter is gone and nobody knows what the platform did: who reads waits, then is told how it stands."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    program.credential()
    scene.line.is_cut = True
    scene.turn_to(scene.record.refresh_at + 400)
    read = program.credential()
    assert (read.doubtful, read.expires_in) == (True, 0)
    scene.line.is_cut = False
    scene.turn(120)
    assert not program.credential().doubtful


def test_nobody_waits_longer_than_his_patience() -> None:
    """A cold program whose platform is silent says so after the time it was given."""
    scene = Scene(replicas=0)
    scene.line.is_cut = True
    program = Program(scene)
    for patience in (0.5, 2.0):
        before = scene.time()
        with pytest.raises(CredentialUnavailable) as refused:
            program.credential(patience)
        assert refused.value.cause == "refreshing"
        assert patience <= scene.time() - before < patience + 0.1
