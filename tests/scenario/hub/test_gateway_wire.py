"""The gateway over real sockets: large bodies both ways, clients and platforms that break, a hub that ends."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.courier import HttpCourier
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.adapters.upstream import AiohttpUpstream
from zhongkong.core.grants import Grant, create_key
from zhongkong.core.model import Account, AccountKind, Outcome, Secret
from zhongkong.core.ports import Order
from zhongkong.hub.admin import Admin
from zhongkong.hub.app import GatewayParts, Parts, build_app
from zhongkong.hub.gateway.virtual import Signer
from zhongkong.hub.keys import Keyring
from zhongkong.hub.server import address_of, bind, serve_http
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = "wx0123456789abcdef"
MIB = 1_048_576
PATIENCE = 60
REFUSED = b'{"errcode":40001,"errmsg":"invalid credential"}'
OK = b'{"errcode":0}'

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Mints:
    """A platform that mints `real-1`, `real-2` …, and takes none of them for alive."""

    def __init__(self) -> None:
        self.made = 0

    async def mint(self, _order: Order) -> Outcome:
        """Return another token."""
        self.made += 1
        return Granted(f"real-{self.made}", 7200)

    async def probe(self, *_: Any) -> ProbeVerdict:
        """Say that it is dead."""
        return ProbeVerdict.DEAD


class Scene:
    """A hub that listens, a platform behind it that `serve` plays, and what is counted."""

    def __init__(self, port: int, token: str, stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
        self.port = port
        self.token = token
        self.stop = stop
        self.serving = serving

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the hub."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    def head(self, method: str, *headers: str, path: str = "/cgi-bin/x") -> bytes:
        """Return the head of a call."""
        lines = [f"{method} {path}?access_token={self.token} HTTP/1.1", "Host: hub", *headers, "", ""]
        return "\r\n".join(lines).encode()


@asynccontextmanager
async def scene(serve: Serve) -> AsyncIterator[Scene]:
    """Have a hub run before a platform that plays `serve` for each request."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await serve(head, reader, writer)
                await writer.drain()
        writer.close()

    clock, platform, stop = MachineClock(), Mints(), asyncio.Event()
    store, telemetry = MemoryStore(clock.wall), Telemetry()
    keeper = Keeper(store, platform, clock)
    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await store.put_account(Account(APPID, AccountKind.OFFICIAL, Secret("s" * 32), base_url=url))
        key, _ = create_key(Random(1), clock.wall(), name="sdk", grants=[Grant.GATEWAY])
        await store.put_key(key)
        keyring = Keyring(store, clock, keeper.known.told_now)
        await keeper.poll()
        await keyring.refresh()
        upstream = AiohttpUpstream(clock)
        parts = Parts(
            courier=HttpCourier(clock),
            clock=clock,
            store=store,
            keeper=keeper,
            keyring=keyring,
            admin=Admin(store, platform, keeper),
            tail=Tail(store),
            telemetry=telemetry,
            draining=stop,
            gateway=GatewayParts(upstream, b"s" * 32),
        )
        listening = bind("127.0.0.1", 0)
        serving = asyncio.create_task(serve_http(build_app(parts), [listening], stop))
        token, _ = Signer(b"s" * 32).make(key.id, APPID, clock.wall(), b"1234")
        try:
            yield Scene(address_of(listening)[1], token, stop, serving)
        finally:
            stop.set()
            await serving
            await upstream.close()
            await keeper.drain(5)
            listening.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run to its end, within `PATIENCE`."""

    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE):
            await story()

    asyncio.run(patiently())


def answer(body: bytes, content_type: str = "application/json") -> bytes:
    """Return an answer of the platform's."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def take_body(head: bytes, reader: asyncio.StreamReader) -> int:
    """Read the body that a head announces; return its length."""
    lines = head.decode().lower().split("\r\n")
    left = length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
    while left and (piece := await reader.read(min(left, 65_536))):
        left -= len(piece)
    return length - left


def test_a_large_upload_is_healed_and_a_large_download_passes_in_little_memory() -> None:
    """10 MiB up, twice, since the first token was refused; 50 MiB down."""
    taken: list[tuple[bool, int]] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append((b"access_token=real-1" in head, await take_body(head, reader)))
        if taken[-1][0]:
            writer.write(answer(REFUSED))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % (50 * MIB))
        for _ in range(800):
            writer.write(b"d" * 65_536)
            await writer.drain()

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            tracemalloc.start()
            writer.write(hub.head("POST", "Transfer-Encoding: chunked"))
            for _ in range(160):
                writer.write(b"10000\r\n" + b"u" * 65_536 + b"\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            got = 0
            while got < 50 * MIB and (piece := await reader.read(65_536)):
                got += len(piece)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            writer.close()
        assert b"video/mp4" in head
        assert got == 50 * MIB
        assert taken == [(True, 10 * MIB), (False, 10 * MIB)]
        assert peak < 10 * MIB

    run(story)


def test_an_upload_that_was_refused_before_it_was_read_is_whole_when_it_is_repeated() -> None:
    """The platform need not wait for the end of a call whose token it does not take."""
    taken: list[bytes] = []
    size = 4 * MIB

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"access_token=real-1" in head:
            await reader.readexactly(100_000)
            writer.write(answer(REFUSED))
            await writer.drain()
            await reader.read()  # until the hub gives this connection up
            return
        taken.append(await reader.readexactly(size))
        writer.write(answer(OK))

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            writer.write(hub.head("POST", f"Content-Length: {size}", "Connection: close"))
            body = b"".join(index.to_bytes(4, "big") for index in range(size // 4))
            writer.write(body)
            assert (await reader.read()).endswith(OK)
            writer.close()
        assert taken == [body]

    run(story)


def test_a_client_that_goes_away_ends_the_call_to_the_platform() -> None:
    """Also in the middle of a download that he was slow to take."""
    gone = asyncio.Event()

    async def serve(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"d" * 65_536)
                await writer.drain()
        except ConnectionError:
            gone.set()
            raise

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            writer.write(hub.head("GET"))
            await reader.readexactly(200_000)
            writer.transport.abort()
            await gone.wait()

    run(story)


def test_an_answer_that_is_cut_is_cut_for_the_client() -> None:
    """His connection ends before what was announced has come."""

    async def serve(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc")
        writer.close()

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            writer.write(hub.head("GET"))
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        assert b"content-length: 1000" in head.lower()
        assert body == b"abc"

    run(story)


def test_many_calls_share_a_connection_and_each_gets_its_own_answer() -> None:
    """HEAD, an empty POST, a GET with a body, an answer without a length: none leaves a byte for the next."""
    heads: list[bytes] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        length = await take_body(head, reader)
        body = b"%d:%d" % (len(heads), length)
        writer.write(answer(body)[: -len(body)] if head.startswith(b"HEAD") else answer(body))

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            calls = [
                hub.head("HEAD"),
                hub.head("POST", "Content-Length: 0"),
                hub.head("GET", "Content-Length: 5") + b"abcde",
                hub.head("POST", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
                hub.head("POST", "Content-Length: 3", "Expect: 100-continue") + b"xyz",
                hub.head("GET", "Connection: close"),
            ]
            writer.write(b"".join(calls))
            got = await reader.read()
            writer.close()
        bodies = [
            part.rpartition(b"\r\n\r\n")[2]
            for part in got.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 ")[1:]
        ]
        assert bodies == [b"", b"2:0", b"3:5", b"4:3", b"5:3", b"6:0"]
        assert all(head.lower().count(b"content-length") <= 1 for head in heads)
        assert all(b"transfer-encoding" not in head.lower() for head in heads)

    run(story)


@pytest.mark.parametrize(
    "head",
    [
        "POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\nGET ",
        "POST {} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST {} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET {} HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\tfolded\r\nConnection: close\r\n\r\n",
        "GET {}&a=\x01 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET {}&a=\t HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET {}&a=\u00e4#b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET http://evil.example{} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET {} HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET {} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
    ],
)
def test_odd_heads_reach_the_platform_as_one_plain_call_or_not_at_all(head: str) -> None:
    """Two readers must not see two calls where there is one."""
    heads: list[bytes] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        await take_body(head, reader)
        writer.write(answer(OK))

    async def story() -> None:
        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            writer.write(head.format(f"/cgi-bin/x?access_token={hub.token}").encode("latin-1"))
            writer.write_eof()
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

    run(story)
    assert len(heads) <= 1
    for one in heads:
        line, *fields = one.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
        assert line.split(" ")[1].startswith("/cgi-bin/x?access_token=real-1")
        assert len(line.split(" ")) == 3
        names = [field.partition(":")[0].lower() for field in fields]
        assert {"transfer-encoding", "upgrade", "connection"}.isdisjoint(names)
        assert names.count("host") == 1
        assert "evil.example" not in one.decode()


def test_a_hub_that_ends_finishes_the_calls_under_way() -> None:
    """And leaves no task behind."""

    async def story() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def serve(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await go.wait()
            writer.write(answer(OK))

        async with scene(serve) as hub:
            reader, writer = await hub.connect()
            writer.write(hub.head("GET"))
            await asked.wait()
            hub.stop.set()
            await asyncio.sleep(0)
            go.set()
            assert (await reader.read()).endswith(OK)
            writer.close()
        for _ in range(5):
            await asyncio.sleep(0)
        others = [task for task in asyncio.all_tasks() if "take" not in repr(task.get_coro())]
        assert others == [asyncio.current_task()]

    run(story)
