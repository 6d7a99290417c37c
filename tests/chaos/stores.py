"""The store of a run, and what goes wrong with it: a file here, database servers in `servers.py`."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from tests.chaos.disk import Disk, open_disk
from tests.chaos.hubs import REPLICAS, Hub, Hubs
from tests.chaos.plan import Act, Faults
from tests.chaos.programs import free_port

LOCKER = Path(__file__).with_name("locker.py")


class Store(Protocol):
    """A store that is there."""

    faults: Faults

    def hubs(self, directory: Path, temporary: Path) -> Hubs:
        """Return the hubs over it, not started yet; `directory` is for their logs."""

    def concerned(self, act: Act) -> Sequence[str]:
        """Return the URLs of the hubs that a fault concerns; an empty one is all of them."""

    async def suffer(self, act: Act) -> None:
        """Play one of its faults, to its end."""


class FileStore:
    """One SQLite file, shared by the workers of one hub."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._locker = Locker(disk.path / "data" / "zhongkong.db")
        no_disk = "" if disk.is_small else "no small disk can be mounted (it takes root): the store is never full"
        self.faults = Faults(("full", "locked") if disk.is_small else ("locked",), missing=no_disk)

    def hubs(self, directory: Path, temporary: Path) -> Hubs:
        """Return one hub, with workers."""
        log, data = directory / "hub.log", self._disk.path / "data"
        return Hubs([Hub(data, log, temporary, port=free_port(), workers=REPLICAS, environment={})])

    def concerned(self, act: Act) -> Sequence[str]:  # noqa: ARG002 (they share the file)
        """Return all of them."""
        return [""]

    async def suffer(self, act: Act) -> None:
        """Fill the disk, or hold the lock."""
        if act.kind == "locked":
            await self._locker.lock(act.lasts)
            return
        await self._locker.fold()
        self._disk.fill()
        try:
            await asyncio.sleep(act.lasts)
        finally:
            self._disk.free()


@asynccontextmanager
async def open_file_store(directory: Path) -> AsyncIterator[FileStore]:
    """Make a place for the file, small where that is allowed."""
    with open_disk(directory / "disk", megabytes=24) as disk:
        yield FileStore(disk)


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
