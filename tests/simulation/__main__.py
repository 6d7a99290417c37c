"""Run seeds on all cores for a while: `python -m tests.simulation --seconds 60`. Exits non-zero if one failed.

`--shape`, `--kind` and `--plain` draw worlds of one shape, with these faults alone, without tickets and WeCom. A seed
is the same world again only with the same of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import count

from tests.simulation.run import Tally, run_seed
from tests.simulation.weather import SHAPES

REPORT_EVERY = 10.0


def main() -> int:
    """Run the time box, or one seed."""
    options = parse(sys.argv[1:])
    run = partial(run_seed, kinds=tuple(options.kind), shape=options.shape, is_plain=options.plain)
    if options.seed is not None:
        tally, story = run(options.seed)
        print(story or f"seed {options.seed} is well", tally, sep="\n")
        return 1 if story else 0
    total = Tally()
    until = time.monotonic() + options.seconds
    seeds = count(options.first)
    report_at = time.monotonic() + REPORT_EVERY
    with ProcessPoolExecutor(options.processes) as pool:
        running: dict[Future[tuple[Tally, str]], int] = {}
        while running or time.monotonic() < until:
            while len(running) < options.processes and time.monotonic() < until:
                seed = next(seeds)
                running[pool.submit(run, seed)] = seed
            done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                tally, story = future.result()
                total.add(tally)
                if story:
                    print(story, flush=True)
            if time.monotonic() >= report_at and sys.stderr.isatty():
                report_at += REPORT_EVERY
                print(f"\r{total}", end="", file=sys.stderr, flush=True)
    print(f"seeds {options.first}..{next(seeds) - 1}: {total}")
    return 1 if total.violations else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on (wall clock)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run this seed alone and tell its story")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--shape", default="", choices=("", *SHAPES), help="worlds of this shape alone")
    parser.add_argument("--kind", action="append", default=[], metavar="FAULT", help="these faults alone (repeatable)")
    parser.add_argument(
        "--plain", action=argparse.BooleanOptionalAction, help="nothing but tokens of official accounts"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
