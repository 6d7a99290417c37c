"""The gateway under hostile clients and broken platforms, the callback under hostile pushes and broken programs.

`python -m tests.fuzz --count 100000` tries both, `--door callback` one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from random import SystemRandom

from tests.fuzz.callback.run import play as play_callback
from tests.fuzz.outcome import Outcome
from tests.fuzz.run import play as play_gateway

TOLD = 20
DOORS = ("gateway", "callback")


def main() -> int:
    """Make the tries and tell what came of them. Exits non-zero if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--door", choices=DOORS, help="what is tried; both unless told")
    parser.add_argument("--count", type=int, default=100_000, help="how many tries, at each door")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="what they are drawn from")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make this try of the seed alone; at the gateway")
    options = parser.parse_args()
    if options.only is not None and options.door != "gateway":
        parser.error("--only takes --door gateway: at the callback a seed is the same run each time, up to --count")
    wrong = 0
    for door in DOORS if options.door is None else [options.door]:
        outcome = _play(door, options)
        print(*outcome.wrong[:TOLD], sep="\n")
        print(f"{door}: {outcome}")
        wrong += len(outcome.wrong)
    return 1 if wrong else 0


def _play(door: str, options: argparse.Namespace) -> Outcome:
    if door == "callback":
        return play_callback(options.count, options.seed)
    return asyncio.run(play_gateway(options.count, options.seed, only=options.only))


if __name__ == "__main__":
    sys.exit(main())
