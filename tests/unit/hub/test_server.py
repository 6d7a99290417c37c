"""What leaves by a connection: an answer in one piece, a long one as fast as it is taken."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from zhongkong.hub.server import FAREWELL, WRITE_MOST, LimitedProtocol, stop_on_signals
from zhongkong.testing import FakeClock

CHUNK = b"x" * (WRITE_MOST + 1)


class Wire(asyncio.Transport):
    """The other end of a transport; it wants a pause whenever something was written, if it is `slow`."""

    def __init__(self, *, slow: bool = False) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False
        self.protocol: LimitedProtocol
        self._slow = slow

    def write(self, data: Any) -> None:
        """Take it."""
        assert not self.is_closed
        self.writes.append(data)
        if self._slow:
            self.protocol.pause_writing()

    def close(self) -> None:
        """Close."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Say whether it is closed."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


async def begin(app: ASGIApp, wire: Wire, request: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") -> LimitedProtocol:
    """Send a request and let it be served for a while."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", server_header=False)
    protocol = wire.protocol = LimitedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(wire)
    protocol.data_received(request)
    for _ in range(20):
        await asyncio.sleep(0)
    return protocol


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with a short text."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_an_answer_is_one_write() -> None:
    """Two would be two packets, and wake the reader twice."""
    wire = Wire()
    asyncio.run(begin(answer, wire))
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.writes[0].endswith(b"\r\n\r\nhello")


def test_answers_to_requests_that_came_together_keep_their_order() -> None:
    """Each whole, the next behind it."""
    wire, request = Wire(), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    asyncio.run(begin(answer, wire, request * 3))
    assert b"".join(wire.writes).count(b"\r\n\r\nhello") == 3


def test_a_connection_that_is_to_end_ends_behind_its_answer() -> None:
    """Not before it."""
    wire = Wire()
    asyncio.run(begin(answer, wire, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    assert wire.writes[0].endswith(b"hello")
    assert wire.is_closed


def test_an_answer_to_somebody_who_left_is_dropped() -> None:
    """He may leave in the very moment in which it is written."""
    wire = Wire()

    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send)
        wire.is_closed = True
        wire.protocol.connection_lost(None)

    asyncio.run(begin(leave, wire))
    assert wire.writes == []


def test_a_long_answer_waits_for_who_takes_it() -> None:
    """What was gathered and not sent would be kept in memory."""
    wire, sent = Wire(slow=True), 0

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            sent += 1

    async def take_one() -> tuple[int, int]:
        protocol = await begin(stream, wire)
        before = sent
        protocol.resume_writing()
        for _ in range(20):
            await asyncio.sleep(0)
        return before, sent

    assert asyncio.run(take_one()) == (1, 2)


class Sealed(Wire):
    """A wire with TLS on it: whoever is at the other end answers no goodbye."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.is_aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Say that there is TLS."""
        return object() if name == "sslcontext" else default

    def get_write_buffer_size(self) -> int:
        """Return what the other end has not taken yet."""
        return self.left

    def abort(self) -> None:
        """Be cut."""
        self.is_aborted = True


def test_at_the_end_a_client_that_rests_is_left_after_a_while_and_one_that_still_takes_is_not() -> None:
    """The goodbye of TLS is answered by nobody whose connection lies in a pool."""

    async def watch() -> list[bool]:
        wire, seen = Sealed(), []
        wire.left = 1
        protocol = await begin(answer, wire)
        protocol.shutdown()
        assert wire.is_closed
        for left in (1, 0, 0):
            wire.left = left
            seen.append(wire.is_aborted)
            await asyncio.sleep(FAREWELL + 0.1)
        return [*seen, wire.is_aborted]

    assert FakeClock().run(watch()) == [False, False, True, True]


def test_an_answer_under_way_at_the_end_is_not_left_before_it_is_whole() -> None:
    """Only what follows it is cut short."""
    go_on = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await answer(scope, receive, send)

    async def watch() -> list[bool]:
        wire = Sealed()
        protocol = await begin(wait, wire)
        protocol.shutdown()
        await asyncio.sleep(10 * FAREWELL)
        seen = [wire.is_aborted]
        go_on.set()
        await asyncio.sleep(FAREWELL + 0.1)
        assert wire.writes[0].endswith(b"hello")
        return [*seen, wire.is_aborted]

    assert FakeClock().run(watch()) == [False, True]


def test_a_closed_terminal_ends_it_in_order_but_not_under_nohup() -> None:
    """Under nohup the signal is ignored, and that stays; else the second SIGHUP, of which two come, is nothing new."""

    async def is_heard(*, twice: bool) -> bool:
        stop = asyncio.Event()
        async with stop_on_signals(stop):
            for _ in range(1 + twice):
                signal.raise_signal(signal.SIGHUP)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        return stop.is_set()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert not asyncio.run(is_heard(twice=False))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert asyncio.run(is_heard(twice=True))
    finally:
        signal.signal(signal.SIGHUP, before)
