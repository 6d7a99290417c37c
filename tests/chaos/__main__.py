"""Real processes under real faults: `python -m tests.chaos --seconds 60`. Exits non-zero on a violation."""

from __future__ import annotations

import argparse
import asyncio
import pickle
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.judge import Violation, judge
from tests.chaos.plan import Faults, Plan, draw_plan
from tests.chaos.run import RATE, Outcome, play
from tests.chaos.servers import STORES, open_store
from tests.chaos.story import tell_story, tell_violations

INTERRUPTED = 130
EVIDENCE = "evidence.pickle"


def main() -> int:
    """Play one plan, or judge one anew, and tell what came of it."""
    options = _parse()
    if options.again is not None:
        return _judge_again(options.again)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    directory = Path(tempfile.mkdtemp(prefix="zhongkong-chaos-"))
    try:
        outcome = asyncio.run(_until_told_to_end(_run(options, directory)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(directory, ignore_errors=True)
        return INTERRUPTED
    except BaseException:
        print(f"the run itself failed; its logs are in {directory}", file=sys.stderr)
        raise
    if outcome.violations or options.keep:
        _keep(outcome, directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(outcome)
    return 0 if outcome.is_good else 1


async def _until_told_to_end(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run; a SIGTERM ends it as a Ctrl-C does."""
    task = asyncio.create_task(running)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _run(options: argparse.Namespace, directory: Path) -> Outcome:
    async with open_store(options.store, directory) as store:
        plan = draw_plan(options.seed, options.seconds, store.faults)
        _tell_plan(plan, store.faults)
        return await play(plan, store, directory, lambda line: print(line, flush=True), rate=options.rate)


def _tell_plan(plan: Plan, faults: Faults) -> None:
    acts = sorted(act for track in plan.tracks for act in track)
    print(f"seed {plan.seed}: {len(plan.accounts)} accounts; the plan, rotations aside:", *acts, sep="\n", flush=True)
    if faults.missing:
        print(faults.missing, flush=True)


def _keep(outcome: Outcome, directory: Path) -> None:
    """Leave logs and evidence where they are, and tell the story of the first violation."""
    (directory / EVIDENCE).write_bytes(pickle.dumps(outcome.evidence))
    _tell(outcome.violations, outcome.evidence, directory)
    print(f"logs and evidence: {directory} (judge again: python -m tests.chaos --again {directory})")


def _tell(violations: Sequence[Violation], evidence: Evidence, directory: Path) -> None:
    if violations:
        print(tell_violations(violations, evidence.began), tell_story(directory, evidence, violations[0]), sep="\n")


def _judge_again(directory: Path) -> int:
    evidence = pickle.loads((directory / EVIDENCE).read_bytes())  # noqa: S301 (we wrote it)
    assert isinstance(evidence, Evidence)
    violations = judge(evidence)
    _tell(violations, evidence, directory)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the load lasts (wall clock)")
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="what the hubs stand on")
    parser.add_argument("--rate", type=float, default=RATE, help="reads a second")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="what the plan is drawn from")
    parser.add_argument("--keep", action="store_true", help="keep logs and evidence of a good run too")
    parser.add_argument("--again", type=Path, metavar="DIRECTORY", help="judge kept evidence once more")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
