"""The proof that the oracle can see."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.oracle import Violation
from tests.simulation.universe import Universe

SEEDS_PER_BUG = 200


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_oracle_sees_the_planted_bug(bug: Bug) -> None:
    """An oracle that sees nothing is worth nothing: each usual mistake is caught within 200 seeds."""
    with bug.plant():
        for seed in range(SEEDS_PER_BUG):
            try:
                Universe(bug.plan(seed)).run()
            except Violation as found:
                if found.rule == bug.rule:
                    return
    pytest.fail(f"{SEEDS_PER_BUG} seeds and nobody noticed: {bug.name}")
