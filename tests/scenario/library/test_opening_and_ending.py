"""A program whose store does not open at once, and programs that end, in order or not."""

from __future__ import annotations

from itertools import repeat

import pytest

from tests.scenario.keeper.scene import Scene
from tests.scenario.library.program import Program
from zhongkong.core.model import Mode
from zhongkong.errors import AccountUnknown, RequestRefused, StoreRefused, StoreUnavailable


def test_a_store_that_is_locked_for_a_moment_is_waited_for() -> None:
    """Many programs begin at once and one of them makes the tables; who asks gets his token all the same."""
    scene = Scene(replicas=0)
    program = Program(scene)
    program.refusals = iter([StoreUnavailable("store_locked", path="wx.db", owner="me")] * 3)
    assert program.credential().value
    assert scene.time() < 4.0


def test_a_store_that_stays_locked_is_named_when_patience_ends() -> None:
    """What keeps a caller waiting is what he is told."""
    scene = Scene(replicas=0)
    program = Program(scene)
    program.refusals = repeat(StoreUnavailable("store_locked", path="wx.db", owner="me"))
    with pytest.raises(StoreUnavailable, match="store_locked"):
        program.credential()
    assert 5.0 <= scene.time() <= 5.5


def test_a_store_that_a_person_must_see_to_is_told_at_once_and_opened_when_he_has() -> None:
    """Nobody waits for what no waiting mends; and nobody has to restart the program."""
    scene = Scene(replicas=0)
    program = Program(scene)
    refusals = [StoreRefused("store_not_a_file", path="wx.db")] * 10
    program.refusals = iter(refusals)
    told = []
    for _ in range(2):
        with pytest.raises(StoreRefused) as refused:
            program.credential()
        told.append(refused.value)
    assert scene.time() < 1.0
    assert told[0] is not told[1]
    scene.turn(12.0)
    assert program.credential().value


def test_an_unknown_account_and_an_unknown_kind_are_refused_at_once() -> None:
    """Each by name, so that the program's author sees which of his words is wrong."""
    scene = Scene(replicas=0, account=False)
    program = Program(scene)
    with pytest.raises(AccountUnknown):
        program.credential()
    with pytest.raises(RequestRefused, match="no_such_ticket"):
        scene.run(program.engine.credential("wx0123456789abcdef", "no_such_ticket", 5.0))
    assert scene.time() < 1.0


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_a_program_killed_while_it_mints_is_followed_by_another(mode: Mode) -> None:
    """It held the lease: the other one waits for that to end, and no longer."""
    scene = Scene(mode, replicas=0)
    killed, other = Program(scene, 0), Program(scene, 1)
    scene.line.latency = 4.0
    _ = killed.begin(killed.read())
    scene.turn(1.0)
    killed.kill()
    scene.turn(24.0)
    scene.line.latency = 0.1
    assert other.credential().value == scene.credential.value
    assert scene.is_alive(other.credential().value)


def test_a_refresh_under_way_at_the_end_is_saved() -> None:
    """The next program finds what this one minted in its last second."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    scene.line.latency = 1.0
    _ = program.begin(program.read())
    scene.turn(0.5)
    assert program.end() < 1.0
    assert scene.credential.value == scene.issued[-1].value


def test_a_refresh_that_takes_too_long_at_the_end_leaves_its_attempt_open() -> None:
    """Nobody knows what the platform did: the record says so, and the next program goes by it."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    scene.line.latency = 8.0
    _ = program.begin(program.read())
    scene.turn(0.5)
    assert 1.9 < program.end() < 2.6
    assert scene.record.credential is None
    assert len(scene.record.attempts) == 1
    scene.line.latency = 0.1
    scene.turn(30.0)
    assert Program(scene, 1).credential().value == scene.issued[-1].value


def test_a_program_that_rests_ends_at_once() -> None:
    """Nothing is under way, so nothing is waited for."""
    scene = Scene(replicas=0)
    program = Program(scene)
    program.credential()
    assert program.end() < 0.1
