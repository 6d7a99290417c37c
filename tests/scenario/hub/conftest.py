"""A hub to call, and keys for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenario.hub.house import House
from zhongkong.core.grants import Grant


@pytest.fixture
def house() -> Iterator[House]:
    """A hub with no account and no key; nothing in it may fail unseen."""
    house = House()
    house.open()
    yield house
    house.close()


@pytest.fixture
def reader(house: House) -> str:
    """A key that may read every account."""
    return house.add_key(Grant.READ, name="reader")


@pytest.fixture
def admin(house: House) -> str:
    """A key that may do everything."""
    return house.add_key(Grant.ADMIN, name="admin")
