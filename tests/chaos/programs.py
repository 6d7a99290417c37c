"""Programs of ours as processes, which are asked, killed and ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp

ZHONGKONG = str(Path(sys.executable).with_name("zhongkong"))
START_WITHIN = 60.0
END_WITHIN = 45.0
ASK_WITHIN = 12.0


class Asked(Exception):
    """The answer was no: `status` and what the body says."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Program:
    """One process of ours, in a group of its own, so that a Ctrl-C is ours to pass on.

    `within` is what its command begins with, where something else is to become this program.
    """

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        temporary: Path,
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self._command = [*within, ZHONGKONG, *arguments]
        self._environment = environment or {}
        self._log = log
        self._temporary = temporary
        self._process: Process | None = None
        self._groups: list[int] = []

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Say whether it runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> dict[str, Any]:
        """Start it and return its first line, a JSON object. Raises RuntimeError when it ends before."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ZHONGKONG_")}
        environment |= {"TMPDIR": str(self._temporary), **self._environment}
        said = self._log.with_suffix(".out")  # no pipe: what the process began would keep it open when it is gone
        with self._log.open("ab") as log, said.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=out, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._groups.append(self._process.pid)
        async with asyncio.timeout(START_WITHIN):
            while not said.read_bytes().endswith(b"\n"):
                if not self.is_alive:
                    raise RuntimeError(f"{' '.join(self._command)} ended with {self._process.returncode}")
                await asyncio.sleep(0.05)
        answer: dict[str, Any] = json.loads(said.read_bytes())
        return answer

    async def end(self) -> int:
        """Have it end in order and return its exit code; what is left of its group is killed."""
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_WITHIN):
                return await self._process.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill the process and all it began, former ones too."""
        for group in self._groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    async def wait(self) -> int:
        """Return its exit code once it ended."""
        assert self._process is not None
        return await self._process.wait()


class Web:
    """The HTTP interface of a program, or of replicas that are asked by turns."""

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession, within: float = ASK_WITHIN) -> None:
        self.url = urls[0]
        self._turns = cycle(urls)
        self._session = session
        self._timeout = aiohttp.ClientTimeout(within)
        self.bugs: list[tuple[float, str]] = []
        """What was answered that no weather explains, and when, to whoever insisted."""

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the JSON of the answer. Raises Asked, aiohttp.ClientError, TimeoutError."""
        headers = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        url = next(self._turns) + path
        async with self._session.request(method, url, json=body, headers=headers, timeout=self._timeout) as answer:
            content = await answer.read()
        told = json.loads(content) if content else None
        if answer.status >= 300:
            raise Asked(answer.status, told)
        return told

    async def insist(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> Any:
        """Ask until it is done: whoever administrates a hub in such weather tries again."""
        while True:
            try:
                return await self.ask(method, path, body, key=key)
            except (aiohttp.ClientError, TimeoutError):
                pass
            except Asked as asked:
                if asked.status >= 500 and asked.status != 503:
                    self.bugs.append((time.time(), f"{method} {path} was answered {asked}"))
                elif asked.status not in (422, 429, 503):
                    raise
            await asyncio.sleep(0.5)


def free_port() -> int:
    """Return a port that nobody listens on at present."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
