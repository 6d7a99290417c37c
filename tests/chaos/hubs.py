"""The hub of a run: one program whose workers share a file, or a program each on a database server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]  # it has no annotations

from tests.chaos.programs import Program

REPLICAS = 3
SEAL = "zhongkong.seal"
ANSWERS_WITHIN = 2.0


class Hub(Program):
    """One `zhongkong serve`. Its replicas are its workers; a single worker is the program itself."""

    def __init__(
        self,
        data: Path,
        log: Path,
        temporary: Path,
        *,
        port: int,
        workers: int,
        environment: Mapping[str, str],
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ) -> None:
        settings = {"--data-dir": data, "--host": host, "--port": port, "--workers": workers}
        arguments = ["serve", "--json", *(str(part) for pair in settings.items() for part in pair)]
        super().__init__(arguments, log, temporary, environment, within)
        self.url = f"http://{host}:{port}"
        self.data = data
        self.alone = self.url if workers == 1 else ""
        """Its URL, where what happens to a replica concerns only those who ask this hub."""
        self._workers = workers
        self._beginning = asyncio.Lock()

    async def wait_until_whole(self, http: aiohttp.ClientSession) -> None:
        """Return when all its replicas are there and answer; if it ended it is begun anew, as a machine does."""
        while not (len(self.replicas()) >= self._workers and await self._is_answering(http)):
            async with self._beginning:
                if not self.is_alive:
                    with suppress(RuntimeError):  # it ended again: why is in its log
                        await self.start()
            await asyncio.sleep(0.1)

    async def _is_answering(self, http: aiohttp.ClientSession) -> bool:
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
        self.all = hubs
        self.urls = tuple(hub.url for hub in hubs)

    @property
    def first(self) -> Hub:
        """Return the hub that made the store."""
        return self.all[0]

    async def start(self) -> str:
        """Start all of them under one seal, and return the first key of the store."""
        key: str = (await self.first.start())["first_key"]
        for hub in self.all[1:]:
            hub.data.mkdir(mode=0o700)
            shutil.copy(self.first.data / SEAL, hub.data)
        await asyncio.gather(*(hub.start() for hub in self.all[1:]))
        return key

    async def end(self) -> int:
        """Have all end in order, and return the gravest exit code."""
        return max(await asyncio.gather(*(hub.end() for hub in self.all)), key=abs)

    async def kill(self) -> None:
        """Kill all that is left of them."""
        await asyncio.gather(*(hub.kill() for hub in self.all))

    def replicas(self) -> list[psutil.Process]:
        """Return the processes that serve."""
        return [replica for hub in self.all for replica in hub.replicas()]

    def sort(self, replicas: Sequence[psutil.Process]) -> list[tuple[Hub, list[psutil.Process]]]:
        """Return the replicas by the hub that they are of."""
        sorted_ = [(hub, [one for one in hub.replicas() if one in replicas]) for hub in self.all]
        return [(hub, ones) for hub, ones in sorted_ if ones]

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
