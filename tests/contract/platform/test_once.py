"""A call that can end a token leaves at most once, to one host, on a connection that nobody used before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self

import pytest

from tests.contract.platform.calls import ACCOUNT, MODES, SECRET, VALUE, Names, order_at, platform
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    GRANT,
    Script,
    Talk,
    Wire,
    answer,
    refusing_port,
    sends,
    sends_then_stalls,
    silent_port,
)
from zhongkong.adapters.connections import Way
from zhongkong.adapters.hosts import DETOUR
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.core.model import Ambiguous, Mode, NotSent, Outcome
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.endpoints import PLATFORM_HOSTS

NEAREST, STANDBY, SHANGHAI, *_ = PLATFORM_HOSTS
KEPT = answer(GRANT, b"200 OK", b"Connection: keep-alive", b"Keep-Alive: timeout=60")


def test_every_call_has_a_connection_of_its_own(run: Run[Any]) -> None:
    """A kept connection may break as the request leaves, and then nobody knows whether it arrived."""

    async def scenario() -> tuple[list[Outcome], int, int]:
        async with Wire(sends_then_stalls(KEPT)) as wire:
            hub = platform()
            told = [await hub.mint(order_at(wire.url, mode)) for mode in (*MODES, *MODES)]
            await hub.probe(replace(ACCOUNT, base_url=wire.url), VALUE)
        return told, len(wire.requests), len(wire.talks)

    told, requests, connections = run(scenario())
    assert [type(one) for one in told] == [Granted] * 4
    assert requests == connections == 5


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_hangs_up_on_the_next_request_gets_it_once(run: Run[Any], mode: Mode) -> None:
    """The client library sends a GET again whose connection broke: of two calls made, three arrive. Here two do."""

    async def answers_once(talk: Talk) -> None:
        await talk.request()
        if talk.is_first:
            talk.send(KEPT)
            await talk.another_request()
        talk.close()

    async def scenario() -> tuple[list[Outcome], int]:
        async with Wire(answers_once) as wire:
            hub = platform()
            told = [await hub.mint(order_at(wire.url, mode)) for _ in range(2)]
        return told, len(wire.requests)

    told, requests = run(scenario())
    assert told[1] == Ambiguous("cut")
    assert requests == 2


def test_what_is_sent_is_what_the_platform_documents(run: Run[Any]) -> None:
    """A secret of odd characters arrives as it is; no cookie of an earlier answer comes along."""

    async def scenario() -> list[bytes]:
        async with Wire(sends(answer(GRANT, b"200 OK", b"Set-Cookie: a=b; Path=/"))) as wire:
            hub = platform()
            await hub.mint(order_at(wire.url + "/", Mode.CLASSIC))
            await hub.mint(order_at(wire.url, Mode.STABLE))
            await hub.mint(order_at(wire.url, Mode.STABLE, force=True))
            await hub.probe(replace(ACCOUNT, base_url=wire.url), VALUE)
        return wire.requests

    classic, stable, forced, probe = run(scenario())
    query = (
        b"grant_type=client_credential&appid=wx0123456789abcdef&secret=5e%2Bc%2Fr%3De%26t%3FZq7LmN4pXw2RtV8s+%25%C3%BC"
    )
    assert classic.startswith(b"GET /cgi-bin/token?" + query + b" HTTP/1.1\r\n")
    assert stable.startswith(b"POST /cgi-bin/stable_token HTTP/1.1\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in stable.lower()
    assert stable.endswith(f'"secret":"{SECRET}","force_refresh":false}}'.encode())
    assert forced.endswith(b'"force_refresh":true}')
    assert probe.startswith(b"GET /cgi-bin/get_api_domain_ip?access_token=83_%2B%2F%3D%26Hk3TgB9yDc5FjW6n HTTP/1.1\r\n")
    for request in (classic, stable, forced, probe):
        assert b"\r\nconnection: close\r\n" in request.lower()
        assert b"cookie:" not in request.lower()


def test_two_addresses_of_one_name_get_one_request(run: Run[Any]) -> None:
    """Connections may race each other; the request goes down one of them."""

    async def scenario(first: int) -> tuple[Outcome, int]:
        async with Wire(sends(answer())) as wire:
            way = Way(resolver=Names({"hub.example": [first or wire.port, wire.port]}))
            told = await platform(way=way).mint(order_at("http://hub.example"))
        return told, len(wire.requests)

    told, requests = run(scenario(0))
    assert (type(told), requests) == (Granted, 1)


@pytest.mark.parametrize("silent", [False, True])
def test_an_address_that_is_not_there_costs_no_request(run: Run[Any], silent: bool) -> None:  # noqa: FBT001 (a parameter of the claim)
    """One of a name's addresses may be dead, refusing or silent; the next one is asked, once."""

    async def scenario(first: int) -> tuple[Outcome, int]:
        async with Wire(sends(answer())) as wire:
            way = Way(resolver=Names({"hub.example": [first, wire.port]}))
            told = await platform(way=way).mint(order_at("http://hub.example"))
        return told, len(wire.requests)

    with silent_port() if silent else refusing_port() as port:
        told, requests = run(scenario(port))
    assert (type(told), requests) == (Granted, 1)


class Hosts(AsyncExitStack):
    """The platform's hosts, each with a script or, where there is none, refusing; and the way to them."""

    def __init__(self, scripts: dict[str, Script], unreachable: Iterable[str] = ()) -> None:
        super().__init__()
        self._scripts = scripts
        self._unreachable = unreachable
        self.wires: dict[str, Wire] = {}

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        for host, script in self._scripts.items():
            self.wires[host] = await self.enter_async_context(Wire(script))
        self.names = Names({host: [wire.port] for host, wire in self.wires.items()})
        for host in self._unreachable:
            self.names.known[host] = [self.enter_context(refusing_port())]
        return self

    @property
    def requests(self) -> dict[str, int]:
        """How many requests arrived, by host."""
        return {host: len(wire.requests) for host, wire in self.wires.items()}


GRANTS = sends(answer())


async def mint_at_hosts(hosts: Hosts, base_url: str = f"http://{NEAREST}", deadline: float = 5.0) -> Outcome:
    """Mint once at the platform's hosts, and count what arrived."""
    async with hosts:
        return await platform(deadline, Way(resolver=hosts.names)).mint(order_at(base_url))


@pytest.mark.parametrize("unreachable", [(), (NEAREST,)])
def test_another_host_stands_in_where_nothing_was_sent(run: Run[Any], unreachable: tuple[str, ...]) -> None:
    """The platform names five hosts for this. The name of the nearest may be gone, or the door shut."""
    hosts = Hosts({STANDBY: GRANTS, SHANGHAI: GRANTS}, unreachable)
    assert isinstance(run(mint_at_hosts(hosts)), Granted)
    assert hosts.names.asked == [NEAREST, STANDBY]
    assert hosts.requests == {STANDBY: 1, SHANGHAI: 0}
    assert f"\r\nHost: {STANDBY}\r\n".encode() in hosts.wires[STANDBY].requests[0]


def test_a_silent_host_leaves_time_for_the_next(run: Run[Any]) -> None:
    """One wall that drops packets must not use up what the others need."""
    with silent_port() as port:

        async def scenario() -> tuple[Outcome, dict[str, int]]:
            async with Hosts({STANDBY: GRANTS}) as hosts:
                hosts.names.known[NEAREST] = [port]
                told = await platform(0.6, Way(resolver=hosts.names)).mint(order_at(f"http://{NEAREST}"))
            return told, hosts.requests

        told, requests = run(scenario())
    assert isinstance(told, Granted)
    assert requests == {STANDBY: 1}


@pytest.mark.parametrize("script", [sends(), sends(answer(b"", b"502 Bad Gateway")), sends_then_stalls()])
def test_nobody_stands_in_once_a_byte_may_have_left(run: Run[Any], script: Script) -> None:
    """The first host may have minted."""
    hosts = Hosts({NEAREST: script, STANDBY: GRANTS})
    assert isinstance(run(mint_at_hosts(hosts, deadline=0.3)), Ambiguous)
    assert hosts.requests == {NEAREST: 1, STANDBY: 0}


def test_all_hosts_away_is_not_sent_for_the_first_ones_reason(run: Run[Any]) -> None:
    """Each was tried once, in order, and nothing left to any."""
    hosts = Hosts({}, unreachable=[NEAREST])
    assert run(mint_at_hosts(hosts)) == NotSent("connect_failed")
    assert hosts.names.asked == list(PLATFORM_HOSTS)


def test_a_host_that_is_not_the_platforms_has_no_stand_in(run: Run[Any]) -> None:
    """A sandbox's secret is nothing to the platform, and another hub's is nothing to anybody else."""
    hosts = Hosts(dict.fromkeys(PLATFORM_HOSTS, GRANTS))
    assert run(mint_at_hosts(hosts, "http://hub.example")) == NotSent("name_unknown")
    assert hosts.names.asked == ["hub.example"]


def test_a_chosen_host_of_the_platform_comes_first(run: Run[Any]) -> None:
    """A base URL may name a regional host; the others stand in for it as well."""
    hosts = Hosts({NEAREST: GRANTS})
    assert isinstance(run(mint_at_hosts(hosts, f"http://{SHANGHAI}")), Granted)
    assert hosts.names.asked == [SHANGHAI, NEAREST]


class SetClock:
    """A clock that shows what a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def boot(self) -> float:
        """Return what the test says."""
        return self.now

    def wall(self) -> float:
        """Return the same."""
        return self.now


def test_the_host_that_stood_in_is_asked_first_for_a_while(run: Run[Any]) -> None:
    """While the nearest is away nobody waits for it at every call; after ten minutes it has its turn again."""
    clock = SetClock()

    async def scenario() -> list[str]:
        async with Hosts({STANDBY: GRANTS}) as hosts:
            hub = AiohttpPlatform(clock, way=Way(resolver=hosts.names))
            for passed in (0.0, DETOUR - 1.0, 1.0):
                clock.now += passed
                assert isinstance(await hub.mint(order_at(f"http://{NEAREST}")), Granted)
        return hosts.names.asked

    assert run(scenario()) == [NEAREST, STANDBY, STANDBY, NEAREST, STANDBY]


def test_a_stand_in_that_fails_too_is_replaced(run: Run[Any]) -> None:
    """What stood in yesterday has no better right than the others."""

    async def scenario() -> list[str]:
        async with Hosts({STANDBY: GRANTS, SHANGHAI: GRANTS}) as hosts:
            hub = platform(way=Way(resolver=hosts.names))
            assert isinstance(await hub.mint(order_at(f"http://{NEAREST}")), Granted)
            del hosts.names.known[STANDBY]
            for _ in range(2):
                assert isinstance(await hub.mint(order_at(f"http://{NEAREST}")), Granted)
            hosts.names.known[NEAREST] = hosts.names.known.pop(SHANGHAI)
            for _ in range(2):
                assert isinstance(await hub.mint(order_at(f"http://{NEAREST}")), Granted)
        return hosts.names.asked

    asked = [NEAREST, STANDBY, STANDBY, NEAREST, SHANGHAI, SHANGHAI, SHANGHAI, NEAREST, NEAREST]
    assert run(scenario()) == asked


def test_one_accounts_chosen_host_is_no_detour_for_another(run: Run[Any]) -> None:
    """Somebody chose Shanghai for one account; the others still begin with the nearest."""

    async def scenario() -> list[str]:
        async with Hosts({NEAREST: GRANTS, SHANGHAI: GRANTS}) as hosts:
            hub = platform(way=Way(resolver=hosts.names))
            for host in (SHANGHAI, NEAREST):
                assert isinstance(await hub.mint(order_at(f"http://{host}")), Granted)
        return hosts.names.asked

    assert run(scenario()) == [SHANGHAI, NEAREST]


def test_many_calls_at_once_do_not_wait_for_each_other(run: Run[Any]) -> None:
    """A queue inside the client would eat the deadline of those behind; the keeper bounds how many leave."""

    async def scenario() -> tuple[list[Outcome], int]:
        everyone = asyncio.Barrier(150)

        async def answers_when_all_are_here(talk: Talk) -> None:
            await talk.request()
            await everyone.wait()
            talk.send(answer())
            talk.close()

        async with Wire(answers_when_all_are_here) as wire:
            hub = platform()
            told = await asyncio.gather(*(hub.mint(order_at(wire.url)) for _ in range(150)))
        return list(told), len(wire.requests)

    told, requests = run(scenario())
    assert {type(one) for one in told} == {Granted}
    assert requests == 150
