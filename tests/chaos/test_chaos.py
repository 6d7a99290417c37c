"""Short runs of chaos, with everything real: replicas, a file or a server, the sandbox, readers, what goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.chaos.plan import draw_plan
from tests.chaos.run import Outcome, play
from tests.chaos.servers import open_store
from tests.chaos.story import tell_story, tell_violations

CALM = 5.0
RATE = 80.0
"""Reads a second: enough to meet every replica in every moment, on two cores that have other work too."""


class Run(NamedTuple):
    """A run that has much in few seconds."""

    store: str
    seed: int
    seconds: float
    what: frozenset[str]
    """What is begun in it, deaths aside; without root the disk is not filled."""


RUNS = (
    Run("sqlite", 22490, 9.5, frozenset({"mode", "garbage", "full"})),
    Run("mysql", 339, 10.0, frozenset({"crash", "unacknowledged"})),
    Run("postgresql", 2655, 10.0, frozenset({"readonly", "silent"})),
)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.store)
def test_no_invariant_is_violated_while_replicas_die_and_the_store_is_in_trouble(run: Run, tmp_path: Path) -> None:
    """Killed at once while nothing can be written, cut off at a commit, begun anew while the server is."""
    told: list[str] = []

    async def played() -> tuple[Outcome, bool]:
        async with open_store(run.store, tmp_path) as store:
            plan = draw_plan(run.seed, run.seconds, store.faults)
            return await play(plan, store, tmp_path, told.append, rate=RATE, calm=CALM), not store.faults.missing

    outcome, has_all = asyncio.run(played())
    story = [tell_story(tmp_path, outcome.evidence, one) for one in outcome.violations[:1]]
    assert not outcome.violations, "\n".join([tell_violations(outcome.violations, outcome.evidence.began), *story])
    assert not outcome.lacking, str(outcome)
    assert not has_all or run.what <= {spell.kind for spell in outcome.evidence.weather.spells}
    assert told, "nobody was told how it goes"
