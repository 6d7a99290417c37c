"""Clients' calls are sent on at most once, as they are, streamed both ways, and leave nothing behind."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.platform.calls import Names
from tests.contract.platform.conftest import Run
from tests.contract.platform.test_cancelled import sockets_to, tasks_left
from tests.contract.platform.test_once import NEAREST, SHANGHAI, STANDBY, Hosts
from tests.contract.platform.wire import (
    Script,
    Talk,
    Wire,
    answer,
    refusing_port,
    resets_at_once,
    says_nothing,
    sends,
    sends_then_resets,
    sends_then_stalls,
    silent_port,
)
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import DIRECT, Way
from zhongkong.adapters.upstream import AiohttpUpstream
from zhongkong.core.ports import Answering, Call
from zhongkong.errors import PlatformUnreachable

HEART = "Hk3TgB9yDc5FjW6n"
TARGET = f"/cgi-bin/user/info?access_token=83_{HEART}&openid=%E4%B8%AD&x=a+b%zz"
OK = answer(b'{"errcode":0}', b"200 OK", b"Content-Type: application/json")
QUIET = 0.3
"""Seconds: the machine's own clock is the matter here, so it is short instead of virtual."""
MIB = 1_048_576


def upstream(way: Way = DIRECT, quiet: float = 5.0) -> AiohttpUpstream:
    """Return the adapter, with a patience that suits a test."""
    return AiohttpUpstream(MachineClock(), way=way, quiet_longest=quiet)


async def read_all(answering: Answering) -> bytes:
    """Return a body, read to its end."""
    held = b""
    while piece := await answering.read():
        held += piece
    return held


async def get(over: AiohttpUpstream, url: str, method: str = "GET", body: Any = b"", length: int = 0) -> bytes:
    """Send a call and return its answer's body."""
    call = Call(method, url, TARGET, (("x-a", "1"), ("x-a", "2")), length or len(body or b""), body)
    async with over.send(call) as answering:
        return await read_all(answering)


async def try_to_get(over: AiohttpUpstream, url: str, **given: Any) -> tuple[str, bool]:
    """Send a call that fails, and return why, and whether it may have been heard."""
    with pytest.raises(PlatformUnreachable) as caught:
        await get(over, url, **given)
    return caught.value.why, caught.value.was_sent


async def answers_all(talk: Talk) -> None:
    """Answer every call, on one connection."""
    await talk.request()
    while not talk.gone.is_set():
        talk.send(OK)
        await talk.another_request()


# --- as it is


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_call_arrives_as_it_was_sent(run: Run[Any], method: str, body: bytes) -> None:
    """Its target byte for byte, its headers in their order, no header of ours but the few that must be."""

    async def scenario() -> bytes:
        async with Wire(sends(OK)) as wire:
            over = upstream()
            assert await get(over, wire.url + "/", method, body) == b'{"errcode":0}'
            await over.close()
        return wire.requests[0].replace(wire.url.removeprefix("http://").encode(), b"HOST")

    head, _, arrived = run(scenario()).partition(b"\r\n\r\n")
    length = [b"Content-Length: %d" % len(body)] if body or method != "GET" else []
    assert arrived == body
    assert head.split(b"\r\n") == [f"{method} {TARGET} HTTP/1.1".encode(), b"Host: HOST", b"x-a: 1", b"x-a: 2", *length]


def test_an_answer_is_handed_out_as_it_came(run: Run[Any]) -> None:
    """Status, headers in their order and their letters, and a body that nobody unpacks."""
    packed = b"\x1f\x8b not really gzip"
    headers = (b"Content-Encoding: gzip", b"X-Odd: \xe4\xb8\xad", b"Set-Cookie: a=b", b"Set-Cookie: c=d")

    async def scenario() -> tuple[int, Any, bytes]:
        async with Wire(sends(answer(packed, b"418 Short", *headers))) as wire:
            over = upstream()
            async with over.send(Call("GET", wire.url, TARGET)) as answering:
                got = answering.status, list(answering.headers), await read_all(answering)
            await over.close()
        return got

    status, came, body = run(scenario())
    assert (status, body) == (418, packed)
    assert [name + b": " + value for name, value in came][-4:] == list(headers)


def test_nothing_of_one_call_is_in_the_next(run: Run[Any]) -> None:
    """No cookie is kept, and no redirect followed."""
    away = answer(b"", b"302 Found", b"Location: http://evil.example/", b"Set-Cookie: a=b; Path=/", b"Keep-Alive: x")

    async def twice(talk: Talk) -> None:
        await talk.request()
        talk.send(away)
        await talk.another_request()
        talk.send(away)
        await talk.stall()

    async def scenario() -> tuple[list[bytes], int]:
        async with Wire(twice) as wire:
            over = upstream()
            for _ in range(2):
                async with over.send(Call("GET", wire.url, TARGET)) as answering:
                    assert answering.status == 302
                    assert await read_all(answering) == b""
            await over.close()
        return wire.requests, len(wire.talks)

    requests, connections = run(scenario())
    assert len(requests) == 2
    assert b"cookie" not in requests[1].lower()
    assert connections == 1, "a connection is kept for the next call"


def test_a_head_has_no_body(run: Run[Any]) -> None:
    """Whatever length it announces."""
    head = answer(b"x" * 50)[:-50]

    async def scenario() -> bytes:
        async with Wire(sends(head)) as wire:
            over = upstream()
            body = await get(over, wire.url, "HEAD")
            await over.close()
        return body

    assert run(scenario()) == b""


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", TARGET, ("x-a", "1\r\nHost: evil.example")),
        ("GET", TARGET, ("x-a\nx-b", "1")),
        ("GET", TARGET, ("x-a", "1\0")),
        ("GET", "/x HTTP/1.1\r\nHost: evil.example\r\n\r\n", ("x-a", "1")),
        ("GET", "/x y", ("x-a", "1")),
        ("GET /y", TARGET, ("x-a", "1")),
    ],
)
def test_what_would_be_read_as_something_else_is_not_sent(
    run: Run[Any], method: str, target: str, header: tuple[str, str]
) -> None:
    """Whoever let it come so far."""

    async def scenario() -> tuple[str, bool, int]:
        async with Wire(sends(OK)) as wire:
            over = upstream()
            with pytest.raises(PlatformUnreachable) as caught:
                async with over.send(Call(method, wire.url, target, (header,))):
                    pass
            await over.close()
        return caught.value.why, caught.value.was_sent, wire.arrived

    assert run(scenario()) == ("request_invalid", False, 0)


def test_what_came_unasked_is_nobodys_answer(run: Run[Any]) -> None:
    """Two answers to one call: the second would be the next caller's."""

    async def scenario() -> tuple[bytes, bytes]:
        async def answers_twice(talk: Talk) -> None:
            await talk.request()
            talk.send(OK)
            await asked_again.wait()
            talk.send(answer(b"stray"))
            await talk.stall()

        asked_again = asyncio.Event()
        async with Wire(answers_twice) as wire:
            over = upstream()
            first = await get(over, wire.url)
            asked_again.set()
            await asyncio.sleep(0.05)
            wire.script = sends(OK)
            second = await get(over, wire.url)
            await over.close()
        return first, second

    assert run(scenario()) == (b'{"errcode":0}', b'{"errcode":0}')


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2]
)
def test_words_before_the_answer_are_passed_over(run: Run[Any], before: bytes) -> None:
    """They are no answer."""

    async def scenario() -> bytes:
        async with Wire(sends(before + OK)) as wire:
            over = upstream()
            body = await get(over, wire.url)
            await over.close()
        return body

    assert run(scenario()) == b'{"errcode":0}'


def test_a_proxy_is_asked_for_the_whole_address(run: Run[Any]) -> None:
    """Where there is no TLS; it is shown its password, and nobody else is."""

    async def scenario() -> tuple[bytes, bytes]:
        async with Wire(answers_all) as wire:
            proxied = upstream(Way(proxy=wire.url.replace("//", "//user:pass@")))
            await get(proxied, "http://sandbox.example:81")
            await proxied.close()
            direct = upstream()
            await get(direct, wire.url)
            await direct.close()
        return wire.requests[0], wire.requests[1]

    by_proxy, directly = run(scenario())
    lines = by_proxy.decode().split("\r\n")
    assert lines[0] == f"GET http://sandbox.example:81{TARGET} HTTP/1.1"
    assert "Host: sandbox.example:81" in lines
    assert "Proxy-Authorization: Basic dXNlcjpwYXNz" in lines
    assert b"roxy" not in directly


# --- at most once


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_call_on_a_kept_connection_that_breaks_is_not_sent_again(run: Run[Any], method: str, how: str) -> None:
    """The client library would send a GET again: of two calls made, three arrive. Here two do."""

    async def answers_once(talk: Talk) -> None:
        await talk.request()
        talk.send(OK)
        await talk.another_request()
        getattr(talk, how)()

    async def scenario() -> tuple[tuple[str, bool], int, int]:
        async with Wire(answers_once) as wire:
            over = upstream()
            await get(over, wire.url, method)
            told = await try_to_get(over, wire.url, method=method)
            await over.close()
        return told, len(wire.requests), len(wire.talks)

    assert run(scenario()) == (("cut", True), 2, 1)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, Script] = {
    "before the head": sends(),
    "reset at once": resets_at_once,
    "reset before the head": sends_then_resets(),
    "in the head": sends(OK[:30]),
    "reset in the head": sends_then_resets(OK[:30]),
    "in the body": sends(OK[:-3]),
    "in a chunk": sends(CHUNKED + b"9\r\nabc"),
    "a chunk that is none": sends(CHUNKED + b"3\r\nabc\r\nzz\r\n"),
    "a chunk that is none, later": sends(CHUNKED + b"3\r\nabc\r\n", b"zz\r\n"),
    "a long chunk, then none": sends(CHUNKED + b"493e0\r\n" + b"x" * 300_000 + b"\r\nzz\r\n"),
    "no HTTP": sends(b"220 mail.example ESMTP\r\n\r\n"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_answer_is_an_error_and_no_second_call(run: Run[Any], broken: str, method: str) -> None:
    """To one host of many, since the first may have heard it."""

    async def scenario() -> tuple[tuple[str, bool], dict[str, int]]:
        async with Hosts({NEAREST: BROKEN[broken], STANDBY: sends(OK)}) as hosts:
            over = upstream(Way(resolver=hosts.names))
            told = await try_to_get(over, f"http://{NEAREST}", method=method)
            await over.close()
        return told, hosts.requests

    (why, was_sent), requests = run(scenario())
    assert was_sent
    assert why == ("not_http" if broken == "no HTTP" else "cut") or (why == "not_http" and "chunk" in broken)
    assert requests == {NEAREST: requests[NEAREST], STANDBY: 0}
    assert requests[NEAREST] <= 1


@pytest.mark.parametrize("script", [says_nothing, sends_then_stalls(OK[:30]), sends_then_stalls(OK[:-3])])
def test_an_answer_that_stands_still_is_given_up(run: Run[Any], script: Script) -> None:
    """Before its head, within it, or in the middle of its body; and its connection is gone."""

    async def scenario() -> tuple[tuple[str, bool], int]:
        async with Wire(script) as wire:
            over = upstream(quiet=QUIET)
            told = await try_to_get(over, wire.url)
            await over.close()
        return told, len(wire.requests)

    assert run(scenario()) == (("timeout", True), 1)


def test_an_answer_that_comes_slowly_is_waited_for(run: Run[Any]) -> None:
    """However long it takes as a whole: what counts is the pause."""

    async def drips(talk: Talk) -> None:
        await talk.request()
        for at in range(0, len(OK), 16):
            talk.send(OK[at : at + 16])
            await asyncio.sleep(QUIET / 4)
        talk.close()

    async def scenario() -> bytes:
        async with Wire(drips) as wire:
            over = upstream(quiet=QUIET)
            body = await get(over, wire.url)
            await over.close()
        return body

    assert len(OK) / 16 / 4 > 1.5
    assert run(scenario()) == b'{"errcode":0}'


# --- hosts


def test_another_host_stands_in_where_nothing_was_sent(run: Run[Any]) -> None:
    """And is asked first from then on."""

    async def scenario() -> tuple[list[str], dict[str, int]]:
        async with Hosts(dict.fromkeys((STANDBY, SHANGHAI), answers_all), unreachable=[NEAREST]) as hosts:
            over = upstream(Way(resolver=hosts.names))
            for _ in range(2):
                await get(over, f"http://{NEAREST}")
            await over.close()
        return hosts.names.asked, hosts.requests

    asked, requests = run(scenario())
    assert asked[:2] == [NEAREST, STANDBY]
    assert requests == {STANDBY: 2, SHANGHAI: 0}


def test_a_host_that_is_not_the_platforms_has_no_stand_in(run: Run[Any]) -> None:
    """A call for a sandbox is nothing to the platform."""
    hosts = Hosts({NEAREST: sends(OK)})

    async def scenario() -> tuple[str, bool]:
        async with hosts:
            over = upstream(Way(resolver=hosts.names))
            told = await try_to_get(over, "http://sandbox.example")
            await over.close()
        return told

    assert run(scenario()) == ("name_unknown", False)
    assert hosts.names.asked == ["sandbox.example"]


def test_what_refuses_connections_was_told_nothing(run: Run[Any]) -> None:
    """So it is safe to say that the call did not happen."""
    with refusing_port() as port:
        assert run(try_to_get(upstream(), f"http://127.0.0.1:{port}")) == ("connect_failed", False)


def test_what_drops_packets_was_told_nothing(run: Run[Any]) -> None:
    """The wait for a connection is bounded by itself."""
    with silent_port() as port:
        over = upstream(Way(resolver=Names({"hub.example": [port]})), quiet=QUIET)
        assert run(try_to_get(over, "http://hub.example")) == ("connect_timeout", False)


@pytest.mark.parametrize("said", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"])
def test_what_a_proxy_refuses_was_told_to_nobody(run: Run[Any], said: bytes) -> None:
    """The tunnel never stood."""

    async def scenario() -> tuple[str, bool]:
        async with Wire(sends(said)) as wire:
            over = upstream(Way(proxy=wire.url))
            told = await try_to_get(over, "https://127.0.0.1:1")
            await over.close()
        return told

    assert run(scenario()) == ("proxy_failed", False)


# --- large bodies


async def pieces(total: int) -> AsyncIterator[bytes]:
    """Yield a body of so many bytes."""
    piece = b"u" * 65_536
    for _ in range(total // len(piece)):
        yield piece


def url_of(server: asyncio.Server) -> str:
    """Return where it listens."""
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def swallow(reader: asyncio.StreamReader, total: int) -> int:
    """Read a request of so many bytes of body; return how many came."""
    await reader.readuntil(b"\r\n\r\n")
    taken = 0
    while taken < total and (piece := await reader.read(65_536)):
        taken += len(piece)
    return taken


def test_large_bodies_pass_in_little_memory(run: Run[Any]) -> None:
    """10 MiB up and 50 MiB down, both in pieces."""
    up, down, seen = 10 * MIB, 50 * MIB, [0, 0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen[0] = await swallow(reader, up)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % down)
        async for piece in pieces(down):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def scenario() -> int:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            over = upstream()
            url = url_of(server)
            tracemalloc.start()
            try:
                call = Call("POST", url, TARGET, (), up, lambda: pieces(up))
                async with over.send(call) as answering:
                    while piece := await answering.read():
                        seen[1] += len(piece)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
                await over.close()

    peak = run(scenario())
    assert seen == [up, down]
    assert peak < 4 * MIB


def test_whoever_reads_slowly_slows_the_sender_down(run: Run[Any]) -> None:
    """What nobody took yet is not gathered here."""
    sent = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await swallow(reader, 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
        try:
            async for piece in pieces(100 * MIB):
                writer.write(piece)
                await writer.drain()
                sent[0] += len(piece)
        except ConnectionError:
            pass
        writer.close()

    async def scenario() -> int:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            over = upstream()
            url = url_of(server)
            async with over.send(Call("GET", url, TARGET)) as answering:
                await answering.read()
                before = -1
                while sent[0] != before:
                    before = sent[0]
                    await asyncio.sleep(0.1)
            await over.close()
        return before

    assert run(scenario()) < 50 * MIB


def test_a_body_that_nobody_takes_is_given_up(run: Run[Any]) -> None:
    """An upload that stands still is no better than an answer that does; and no socket is left of it."""

    async def scenario() -> tuple[tuple[str, bool], int]:
        leave = asyncio.Event()

        async def takes_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport is one of a socket
            await leave.wait()
            writer.transport.abort()

        async with await asyncio.start_server(takes_nothing, "127.0.0.1", 0) as server:
            over, length = upstream(quiet=QUIET), 64 * MIB
            port = server.sockets[0].getsockname()[1]
            told = await try_to_get(over, url_of(server), method="POST", body=lambda: pieces(length), length=length)
            await over.close()
            await tasks_left()
            left = sockets_to(port)
            leave.set()
        return told, left

    assert run(scenario()) == (("timeout", True), 0)


def test_a_body_that_is_taken_slowly_goes_on(run: Run[Any]) -> None:
    """However long it takes as a whole."""
    total = 8 * 65_536

    async def slowly() -> AsyncIterator[bytes]:
        async for piece in pieces(total):
            await asyncio.sleep(QUIET / 3)
            yield piece

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await swallow(reader, total)
        writer.write(OK)
        await writer.drain()
        writer.close()

    async def scenario() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            over = upstream(quiet=QUIET)
            url = url_of(server)
            body = await get(over, url, "POST", slowly, total)
            await over.close()
        return body

    assert run(scenario()) == b'{"errcode":0}'


# --- leaving


@pytest.mark.parametrize("script", [says_nothing, sends_then_stalls(OK[:-3])])
def test_who_stops_waiting_takes_the_connection_along(run: Run[Any], script: Script) -> None:
    """`Wire` ends only when every connection has."""

    async def scenario() -> int:
        over = upstream(quiet=60.0)
        async with Wire(script) as wire:
            call = asyncio.create_task(get(over, wire.url))
            await wire.asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        left = await tasks_left()
        await over.close()
        return left

    assert run(scenario()) == 0


def test_an_answer_that_is_not_read_to_its_end_ends_its_connection(run: Run[Any]) -> None:
    """Its rest must not be taken for the next answer."""

    async def scenario() -> int:
        over = upstream()
        async with Wire(sends_then_stalls(OK[:-3])) as wire, over.send(Call("GET", wire.url, TARGET)) as answering:
            assert answering.status == 200
            await answering.read()
        await over.close()
        return len(wire.talks)

    assert run(scenario()) == 1


@pytest.mark.parametrize("broken", [*BROKEN, "refused", "name"])
def test_no_error_holds_a_url(run: Run[Any], broken: str) -> None:
    """URLs hold tokens."""

    async def scenario() -> str:
        with refusing_port() as port:
            async with Wire(BROKEN.get(broken, sends())) as wire:
                url = {"refused": f"http://127.0.0.1:{port}", "name": "http://no.example"}.get(broken, wire.url)
                over = upstream(Way(resolver=Names({"127.0.0.1": [0]})))
                error: BaseException | None = None
                try:
                    await get(over, url)
                except PlatformUnreachable as caught:
                    error = caught
                await over.close()
                told = ""
                assert error is not None
                while error is not None:
                    told += f"{error!r} {error} {vars(error)}"
                    error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
                return told

    assert HEART not in run(scenario())
    assert HEART not in repr(Call("GET", "http://x.example", TARGET, (("authorization", HEART),), 1, HEART.encode()))
