"""Real processes under real faults: `python -m tests.chaos --seconds 60`. Exits non-zero on a violation."""

from __future__ import annotations

import argparse
import asyncio
import pickle
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from tests.chaos.disk import Disk, open_disk
from tests.chaos.evidence import Evidence
from tests.chaos.judge import Violation, judge
from tests.chaos.plan import Plan, draw_plan
from tests.chaos.run import Outcome, play
from tests.chaos.story import tell_story, tell_violations

INTERRUPTED = 130
EVIDENCE = "evidence.pickle"


def main() -> int:
    """Play one plan, or judge one anew, and tell what came of it."""
    options = _parse()
    if options.again is not None:
        return _judge_again(options.again)
    directory = Path(tempfile.mkdtemp(prefix="zhongkong-chaos-"))
    try:
        with open_disk(directory / "disk") as disk:
            plan = draw_plan(options.seed, options.seconds, has_small_disk=disk.is_small)
            _tell_plan(plan, disk)
            outcome = asyncio.run(_play(plan, disk, directory))
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


def _tell_plan(plan: Plan, disk: Disk) -> None:
    faults = sorted(act for track in plan.tracks for act in track)
    print(f"seed {plan.seed}: {len(plan.accounts)} accounts; the plan, rotations aside:", *faults, sep="\n", flush=True)
    if not disk.is_small:
        print("no small disk can be mounted here (it takes root): the store is locked, but never full", flush=True)


async def _play(plan: Plan, disk: Disk, directory: Path) -> Outcome:
    """Play the plan; a SIGTERM ends it as a Ctrl-C does."""
    playing = asyncio.create_task(play(plan, disk, directory, lambda line: print(line, flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    return await playing


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
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="what the plan is drawn from")
    parser.add_argument("--keep", action="store_true", help="keep logs and evidence of a good run too")
    parser.add_argument("--again", type=Path, metavar="DIRECTORY", help="judge kept evidence once more")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
