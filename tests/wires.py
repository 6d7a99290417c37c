"""The wire between a replica and its database: a TCP proxy that is slow, silent or cut when it is told to be.

`python wires.py TO_PORT` says on which port it listens, and passes bytes on until its input ends. Each line of that is
a state: one of `STATES`, or `distant SECONDS`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

FAIR = "fair"
STATES = (FAIR, "distant", "severed", "silent", "deaf", "half_open", "unacknowledged")
"""Distant: every message takes a while. Severed: connections are cut and none is made. Silent: nothing arrives, and
all of it later. Deaf: the replica is heard and hears nothing, until later. Half open: connections that stand are
forgotten by the other side, which nobody says; new ones are fair. Unacknowledged: connections are cut at a commit, by
turns before and after it has arrived."""
PIECE = 65_536
AT_ONCE = struct.pack("ii", 1, 0)


class Wire:
    """Listens on `port`, and leads to another port of this machine."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._state = FAIR
        self._seconds = 0.0
        self._turned = asyncio.Condition()
        self._pairs: set[_Pair] = set()
        self._commits = 0

    async def turn(self, state: str, seconds: float = 0.0) -> None:
        """Be like that from now on."""
        assert state in STATES
        async with self._turned:
            self._state, self._seconds = state, seconds
            self._turned.notify_all()
        for pair in tuple(self._pairs):
            if state == "severed":
                pair.cut()
            elif state == "half_open":
                pair.forget()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection of a replica to the database, until either side ends it."""
        if self._state == "severed":
            _cut(writer)
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            _cut(writer)
            return
        pair = _Pair(writer, there[1])
        self._pairs.add(pair)
        ways = (
            self._carry(pair, reader, there[1], is_answer=False),
            self._carry(pair, there[0], writer, is_answer=True),
        )
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pair.is_forgotten:
                await tasks[0]
        finally:
            for task in tasks:
                task.cancel()
            pair.cut()
            self._pairs.discard(pair)

    async def _carry(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if pair.is_forgotten:
                    continue
                await self._wait(is_answer=is_answer)
                if self._state == "unacknowledged" and not is_answer and b"COMMIT" in piece:
                    await self._part(pair, writer, piece)
                    return
                writer.write(piece)
                await writer.drain()

    async def _wait(self, *, is_answer: bool) -> None:
        """Return when a piece may go on."""
        if self._state == "distant":
            await asyncio.sleep(self._seconds)
        async with self._turned:
            await self._turned.wait_for(lambda: not (self._state == "silent" or (self._state == "deaf" and is_answer)))

    async def _part(self, pair: _Pair, writer: asyncio.StreamWriter, piece: bytes) -> None:
        """Cut the replica off at its commit; every other one arrives."""
        self._commits += 1
        _cut(pair.near)
        if self._commits % 2:
            writer.write(piece)
            await writer.drain()
            writer.write_eof()
            await asyncio.sleep(1.0)  # the server executes it, and finds nobody to tell


class _Pair:
    """Both connections of one conversation."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.is_forgotten = False

    def forget(self) -> None:
        """Have the far side be gone without a word."""
        self.is_forgotten = True
        _cut(self.far)

    def cut(self) -> None:
        """End both."""
        _cut(self.near)
        _cut(self.far)


def _cut(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, as a machine does that knows nothing of it."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


@asynccontextmanager
async def open_wire(to_port: int) -> AsyncIterator[Wire]:
    """Lay a wire to a port of this machine."""
    wire = Wire(to_port)
    server = await asyncio.start_server(wire.talk, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.turn("severed")


async def main(to_port: str) -> None:
    """Do as the input says."""
    said = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), sys.stdin)
    async with open_wire(int(to_port)) as wire:
        print(wire.port, flush=True)
        while line := await said.readline():
            state, *seconds = line.decode().split()
            await wire.turn(state, *map(float, seconds))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
