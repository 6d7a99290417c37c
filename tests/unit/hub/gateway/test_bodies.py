"""Bodies are read to their end, kept in little memory, and read out from their first byte as often as need be."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from zhongkong.hub.gateway.bodies import IN_MEMORY, PIECE, Body, BodyTooLong, ClientGone, read_body

LONG = bytes(range(256)) * (2 * IN_MEMORY // 256) + b"end"


def coming(*pieces: bytes, gone: bool = False) -> Callable[[], Any]:
    """Return what a server hands the pieces over with; with `gone` the client leaves behind them."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request"})

    async def receive() -> Any:
        return messages.pop(0)

    return receive


async def read_out(body: Body) -> bytes:
    """Return all of a long body."""
    return b"".join([piece async for piece in body.chunks()])


@pytest.mark.parametrize("pieces", [(), (b"",), (b"abc",), (b"a", b"", b"bc"), (b"x" * IN_MEMORY,)])
def test_a_short_body_is_bytes(pieces: tuple[bytes, ...]) -> None:
    """However it came."""
    body = asyncio.run(read_body(coming(*pieces), 2 * IN_MEMORY))
    assert body.whole == b"".join(pieces)
    assert body.length == len(b"".join(pieces))


@pytest.mark.parametrize("size", [1000, PIECE, IN_MEMORY + 1, len(LONG)])
def test_a_long_body_is_a_file_that_is_read_as_often_as_need_be(size: int) -> None:
    """In whatever pieces it came."""

    async def story() -> None:
        pieces = [LONG[at : at + size] for at in range(0, len(LONG), size)]
        body = await read_body(coming(*pieces), len(LONG))
        assert body.whole is None
        assert body.length == len(LONG)
        assert [await read_out(body), await read_out(body)] == [LONG, LONG]
        body.close()

    asyncio.run(story())


class SlowFile(io.BytesIO):
    """A file whose first reading does not end before somebody else comes, or a while has passed."""

    def __init__(self) -> None:
        super().__init__(LONG)
        self._seeks = 0
        self._another = Event()
        self.is_read = Event()

    def seek(self, at: int, whence: int = 0) -> int:
        """Go there."""
        self._seeks += 1
        if self._seeks > 1:
            self._another.set()
        return super().seek(at, whence)

    def read(self, size: int | None = -1) -> bytes:
        """Read from there."""
        if not self.is_read.is_set():
            self.is_read.set()
            self._another.wait(0.2)
        return super().read(size)


def test_who_gave_up_reading_does_not_disturb_the_next() -> None:
    """A thread that reads for a call which was refused cannot be stopped: it ends while the repeat has begun."""

    async def story() -> None:
        file = SlowFile()
        body = Body(file=file, length=len(LONG))
        given_up = asyncio.create_task(read_out(body))
        await asyncio.to_thread(file.is_read.wait)
        given_up.cancel()
        assert await read_out(body) == LONG

    asyncio.run(story())


@pytest.mark.parametrize("pieces", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"x" * 10, b"", b"x")])
def test_a_body_beyond_the_limit_is_refused(pieces: tuple[bytes, ...]) -> None:
    """As soon as it is."""
    with pytest.raises(BodyTooLong) as caught:
        asyncio.run(read_body(coming(*pieces), 10))
    assert caught.value.limit == 10


@pytest.mark.parametrize("pieces", [(), (b"abc",), (LONG,)])
def test_who_leaves_has_sent_nothing(pieces: tuple[bytes, ...]) -> None:
    """Half a body is none."""
    with pytest.raises(ClientGone):
        asyncio.run(read_body(coming(*pieces, gone=True), 2 * len(LONG)))
