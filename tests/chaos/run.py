"""One run: the scene is set, the plan is played under load, the evidence is judged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.acts import Actor
from tests.chaos.evidence import STALL, Evidence, Spell
from tests.chaos.judge import Violation, judge
from tests.chaos.plan import Act, Plan
from tests.chaos.readers import Readers
from tests.chaos.scene import Scene, open_scene
from tests.chaos.stores import Store
from tests.chaos.witness import Witness

RATE = 500.0
CALM = 16.0
"""Seconds of reading at the end, when all is well again: longer than anybody may be told what was true before."""
WELL_WITHIN = 45.0
"""Seconds: a worker that died young again and again is begun anew after 30."""
REPORT_EVERY = 10.0
TICK, STALLED = 0.25, 1.0
CHANGES = ("revoke", "storm", "stranger", "force", "insist", "try", "name", "mode", "secret")
"""What is played that is no fault."""


@dataclass
class Outcome:
    """What came of a run."""

    plan: Plan
    evidence: Evidence
    began: float
    played: Counter[str]
    deaths: int = 0
    seconds: float = 0.0
    """Of the load, and then until all was well, calm and judged."""
    settling: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    is_well: bool = False

    @property
    def missed(self) -> list[str]:
        """What the plan was too short for."""
        return sorted(self.plan.faults - self.plan.due - self.played.keys())

    @property
    def lacking(self) -> list[str]:
        """What did not happen: a run without it proves nothing."""
        passed = [one for one in self.evidence.passed if one.openids]
        seen = {
            "read": self.evidence.reads,
            "call through the gateway": passed,
            "rotation": self.evidence.rotations,
            "death of a process": self.deaths,
            **{kind: self.played[kind] for kind in sorted(self.plan.due)},
        }
        return [what for what, count in seen.items() if not count]

    @property
    def is_good(self) -> bool:
        """Say whether it saw enough, and nothing wrong."""
        return not self.violations and not self.lacking

    def _tell_stalls(self) -> str:
        stalls = [one for one in self.evidence.weather.spells if one.kind == STALL]
        return f"the machine stood still {len(stalls)} times; " if stalls else ""

    def __str__(self) -> str:
        """Tell it in one line, and in another what it was too short for."""
        return (
            f"seed {self.plan.seed}: {self.seconds:.0f} s and {self.settling:.0f} to settle, {_count(self.evidence)}, "
            f"{self.deaths} deaths, faults: {_list(self.played)}; "
            f"{self._tell_stalls()}{len(self.violations)} violations"
            + "".join(f"; proves nothing: there was no {what}" for what in self.lacking)
            + (f"\nmissed: {', '.join(self.missed)}" if self.missed else "")
        )


async def play(
    plan: Plan, store: Store, directory: Path, tell: Callable[[str], None], *, rate: float = RATE, calm: float = CALM
) -> Outcome:
    """Play a plan in `directory`, with `rate` reads a second, and judge it.

    Whatever was started has ended when this returns or raises.
    """
    async with open_scene(plan, store, directory) as scene:
        readers = Readers(scene, Random(f"readers {plan.seed}"))
        actor = Actor(scene, readers, Random(f"actor {plan.seed}"), plan.accounts)
        witness = Witness(scene)
        outcome = Outcome(plan, scene.evidence, began=time.time(), played=actor.played)
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(readers.run(rate)),
                group.create_task(witness.run()),
                group.create_task(_report(outcome, actor, tell)),
                group.create_task(_watch(scene)),
                group.create_task(_note_stalls(scene)),
            ]
            await _play_tracks(actor, plan)
            outcome.seconds = time.time() - outcome.began
            outcome.is_well = await _is_in_time(scene.clear_up())
            with scene.spell("calm"):
                tried, _ = await asyncio.gather(_is_in_time(scene.try_all()), asyncio.sleep(calm))
            outcome.is_well &= tried
            for task in running:
                task.cancel()
        outcome.is_well &= await _is_in_time(witness.look(insisting=True))
    outcome.deaths = actor.deaths
    outcome.violations = [*judge(outcome.evidence), *_judge_end(outcome, scene)]
    outcome.settling = time.time() - outcome.began - outcome.seconds
    return outcome


async def _is_in_time(doing: Coroutine[Any, Any, None]) -> bool:
    """Say whether, now that nothing goes wrong any more, it is done soon."""
    try:
        async with asyncio.timeout(WELL_WITHIN):
            await doing
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


async def _report(outcome: Outcome, actor: Actor, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        spells = [spell for spell in outcome.evidence.weather.spells if spell.ended == float("inf")]
        now = ", ".join(f"{spell.kind} {spell.appid}".rstrip() for spell in spells) or "fair"
        tell(f"{time.time() - outcome.began:7.0f} s  {_count(outcome.evidence)}, {actor.deaths} deaths; now: {now}")


async def _watch(scene: Scene) -> None:
    """Raise if the sandbox ends: nobody may end it."""
    code = await scene.sandbox.wait()
    raise RuntimeError(f"the sandbox ended with {code}")


async def _note_stalls(scene: Scene) -> None:
    """Note when the machine had no time for us: it had none for the hubs either."""
    loop, spells = asyncio.get_running_loop(), scene.evidence.weather.spells
    while True:
        began, woke_at = time.time(), loop.time() + TICK
        await asyncio.sleep(TICK)
        if loop.time() - woke_at > STALLED:
            spells.append(Spell(STALL, began, time.time() + STALLED))


def _judge_end(outcome: Outcome, scene: Scene) -> Iterator[Violation]:
    if not outcome.is_well:
        yield Violation(time.time(), "8", f"not whole {WELL_WITHIN:.0f} s after all was well again")
    for at, text in scene.web.bugs:
        yield Violation(at, "-", text)
    if scene.exit_code:
        yield Violation(time.time(), "-", f"told to end, the hub ended with {scene.exit_code}")


def _count(evidence: Evidence) -> str:
    reads = evidence.reads
    kinds = {
        "failed": sum(not read.is_handed for read in reads),
        "doubtful": sum(read.doubtful for read in reads),
        "stale": sum(read.stale for read in reads),
    }
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    later = sum(one.errcode == -1 for one in evidence.passed)
    passed = f"{len(evidence.passed)} calls through the gateway ({later} answered -1)"
    return f"{len(reads)} reads ({told}), {passed}, {evidence.rotations} rotations"


def _list(played: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(played.items()) if kind not in CHANGES) or "none"
