"""Calls of the adapter as the keeper makes them, and what both ends saw of them."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, replace

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.contract.platform.wire import Script, Wire
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import DIRECT, Way
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.core.model import Account, AccountKind, Mode, Outcome, Secret
from zhongkong.core.ports import Order
from zhongkong.wechat.errcodes import ProbeVerdict

SECRET = "5e+c/r=e&t?Zq7LmN4pXw2RtV8s %ü"
VALUE = "83_+/=&Hk3TgB9yDc5FjW6n"

MODES = (Mode.CLASSIC, Mode.STABLE)
"""How the platform itself is asked."""

ACCOUNT = Account("wx0123456789abcdef", AccountKind.OFFICIAL, Secret(SECRET))


def order_at(base_url: str, mode: Mode = Mode.CLASSIC, *, force: bool = False) -> Order:
    """Return an order for the account, at that base URL."""
    return Order(replace(ACCOUNT, base_url=base_url), mode, force)


def platform(deadline: float = 5.0, way: Way = DIRECT) -> AiohttpPlatform:
    """Return the adapter on the machine's clock, with a deadline that suits a test."""
    return AiohttpPlatform(MachineClock(), way=way, deadline=deadline)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the caller was told, and what the server counted once everything was over."""

    told: Outcome | ProbeVerdict
    requests: int
    connections: int
    arrived: int


async def mint(script: Script, mode: Mode = Mode.CLASSIC, deadline: float = 5.0) -> Seen:
    """Mint once against a server that plays `script`."""
    async with Wire(script) as wire:
        told = await platform(deadline).mint(order_at(wire.url, mode))
    return Seen(told, len(wire.requests), len(wire.talks), wire.arrived)


async def mint_by_tls(
    script: Script, server: ssl.SSLContext, client: ssl.SSLContext | None, deadline: float = 5.0
) -> Seen:
    """Mint once over TLS against a server that plays `script`; `client` None trusts what the machine trusts."""
    async with Wire(script, server) as wire:
        told = await platform(deadline, Way(tls=client)).mint(order_at(wire.url))
    return Seen(told, len(wire.requests), len(wire.talks), wire.arrived)


async def probe(script: Script, deadline: float = 5.0) -> Seen:
    """Probe once against a server that plays `script`."""
    async with Wire(script) as wire:
        account = replace(ACCOUNT, base_url=wire.url)
        told = await platform(deadline).probe(account, VALUE)
    return Seen(told, len(wire.requests), len(wire.talks), wire.arrived)


class Names(AbstractResolver):
    """A name server that knows what a test says: for each host its ports on loopback. `asked` keeps the order."""

    def __init__(self, known: dict[str, list[int]]) -> None:
        self.known = known
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where the host is, whatever port was meant; an unknown one has no address."""
        del port, family
        self.asked.append(host)
        if host not in self.known:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
            for port in self.known[host]
        ]

    async def close(self) -> None:
        """There is nothing to close."""
