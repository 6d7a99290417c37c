"""Pushes on real wires: what brings them on, and what the sandbox asks with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.courier import HttpCourier
from zhongkong.core.callbacks import REFUSED_STEP
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered, Undelivered
from zhongkong.sandbox.posting import Fetched, fetch

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n%s\r\nsuccess"


@asynccontextmanager
async def served(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one answer to everything, or none at all; give the URL and what came."""
    came: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        came.append(head + await reader.readexactly(length))
        if answer is None:
            await ended.wait()
        writer.write(answer or b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


async def bring(url: str, patience: float = 5.0) -> Delivered | Undelivered:
    """Post a push with the hub's courier."""
    clock = MachineClock()
    return await HttpCourier(clock).bring(Secret(url), "text/xml", b"<xml/>", clock.boot() + patience)


async def post(url: str, patience: float = 5.0) -> Fetched:
    """Post a push as the sandbox does."""
    return await fetch("POST", url, "text/xml", b"<xml/>", patience)


@pytest.mark.parametrize("send", [bring, post])
def test_a_push_is_posted_as_it_is(send: Callable[[str], Awaitable[Delivered | Fetched]]) -> None:
    """Query, type and body; and the answer comes back whole."""

    async def run() -> None:
        async with served(ANSWER % b"") as (url, came):
            said = await send(f"{url}/wechat?key=1&signature=ab%2Bc")
        assert (said.status, said.body) == (200, b"success")
        (request,) = came
        assert request.startswith(b"POST /wechat?key=1&signature=ab%2Bc HTTP/1.1\r\n")
        assert b"content-type: text/xml" in request.lower()
        assert request.endswith(b"\r\n\r\n<xml/>")

    asyncio.run(run())


def test_silence_and_absence_are_told_apart() -> None:
    """What was sent may have been heard."""

    async def run() -> None:
        async with served(None) as (url, came):
            assert await bring(url, 0.2) == Undelivered("timeout", was_sent=True)
            assert await post(url, 0.2) == Fetched(None, why="timeout")
            assert len(came) == 2
        assert await bring(url) == Undelivered("connect_failed", was_sent=False)
        assert (await post(url)).status is None

    asyncio.run(run())


def test_a_hub_says_at_which_step_it_refused() -> None:
    """So `callback verify` can name it; a GET carries no body."""

    async def run() -> None:
        refused = f"{REFUSED_STEP}: token\r\n".encode()
        clock = MachineClock()
        async with served(ANSWER.replace(b"200 OK", b"403 Forbidden") % refused) as (url, came):
            said = await HttpCourier(clock).look(Secret(f"{url}/callback/wx1?echostr=1"), clock.boot() + 5)
        assert said == Delivered(403, b"success", "token")
        assert came[0].startswith(b"GET /callback/wx1?echostr=1 ")

    asyncio.run(run())


def test_redirects_are_not_followed() -> None:
    """A push is for whom it was brought to, and nobody else."""

    async def run() -> None:
        async with served(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n") as (url, came):
            assert await bring(url) == Delivered(302, b"")
            assert (await post(url)).status == 302
        assert len(came) == 2

    asyncio.run(run())
