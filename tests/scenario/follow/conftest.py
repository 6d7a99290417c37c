"""Hubs that follow one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenario.follow.estate import Estate, open_estate


@pytest.fixture
def estate() -> Iterator[Estate]:
    """Yield a platform with one account, and no hub yet."""
    with open_estate() as estate:
        yield estate
