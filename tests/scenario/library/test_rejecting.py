"""A program that was refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.keeper.scene import Scene
from tests.scenario.library.program import PATIENCE, Program
from zhongkong.core.model import Mode
from zhongkong.errors import CredentialUnavailable


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_a_thousand_threads_that_reject_one_dead_token_cause_one_probe_and_one_mint(mode: Mode) -> None:
    """They share the process's keeper, and what replaces the token is held for the next reader."""
    scene = Scene(mode, replicas=0)
    program = Program(scene)
    dead = program.credential().value
    scene.revoke_all()

    async def storm() -> set[tuple[str, str]]:
        rejects = [
            program.begin(program.engine.reject("wx0123456789abcdef", "access_token", dead, PATIENCE))
            for _ in range(1000)
        ]
        return {(one.outcome, one.credential.value) for one in await asyncio.gather(*rejects)}

    ((outcome, better),) = scene.run(storm())
    assert (outcome, better != dead) == ("refreshed", True)
    assert len(scene.line.asked("probe")) == 1
    assert len(scene.line.asked()) == 2
    assert program.held is not None
    assert program.held.value == better


def test_a_token_that_lives_is_still_valid_and_one_from_before_is_replaced_already() -> None:
    """On the first nothing is to be repeated, on the second the call is."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    first = program.credential()
    told = program.reject(first.value)
    assert (told.outcome, told.credential.value) == ("still_valid", first.value)
    scene.turn(6000)
    second, probes = program.credential(), len(scene.line.asked("probe"))
    told = program.reject(first.value)
    assert (told.outcome, told.credential.value) == ("already_newer", second.value)
    assert len(scene.line.asked("probe")) == probes


def test_threads_of_one_program_are_one_caller_and_two_programs_are_two() -> None:
    """Two callers who insist on a token that a probe found alive get another one; one who insists does not."""
    scene = Scene(replicas=0)
    one, other = Program(scene, 0), Program(scene, 1)
    value = one.credential().value
    scene.turn(200.0)
    for _ in range(6):
        assert one.reject(value).outcome == "still_valid"
        assert one.reject(value).outcome == "still_valid"
        scene.turn(11.0)
    scene.turn(200.0)
    outcomes = set()
    for _ in range(6):
        outcomes |= {one.reject(value).outcome, other.reject(value).outcome}
        scene.turn(11.0)
    assert scene.record.generation == 2
    assert outcomes >= {"still_valid", "already_newer"}


def test_a_reject_waits_no_longer_than_it_may() -> None:
    """The platform is silent to the probe: who asked is told in his time, and nothing was minted."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    value = program.credential().value
    scene.line.is_cut = True
    before = scene.time()
    with pytest.raises(CredentialUnavailable):
        program.reject(value, patience=2.0)
    assert scene.time() - before < 3.0
    assert len(scene.line.asked()) == 1
