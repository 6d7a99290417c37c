"""Bodies on their way: one that goes out is recorded, so that it can go out again; one that comes in is looked into.

What was looked at is put back, so whoever reads the answer, also piece by piece, misses nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, cast

import httpx

from zhongkong.wechat.answers import parse_errcode

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

UPLOAD_LONGEST = 32 * 1024 * 1024
"""Bytes. The platform takes no larger one at once; what is longer is sent, and not repeated."""
PIECE = 65_536
LOOK_LONGEST = 16_384
"""Bytes. An answer that refuses a token has a few hundred."""

_TELLING = frozenset({"application/json", "text/json", "text/plain", ""})
"""Types of answers that may be a refusal; the platform labels JSON as text/plain at times, or not at all."""


class Recorded(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is recorded while it goes out for the first time, and comes from the record the next time."""

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self._record: list[bytes] = []
        self._size = 0
        self._is_whole = False

    @property
    def is_whole(self) -> bool:
        """Say whether all of it is on record."""
        return self._is_whole and self._size <= UPLOAD_LONGEST

    def __iter__(self) -> Iterator[bytes]:
        if self.is_whole:
            yield from self._record
            return
        for piece in _pieces(self._stream):
            chunk = piece.encode() if isinstance(piece, str) else piece  # requests sends text too
            self._note(chunk)
            yield chunk
        self._is_whole = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.is_whole:
            for chunk in self._record:
                yield chunk
            return
        async for chunk in cast("AsyncIterator[bytes]", self._stream):
            self._note(chunk)
            yield chunk
        self._is_whole = True

    def _note(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= UPLOAD_LONGEST:
            self._record.append(bytes(chunk))
        else:
            self._record.clear()


def _pieces(stream: object) -> Iterator[bytes | str]:
    """Return the pieces of what can be iterated, or of what can only be read."""
    if hasattr(stream, "__iter__"):
        return iter(cast("Iterable[bytes]", stream))
    return iter(partial(cast("IO[bytes]", stream).read, PIECE), b"")


class PutBack(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's body of which a part was taken out already."""

    def __init__(
        self,
        taken: list[bytes],
        rest: Iterator[bytes] | AsyncIterator[bytes],
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
    ) -> None:
        self._taken = taken
        self._rest = rest
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._taken
        yield from cast("Iterator[bytes]", self._rest)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._taken:
            yield chunk
        async for chunk in cast("AsyncIterator[bytes]", self._rest):
            yield chunk

    def close(self) -> None:
        """Close what it was taken from."""
        cast("httpx.SyncByteStream", self._stream).close()

    async def aclose(self) -> None:
        """Close what it was taken from."""
        await cast("httpx.AsyncByteStream", self._stream).aclose()


class Look:
    """What is taken out of an answer's body while it may still be a refusal."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def is_enough(self, chunk: bytes, *, is_encoded: bool) -> bool:
        """Take one more piece; say whether it is clear by now that this is no refusal."""
        self.taken.append(chunk)
        if sum(map(len, self.taken)) > LOOK_LONGEST:
            return True
        begun = b"".join(self.taken).removeprefix(b"\xef\xbb\xbf").lstrip()
        return bool(begun) and not is_encoded and not begun.startswith(b"{")


def may_tell(headers: Mapping[str, str]) -> bool:
    """Say whether an answer with these headers may be a refusal: JSON, and no longer than those are."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    length = headers.get("content-length", "")
    return kind in _TELLING and not (length.isdecimal() and int(length) > LOOK_LONGEST)


def look(response: httpx.Response) -> int | None:
    """Return the errcode that an answer tells, None if it is none that could; its body stays to be read."""
    if not may_tell(response.headers):
        return None
    stream = cast("httpx.SyncByteStream", response.stream)
    look, rest, is_encoded = Look(), iter(stream), "content-encoding" in response.headers
    is_whole = not any(look.is_enough(chunk, is_encoded=is_encoded) for chunk in rest)
    response.stream = PutBack(look.taken, rest, stream)
    return _errcode_of(response, look.taken) if is_whole else None


async def alook(response: httpx.Response) -> int | None:
    """Return the same of an answer that comes over an event loop."""
    if not may_tell(response.headers):
        return None
    stream = cast("httpx.AsyncByteStream", response.stream)
    look, rest, is_encoded = Look(), aiter(stream), "content-encoding" in response.headers
    is_whole = True
    async for chunk in rest:
        if look.is_enough(chunk, is_encoded=is_encoded):
            is_whole = False
            break
    response.stream = PutBack(look.taken, rest, stream)
    return _errcode_of(response, look.taken) if is_whole else None


def _errcode_of(response: httpx.Response, taken: list[bytes]) -> int | None:
    try:
        body = httpx.Response(response.status_code, headers=response.headers, content=b"".join(taken)).content
    except httpx.DecodingError:
        return None
    return parse_errcode(body)


# --- requests


def look_at(response: Response, *, is_streamed: bool) -> int | None:
    """Return the same of an answer to requests. One that is streamed is read only if it says that it is short."""
    if not may_tell(response.headers) or (is_streamed and "content-length" not in response.headers):
        return None
    return parse_errcode(response.content)


def keep_body(request: PreparedRequest) -> Callable[[], bool]:
    """See to it that the body can go out again; return what makes it ready for that, and says whether it is."""
    body: object = request.body
    if body is None or isinstance(body, str | bytes | bytearray | memoryview):
        return lambda: True
    try:
        return partial(_rewind, body, cast("IO[bytes]", body).tell())
    except (AttributeError, OSError):
        recorded = Recorded(body)
        request.body = recorded  # type: ignore[assignment]  # requests sends whatever can be iterated
        return lambda: recorded.is_whole


def _rewind(body: object, start: int) -> bool:
    try:
        cast("IO[bytes]", body).seek(start)
    except (OSError, ValueError):
        return False
    return True
