"""What every claim about the sandbox over HTTP is tried with."""

import pytest

from tests.scenario.sandbox.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """Return a fresh sandbox with its one test account."""
    return Desk()
