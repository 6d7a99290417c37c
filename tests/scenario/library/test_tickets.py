"""Tickets in a program's own keeper: the same three calls, with another kind."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import TICKET, Scene
from tests.scenario.library.program import Program
from zhongkong.client.source import Credential
from zhongkong.errors import RequestRefused

KIND = TICKET.kind.value


def credential(program: Program, kind: str = KIND) -> Credential:
    """Return what the program gets of a kind."""
    asked = program.begin(program.engine.credential(TICKET.appid, kind, 5.0))
    program.scene.turn(1)
    return asked.result().at(program.scene.time())


def test_programs_on_one_file_fetch_a_ticket_once() -> None:
    """Whoever asks first; and what it is asked for with."""
    scene = Scene(replicas=0)
    values = {credential(Program(scene, index)).value for index in range(5)}
    assert (len(values), len(scene.line.asked(KIND)), len(scene.line.asked())) == (1, 1, 1)


def test_a_ticket_that_a_program_read_once_is_kept_as_long_as_the_program_runs() -> None:
    """Its readers look into memory, where nobody counts them."""
    scene = Scene(replicas=0)
    program = Program(scene)
    first = credential(program)
    assert (first.kind, first.generation) == (KIND, 1)
    scene.turn(86_400 / 2)
    held = program.held
    assert held is not None
    assert scene.time() < held.holds_until
    assert held.at(scene.time()).generation > 5
    assert program.waited == 0


def test_a_ticket_is_rejected_like_a_token() -> None:
    """Once a minute; the same came, so the caller looks elsewhere."""
    scene = Scene(replicas=0)
    program = Program(scene)
    value = credential(program).value
    scene.turn(100)
    told = program.begin(program.engine.reject(TICKET.appid, KIND, value, 5.0))
    scene.turn(1)
    assert (told.result().outcome, told.result().credential.value) == ("still_valid", value)
    assert len(scene.line.asked(KIND)) == 2


def test_a_kind_that_nobody_keeps_is_refused_with_those_that_are_kept() -> None:
    """A misspelt name must not be asked for for ever."""
    program = Program(Scene(replicas=0))
    with pytest.raises(RequestRefused) as refused:
        credential(program, "jsapi")
    assert refused.value.values["known"] == "access_token, jsapi_ticket, wx_card_ticket, agent_config_ticket"
