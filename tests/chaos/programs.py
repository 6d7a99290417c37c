"""The programs under test, as processes: the sandbox, and the hub with its workers. They are asked, killed, ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]  # it has no annotations

ZHONGKONG = str(Path(sys.executable).with_name("zhongkong"))
LOCKER = Path(__file__).with_name("locker.py")
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
    """One process of ours, in a group of its own, so that a Ctrl-C is ours to pass on."""

    def __init__(self, arguments: list[str], log: Path, temporary: Path) -> None:
        self._arguments = arguments
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
        environment["TMPDIR"] = str(self._temporary)
        said = self._log.with_suffix(".out")  # no pipe: what the process began would keep it open when it is gone
        with self._log.open("ab") as log, said.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                ZHONGKONG, *self._arguments, stdin=DEVNULL, stdout=out, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._groups.append(self._process.pid)
        async with asyncio.timeout(START_WITHIN):
            while not said.read_bytes().endswith(b"\n"):
                if not self.is_alive:
                    raise RuntimeError(f"zhongkong {self._arguments[0]} ended with {self._process.returncode}")
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
    """A program's HTTP interface."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session
        self.bugs: list[tuple[float, str]] = []
        """What was answered that no weather explains, and when, to whoever insisted."""

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        within: float = ASK_WITHIN,
    ) -> Any:
        """Return the JSON of the answer. Raises Asked, aiohttp.ClientError, TimeoutError."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = aiohttp.ClientTimeout(within)
        async with self._session.request(
            method, self.url + path, json=body, headers=headers, timeout=timeout
        ) as answer:
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


class Hub(Program):
    """The hub. Its workers are the supervisor's children; the one that speaks to the sandbox is a holder."""

    def __init__(self, data: Path, log: Path, temporary: Path, port: int, workers: int) -> None:
        settings = {"--data-dir": data, "--port": port, "--workers": workers}
        arguments = ["serve", "--json", *(str(part) for pair in settings.items() for part in pair)]
        super().__init__(arguments, log, temporary)
        self.url = f"http://127.0.0.1:{port}"

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes, young ones too."""
        with suppress(psutil.NoSuchProcess):
            return [child for child in psutil.Process(self.pid).children() if _is_worker(child)]
        return []

    def holders(self, port: int) -> list[psutil.Process]:
        """Return the workers that wait for an answer of the sandbox on `port`."""
        return [worker for worker in self.workers() if _speaks_to(worker, port)]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return "--multiprocessing-fork" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _speaks_to(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(one.raddr and one.raddr.port == port for one in process.net_connections("tcp"))
    return False


def free_port() -> int:
    """Return a port that nobody listens on at present."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


class Locker:
    """Another program at the hub's file."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def lock(self, seconds: float) -> None:
        """Hold the file's lock for so long."""
        process = await self._run("lock")
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if await process.stdout.readline():
                await asyncio.sleep(seconds)
        finally:
            process.stdin.close()
            await process.wait()

    async def fold(self) -> None:
        """Fold the write-ahead log into the file."""
        await (await self._run("fold")).wait()

    async def _run(self, what: str) -> Process:
        arguments = (str(LOCKER), str(self._database), what)
        return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE)
