"""One SDK's program while it runs: it does the flows that it is told, and is ended when it takes too long."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.scene import Account
from tests.interop.sdks import SDK

WITHIN = 60.0
"""Seconds for one flow: whoever takes longer asks in a loop."""
LONGEST_LINE = 2**22
PICTURE_NAME = "picture.jpg"
"""The file that is uploaded, in the program's home."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a program said of one flow."""

    flow: str
    ok: bool
    own: bool = False
    """Whether what was raised is the SDK's own."""
    error: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Say it in a few words."""
        return "ok" if self.ok else f"{self.error}: {self.detail[:300]}"


class Running:
    """A program that waits to be told a flow."""

    def __init__(self, process: Process, flows: Sequence[str]) -> None:
        self.flows = flows
        self._process = process

    async def do(self, flow: str) -> Told:
        """Have it do one flow. A program that does not end it in time is killed, and told of as not its own error."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(WITHIN):
                self._process.stdin.write(f"{flow}\n".encode())
                told = await _read(self._process)
        except TimeoutError:
            self._process.kill()
            return Told(flow, ok=False, error="TimeoutError", detail=f"not done within {WITHIN:.0f} s")
        except (OSError, EOFError) as error:
            return Told(flow, ok=False, error="ended", detail=str(error))
        named = {name: told[name] for name in ("own", "error") if name in told}
        return Told(told["flow"], told["ok"], detail=str(told.get("detail") or ""), **named)


@asynccontextmanager
async def run_program(
    sdk: SDK, url: str, account: Account, key: str, home: Path, more: Mapping[str, str]
) -> AsyncIterator[Running]:
    """Run an SDK's program against `url` with `key` for its secret, at home in `home`; what it keeps stays there.

    `more` is what it finds in its environment besides.
    """
    picture = str(home / PICTURE_NAME)
    given = {"HUB": url, "APPID": account.appid, "KEY": key, "OPENID": account.openid, "PICTURE": picture}
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ},
        **given, "TEMPLATE_ID": account.template_id, "HOME": str(home), "TMPDIR": str(home), "NO_PROXY": "*",
        "NODE_PATH": str(sdk.room / "node_modules"), "NODE_NO_WARNINGS": "1", "PYTHONIOENCODING": "utf-8",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", **more,
    }  # fmt: skip
    with (home / "stderr.txt").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *sdk.command, stdin=PIPE, stdout=PIPE, stderr=log, env=environment, cwd=home, limit=LONGEST_LINE
        )
    try:
        async with asyncio.timeout(WITHIN):
            said = await _read(process)
        yield Running(process, said["flows"])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(process: Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError(f"the program ended with {await process.wait()}")
    return json.loads(line)
