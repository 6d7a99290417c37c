"""One run: the scene is set, the plan is played under load, the evidence is judged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.acts import Actor
from tests.chaos.evidence import Evidence
from tests.chaos.judge import Violation, judge
from tests.chaos.plan import Act, Plan
from tests.chaos.readers import Readers
from tests.chaos.scene import Scene, open_scene
from tests.chaos.witness import Witness

RATE = 500.0
CALM = 16.0
"""Seconds of reading at the end, when all is well again: longer than anybody may be told what was true before."""
WELL_WITHIN = 90.0
"""Seconds: a worker that died young again and again is begun anew after 30; the platform's last refusal is tried."""
REPORT_EVERY = 10.0
ROTATIONS = ("revoke", "storm", "force")


@dataclass
class Outcome:
    """What came of a run."""

    plan: Plan
    evidence: Evidence
    seconds: float = 0.0
    reads: Counter[str] = field(default_factory=Counter)
    played: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    began: float = 0.0
    is_well: bool = False

    def __str__(self) -> str:
        """Tell it in one line."""
        rotations = sum(self.played[kind] for kind in ROTATIONS)
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.played.items()) if kind not in ROTATIONS)
        reads = ", ".join(f"{count} {what}" for what, count in sorted(self.reads.items()) if what != "all")
        return (
            f"seed {self.plan.seed}: {self.seconds:.0f} s, {self.reads['all']} reads ({reads}), {rotations} rotations, "
            f"faults: {faults}; {len(self.violations)} violations"
        )


async def play(plan: Plan, directory: Path, tell: Callable[[str], None]) -> Outcome:
    """Play a plan in `directory` and judge it; whatever was started has ended when this returns or raises."""
    async with open_scene(plan, directory) as scene:
        readers = Readers(scene, Random(f"readers {plan.seed}"))
        actor = Actor(scene, readers, Random(f"actor {plan.seed}"), plan.accounts)
        witness = Witness(scene)
        outcome = Outcome(plan, scene.evidence, began=time.time(), played=actor.played)
        scene.note("the load begins")
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(readers.run(RATE)),
                group.create_task(witness.run()),
                group.create_task(_report(outcome, scene, tell)),
                group.create_task(_watch(scene)),
            ]
            await _play_tracks(actor, plan)
            outcome.seconds = time.time() - outcome.began
            outcome.is_well = await _ends_well(scene)
            scene.note("all is well again")
            await asyncio.sleep(CALM)
            for task in running:
                task.cancel()
        await witness.look(insisting=True)
    return _judge(outcome, scene)


async def _ends_well(scene: Scene) -> bool:
    """Say whether, once nothing goes wrong any more, the hub is whole soon."""
    try:
        async with asyncio.timeout(WELL_WITHIN):
            await scene.clear_up()
    except TimeoutError:
        return False
    return True


async def _play_tracks(actor: Actor, plan: Plan) -> None:
    """Play all tracks beside each other, and cut what is not over when the time is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(plan.seconds), asyncio.TaskGroup() as group:
            began = asyncio.get_running_loop().time()
            for track in plan.tracks:
                group.create_task(_play_track(actor, track, began))
            group.create_task(_rotate(actor, plan.rotations, began))
            await asyncio.sleep(plan.seconds)


async def _play_track(actor: Actor, track: Sequence[Act], began: float) -> None:
    """Play acts one after the other, each when its time has come, or as soon as the one before it is over."""
    for act in track:
        await asyncio.sleep(began + act.at - asyncio.get_running_loop().time())
        await actor.play(act)


async def _rotate(actor: Actor, rotations: Sequence[Act], began: float) -> None:
    """Play acts each when its time has come: callers do not wait for each other."""
    async with asyncio.TaskGroup() as group:
        for act in rotations:
            await asyncio.sleep(began + act.at - asyncio.get_running_loop().time())
            group.create_task(actor.play(act))


async def _report(outcome: Outcome, scene: Scene, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        reads = len(scene.evidence.reads)
        open_ones = [spell.kind for spell in scene.evidence.weather.spells if spell.ended == float("inf")]
        tell(f"{time.time() - outcome.began:7.0f} s  {reads} reads, {dict(outcome.played)}, now: {open_ones}")


async def _watch(scene: Scene) -> None:
    """Raise if the sandbox ends: nobody may end it."""
    code = await scene.sandbox.wait()
    raise RuntimeError(f"the sandbox ended with {code}")


def _judge(outcome: Outcome, scene: Scene) -> Outcome:
    outcome.violations = judge(scene.evidence)
    if not outcome.is_well:
        outcome.violations.append(
            Violation(time.time(), "8", f"not whole {WELL_WITHIN:.0f} s after all was well again")
        )
    if scene.exit_code:
        outcome.violations.append(Violation(time.time(), "-", f"told to end, the hub ended with {scene.exit_code}"))
    reads = scene.evidence.reads
    outcome.reads = Counter(
        all=len(reads),
        failed=sum(not read.is_handed for read in reads),
        doubtful=sum(read.doubtful for read in reads),
        stale=sum(read.stale for read in reads),
    )
    return outcome
