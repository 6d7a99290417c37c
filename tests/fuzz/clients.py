"""Who calls: over ASGI in this process, or over a wire with whatever bytes he likes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp

from tests.fuzz.tries import Try

PATIENCE = 20.0
GARBLED_WITHIN = 0.8
"""Seconds that a client waits who may have sent less than he announced: the hub would wait for the rest."""


class Sent(Protocol):
    """What a client sends."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: list[bytes]
    framing: str
    client: str


@dataclass(slots=True)
class Got:
    """What the client received."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False
    is_garbled: bool = False
    """Whether what was sent may be no HTTP at all."""
    wrong: str = ""
    """What no server may do."""


async def call_over_asgi(app: ASGIApp, one: Sent, pause: float = 0.001) -> Got:
    """Send the try as a server would hand it to the application; a slow client pauses before each piece."""
    got, pieces = Got(), list(one.body)
    path, _, more = one.path.partition(b"?")
    framed = [(b"content-length", b"%d" % sum(map(len, pieces)))] if one.framing == "length" else []
    framed += [(b"transfer-encoding", b"chunked")] if pieces and not framed else []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": one.method,
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": b"&".join(part for part in (more, one.query) if part),
        "headers": [*one.headers, *framed],
        "client": ("127.0.0.1", 4711),
    }
    for_ever = asyncio.get_running_loop().create_future()
    left = {"cut": len(pieces) // 2, "leaves": len(pieces)}.get(one.client, -1)
    told = 0

    async def receive() -> dict[str, Any]:
        nonlocal told
        if one.client == "slow":
            await asyncio.sleep(pause)
        if told == left:
            return {"type": "http.disconnect"}
        if told >= max(1, len(pieces)):
            await for_ever
        told += 1
        body = pieces[told - 1] if pieces else b""
        return {"type": "http.request", "body": body, "more_body": told < len(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            got.wrong = "answered twice" if got.status else ""
            got.status, got.headers = message["status"], list(message["headers"])
            return
        if not got.status or got.is_whole:
            got.wrong = "a body before its head, or after its end"
        got.body += message.get("body", b"")
        got.is_whole = not message.get("more_body", False)
        if one.client == "slow":
            await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
    for_ever.cancel()
    return got


async def call_over_wire(port: int, one: Try) -> Got:
    """Send the try as bytes, and read until the connection ends."""
    random, got = Random(f"{one.number} sent"), Got(is_garbled=not one.is_plain)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE):
            received = await _converse(reader, writer, one, random)
    except (ConnectionError, BrokenPipeError):
        received = b""
    finally:
        writer.transport.abort()
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    words = line.split(b" ")
    got.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    got.headers = [(name.lower(), value) for name, _, value in (one.partition(b": ") for one in lines)]
    fields = dict(got.headers)
    if fields.get(b"transfer-encoding") == b"chunked":
        body, got.is_whole = _join(body)
    else:
        got.is_whole = len(body) == int(fields.get(b"content-length", b"-1"))
    got.body = body
    return got


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one: Try, random: Random) -> bytes:
    raw = _write(one, random)
    if one.client == "cut":
        writer.write(raw[: random.randrange(len(raw))])
        return b""
    if one.client == "slow":
        for _ in range(3):
            at = random.randrange(len(raw) + 1)
            writer.write(raw[:at])
            raw = raw[at:]
            await asyncio.sleep(0.003)
    writer.write(raw)
    await writer.drain()
    if one.client == "leaves":
        await asyncio.sleep(random.random() * 0.03)
        return b""
    received = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE if one.is_plain else GARBLED_WITHIN):
            while piece := await reader.read(65_536):
                received += piece
    return received


def _write(one: Try, random: Random) -> bytes:
    target = one.absolute + one.path + (b"?" + one.query if one.query else b"")
    headers, body = [*one.headers, (b"connection", b"close")], b"".join(one.body)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in one.body if piece) + b"0\r\n\r\n"
    length = len(body) + (random.choice((-1, 1)) if one.framing == "lying" else 0)
    if one.framing in ("chunked", "both", "broken"):
        headers.append((b"transfer-encoding", b"chunked"))
    if one.framing in ("length", "lying", "both"):
        headers.append((b"content-length", b"%d" % max(0, length)))
    if one.framing == "broken":
        chunked = b"zz\r\n" + chunked
    if one.framing == "lying" and random.random() < 0.5:
        headers.append((b"content-length", b"3"))
    sent = chunked if one.framing in ("chunked", "both", "broken") else body
    line = random.choice((b"%s %s HTTP/1.1\r\n",) * 9 + (b"%s  %s HTTP/1.1\r\n", b"%s %s HTTP/1.0\r\n", b"%s %s\r\n"))
    written = b"".join(b"%s: %s\r\n" % header for header in headers)
    return (
        (line if not one.is_plain else b"%s %s HTTP/1.1\r\n") % (one.method.encode(), target) + written + b"\r\n" + sent
    )


def _join(body: bytes) -> tuple[bytes, bool]:
    """Return what chunks hold, and whether the last one is there."""
    held = b""
    while True:
        size, found, rest = body.partition(b"\r\n")
        if not found:
            return held, False
        length = int(size, 16)
        if not length:
            return held, True
        held += rest[:length]
        body = rest[length + 2 :]
