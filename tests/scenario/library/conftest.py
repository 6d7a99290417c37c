"""What every test of the library's programs has around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenario.library.program import end_all


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """No program is left behind."""
    yield
    end_all()
