"""The platform as the gateway sees it: scripted in this process, or on a wire, where more can break."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.fuzz.scene import Minting
from tests.fuzz.tries import MARK, Answer, Seen, Try, draw_answer
from zhongkong.core.ports import Call
from zhongkong.errors import PlatformUnreachable

STALLS = 2.5
"""Seconds that a platform stands still: longer than the hub under trial waits."""
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
UNASKED = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked"


class Tries:
    """The tries that are under way, by number; what no try explains is noted."""

    def __init__(self, minting: Minting) -> None:
        self.running: dict[int, Try] = {}
        self.strange: list[str] = []
        self._minting = minting

    def answer(self, seen: Seen) -> tuple[Try, Answer] | None:
        """Note a call that arrived, and return its try and what to answer."""
        mark = next((value for name, value in seen.headers if name.lower() == MARK.decode()), "")
        one = self.running.get(int(mark)) if mark.isdigit() else None
        if one is None:
            self.strange.append(f"a call of no try arrived: {seen.method} {seen.target[:80]!r}")
            return None
        one.seen.append(seen)
        shown = [value for _, value in parse_qsl(seen.target.partition("?")[2], keep_blank_values=True)]
        is_current = any(self._minting.is_current(one.account.appid, value) for value in shown)
        one.answered = draw_answer(Random(f"{one.number} {len(one.seen)}"), one, seen, is_current=is_current)
        return one, one.answered


class ScriptedUpstream:
    """Answers at once, in this process."""

    def __init__(self, tries: Tries) -> None:
        self._tries = tries

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Any]:
        """Answer a call, or fail as the try says."""
        body = call.body if isinstance(call.body, bytes) else b"".join([piece async for piece in call.body()])
        told = self._tries.answer(Seen(call.base_url, call.method, call.target, list(call.headers), body))
        await asyncio.sleep(0)
        if told is None:
            raise PlatformUnreachable("cut", was_sent=True)
        one, answer = told
        if one.breakage == "stall":
            await asyncio.sleep(3600 if one.client == "leaves" else 0.03)  # who leaves ends it
            raise PlatformUnreachable("timeout", was_sent=True)
        if one.breakage in ("reset", "half_head", "not_http", "huge_headers"):
            raise PlatformUnreachable("cut", was_sent=one.breakage != "reset")
        if call.method == "HEAD" or answer.status in (204, 304):
            answer = answer._replace(pieces=[])
        yield _Scripted(answer, is_cut=one.breakage in ("cut", "wrong_length", "bad_chunks"))

    async def close(self) -> None:
        """Nothing is open."""


class _Scripted:
    def __init__(self, answer: Answer, *, is_cut: bool) -> None:
        self.status = answer.status
        self.headers = [*answer.headers, (b"Content-Length", b"%d" % len(answer.body))]
        self._pieces = iter(answer.pieces)
        self._is_cut = is_cut
        self._is_read = False

    async def read(self) -> bytes:
        if self._is_read and self._is_cut:
            raise PlatformUnreachable("cut", was_sent=True)
        await asyncio.sleep(0)
        piece = next((one for one in self._pieces if one), b"")
        self._is_read = piece != b""
        return piece


class WirePlatform:
    """A server that reads strictly and answers as badly as it is told."""

    def __init__(self, tries: Tries) -> None:
        self._tries = tries
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve on a port of this machine."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head[:-4].split("\r\n")
        words, headers = line.split(" "), [(name, value) for name, _, value in (one.partition(": ") for one in lines)]
        if len(words) != 3 or not words[1].startswith("/") or any(len(one) != 2 for one in headers):
            self._tries.strange.append(f"not a call: {head[:200]!r}")
            return False
        fields = {name.lower(): value for name, value in headers}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        told = self._tries.answer(Seen(f"http://{fields['host']}", words[0], words[1], headers, body))
        if told is None:
            return False
        one, answer = told
        return await _say(writer, one, answer)


async def _say(writer: asyncio.StreamWriter, one: Try, answer: Answer) -> bool:
    """Write the answer, broken as the try wants it; say whether the connection is good for another call."""
    random = Random(f"{one.number} said")
    framing = random.choice(("length", "chunked", "close"))
    is_bare = answer.status in (204, 304) or one.method == "HEAD"
    headers = [*answer.headers, (b"Connection", b"close" if framing == "close" else b"keep-alive")]
    if one.breakage == "huge_headers":
        headers += random.choice(([(b"X-Huge", b"h" * 40_000)], [(b"X-%d" % at, b"v") for at in range(600)]))
    body = b"" if is_bare else answer.body
    if framing == "chunked" and not is_bare:
        headers.append((b"Transfer-Encoding", b"chunked"))
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in answer.pieces) + b"0\r\n\r\n"
        body = body.replace(b"\r\n0\r\n", b"\r\nzz\r\n") if one.breakage == "bad_chunks" else body
    elif framing == "length" and not is_bare:
        wrong = random.choice((-1, 1, 10**12)) if one.breakage == "wrong_length" else 0
        headers.append((b"Content-Length", b"%d" % max(0, len(body) + wrong)))
    head = b"HTTP/1.1 %d Said\r\n" % answer.status + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n"
    whole = (INTERIM if random.random() < 0.1 else b"") + head + body
    if one.breakage == "reset":
        writer.transport.abort()
        return False
    if one.breakage == "not_http":
        writer.write(random.randbytes(200) + b"\r\n\r\n")
        return False
    if one.breakage in ("half_head", "cut", "stall"):
        writer.write(whole[: random.randrange(len(head) if one.breakage == "half_head" else len(whole))])
        await writer.drain()
        if one.breakage == "stall":
            await asyncio.sleep(STALLS)
        return False
    at = random.randrange(len(whole))
    writer.write(whole[:at])
    await asyncio.sleep(0)
    writer.write(whole[at:] + (UNASKED if one.breakage == "unasked" else b""))
    await writer.drain()
    return framing != "close" and one.breakage not in ("wrong_length", "bad_chunks")


class Names(AbstractResolver):
    """Knows two hosts, which are this machine; whoever asks for another one is noted."""

    def __init__(self, known: set[str], strange: list[str]) -> None:
        self._known = known
        self._strange = strange

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return this machine's address."""
        if host not in self._known:
            self._strange.append(f"somebody looked for {host}")
            raise OSError
        found = ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


_watched: list[tuple[set[int], list[str]]] = []


def _hear(event: str, given: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watched and isinstance(given[1], tuple):
        ports, strange = _watched[-1]
        if given[1][1] not in ports:
            strange.append(f"a connection to {given[1][:2]}")


@contextmanager
def watched_connections(ports: set[int], strange: list[str]) -> Iterator[None]:
    """Note every connection of this process that goes to another port. The interpreter itself tells of them."""
    if not _watched:
        sys.addaudithook(_hear)
    _watched.append((ports, strange))
    try:
        yield
    finally:
        _watched.pop()
        _watched.insert(0, (set(range(65536)), []))  # the hook stays, and hears on
