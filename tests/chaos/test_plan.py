"""A plan has one of each kind that its store knows, as far as it has the time; a run has to have played it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.chaos.acts import Actor
from tests.chaos.disk import Disk
from tests.chaos.evidence import PLATFORM, PROCESS, STALL, STORE, Evidence, Passed, Read
from tests.chaos.hubs import REPLICAS
from tests.chaos.plan import RESERVE, Act, Faults, Plan, draw_plan
from tests.chaos.run import Outcome
from tests.chaos.servers import STORES, ServerStore, Wire
from tests.chaos.stores import FileStore
from tests.own_databases import OWN

if TYPE_CHECKING:
    from tests.chaos.readers import Readers
    from tests.chaos.scene import Scene

LEASE = 20.0
ENOUGH = 45.0
"""As docs/chaos.md says."""
SEEDS = range(300)
FAULTS = {
    "sqlite": PLATFORM | PROCESS - {STALL} | {"full", "locked"},
    **dict.fromkeys(OWN, PLATFORM | STORE | {"kill", "stop"}),
}
PEOPLE = {"try", "name", "mode", "secret", "stranger"}
"""They do what they can: in bad weather one act may take all the time there is."""


def faults_of(store: str, directory: Path) -> Faults:
    """Return what a run on this store would draw from, where a small disk can be mounted."""
    disk = Disk(directory, is_small=True)
    if store == "sqlite":
        return FileStore(disk).faults
    return ServerStore(OWN[store](directory), disk, cast("list[Wire]", [None] * REPLICAS)).faults


@pytest.mark.parametrize("seconds", [ENOUGH, 60.0, 300.0])
@pytest.mark.parametrize("store", STORES)
def test_a_plan_that_is_long_enough_has_one_of_each_kind(store: str, seconds: float, tmp_path: Path) -> None:
    """Each is over early enough to be played even where those before it took longer."""
    faults = faults_of(store, tmp_path)
    for seed in SEEDS:
        plan = draw_plan(seed, seconds, faults)
        in_time = {act.kind for act in acts_of(plan) if act.at + act.lasts <= seconds - RESERVE}
        assert plan.due == plan.faults == FAULTS[store], f"seed {seed}"
        assert in_time >= plan.due | PEOPLE, f"seed {seed}"


@pytest.mark.parametrize("seconds", [5.0, 20.0, 60.0, 300.0])
@pytest.mark.parametrize("store", STORES)
def test_acts_of_a_track_follow_each_other_and_are_over_in_time(store: str, seconds: float, tmp_path: Path) -> None:
    """What begins late is cut off, and was not played."""
    faults = faults_of(store, tmp_path)
    for seed in SEEDS:
        for track in draw_plan(seed, seconds, faults).tracks:
            assert all(act.at + act.lasts <= seconds for act in track), f"seed {seed}"
            assert all(act.at + act.lasts + 1 <= following.at for act, following in pairwise(track)), f"seed {seed}"


def test_order_and_times_are_drawn(tmp_path: Path) -> None:
    """The same faults in the same order at the same time would meet the hub in the same states."""
    faults = faults_of("postgresql", tmp_path)
    plans = [draw_plan(seed, 60.0, faults) for seed in SEEDS]
    tracks = [next(track for track in plan.tracks if track[0].kind in faults.store) for plan in plans]
    assert {track[0].kind for track in tracks} == set(faults.store)
    assert len({act.at for track in tracks for act in track}) == sum(map(len, tracks))
    assert draw_plan(7, 60.0, faults) == plans[7]


def test_after_one_of_each_any_follows(tmp_path: Path) -> None:
    """A long run is no list that is gone through again."""
    faults = faults_of("sqlite", tmp_path)
    for seed in SEEDS:
        drawn = Counter(act.kind for act in acts_of(draw_plan(seed, 600.0, faults)))
        assert drawn["kill"] > drawn["orphan"], f"seed {seed}"


def test_a_stop_is_longer_than_a_lease(tmp_path: Path) -> None:
    """A shorter one lets nobody take over."""
    plans = [draw_plan(seed, 60.0, faults_of("sqlite", tmp_path)) for seed in SEEDS]
    assert all(act.lasts > LEASE for plan in plans for act in acts_of(plan) if act.kind == "stop")


@pytest.mark.parametrize("store", STORES)
def test_a_short_plan_promises_what_it_has_the_time_for(store: str, tmp_path: Path) -> None:
    """In 20 s nothing can be stopped for longer than a lease, but a file can be locked, and its disk filled."""
    for seed in SEEDS:
        plan = draw_plan(seed, 20.0, faults_of(store, tmp_path))
        assert plan.due <= {act.kind for act in acts_of(plan)}
        assert "stop" not in plan.due
        assert "stop" in plan.faults
        assert store != "sqlite" or {"full", "locked"} <= plan.due


def test_what_a_plan_was_too_short_for_is_named_and_is_no_failure(tmp_path: Path) -> None:
    """What was played by chance is not missed."""
    plan = draw_plan(7, 20.0, faults_of("sqlite", tmp_path))
    chance, *others = sorted(plan.faults - plan.due)
    outcome = outcome_of(plan, {*plan.due, chance})
    assert "stop" in others
    assert outcome.missed == others
    assert str(outcome).splitlines()[1:] == [f"missed: {', '.join(outcome.missed)}"]
    assert outcome.is_good


@pytest.mark.parametrize("kind", sorted(FAULTS["sqlite"]))
def test_a_run_that_did_not_play_what_it_had_the_time_for_is_not_good(kind: str, tmp_path: Path) -> None:
    """It proves nothing about that fault."""
    plan = draw_plan(7, 60.0, faults_of("sqlite", tmp_path))
    assert outcome_of(plan, plan.due).is_good
    outcome = outcome_of(plan, plan.due - {kind})
    assert not outcome.is_good
    assert str(outcome).endswith(f"; proves nothing: there was no {kind}")


def test_only_what_was_played_to_its_end_counts() -> None:
    """A stop that the end of the run cut off may have been shorter than a lease."""

    async def played(*, to_its_end: bool) -> Counter[str]:
        over = asyncio.Event()
        store = SimpleNamespace(concerned=lambda _: [""], suffer=lambda _: over.wait())
        scene = SimpleNamespace(store=store, spell=lambda *_, **__: nullcontext())
        actor = Actor(cast("Scene", scene), cast("Readers", None), Random(7), [])
        playing = asyncio.create_task(actor.play(Act(0, "locked")))
        await asyncio.sleep(0)
        (over.set if to_its_end else playing.cancel)()
        await asyncio.wait([playing])
        return actor.played

    assert asyncio.run(played(to_its_end=False)) == {}
    assert asyncio.run(played(to_its_end=True)) == {"locked": 1}


def acts_of(plan: Plan) -> list[Act]:
    """Return what is played on all tracks."""
    return [act for track in plan.tracks for act in track]


def outcome_of(plan: Plan, played: set[str] | frozenset[str]) -> Outcome:
    """Return what comes of a run in which all is well, and these kinds were played."""
    reads = [Read(0, 0.1, "wxone", 200, value=str(number), generation=number) for number in (1, 2)]
    evidence = Evidence(reads=reads, passed=[Passed(0, 0.1, "wxone", 200, openids=("o_one",))])
    return Outcome(plan, evidence, began=0.0, played=Counter(played), deaths=1)
