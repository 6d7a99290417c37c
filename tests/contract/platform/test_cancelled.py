"""Whoever stops waiting leaves nothing behind: no connection, no task, no word on the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.contract.platform.calls import Names, order_at, platform
from tests.contract.platform.certificates import Certificates
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import GRANT, Script, Talk, Wire, answer, says_nothing, sends_then_stalls, silent_port
from zhongkong.adapters.connections import Way

STAGES: dict[str, Script] = {
    "before a word": says_nothing,
    "in the headers": sends_then_stalls(answer()[:50]),
    "in the body": sends_then_stalls(answer()[: -len(GRANT) + 3]),
}


async def cancel_after(mint: asyncio.Task[Any], arrived: asyncio.Event) -> None:
    """Cancel the call once `arrived` is set, and see that it says so."""
    await arrived.wait()
    mint.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mint


async def tasks_left() -> int:
    """Return how many tasks there are besides this one, once the loop has had a few turns to tidy up."""
    for _ in range(5):
        await asyncio.sleep(0)
    return len(asyncio.all_tasks()) - 1


def sockets_to(port: int) -> int:
    """Return how many sockets of this process lead to `port`, or try to."""
    connections = psutil.Process().net_connections("tcp")
    return sum(1 for connection in connections if connection.raddr and connection.raddr.port == port)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_a_cancelled_call_takes_its_connection_along(
    run: Run[Any],
    stage: str,
    secure: bool,  # noqa: FBT001 (a parameter of the claim)
    certificates: Certificates,
) -> None:
    """`Wire` ends only when every connection has."""

    async def scenario() -> int:
        way = Way(tls=certificates.trusting)
        async with Wire(STAGES[stage], certificates.server if secure else None) as wire:
            mint = asyncio.create_task(platform(60.0, way).mint(order_at(wire.url)))
            await cancel_after(mint, wire.asked)
        return await tasks_left()

    assert run(scenario()) == 0


def test_nobody_waits_for_the_other_sides_farewell(run: Run[Any], certificates: Certificates) -> None:
    """TLS ends with a word from both sides; a stopped server never says it, and half a minute would go by."""

    async def is_deaf(talk: Talk) -> None:
        await talk.request()
        talk.transport.pause_reading()
        await talk.leave.wait()
        talk.reset()

    async def scenario() -> tuple[int, int]:
        async with Wire(is_deaf, certificates.server) as wire:
            mint = asyncio.create_task(platform(60.0, Way(tls=certificates.trusting)).mint(order_at(wire.url)))
            await wire.asked.wait()
            during = sockets_to(wire.port)
            await cancel_after(mint, wire.asked)
            await tasks_left()
            after = sockets_to(wire.port)
            wire.talks[0].leave.set()
        return during, after

    assert run(scenario()) == (1, 0)


def test_a_call_cancelled_in_its_handshake_takes_its_connection_along(
    run: Run[Any], certificates: Certificates
) -> None:
    """The connection stands, TLS does not yet: it is nobody's, unless somebody cuts it."""

    async def scenario() -> int:
        async with Wire(says_nothing) as wire:
            url = wire.url.replace("http:", "https:")
            mint = asyncio.create_task(platform(60.0, Way(tls=certificates.trusting)).mint(order_at(url)))
            await cancel_after(mint, wire.touched)
        return await tasks_left()

    assert run(scenario()) == 0


def test_a_call_cancelled_while_it_connects_leaves_no_socket(run: Run[Any]) -> None:
    """A connection attempt at a silent host goes on for minutes if nobody ends it."""

    async def scenario(port: int) -> tuple[int, int]:
        before = sockets_to(port)
        way = Way(resolver=Names({"hub.example": [port]}))
        mint = asyncio.create_task(platform(60.0, way).mint(order_at("http://hub.example")))
        while sockets_to(port) == before:  # noqa: ASYNC110 (a socket that begins to connect tells nobody)
            await asyncio.sleep(0)
        mint.cancel()
        await asyncio.wait([mint])
        await tasks_left()
        return before, sockets_to(port)

    with silent_port() as port:
        before, after = run(scenario(port))
    assert after == before
