"""The hub of a run: one program whose workers share a file, or a program each on a database server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]  # it has no annotations

from tests.chaos.programs import Program

REPLICAS = 3
SEAL = "zhongkong.seal"
ANSWERS_WITHIN = 2.0


class Hub(Program):
    """One `zhongkong serve`. Its replicas are its workers; a single worker is the program itself."""

    def __init__(
        self, data: Path, log: Path, temporary: Path, *, port: int, workers: int, environment: Mapping[str, str]
    ) -> None:
        settings = {"--data-dir": data, "--port": port, "--workers": workers}
        arguments = ["serve", "--json", *(str(part) for pair in settings.items() for part in pair)]
        super().__init__(arguments, log, temporary, environment)
        self.url = f"http://127.0.0.1:{port}"
        self.data = data
        self._workers = workers

    async def is_answering(self, http: aiohttp.ClientSession) -> bool:
        """Say whether a new connection is answered. One that was stopped goes on: that is as well as it can be."""
        try:
            async with http.get(f"{self.url}/healthz", timeout=aiohttp.ClientTimeout(ANSWERS_WITHIN)) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return self._is_stopped()

    def _is_stopped(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return self.is_alive and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        return False

    def replicas(self) -> list[psutil.Process]:
        """Return the processes that serve, young ones too."""
        with suppress(psutil.NoSuchProcess):
            program = psutil.Process(self.pid)
            if self._workers > 1:
                return [child for child in program.children() if _is_worker(child)]
            return [program] if self.is_alive else []
        return []


class Hubs:
    """All hubs of a run, over one store."""

    def __init__(self, hubs: Sequence[Hub]) -> None:
        self._hubs = hubs
        self._beginning = asyncio.Lock()
        self.urls = tuple(hub.url for hub in hubs)

    @property
    def first(self) -> Hub:
        """Return the hub that made the store."""
        return self._hubs[0]

    async def start(self) -> str:
        """Start all of them under one seal, and return the first key of the store."""
        key: str = (await self.first.start())["first_key"]
        for hub in self._hubs[1:]:
            hub.data.mkdir(mode=0o700)
            shutil.copy(self.first.data / SEAL, hub.data)
        await asyncio.gather(*(hub.start() for hub in self._hubs[1:]))
        return key

    async def begin_dead(self) -> None:
        """Begin those anew that ended, as a machine's supervisor does; why one ends again is in its log."""
        async with self._beginning:
            dead = [hub for hub in self._hubs if not hub.is_alive]
            ended: list[Any] = await asyncio.gather(*(hub.start() for hub in dead), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, RuntimeError):
                raise error

    async def end(self) -> int:
        """Have all end in order, and return the gravest exit code."""
        return max(await asyncio.gather(*(hub.end() for hub in self._hubs)), key=abs)

    async def kill(self) -> None:
        """Kill all that is left of them."""
        await asyncio.gather(*(hub.kill() for hub in self._hubs))

    @property
    def are_alive(self) -> bool:
        """Say whether all replicas are there."""
        return len(self.replicas()) >= REPLICAS

    async def are_answering(self, http: aiohttp.ClientSession) -> bool:
        """Say whether all of them are."""
        return all(await asyncio.gather(*(hub.is_answering(http) for hub in self._hubs)))

    def replicas(self) -> list[psutil.Process]:
        """Return the processes that serve."""
        return [replica for hub in self._hubs for replica in hub.replicas()]

    def holders(self, port: int) -> list[psutil.Process]:
        """Return the replicas that wait for an answer of the sandbox on `port`."""
        return [replica for replica in self.replicas() if _speaks_to(replica, port)]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return "--multiprocessing-fork" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _speaks_to(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(one.raddr and one.raddr.port == port for one in process.net_connections("tcp"))
    return False
