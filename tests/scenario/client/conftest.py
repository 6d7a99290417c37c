"""A hub that keeps one account, and a program that reads from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenario.client.desk import Program, open_program
from tests.scenario.hub.house import House


@pytest.fixture
def house() -> Iterator[House]:
    """A hub with one account; nothing in it may fail unseen."""
    house = House()
    house.open()
    house.add_account()
    yield house
    house.close()


@pytest.fixture
def program(house: House) -> Iterator[Program]:
    """A program before it."""
    program = open_program(house)
    yield program
    program.end()
