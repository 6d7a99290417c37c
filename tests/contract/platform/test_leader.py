"""A hub that is followed, over real connections: whatever comes back is told as the one outcome that is true."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.contract.platform.calls import Names
from tests.contract.platform.certificates import Certificates
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    GRANT,
    Script,
    Talk,
    Wire,
    answer,
    closes_at_once,
    refusing_port,
    resets_at_once,
    says_nothing,
    sends,
    sends_then_resets,
    sends_then_stalls,
)
from zhongkong.adapters.by_mode import PlatformByMode, build_platform
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import DIRECT, Way, ask
from zhongkong.adapters.leader import LeaderHub
from zhongkong.core.model import (
    Account,
    AccountKind,
    Ambiguous,
    HandedOn,
    Mode,
    NotSent,
    Outcome,
    Secret,
    Trouble,
    Withheld,
    hash_value,
)
from zhongkong.core.ports import Order, Platform
from zhongkong.wechat.answers import BODY_LONGEST
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = "wx0123456789abcdef"
KEY = "zk_abcdefgh_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
TOKEN = "83_vD-rZ_0kQ"
ACCOUNT = Account(APPID, AccountKind.OFFICIAL, Secret(KEY), mode=Mode.FOLLOW)
MEMBERS = {
    "appid": APPID,
    "kind": "access_token",
    "access_token": TOKEN,
    "expires_in": 5399,
    "expires_at": 1_800_005_400,
    "refresh_in": 57,
    "generation": 17,
}
GOOD = json.dumps(MEMBERS, separators=(",", ":")).encode()
HANDED_ON = HandedOn(TOKEN, 5399, 57, 17)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def problem(status: bytes, *headers: bytes, **members: Any) -> bytes:
    """Return a problem document as a hub answers it."""
    body = json.dumps({"type": "/docs", "title": "t", "detail": "d", **members}).encode()
    return answer(body, status, b"Content-Type: application/problem+json", *headers)


def rejected(outcome: str, generation: int = 17) -> bytes:
    """Return the answer to a reject."""
    return answer(json.dumps({**MEMBERS, "generation": generation, "outcome": outcome}).encode())


def leader(way: Way = DIRECT, deadline: float = 5.0) -> LeaderHub:
    """Return the adapter on the machine's clock."""
    clock = MachineClock()
    return LeaderHub(clock, lambda message, until: ask(message, way, clock, until, 1.0), deadline=deadline)


def at(url: str) -> Account:
    """Return the account, following the hub at `url`."""
    return replace(ACCOUNT, base_url=url)


def order(url: str) -> Order:
    """Return what asks the hub at `url`."""
    return Order(at(url), Mode.FOLLOW, force=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the caller was told, and what arrived."""

    told: Outcome | ProbeVerdict
    requests: list[bytes]
    connections: int


async def mint(script: Script, deadline: float = 5.0) -> Seen:
    """Ask once for what a leader that plays `script` has."""
    async with Wire(script) as wire:
        told = await leader(deadline=deadline).mint(order(wire.url))
    return Seen(told, wire.requests, len(wire.talks))


async def probe(script: Script, caller: str = "", deadline: float = 5.0) -> Seen:
    """Reject once."""
    async with Wire(script) as wire:
        told = await leader(deadline=deadline).probe(at(wire.url), TOKEN, caller)
    return Seen(told, wire.requests, len(wire.talks))


# --- outcomes

WELL: dict[str, tuple[Script, Outcome]] = {
    "what it has": (sends(answer(GOOD)), HANDED_ON),
    "what it has, in chunks": (sends(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)), HANDED_ON),
    "what it has, byte by byte": (sends(*(bytes([byte]) for byte in answer(GOOD))), HANDED_ON),
    "what it has, gzipped by a proxy": (
        sends(answer(gzip.compress(GOOD), b"200 OK", b"Content-Encoding: gzip")),
        HANDED_ON,
    ),
    "a key that is unknown": (
        sends(problem(b"401 Unauthorized", code="key_unknown")),
        Withheld(Trouble("leader_key", errmsg="key_unknown")),
    ),
    "an account that is unknown": (
        sends(problem(b"404 Not Found", code="account_unknown", appid=APPID)),
        Withheld(Trouble("leader_account", errmsg="account_unknown")),
    ),
    "an account that is blocked": (
        sends(
            problem(
                b"503 Service Unavailable",
                b"Retry-After: 299",
                code="credential_unavailable",
                cause="blocked",
                errcode=40164,
                errmsg="invalid ip 10.1.2.3, not in whitelist",
                rid="6720ea21-0dc53ebd-5bdb45c7",
            )
        ),
        Withheld(
            Trouble("blocked", 40164, "invalid ip 10.1.2.3, not in whitelist", "6720ea21-0dc53ebd-5bdb45c7"), 299.0
        ),
    ),
    "a store that is away": (
        sends(problem(b"503 Service Unavailable", b"Retry-After: 1", code="store_unavailable")),
        Withheld(Trouble("leader_unwell", errmsg="store_unavailable"), 1.0),
    ),
}
UNWELL: dict[str, tuple[Script, str]] = {
    "no answer": (sends(), "cut"),
    "no answer, closed at once": (closes_at_once, "cut"),
    "a reset": (sends_then_resets(), "cut"),
    "a reset before the request": (resets_at_once, "cut"),
    "a body shorter than announced": (sends(answer(GOOD)[:-1]), "cut"),
    "no HTTP at all": (sends(b"SSH-2.0-OpenSSH_9.9\r\n"), "not_http"),
    "a page": (sends(answer(b"<html>Welcome to the hotel</html>")), "not_json"),
    "a gateway's page": (sends(answer(b"<html>Bad Gateway</html>", b"502 Bad Gateway")), "status_502"),
    "a body too long": (sends(answer(GOOD + b" " * BODY_LONGEST)), "too_long"),
    "what the platform would answer": (sends(answer(GRANT)), "another_account"),
    "another account's": (sends(answer(GOOD.replace(b"wx0123", b"wx3210"))), "another_account"),
    "a way elsewhere": (
        sends(answer(b"", b"302 Found", b"Location: /v1/accounts/elsewhere/access_token")),
        "status_302",
    ),
    "a permanent way elsewhere": (
        sends(answer(b"", b"308 Permanent Redirect", b"Location: http://127.0.0.1:1/")),
        "status_308",
    ),
    "not modified": (sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "status_304"),
}


@pytest.mark.parametrize("name", WELL)
def test_what_a_hub_answers_is_told_as_it_is(run: Run[Any], name: str) -> None:
    """Its credential, or its trouble with when to come again."""
    script, outcome = WELL[name]
    seen = run(mint(script))
    assert seen.told == outcome
    assert len(seen.requests) == 1


@pytest.mark.parametrize("name", UNWELL)
def test_whatever_is_no_hubs_answer_is_ambiguous_and_asked_once(run: Run[Any], name: str) -> None:
    """A redirect least of all is followed: the key is for one hub."""
    script, why = UNWELL[name]
    seen = run(mint(script))
    assert seen.told == Ambiguous(why)
    assert len(seen.requests) <= 1
    assert seen.connections == 1


async def mint_with_cuts() -> dict[int, Outcome | ProbeVerdict]:
    """Ask once for every length that the answer may be cut to."""
    whole = answer(GOOD)
    return {length: (await mint(sends(whole[:length]))).told for length in range(len(whole) + 1)}


def test_an_answer_cut_anywhere_is_none() -> None:
    """Half a token is no token, and half a promise no promise."""
    told = asyncio.run(mint_with_cuts())
    assert told.pop(len(answer(GOOD))) == HANDED_ON
    assert set(told.values()) == {Ambiguous("cut")}


async def slowly(talk: Talk) -> None:
    """Answer a byte at a time, slower than anybody waits."""
    await talk.request()
    for byte in answer(GOOD):
        talk.send(bytes([byte]))
        try:
            await asyncio.wait_for(talk.gone.wait(), 0.05)
        except TimeoutError:
            continue
        return


@pytest.mark.parametrize("script", [says_nothing, slowly, sends_then_stalls(answer(GOOD)[:-1])])
def test_a_leader_that_is_slow_is_given_up_at_the_deadline(run: Run[Any], script: Script) -> None:
    """Whether it says nothing or never comes to its end."""
    clock = MachineClock()
    began = clock.boot()
    assert run(mint(script, deadline=0.4)).told == Ambiguous("timeout")
    assert clock.boot() - began < 3.0


def test_a_leader_that_cannot_be_reached_was_sent_nothing(run: Run[Any], certificates: Certificates) -> None:
    """By name, by port, or because its certificate is nobody's we trust."""

    async def unreached() -> list[Outcome]:
        told = [await leader(Way(resolver=Names({}))).mint(order("http://hub.internal:8600"))]
        with refusing_port() as port:
            told.append(await leader().mint(order(f"http://127.0.0.1:{port}")))
        async with Wire(says_nothing, certificates.server) as wire:
            told.append(await leader().mint(order(wire.url)))
        return told

    assert run(unreached()) == [
        NotSent("name_unknown"),
        NotSent("connect_failed"),
        NotSent("certificate_invalid"),
    ]


# --- what leaves


def test_the_key_leaves_in_one_header_and_the_request_is_a_plain_read(run: Run[Any]) -> None:
    """URLs are logged on the way, headers are not."""
    head = run(mint(sends(answer(GOOD)))).requests[0].decode()
    first, *lines = head.split("\r\n")
    assert first == f"GET /v1/accounts/{APPID}/access_token HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in lines
    assert head.count(KEY[12:]) == 1
    assert not any(line.lower().startswith("if-none-match") for line in lines)


def test_a_reject_tells_hash_and_caller_and_never_the_token(run: Run[Any]) -> None:
    """The leader has the token; nobody in between needs it."""
    head, _, body = run(probe(sends(rejected("still_valid")), "Ab3_-xYz 10.0.0.9")).requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /v1/accounts/{APPID}/access_token/reject HTTP/1.1".encode())
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"rejected_sha256": hash_value(TOKEN), "caller": "Ab3_-xYz 10.0.0.9"}
    assert TOKEN.encode() not in head + body


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        (sends(rejected("still_valid")), ProbeVerdict.ALIVE),
        (sends(rejected("refreshed")), ProbeVerdict.DEAD),
        (sends(rejected("already_newer")), ProbeVerdict.DEAD),
        (sends(problem(b"503 Service Unavailable", code="store_unavailable")), ProbeVerdict.UNKNOWN),
        (sends(problem(b"401 Unauthorized", code="key_unknown")), ProbeVerdict.UNKNOWN),
        (sends(rejected("refreshed")[:-1]), ProbeVerdict.UNKNOWN),
        (sends(answer(b"<html></html>")), ProbeVerdict.UNKNOWN),
        (resets_at_once, ProbeVerdict.UNKNOWN),
    ],
)
def test_what_a_leader_answers_to_a_reject_is_the_verdict(run: Run[Any], script: Script, verdict: ProbeVerdict) -> None:
    """Whatever is not its word proves nothing."""
    assert run(probe(script)).told is verdict


def test_each_ask_names_the_generation_seen_last(run: Run[Any]) -> None:
    """From a read or a reject; and none any more once the leader says that all of it is behind."""
    answers = [
        answer(GOOD),
        answer(GOOD),
        rejected("refreshed", 18),
        problem(b"503 Service Unavailable", b"Retry-After: 1", code="store_unavailable"),
        problem(b"503 Service Unavailable", b"Retry-After: 1", code="store_behind"),
        answer(GOOD),
    ]

    async def play() -> list[bytes]:
        async def script(talk: Talk) -> None:
            await talk.request()
            talk.send(answers[len(wire.requests) - 1])
            talk.close()

        async with Wire(script) as wire:
            hub = leader()
            for method in "GGPGGG":
                await (hub.probe(at(wire.url), TOKEN) if method == "P" else hub.mint(order(wire.url)))
        return wire.requests

    named = [
        next((line[15:] for line in request.split(b"\r\n") if line.startswith(b"If-None-Match: ")), b"")
        for request in run(play())
    ]
    assert named == [b"", b'W/"17.00000000"', b"", b'W/"18.00000000"', b'W/"18.00000000"', b""]


@pytest.mark.parametrize("name", [*WELL, *UNWELL])
def test_neither_key_nor_token_is_told_or_logged(
    run: Run[Any], name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens to the call."""
    caplog.set_level(logging.DEBUG)
    script = (WELL | UNWELL)[name][0]
    seen = run(mint(script))
    out = capsys.readouterr()
    told = f"{seen.told!r} {caplog.text} {out.out} {out.err} {order('http://hub.test')!r}"
    assert KEY not in told
    assert KEY[12:] not in told
    assert TOKEN not in told


# --- whom the mode asks


def test_a_key_is_never_sent_to_the_platform_nor_a_secret_to_a_hub(run: Run[Any]) -> None:
    """The mode of the order decides, and of the account for a reject."""

    async def play() -> list[bytes]:
        async with Wire(sends(answer(GOOD))) as wire:
            platform: Platform = build_platform(MachineClock())
            assert isinstance(platform, PlatformByMode)
            follows, mints = at(wire.url), replace(at(wire.url), mode=Mode.STABLE, secret=Secret("s" * 32))
            for account in (follows, mints):
                await platform.mint(Order(account, account.mode, force=False))
                await platform.probe(account, TOKEN)
        return [request.split(b"\r\n")[0] for request in wire.requests]

    assert run(play()) == [
        f"GET /v1/accounts/{APPID}/access_token HTTP/1.1".encode(),
        f"POST /v1/accounts/{APPID}/access_token/reject HTTP/1.1".encode(),
        b"POST /cgi-bin/stable_token HTTP/1.1",
        f"GET /cgi-bin/get_api_domain_ip?access_token={TOKEN} HTTP/1.1".encode(),
    ]


def test_a_proxy_leads_to_the_platform_and_not_to_a_leader(run: Run[Any]) -> None:
    """It is the way out of the house; a leader is inside."""

    async def play() -> tuple[Outcome, int]:
        async with Wire(sends(answer(GOOD))) as wire, Wire(says_nothing) as proxy:
            platform = build_platform(MachineClock(), proxy=proxy.url)
            return await platform.mint(order(wire.url)), len(proxy.talks)

    assert run(play()) == (HANDED_ON, 0)


def test_every_call_is_observed(run: Run[Any]) -> None:
    """Under the route's own name: paths with appids in them would be a measure each."""
    told: list[tuple[str, str]] = []

    async def play() -> None:
        clock = MachineClock()
        hub = LeaderHub(
            clock,
            lambda message, until: ask(message, DIRECT, clock, until, 1.0),
            observe=lambda path, what, _: told.append((path, what)),
        )
        async with Wire(sends(answer(GOOD))) as wire:
            await hub.mint(order(wire.url))
            await hub.probe(at(wire.url), TOKEN)
        with refusing_port() as port:
            await hub.mint(order(f"http://127.0.0.1:{port}"))

    run(play())
    assert told == [
        ("/v1/accounts/{appid}/{kind}", "granted"),
        ("/v1/accounts/{appid}/{kind}/reject", "unknown"),
        ("/v1/accounts/{appid}/{kind}", "not_sent"),
    ]
