"""Tickets through a source before a hub: the same calls, with another kind."""

from __future__ import annotations

from tests.scenario.client.desk import Program
from tests.scenario.hub.house import APPID, House

KIND = "jsapi_ticket"


def test_a_ticket_is_read_from_memory_and_kept_in_step_with_the_hub(program: Program) -> None:
    """As the token is: no I/O while it is fresh, the next generation when the hub has it."""
    first = program.credential(kind=KIND)
    assert (first.kind, first.generation, len(first.value)) == (KIND, 1, 86)
    assert first.value != program.token()
    began = program.clock.boot()
    for _ in range(130):
        program.clock.turn(60)
        assert program.credential(kind=KIND).expires_in > 0
    assert program.credential(kind=KIND).generation == 2
    assert program.clock.boot() - began < 130 * 60 + 5


def test_a_refused_ticket_is_reported_under_its_kind(house: House, program: Program) -> None:
    """The token knows nothing of it."""
    ticket, token = program.credential(kind=KIND), program.token()
    program.clock.turn(100)
    told = program.clock.run(program.source.reject(APPID, ticket.value, KIND))
    assert (told.outcome, told.credential.kind) == ("still_valid", KIND)
    assert program.token() == token
    assert house.platform.probes == 0
