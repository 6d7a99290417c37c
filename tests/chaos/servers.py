"""A database server of the run's own: it is stopped, killed, filled and locked; each replica has a wire to it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from typing import TypeVar
from urllib.parse import urlsplit

from tests.chaos.disk import Disk, open_disk
from tests.chaos.hubs import REPLICAS, Hub, Hubs
from tests.chaos.plan import Act, Faults
from tests.chaos.programs import free_port
from tests.chaos.stores import Store, open_file_store
from tests.own_databases import OWN, OwnServer, holding, own_server_in

T = TypeVar("T")

WIRE = Path(__file__).parents[1] / "wires.py"
MEGABYTES = 512
STORES = ("sqlite", *OWN)
EVENTS_LOCK = "SELECT id FROM zhongkong_meta FOR UPDATE"


class ServerStore:
    """A database on a server, and the wires of three hubs to it."""

    def __init__(self, server: OwnServer, disk: Disk, wires: list[Wire]) -> None:
        self._server = server
        self._disk = disk
        self._wires = wires
        self._urls: Sequence[str] = ()
        self._sufferings: dict[str, Callable[[Act], Awaitable[None]]] = {
            "down": self._down,
            "crash": self._crash,
            "full": self._full,
            "readonly": self._readonly,
            "locked": self._locked,
        }
        kinds = tuple(kind for kind in self._sufferings if kind != "full" or disk.is_small)
        no_disk = "" if disk.is_small else "no small disk can be mounted (it takes root): the server is never full"
        self.faults = Faults(kinds, wires=len(wires), missing=no_disk)

    def hubs(self, directory: Path, temporary: Path) -> Hubs:
        """Return three hubs, with a wire each."""
        hubs = Hubs([self._hub(directory, temporary, number, wire) for number, wire in enumerate(self._wires, 1)])
        self._urls = hubs.urls
        return hubs

    def _hub(self, directory: Path, temporary: Path, number: int, wire: Wire) -> Hub:
        url = urlsplit(self._server.url)
        url = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{wire.port}")
        return Hub(
            directory / f"data-{number}",
            directory / f"hub-{number}.log",
            temporary,
            port=free_port(),
            workers=1,
            environment={"ZHONGKONG_STORE_URL": url.geturl()},
        )

    def concerned(self, act: Act) -> Sequence[str]:
        """Return those whose wires it is about."""
        return [self._urls[number] for number in dict(act.values).get("wires", ())] or [""]

    async def suffer(self, act: Act) -> None:
        """Play one fault of the server, or of wires."""
        await self._sufferings.get(act.kind, self._disturb)(act)

    async def _down(self, act: Act) -> None:
        await self._end(self._server.stop, act.lasts)

    async def _crash(self, act: Act) -> None:
        await self._end(self._server.kill, act.lasts)

    async def _end(self, end: Callable[[], None], lasts: float) -> None:
        try:
            await _in_thread(end)
            await asyncio.sleep(lasts)
        finally:
            await _in_thread(self._server.start)

    async def _full(self, act: Act) -> None:
        """Leave no room; a server that ended of it is begun anew, once there is room again."""
        self._disk.fill()
        try:
            await asyncio.sleep(act.lasts)
        finally:
            self._disk.free()
            await _in_thread(self._server.start)

    async def _readonly(self, act: Act) -> None:
        await _in_thread(lambda: self._server.may_write(may=False))
        try:
            await asyncio.sleep(act.lasts)
        finally:
            await _in_thread(lambda: self._server.may_write(may=True))

    async def _locked(self, act: Act) -> None:
        """Somebody's transaction holds what every commit with events needs."""
        with ExitStack() as stack:
            await _in_thread(lambda: stack.enter_context(holding(self._server.url, EVENTS_LOCK)))
            try:
                await asyncio.sleep(act.lasts)
            finally:
                await _in_thread(stack.close)

    async def _disturb(self, act: Act) -> None:
        """Have wires be as the act says, for its time."""
        given = dict(act.values)
        wires = [self._wires[number] for number in given["wires"]]
        for wire in wires:
            wire.turn(act.kind, given.get("seconds", 0.0))
        try:
            await asyncio.sleep(act.lasts)
        finally:
            for wire in wires:
                wire.turn("fair")


class Wire:
    """The program of `tests/wires.py`: busy as this process is, nothing waits for it here."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port

    def turn(self, state: str, seconds: float = 0.0) -> None:
        """Be like that from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{state} {seconds}\n".encode())


@asynccontextmanager
async def _open_wire(to_port: int) -> AsyncIterator[Wire]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WIRE), str(to_port), stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        yield Wire(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def open_server_store(engine: str, directory: Path) -> AsyncIterator[ServerStore]:
    """Start a server of that engine on a disk of its own, small where that is allowed; its log goes to `directory`."""
    async with AsyncExitStack() as stack:
        # Not within `directory`: no database server runs as root, and others may not enter there.
        place = Path(gettempdir(), f"zhongkong-{token_hex(6)}")
        stack.callback(lambda: shutil.rmtree(place, ignore_errors=True))
        disk = stack.enter_context(open_disk(place, megabytes=MEGABYTES))
        stack.callback(lambda: shutil.copy(disk.path / "log", directory / "server.log"))
        server = await _in_thread(lambda: stack.enter_context(own_server_in(disk.path, OWN[engine])))
        wires = [await stack.enter_async_context(_open_wire(server.port)) for _ in range(REPLICAS)]
        yield ServerStore(server, disk, wires)


def open_store(engine: str, directory: Path) -> AbstractAsyncContextManager[Store]:
    """Make a store of that engine, which is gone at the end."""
    return open_file_store(directory) if engine == "sqlite" else open_server_store(engine, directory)


async def _in_thread(do: Callable[[], T]) -> T:
    """Do what blocks in a thread; whoever is cancelled meanwhile goes when it is done: two must not do it at once."""
    doing = asyncio.ensure_future(asyncio.to_thread(do))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
