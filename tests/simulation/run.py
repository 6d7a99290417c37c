"""Run seeds, shrink what fails, tell the story."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.universe import Universe
from tests.simulation.weather import Plan, draw

YEAR = 365.25
SHRINK_TRIES = 200


@dataclass
class Tally:
    """What a number of runs came to."""

    runs: int = 0
    account_days: float = 0.0
    mints: int = 0
    reads: int = 0
    faults: int = 0
    violations: int = 0
    cpu_seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Count another one in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        rate = self.account_days / self.cpu_seconds if self.cpu_seconds else 0.0
        return (
            f"{self.runs} worlds, {self.account_days / YEAR:.2f} virtual account-years "
            f"({rate:.0f} account-days per CPU second), {self.reads} reads, {self.mints} mints, "
            f"{self.faults} faults survived, {self.violations} violations"
        )


def fails(plan: Plan) -> tuple[BaseException | None, Universe]:
    """Run the plan; return what went wrong, and the world for its story."""
    universe = Universe(plan)
    try:
        universe.run()
    except Exception as error:  # noqa: BLE001 (whatever the keeper raises is a finding)
        return error, universe
    return None, universe


def run_seed(
    seed: int, *, kinds: tuple[str, ...] = (), shape: str = "", is_plain: bool | None = None
) -> tuple[Tally, str]:
    """Run one seed; return its tally and, if it failed, the whole story, which ends with how to see it again."""
    plan = draw(seed, kinds=kinds, shape=shape, is_plain=is_plain)
    began = time.process_time()
    error, universe = fails(plan)
    tally = Tally(
        runs=1,
        account_days=plan.days * plan.accounts,
        mints=universe.oracle.mints,
        reads=universe.oracle.reads,
        faults=universe.survived,
        violations=int(error is not None),
        cpu_seconds=time.process_time() - began,
    )
    if error is None:
        return tally, ""
    again = [f"--seed {seed}", *(f"--kind {kind}" for kind in kinds)]
    again += [f"--shape {shape}"] if shape else []
    again += [] if is_plain is None else ["--plain" if is_plain else "--no-plain"]
    return tally, f"{tell_story(plan, error)}\nagain: python -m tests.simulation {' '.join(again)}"


def shrink(plan: Plan, error: BaseException) -> Plan:
    """Return a plan with as few faults as still fail by the same rule, halves first, then one by one."""
    tries = SHRINK_TRIES
    size = len(plan.faults) // 2
    while size and tries:
        for gone in _chunks(len(plan.faults), size):
            smaller = plan.without(gone)
            tries -= 1
            found, _ = fails(smaller)
            if found is not None and _rule(found) == _rule(error):
                plan = smaller
                break
            if not tries:
                break
        else:
            size //= 2
            continue
        size = min(size, len(plan.faults) // 2) or (1 if plan.faults else 0)
    return plan


def _chunks(count: int, size: int) -> Iterator[set[int]]:
    for begin in range(0, count, size):
        yield set(range(begin, min(begin + size, count)))


def _rule(error: BaseException) -> str:
    return getattr(error, "rule", type(error).__name__)


def tell_story(plan: Plan, error: BaseException, *, lines: int = 80) -> str:
    """Return what a person needs: the shrunk plan, and the last steps."""
    small = shrink(plan, error)
    found, universe = fails(small)
    return "\n".join(
        [
            f"FAILED {type(error).__name__}: {error}",
            f"shrunk from {len(plan.faults)} faults to {len(small.faults)}: {found}",
            small.describe(),
            "the last steps:",
            *list(universe.oracle.story)[-lines:],
        ]
    )


def run_seeds(seeds: Iterable[int], until: float) -> Iterator[tuple[int, Tally, str]]:
    """Run seeds until the monotonic clock says `until`."""
    for seed in seeds:
        if time.monotonic() >= until:
            return
        yield seed, *run_seed(seed)
