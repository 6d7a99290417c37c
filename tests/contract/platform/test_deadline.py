"""One deadline covers everything from the name to the last byte, and what it means depends on how far the call got."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import pytest

from tests.contract.platform.calls import MODES, Names, mint, mint_by_tls, order_at, platform
from tests.contract.platform.certificates import Certificates
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    GRANT,
    Script,
    Talk,
    Wire,
    answer,
    says_nothing,
    sends,
    sends_then_stalls,
    silent_port,
)
from zhongkong.adapters.connections import Way
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.core.model import Ambiguous, Mode, NotSent, Outcome

DEADLINE = 0.2
"""Seconds: the machine's own clock is the matter here, so it is short instead of virtual."""
CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n31\r\n" + GRANT + b"\r\n"

STALLS: dict[str, Script] = {
    "before a word": says_nothing,
    "after 100 Continue": sends_then_stalls(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "in the status line": sends_then_stalls(b"HTTP/1.1 20"),
    "in the headers": sends_then_stalls(answer()[:50]),
    "before the body": sends_then_stalls(answer()[: -len(GRANT)]),
    "in the body": sends_then_stalls(answer()[:-1]),
    "before the last chunk": sends_then_stalls(CHUNK),
    "before the end of the stream": sends_then_stalls(b"HTTP/1.1 200 OK\r\n\r\n" + GRANT),
}


class SilentNames(Names):
    """A name server that never answers."""

    async def resolve(self, *_: Any, **__: Any) -> Any:
        """Wait for ever."""
        await asyncio.Event().wait()


async def mint_at(url: str, way: Way) -> Outcome:
    """Mint with a short deadline."""
    return await platform(DEADLINE, way).mint(order_at(url))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("phase", STALLS)
def test_silence_after_the_request_left_is_ambiguous(run: Run[Any], phase: str, mode: Mode) -> None:
    """The platform may have acted and its word be on the way."""
    seen = run(mint(STALLS[phase], mode, DEADLINE))
    assert seen.told == Ambiguous("timeout")
    assert seen.requests == 1


def test_a_drip_does_not_outlast_the_deadline(run: Run[Any]) -> None:
    """Each byte renews a read time-out; only a deadline over all of it bounds a call."""

    async def drips(talk: Talk) -> None:
        await talk.request()
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not talk.gone.is_set():
            talk.send(b" ")
            await asyncio.sleep(DEADLINE / 50)

    began = perf_counter()
    assert run(mint(drips, deadline=DEADLINE)).told == Ambiguous("timeout")
    assert perf_counter() - began < 5 * DEADLINE


def test_a_name_that_is_never_told_is_not_sent(run: Run[Any]) -> None:
    """Nobody knows us yet."""
    assert run(mint_at("http://hub.example", Way(resolver=SilentNames({})))) == NotSent("connect_timeout")


def test_a_connection_that_never_stands_is_not_sent(run: Run[Any]) -> None:
    """A wall that drops packets lets nothing through, so nothing left."""
    with silent_port() as port:
        assert run(mint_at(f"http://127.0.0.1:{port}", Way())) == NotSent("connect_timeout")


def test_a_handshake_that_never_ends_is_not_sent(run: Run[Any], certificates: Certificates) -> None:
    """Bytes of TLS are no bytes of the request."""

    async def scenario() -> tuple[Outcome, int, int]:
        async with Wire(says_nothing) as wire:
            way = Way(tls=certificates.trusting)
            told = await mint_at(wire.url.replace("http:", "https:"), way)
        return told, len(wire.requests), wire.arrived

    told, requests, arrived = run(scenario())
    assert told == NotSent("connect_timeout")
    assert requests == 0
    assert arrived > 0


def test_silence_behind_tls_is_ambiguous_and_leaves_nothing_open(run: Run[Any], certificates: Certificates) -> None:
    """A polite end of TLS would wait half a minute for a server that is not there any more."""
    began = perf_counter()
    seen = run(mint_by_tls(says_nothing, certificates.server, certificates.trusting, DEADLINE))
    assert seen.told == Ambiguous("timeout")
    assert seen.requests == 1
    assert perf_counter() - began < 10 * DEADLINE


class SleepyClock:
    """A machine that falls asleep while a name is looked up: its boot-time clock has gone on, its loop's has not."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boot(self) -> float:
        """Return what the test says."""
        return self.now

    def wall(self) -> float:
        """Return the same."""
        return self.now


def test_a_machine_that_slept_past_the_deadline_does_not_send(run: Run[Any]) -> None:
    """The lease that covered the request is over by then, and somebody else may have minted."""
    clock = SleepyClock()

    class SleepyNames(Names):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            clock.now += 10.0
            return await super().resolve(*args, **kwargs)

    async def scenario() -> tuple[Outcome, int]:
        async with Wire(sends(answer())) as wire:
            way = Way(resolver=SleepyNames({"hub.example": [wire.port]}))
            told = await AiohttpPlatform(clock, way=way).mint(order_at("http://hub.example"))
        return told, wire.arrived

    assert run(scenario()) == (NotSent("connect_timeout"), 0)
