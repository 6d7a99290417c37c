"""*Not sent* is told where no byte of the request left, and nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tests.contract.platform.calls import MODES, SECRET, Names, mint_by_tls, order_at, platform
from tests.contract.platform.certificates import Certificates
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    Script,
    Talk,
    Wire,
    answer,
    closes_at_once,
    refusing_port,
    resets_at_once,
    sends,
)
from zhongkong.adapters.connections import Way
from zhongkong.core.model import Mode, NotSent, Outcome
from zhongkong.wechat.answers import Granted


async def mint_at(url: str, way: Way, mode: Mode = Mode.CLASSIC) -> Outcome:
    """Mint once at that base URL."""
    return await platform(way=way).mint(order_at(url, mode))


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_connection_is_not_sent(run: Run[Any], mode: Mode) -> None:
    """Nobody was there to send it to."""
    with refusing_port() as port:
        assert run(mint_at(f"http://127.0.0.1:{port}", Way(), mode)) == NotSent("connect_failed")


def test_an_unknown_name_is_not_sent(run: Run[Any]) -> None:
    """A name that nobody knows leads nowhere."""
    assert run(mint_at("http://hub.example", Way(resolver=Names({})))) == NotSent("name_unknown")


@pytest.mark.parametrize(
    "url",
    ["", "hub.example", "ftp://hub.example", "http://", "http://[", "http://a:99999", f"http://{'a' * 300}.example"],
)
def test_an_address_that_is_none_is_not_sent(run: Run[Any], url: str) -> None:
    """A base URL is checked where it is typed; if one slips through, it is an outcome all the same."""
    assert run(mint_at(url, Way())) in (NotSent("url_invalid"), NotSent("name_unknown"))


def test_a_certificate_nobody_vouches_for_is_not_sent(run: Run[Any], certificates: Certificates) -> None:
    """Whoever answers there is not the platform, and must not see the secret."""
    seen = run(mint_by_tls(sends(answer()), certificates.server, None))
    assert seen.told == NotSent("certificate_invalid")
    assert seen.requests == 0


def test_a_certificate_for_another_name_is_not_sent(run: Run[Any], certificates: Certificates) -> None:
    """Trusted, but somebody else."""

    async def scenario() -> tuple[Outcome, int]:
        async with Wire(sends(answer()), certificates.server) as wire:
            way = Way(tls=certificates.trusting, resolver=Names({"hub.example": [wire.port]}))
            told = await mint_at("https://hub.example", way)
        return told, wire.arrived

    assert run(scenario()) == (NotSent("certificate_invalid"), 0)


def test_a_trusted_server_behind_tls_is_asked(run: Run[Any], certificates: Certificates) -> None:
    """The counter-proof: the same server, trusted, grants."""
    seen = run(mint_by_tls(sends(answer()), certificates.server, certificates.trusting))
    assert isinstance(seen.told, Granted)
    assert seen.requests == 1


def test_an_error_that_nobody_foresaw_is_told_by_its_name_alone(run: Run[Any]) -> None:
    """The outcome is as true as ever, and the name is what a report of the bug needs."""

    class BrokenNames(Names):
        async def resolve(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError(SECRET)

    told = run(mint_at("http://hub.example", Way(resolver=BrokenNames({}))))
    assert told == NotSent("unexpected_RuntimeError")


def garbage(*pieces: bytes) -> Script:
    """Return the script: send bytes that are no TLS as soon as somebody connects, and end."""

    async def script(talk: Talk) -> None:
        for piece in pieces:
            talk.send(piece)
        talk.close()

    return script


HANDSHAKES: dict[str, Script] = {
    "closed": closes_at_once,
    "reset": resets_at_once,
    "no TLS": garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "an alert": garbage(b"\x15\x03\x03\x00\x02\x02\x28"),
    "half a hello": garbage(b"\x16\x03\x03\x00\x7a\x02\x00"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_fails_is_not_sent(run: Run[Any], name: str, certificates: Certificates) -> None:
    """The request waits for the end of the handshake."""

    async def scenario() -> tuple[Outcome, list[bytes]]:
        async with Wire(HANDSHAKES[name]) as wire:
            told = await mint_at(wire.url.replace("http:", "https:"), Way(tls=certificates.trusting))
        return told, wire.requests

    told, requests = run(scenario())
    assert isinstance(told, NotSent)
    assert told.why in ({"not_tls"} if name == "no TLS" else {"tls_failed", "connect_failed"})
    assert requests == []


def test_a_tls_version_of_yesterday_is_not_sent(run: Run[Any], certificates: Certificates) -> None:
    """Two that have no version in common never get to talk."""
    server = certificates.server_of(ssl.TLSVersion.TLSv1_2)
    client = certificates.trusting_only(ssl.TLSVersion.TLSv1_3)
    seen = run(mint_by_tls(sends(answer()), server, client))
    assert seen.told in (NotSent("tls_failed"), NotSent("connect_failed"))
    assert seen.requests == 0


def tunnels_to(port: int, seen: list[bytes]) -> Script:
    """Return the script of an HTTP proxy: what it was asked goes to `seen`, then bytes are carried both ways."""

    async def script(talk: Talk) -> None:
        await talk.request()
        seen.append(talk.last_request)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        talk.carry_to(writer.write)
        talk.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        while data := await reader.read(65_536):
            talk.send(data)
        writer.close()
        talk.close()

    return script


def test_a_proxy_carries_the_request_when_one_is_given(run: Run[Any], certificates: Certificates) -> None:
    """The allow-list of the platform may hold the proxy's address only; its password stays between us and it."""

    async def scenario() -> tuple[Outcome, int, list[bytes]]:
        asked: list[bytes] = []
        async with Wire(sends(answer()), certificates.server) as wire, Wire(tunnels_to(wire.port, asked)) as proxy:
            way = Way(proxy=f"http://me:pass@127.0.0.1:{proxy.port}", tls=certificates.trusting)
            told = await mint_at(wire.url, way)
        return told, len(wire.requests), asked

    told, requests, asked = run(scenario())
    assert isinstance(told, Granted)
    assert requests == 1
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")
    assert b"secret" not in asked[0]


PROXIES: dict[str, Script] = {
    "refuses": sends(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    "wants a password": sends(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
    "cannot reach it": sends(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    "hangs up": sends(),
    "talks rubbish": sends(b"\x00\x01\x02\r\n\r\n"),
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_that_opens_no_tunnel_lets_nothing_out(run: Run[Any], name: str) -> None:
    """The proxy saw a host name and nothing else."""

    async def scenario() -> tuple[Outcome, list[bytes]]:
        async with Wire(PROXIES[name]) as proxy:
            told = await mint_at("https://hub.example", Way(proxy=proxy.url))
        return told, proxy.requests

    told, requests = run(scenario())
    assert told in (NotSent("proxy_failed"), NotSent("connect_failed"))
    assert all(request.startswith(b"CONNECT hub.example:443") for request in requests)


def test_a_proxy_that_is_not_there_is_not_sent(run: Run[Any]) -> None:
    """It is the proxy that is away, not the platform; the reason says so."""
    with refusing_port() as port:
        told = run(mint_at("https://hub.example", Way(proxy=f"http://127.0.0.1:{port}")))
    assert told == NotSent("proxy_failed")


def test_the_environment_names_no_proxy(run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that somebody set for a shell must not see what we send, nor give us its address."""

    async def scenario() -> tuple[Outcome, int]:
        async with Wire(sends(answer())) as wire, Wire(closes_at_once) as stranger:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, stranger.url)
            monkeypatch.delenv("no_proxy", raising=False)
            told = await mint_at(wire.url, Way())
        return told, len(stranger.talks)

    told, strangers = run(scenario())
    assert isinstance(told, Granted)
    assert strangers == 0
