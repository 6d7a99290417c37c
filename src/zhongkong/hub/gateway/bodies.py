"""The body of a call, held until it is certain that it need not be sent once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO

from starlette.types import Message, Receive

from zhongkong.core.model import Seconds

IN_MEMORY = 1_048_576
"""Bytes; what is longer goes into a temporary file that has no name."""
QUIET_LONGEST: Seconds = 60.0
"""How long a client may pause in the middle of his call."""
PIECE = 65_536


class BodyTooLong(Exception):
    """It is longer than a body may be."""

    def __init__(self, limit: int) -> None:
        """Say how long it may be, in bytes."""
        super().__init__(limit)
        self.limit = limit


class ClientGone(Exception):
    """The client left in the middle of his call."""


class Body:
    """A body as it came. Short ones are bytes; of longer ones the file is closed on leaving."""

    def __init__(self, whole: bytes = b"", file: IO[bytes] | None = None, length: int = 0) -> None:
        self._whole = whole
        self._file = file
        self._reading = Lock()
        self.length = length or len(whole)

    @property
    def whole(self) -> bytes | None:
        """Return all of it, if it is short."""
        return self._whole if self._file is None else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield a long one from its beginning. Who gives up reading leaves a thread that still reads a piece."""
        at = 0
        while piece := await asyncio.to_thread(self._read, at):
            yield piece
            at += len(piece)

    def _read(self, at: int) -> bytes:
        assert self._file is not None  # noqa: S101 (narrows a type: it is asked for long ones)
        with self._reading:
            self._file.seek(at)
            return self._file.read(PIECE)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


async def read_body(receive: Receive, limit: int) -> Body:
    """Return the body of a call, read to its end.

    Raises: BodyTooLong. ClientGone. TimeoutError: nothing came for a minute.
    """
    message = await _next(receive)
    if not message.get("more_body", False):
        whole = message.get("body", b"")
        if len(whole) > limit:
            raise BodyTooLong(limit)
        return Body(whole)
    file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (it outlives this)
    length = 0
    try:
        while True:
            piece = message.get("body", b"")
            length += len(piece)
            if length > limit:
                raise BodyTooLong(limit)  # noqa: TRY301 (the file is closed where all else that ends this is met)
            if length > IN_MEMORY:
                await asyncio.to_thread(file.write, piece)
            else:
                file.write(piece)
            if not message.get("more_body", False):
                break
            message = await _next(receive)
        if length > IN_MEMORY:
            return Body(file=file, length=length)
        file.seek(0)
        whole = file.read()
    except BaseException:
        file.close()
        raise
    file.close()
    return Body(whole)


async def _next(receive: Receive) -> Message:
    async with asyncio.timeout(QUIET_LONGEST):
        message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message
