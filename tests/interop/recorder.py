"""A TCP proxy of our own in front of what an SDK calls: it keeps every byte that went by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httptools

PIECE = 65_536


class Recorder:
    """What passed between an SDK and the server behind this proxy, whole connections one after the other."""

    def __init__(self) -> None:
        self.url = ""
        self._sent: list[bytearray] = []
        self._received: list[bytearray] = []

    @property
    def requests(self) -> int:
        """Return how many requests the SDK made."""
        return sum(map(_count_requests, self._sent))

    @property
    def sent(self) -> bytes:
        """Return what the SDK sent."""
        return b"\n".join(self._sent)

    @property
    def received(self) -> bytes:
        """Return what the SDK was sent, as it came and once more with the bodies in one piece.

        Raises ValueError when something was compressed, so that a search would look at nothing.
        """
        return b"\n".join([*self._received, *map(_join_bodies, self._received)])

    async def carry(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to `target` until both sides are done."""
        sent, received = bytearray(), bytearray()
        self._sent.append(sent)
        self._received.append(received)
        split = urlsplit(target)
        try:
            far_reader, far_writer = await asyncio.open_connection(split.hostname, split.port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pour(reader, far_writer, sent), _pour(far_reader, writer, received))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE):
            record += piece
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        writer.close()


class _Requests:
    """What httptools tells of a stream of requests."""

    def __init__(self) -> None:
        self.count = 0

    def on_message_begin(self) -> None:
        self.count += 1


def _count_requests(sent: bytearray) -> int:
    requests = _Requests()
    httptools.HttpRequestParser(requests).feed_data(bytes(sent))
    return requests.count


class _Bodies:
    """What httptools tells of a stream of answers."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.is_compressed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.is_compressed |= name.lower() == b"content-encoding" and value.lower() != b"identity"

    def on_body(self, body: bytes) -> None:
        self.content += body


def _join_bodies(received: bytearray) -> bytes:
    bodies = _Bodies()
    with suppress(httptools.HttpParserError):  # cut short: what came before counts
        httptools.HttpResponseParser(bodies).feed_data(bytes(received))
    if bodies.is_compressed:
        raise ValueError("an answer is compressed")
    return bytes(bodies.content)


@asynccontextmanager
async def open_recorder(target: str) -> AsyncIterator[Recorder]:
    """Serve a recorder in front of `target` while the block runs."""
    recorder, connections = Recorder(), set[asyncio.Task[None]]()

    def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(recorder.carry(target, reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield recorder
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
