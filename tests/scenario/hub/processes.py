"""A running hub as a test sees it: a process with workers, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has no annotations

from zhongkong.sandbox.server import Running, open_sandbox

ROOT = Path(__file__).parents[3]
SOON = 60.0


class Program:
    """A running hub."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told
        headers = {"Authorization": f"Bearer {told['key']}"}
        self.client = httpx.AsyncClient(base_url=told["url"], headers=headers, timeout=SOON)

    @property
    def workers(self) -> set[int]:
        """Return the process ids of its workers."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return {one.pid for one in children if "spawn_main" in " ".join(one.cmdline())}
        return set()

    async def ended(self) -> tuple[int, str]:
        """Return exit code and log once it is over."""
        _, log = await asyncio.wait_for(self.process.communicate(), SOON)
        assert self.process.returncode is not None
        return self.process.returncode, log.decode()


@asynccontextmanager
async def running(directory: Path, workers: int = 1, *more: str, **environment: str) -> AsyncIterator[Program]:
    """Run a hub over a store in `directory`, with these variables beside our own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.scenario.hub.program",
        str(directory),
        str(workers),
        *more,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), SOON)
        assert line, (await process.communicate())[1].decode()
        program = Program(process, json.loads(line))
        async with program.client:
            yield program
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def with_account(program: Program) -> AsyncIterator[tuple[Running, str]]:
    """Run a sandbox beside the hub and add its account; yield it, and where the token is read."""
    async with open_sandbox(port=0, seed=1) as sandbox:
        account = sandbox.account
        assert account is not None
        body = {"appid": account.appid, "secret": account.secret, "base_url": sandbox.url}
        answer = await program.client.post("/v1/accounts", json=body)
        assert answer.status_code == 201, answer.text
        yield sandbox, f"/v1/accounts/{account.appid}/access_token"


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(SOON):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.05)


async def is_up(program: Program, count: int) -> bool:
    """Say whether so many workers are there and one of them answers."""
    if len(program.workers) < count:
        return False
    with suppress(httpx.HTTPError):
        return (await program.client.get("/healthz")).status_code == 200
    return False


async def is_replaced(program: Program, victim: int) -> bool:
    """Say whether there are two workers again."""
    return victim not in program.workers and await is_up(program, 2)
