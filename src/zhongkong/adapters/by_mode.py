"""Whom an account's mode asks: the platform itself, or the hub that it follows."""

from __future__ import annotations

from dataclasses import replace

from zhongkong.adapters.connections import DIRECT, Answer, Message, Way, ask
from zhongkong.adapters.leader import LeaderHub
from zhongkong.adapters.names import SystemNames
from zhongkong.adapters.platform import AiohttpPlatform, Observe
from zhongkong.adapters.upstream import AiohttpUpstream
from zhongkong.core.model import Account, Ambiguous, Kind, Mode, NotSent, Outcome, Seconds
from zhongkong.core.ports import Clock, Order, Platform, Upstream
from zhongkong.wechat.errcodes import ProbeVerdict


class PlatformByMode:
    """The platform and the leaders behind one port."""

    def __init__(self, platform: Platform, leader: Platform) -> None:
        self._platform = platform
        self._leader = leader

    async def mint(self, order: Order) -> Outcome:
        """Ask whom the order's mode names."""
        return await (self._leader if order.mode is Mode.FOLLOW else self._platform).mint(order)

    async def probe(
        self, account: Account, value: str, caller: str = "", kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Ask whom the account's mode names."""
        asked = self._leader if account.mode is Mode.FOLLOW else self._platform
        return await asked.probe(account, value, caller, kind)


def build_platform(
    clock: Clock, *, proxy: str = "", observe: Observe = lambda _endpoint, _outcome, _seconds: None
) -> Platform:
    """Return what mints for accounts of every mode; `proxy` leads out to the platform, never to a leader."""
    names = SystemNames()
    direct = replace(DIRECT, resolver=names)

    async def send(message: Message, until: Seconds) -> Answer | NotSent | Ambiguous:
        return await ask(message, direct, clock, until, connect_share=1.0)

    platform = AiohttpPlatform(clock, way=Way(proxy=proxy, resolver=names), observe=observe)
    return PlatformByMode(platform, LeaderHub(clock, send, observe=observe))


def build_upstream(clock: Clock, *, proxy: str = "") -> Upstream:
    """Return what sends clients' calls on; `proxy` leads out to the platform."""
    return AiohttpUpstream(clock, way=Way(proxy=proxy))
