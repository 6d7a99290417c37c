"""Real SDKs, unmodified, against sandbox and hub: `python -m tests.interop`. Exits non-zero if anything failed."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from tests.chaos.programs import Asked
from tests.interop.answering import MODES, Conversation, converse
from tests.interop.install import ProgramMissing, install
from tests.interop.report import find_other_rows, tell, write_results
from tests.interop.scene import Scene, open_scene
from tests.interop.sdks import ROOM, SDK, SDKS, SERVERS
from tests.interop.trial import Trial, try_at_hub, try_directly

READMES = (ROOM.parent / "README.md", ROOM.parent / "README.en.md")
LONGEST = 300.0
"""Seconds for all trials: they take 90, and half as long again on a machine that is loaded ten times over."""


def main() -> int:
    """Install what is missing, make the trials, print one table."""
    options = _parse()
    try:
        install()
    except ProgramMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    sdks, servers = ([sdk for sdk in all_ if not options.only or sdk.name in options.only] for all_ in (SDKS, SERVERS))
    directory, began = Path(tempfile.mkdtemp(prefix="zhongkong-interop-")), time.monotonic()
    trials, conversations = asyncio.run(
        _try_all(sdks, servers, directory, straight=options.straight, mode=options.mode)
    )
    write_results(trials, ROOM / "results.json")
    print(tell(trials), *conversations, *(text for one in conversations for text in one.wrong), sep="\n")
    print(f"{time.monotonic() - began:.0f} s")
    others = [] if options.straight else find_other_rows(trials, READMES)
    print(*others, sep="\n", end="\n" if others else "")
    failed = [text for trial in trials for text in trial.wrong] + [text for one in conversations for text in one.wrong]
    if wrong := len(others) + len(failed):
        print(f"{wrong} things are wrong; logs: {directory}")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    return 0


async def _try_all(
    sdks: Sequence[SDK], servers: Sequence[SDK], directory: Path, *, straight: bool, mode: str
) -> tuple[list[Trial], list[Conversation]]:
    """Return the trials at the hub, each SDK's at the sandbox before; with `straight` only those.

    And the conversations of message servers, which take place meanwhile.
    """
    async with asyncio.timeout(LONGEST), open_scene(directory, with_hub=not straight, mode=mode) as scene:
        trials = await _beside_each_other(try_directly, scene, sdks)
        if straight or any(trial.wrong for trial in trials):
            return trials, []
        conversations = asyncio.gather(*(converse(scene, sdk, mode) for sdk in servers for mode in MODES))
        return await _beside_each_other(try_at_hub, scene, sdks), await conversations


async def _beside_each_other(
    trying: Callable[[Scene, SDK], Awaitable[Trial]], scene: Scene, sdks: Sequence[SDK]
) -> list[Trial]:
    async def whole(sdk: SDK) -> Trial:
        try:
            return await trying(scene, sdk)
        except (aiohttp.ClientError, OSError, EOFError, ValueError, Asked) as error:
            return Trial(sdk, scene.directory, wrong=[f"the trial itself failed: {error!r}"])

    return await asyncio.gather(*map(whole, sdks))  # most of a trial is waiting


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--only", action="append", metavar="SDK", help="only this one; may be repeated")
    parser.add_argument("--straight", action="store_true", help="only at the sandbox itself, without a hub")
    parser.add_argument("--mode", choices=("stable", "classic"), default="stable", help="how accounts are minted")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
