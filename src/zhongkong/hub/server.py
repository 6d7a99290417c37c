"""The HTTP server: sockets, limits, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zhongkong.core.model import Seconds
from zhongkong.errors import SettingInvalid

BACKLOG = 2048
CONNECTIONS_MOST = 10_000
KEEP_ALIVE = 75
"""Seconds a quiet connection stays: longer than readers wait between two looks."""
HEAD_LONGEST = 65_536
"""Bytes of a request line and its headers, give or take what the machine reads at once."""
HEAD_WITHIN: Seconds = 20.0
DRAIN_WITHIN = 15
"""Seconds that requests under way get at the end: a patient read and a mint's deadline fit in."""

FAREWELL: Seconds = 3.0
"""What a client gets at the end to answer TLS's goodbye: one whose connection rests in a pool does not even see it."""

WRITE_MOST = 65_536
"""Bytes that are gathered; what is more leaves at once, so that backpressure is felt."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Gathering(asyncio.Transport):
    """A transport that sends in one piece what was written in one turn of the loop.

    uvicorn writes head and body of an answer apart, and an event loop that sends each at once makes two system calls
    and two packets of them, and wakes the reader twice. Has what uvicorn's protocol asks of a transport.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn writes nothing else
        """Have the data sent when this turn of the loop is over."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size > WRITE_MOST:
            self._send()

    def close(self) -> None:
        """Send what is held, and close."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._size + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Say whether nothing can be sent any more."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Receive nothing for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 (asyncio's own)
        """Return what is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def _send(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit to how long, and how slowly, the head of a request may come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        transport = _Gathering(transport, self.loop)
        super().connection_made(transport)
        self._head = 0
        self._heads = 0
        self._in_body = False
        self._ending = False
        self._late: asyncio.TimerHandle | None = self.loop.call_later(HEAD_WITHIN, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._in_time()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Wait no longer, and go on."""
        self._in_time()
        self._heads += 1
        self._in_body = True
        self._head = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        self._in_body = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take in what came, unless a head grows beyond measure; what comes along with a body's end is not counted."""
        was_in_body, heads = self._in_body, self._heads
        super().data_received(data)
        if was_in_body or self._heads != heads or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > HEAD_LONGEST:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def shutdown(self) -> None:
        """End the connection if it is quiet, else behind the answer that is under way."""
        self._ending = True
        super().shutdown()
        self._part()

    def on_response_complete(self) -> None:
        """Wait for the next request, or part."""
        super().on_response_complete()
        self._part()

    def _part(self) -> None:
        if self._ending and self.scheme == "https" and self.transport.is_closing():
            self.loop.call_later(FAREWELL, self._leave)

    def _leave(self) -> None:
        """Wait no longer for the client's goodbye, unless it still takes what was sent."""
        if self.transport.get_write_buffer_size():
            self.loop.call_later(FAREWELL, self._leave)
        else:
            self.transport.abort()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to whoever runs it: its own way ends the process before we have saved."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int, *, listens: bool = True, flag: str = "--port") -> socket.socket:
    """Return a socket that listens, or one that does not yet: `listen` has it.

    `flag` is what chooses the port, for who reads the error.

    It says TCP by name, unlike one of `socket.create_server`: else asyncio leaves Nagle on, and answers wait 40 ms.
    Raises: SettingInvalid: the port is taken or forbidden, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingInvalid(_why_not_bound(error), host=host, port=port, flag=flag) from error
    try:
        if os.name == "posix":  # elsewhere it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        if listens:
            listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingInvalid(_why_not_bound(error), host=host, port=port, flag=flag) from error
    listening.setblocking(False)  # noqa: FBT003 (the socket module's own signature)
    listening.set_inheritable(True)
    return listening


def listen(bound: socket.socket, flag: str = "--port") -> None:
    """Take connections from now on; until then whoever tries is refused, and asks elsewhere.

    Raises: SettingInvalid: another program that was bound at the same time was faster.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        host, port = address_of(bound)
        raise SettingInvalid(_why_not_bound(error), host=host, port=port, flag=flag) from error


def _why_not_bound(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "port_taken"
    return "port_forbidden" if error.errno in (errno.EACCES, errno.EPERM) else "host_not_here"


def address_of(listening: socket.socket) -> tuple[str, int]:
    """Return host and port that a socket listens on: the port is the machine's choice where 0 was asked for."""
    host, port = listening.getsockname()[:2]
    return host, port


async def serve_http(
    app: ASGIApp, listening: Sequence[socket.socket], stop: asyncio.Event, tls: ssl.SSLContext | None = None
) -> None:
    """Serve `app` until `stop` is set; then accept nothing more, finish what is under way, and return.

    With `tls` it is spoken on these sockets, and nothing else.

    The application is told of `stop` by whoever set it, so that long answers end; what then still takes longer than
    `DRAIN_WITHIN` seconds is cut.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MOST,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=DRAIN_WITHIN,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
    )
    serving = asyncio.ensure_future(server.serve(list(listening)))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


@asynccontextmanager
async def stop_on_signals(stop: asyncio.Event, *, once: bool = True) -> AsyncIterator[None]:
    """Have `stop` set by SIGTERM and SIGINT; with `once`, a second one ends the process as it would without us.

    SIGHUP sets it too: of a closed terminal the shell sends one and the system another, so its second ends nothing.
    """
    loop = asyncio.get_running_loop()
    asked, hangup = (signal.SIGTERM, signal.SIGINT), hangup_signals()

    def let_go(*signals: signal.Signals) -> None:
        for one in signals:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(one)

    def heed() -> None:
        stop.set()
        if once:
            let_go(*asked)

    for one in (*asked, *hangup):
        with suppress(NotImplementedError):  # Windows: Ctrl-C cancels the main task instead
            loop.add_signal_handler(one, stop.set if one in hangup else heed)
    try:
        yield
    finally:
        let_go(*asked, *hangup)


def hangup_signals() -> tuple[signal.Signals, ...]:
    """Return the signal of a terminal that was closed: none under nohup, whose programs outlive it, and on Windows."""
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return ()
    return (signal.SIGHUP,)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: uvloop's where there is one."""
    try:
        import uvloop  # noqa: PLC0415 (not on every platform)
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
