"""The forwarder under hostile clients and broken platforms: `python -m tests.fuzz --count 100000`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from random import SystemRandom

from tests.fuzz.run import play

TOLD = 20


def main() -> int:
    """Make the tries and tell what came of them. Exits non-zero if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many tries")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="what they are drawn from")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make this try of the seed alone")
    options = parser.parse_args()
    outcome = asyncio.run(play(options.count, options.seed, only=options.only))
    print(*outcome.wrong[:TOLD], sep="\n")
    print(outcome)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
