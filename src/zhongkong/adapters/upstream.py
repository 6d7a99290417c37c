"""Clients' calls sent on to the platform, behind `core.ports.Upstream`: streamed both ways, each sent at most once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage, StreamWriter
from yarl import URL

from zhongkong.adapters.connections import DIRECT, WHY_AMBIGUOUS, WHY_NOT_SENT, Way, find_why
from zhongkong.adapters.hosts import Hosts
from zhongkong.adapters.names import SystemNames
from zhongkong.core.model import Seconds
from zhongkong.core.ports import Call, Clock
from zhongkong.errors import PlatformUnreachable

CONNECT_WITHIN: Seconds = 5.0
"""What one host may take to be reached, TLS included."""
QUIET_LONGEST: Seconds = 60.0
"""How long an answer may stand still: before its first byte, and between two of them."""
KEPT_OPEN: Seconds = 15.0
"""How long a connection is kept for the next call: shorter than servers do, so that none is found closed in use."""
PIECE = 65_536
"""Bytes that are taken at a time."""
AIMS_MOST = 1024

_WHY_UNANSWERED = ((HttpProcessingError, "not_http"), (RuntimeError, "cut"), *WHY_AMBIGUOUS)
_INTERIM = frozenset({100, *range(102, 200)})
_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)


class AiohttpUpstream:
    """The platform, or whatever an account's base URL leads to, for calls that mint nothing.

    aiohttp finds hosts, opens and keeps connections, and reads answers. Its session, which makes of every call a
    request that knows cookies, redirects and encodings, is left out: calls go as they came, at a third of the cost.
    """

    def __init__(self, clock: Clock, *, way: Way = DIRECT, quiet_longest: Seconds = QUIET_LONGEST) -> None:
        self._way = replace(way, resolver=way.resolver or SystemNames())
        self._quiet_longest = quiet_longest
        self._timeouts = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_WITHIN, quiet_longest))
        self._hosts = Hosts(clock)
        self._connector: aiohttp.TCPConnector | None = None
        self._aims: dict[str, aiohttp.ClientRequest] = {}
        """By address: what a connection is asked for with."""

    def send(self, call: Call) -> _Sending:
        """Send the call and hand out its answer, as `core.ports.Upstream` says."""
        return _Sending(self._reach(call), call, self._quiet_longest)

    async def close(self) -> None:
        """Let go of connections."""
        if self._connector is not None:
            await self._connector.close()

    async def _reach(self, call: Call) -> tuple[Connection, aiohttp.ClientRequest]:
        """Return a connection to one of the hosts, asked in turn; not a byte has left."""
        failure: PlatformUnreachable | None = None
        for address in self._hosts.addresses(call.base_url):
            try:
                connection = await self._connect(aim := self._aim(address))
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                failure = failure or PlatformUnreachable(find_why(error, WHY_NOT_SENT), was_sent=False)
            else:
                self._hosts.answered(call.base_url, address)
                return connection, aim
        assert failure is not None  # noqa: S101 (narrows a type: there is an address)
        raise failure

    async def _connect(self, aim: aiohttp.ClientRequest) -> Connection:
        """Return a connection on which nothing is to be read: what came unasked would pass for the next answer."""
        while _protocol_of(connection := await self._opened().connect(aim, [], self._timeouts)).should_close:
            connection.close()
        return connection

    def _aim(self, address: str) -> aiohttp.ClientRequest:
        aim = self._aims.get(address)
        if aim is None:
            proxy, loop = URL(self._way.proxy) if self._way.proxy else None, asyncio.get_running_loop()
            aim = aiohttp.ClientRequest("GET", URL(address), proxy=proxy, loop=loop)
            if len(self._aims) >= AIMS_MOST:
                self._aims.clear()
            self._aims[address] = aim
        return aim

    def _opened(self) -> aiohttp.TCPConnector:
        """Return what opens connections, made where there is a loop for it."""
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(
                ssl=self._way.tls or True, resolver=self._way.resolver, limit=0, keepalive_timeout=KEPT_OPEN
            )
        return self._connector


def _protocol_of(connection: Connection) -> ResponseHandler:
    protocol = connection.protocol
    assert protocol is not None  # noqa: S101 (narrows a type: the connection was not released)
    return protocol


def _begin(
    protocol: ResponseHandler, call: Call, aim: aiohttp.ClientRequest, quiet_longest: Seconds
) -> asyncio.Task[None] | None:
    """Send the call; of a long body the beginning, and return what sends the rest. Raises: PlatformUnreachable."""
    head, transport = _write_head(call, aim), protocol.transport
    if transport is None:  # it was cut a moment ago
        raise PlatformUnreachable("cut", was_sent=False)
    protocol.set_response_params(
        skip_payload=call.method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        read_timeout=quiet_longest,
        read_bufsize=PIECE,
    )
    protocol.start_timeout()
    if isinstance(call.body, bytes):
        transport.write(head + call.body)
        return None
    transport.write(head)
    return asyncio.create_task(_send_body(protocol, call.body()))


def _write_head(call: Call, aim: aiohttp.ClientRequest) -> bytes:
    """Return request line and headers. Raises: PlatformUnreachable: they would be read as something else."""
    target, headers = call.target, [("Host", aim.headers["Host"]), *call.headers]
    if aim.proxy is not None and not aim.is_ssl():
        target = f"{aim.url.origin()}{target}"
        headers += [(name, value) for name, value in aim.headers.items() if name == "Proxy-Authorization"]
    if call.length or call.method not in ("GET", "HEAD"):
        headers.append(("Content-Length", str(call.length)))
    lines = [f"{call.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers], "", ""]
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text or lines[0].count(" ") != 2:  # noqa: PLR2004
        raise PlatformUnreachable("request_invalid", was_sent=False)
    return text.replace("\n", "\r\n").encode("latin-1")


async def _send_body(protocol: ResponseHandler, pieces: AsyncIterator[bytes]) -> None:
    """Send a long body as fast as it is taken. If it cannot be sent, the answer tells, or its absence."""
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    with suppress(aiohttp.ClientError, OSError):
        async for piece in pieces:
            await writer.write(piece)
            protocol.start_timeout()


async def _read_head(protocol: ResponseHandler) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """Return the answer from when its head is here. Raises: PlatformUnreachable."""
    try:
        message, body = await protocol.read()
        while message.code in _INTERIM:
            message, body = await protocol.read()
    except _FAILURES as error:
        raise PlatformUnreachable(find_why(error, _WHY_UNANSWERED), was_sent=True) from None
    return message, body


class _Sending:
    """A call that is sent on entering, where its answer is handed out; on leaving, what was not read is given up."""

    __slots__ = ("_body", "_call", "_closed", "_connection", "_quiet_longest", "_reaching", "_rest")

    def __init__(
        self, reaching: Awaitable[tuple[Connection, aiohttp.ClientRequest]], call: Call, quiet_longest: Seconds
    ) -> None:
        self._reaching = reaching
        self._call = call
        self._quiet_longest = quiet_longest
        self._rest: asyncio.Task[None] | None = None
        """What sends a long body."""
        self._closed: asyncio.Future[None] | None = None

    async def __aenter__(self) -> _Answer:
        self._connection, aim = await self._reaching
        try:
            protocol = _protocol_of(self._connection)
            self._rest = _begin(protocol, self._call, aim, self._quiet_longest)
            message, self._body = await _read_head(protocol)
        except BaseException:
            self._leave()
            raise
        is_sent = self._rest is None or self._rest.done()
        # An answer that came before the end of the call leaves a connection on which the rest would come.
        self._body.on_eof(self._connection.release if is_sent else self._connection.close)
        if not self._body.is_eof() and (closed := protocol.closed) is not None:
            self._closed = closed
            closed.add_done_callback(self._tell_of_the_end)
        return _Answer(message, self._body)

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._tell_of_the_end)
        if self._rest is not None:
            self._rest.cancel()
        if self._connection.transport is not None:  # it was not released: the answer was not read to its end
            self._connection.transport.abort()  # in good manners it would wait until what is left to send is taken
        self._connection.close()

    def _tell_of_the_end(self, closed: asyncio.Future[None]) -> None:
        """Have whoever reads the body told that the connection is gone.

        aiohttp closes one on which it reads no HTTP (a chunk without a length), and lets the body's reader wait for
        ever.
        """
        if not closed.cancelled():
            closed.exception()  # seen
        if not self._body.is_eof() and self._body.exception() is None:
            self._body.set_exception(aiohttp.ClientPayloadError())


class _Answer:
    """An answer on its way."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, message: RawResponseMessage, body: aiohttp.StreamReader) -> None:
        self.status = message.code
        self.headers: Sequence[tuple[bytes, bytes]] = message.raw_headers
        self._body = body

    async def read(self) -> bytes:
        """Return what came next of the body, nothing at its end."""
        try:
            return await self._body.readany()
        except (*_FAILURES, RuntimeError) as error:  # the last one is aiohttp's for a connection that is gone already
            raise PlatformUnreachable(find_why(error, _WHY_UNANSWERED), was_sent=True) from None
