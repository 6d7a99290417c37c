"""A short run of chaos, with everything real: three workers, one file, the sandbox, readers and what goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.disk import open_disk
from tests.chaos.plan import draw_plan
from tests.chaos.run import play
from tests.chaos.story import tell_story, tell_violations

SEED, SECONDS, CALM = 353, 9.5, 5.0
RATE = 80.0
"""Reads a second: enough to meet every worker in every moment, on two cores that have other work too."""


def test_no_invariant_is_violated_while_workers_die_and_the_store_fills_up(tmp_path: Path) -> None:
    """All three are killed at once while nothing can be written. Without root the disk is not filled, but locked."""
    told: list[str] = []
    with open_disk(tmp_path / "disk") as disk:
        plan = draw_plan(SEED, SECONDS, has_small_disk=disk.is_small)
        outcome = asyncio.run(play(plan, disk, tmp_path, told.append, rate=RATE, calm=CALM))
    story = [tell_story(tmp_path, outcome.evidence, one) for one in outcome.violations[:1]]
    assert not outcome.violations, "\n".join([tell_violations(outcome.violations, outcome.evidence.began), *story])
    assert not outcome.missed, str(outcome)
    assert {"kill", "mode", "garbage", "full" if disk.is_small else "locked"} <= outcome.played.keys()
    assert told, "nobody was told how it goes"
