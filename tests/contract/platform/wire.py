"""A server on loopback that plays a script per connection, down to the byte, and counts what really arrives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Self, TypeAlias, cast

GRANT = b'{"access_token":"83_vD-rZ_0kQ","expires_in":7200}'
REFUSAL = b'{"errcode":40125,"errmsg":"invalid appsecret rid: 67b81456-7702e5f9-2c9e1783"}'
DATE = b"Fri, 21 Nov 2025 05:00:00 GMT"


def answer(body: bytes = GRANT, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """Return an answer as the platform gives it, with further `headers`."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join((b"HTTP/1.1 " + status, b"Date: " + DATE, length, *headers, b"", body))


class Talk(asyncio.Protocol):
    """One connection, from the server's side."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._arrived = bytearray()
        self._news = asyncio.Event()
        self._asked = 0
        self._carry: Callable[[bytes], None] | None = None
        self.gone = asyncio.Event()
        self.leave = asyncio.Event()
        """For a script that waits until the test says so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the script."""
        self.transport = cast("asyncio.Transport", transport)
        self._wire.talks.append(self)
        self.play = asyncio.get_running_loop().create_task(self._play())

    async def _play(self) -> None:
        await self._wire.script(self)

    def data_received(self, data: bytes) -> None:
        """Count every complete request, whether the script waits for one or not."""
        if self._carry is not None:
            self._carry(data)
            return
        self._wire.arrived += len(data)
        self._wire.touched.set()
        self._arrived += data
        while (request := self._take_request()) is not None:
            self._wire.requests.append(request)
            self.last_request = request
            self._asked += 1
            self._wire.asked.set()
        self._news.set()

    def _take_request(self) -> bytes | None:
        head, blank, rest = bytes(self._arrived).partition(b"\r\n\r\n")
        lines = [line.lower() for line in head.split(b"\r\n")]
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if not blank or len(rest) < length:
            return None
        size = len(head) + len(blank) + length
        request = bytes(self._arrived[:size])
        del self._arrived[:size]
        return request

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        """Note that the other side, or the script, is done."""
        self.gone.set()
        self._news.set()

    async def request(self) -> None:
        """Wait until a whole request has arrived on this connection, or it is gone."""
        while not self._asked and not self.gone.is_set():
            self._news.clear()
            await self._news.wait()

    async def another_request(self) -> None:
        """Wait for one more on this connection, or until it is gone."""
        self._asked -= 1
        await self.request()

    @property
    def is_first(self) -> bool:
        """Whether this is the first connection that the server took."""
        return self._wire.talks[0] is self

    def send(self, data: bytes) -> None:
        """Send these bytes now, if anybody is there."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def carry_to(self, write: Callable[[bytes], None]) -> None:
        """Hand what arrives from now on to `write`, unread."""
        self._carry = write

    def close(self) -> None:
        """End the connection in good manners: what was sent arrives, then the end of the stream."""
        self.transport.close()

    def reset(self) -> None:
        """End it with a TCP reset."""
        if not self.transport.is_closing():
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    async def stall(self) -> None:
        """Say nothing until the other side goes away."""
        await self.gone.wait()


Script: TypeAlias = Callable[[Talk], Awaitable[None]]


class Wire(AbstractAsyncContextManager["Wire"]):
    """The server. On leaving, every connection has ended and every byte that ever left has been counted."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._tls = tls
        self.talks: list[Talk] = []
        self.requests: list[bytes] = []
        self.arrived = 0
        self.touched = asyncio.Event()
        """Set when the first byte has arrived."""
        self.asked = asyncio.Event()
        """Set when the first whole request has arrived."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Talk(self), "127.0.0.1", 0, ssl=self._tls, backlog=1024)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def url(self) -> str:
        """The base URL that leads here."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.gather(*(talk.play for talk in self.talks))
        for talk in self.talks:
            await talk.gone.wait()


def sends(*pieces: bytes) -> Script:
    """Return the script: wait for the request, send the pieces one by one, end the connection."""

    async def script(talk: Talk) -> None:
        await talk.request()
        for piece in pieces:
            talk.send(piece)
            await asyncio.sleep(0)
        talk.close()

    return script


def sends_then_stalls(*pieces: bytes) -> Script:
    """Return the script: wait for the request, send the pieces, leave the connection open and say nothing more."""

    async def script(talk: Talk) -> None:
        await talk.request()
        for piece in pieces:
            talk.send(piece)
        await talk.stall()

    return script


def sends_then_resets(*pieces: bytes) -> Script:
    """Return the script: wait for the request, send the pieces, reset the connection."""

    async def script(talk: Talk) -> None:
        await talk.request()
        for piece in pieces:
            talk.send(piece)
        talk.reset()

    return script


async def closes_at_once(talk: Talk) -> None:
    """Take the connection and end it before anything was said."""
    talk.close()


async def resets_at_once(talk: Talk) -> None:
    """Take the connection and reset it before anything was said."""
    talk.reset()


async def says_nothing(talk: Talk) -> None:
    """Take the connection, read what comes, never speak."""
    await talk.stall()


@contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port on loopback that is taken, so nobody else gets it, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port whose queue of connections is full: a SYN gets no answer, as from a host behind a dropping wall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()
