"""Several hubs in one process under one clock, one platform for those that mint, and lines between the hubs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.scenario.hub.house import APPID, SECRET, House, MovableStore
from zhongkong.adapters.by_mode import PlatformByMode
from zhongkong.adapters.connections import Answer, Message
from zhongkong.adapters.leader import LeaderHub
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, AccountKind, Ambiguous, Mode, NotSent, Record, Seconds, Secret, Slot
from zhongkong.core.ports import Platform
from zhongkong.sandbox.world import World
from zhongkong.testing.fake_clock import FakeClock

SLOT = Slot(APPID)
READ = f"/v1/accounts/{APPID}/access_token"
REJECT = f"{READ}/reject"
LATENCY = 0.02


@dataclass
class Ask:
    """One request of a hub to another, as it left."""

    at: float
    frm: str
    to: str
    method: str
    status: int = 0


class Hub(House):
    """A hub that can follow another; `is_gone` closes every line to it, `is_silent` lets nothing come back."""

    def __init__(self, estate: Estate, name: str, store: MovableStore | None = None) -> None:
        self.estate = estate
        self.name = name
        self.is_gone = False
        self.is_silent = False
        self.reads_come_to: Hub = self
        """Which of its replicas a balancer gives reads to."""
        super().__init__(estate.clock, estate.world, store)

    @property
    def url(self) -> str:
        """Where other hubs find it."""
        return f"https://{self.name}.test"

    @property
    def address(self) -> str:
        """Where its requests come from."""
        return f"10.9.0.{list(self.estate.hubs).index(self.name)}"

    def find_platform(self) -> Platform:
        """Return the platform, or what the account's base URL leads to."""
        leader = LeaderHub(self.clock, self._send, observe=self.telemetry.platform_called)
        return PlatformByMode(self.platform, leader)

    async def _send(self, message: Message, until: Seconds) -> Answer | NotSent | Ambiguous:
        """Carry one request to the hub that its URL names, as a connection of its own would."""
        estate = self.estate
        parts = urlsplit(message.url)
        other = estate.hubs.get(str(parts.hostname).partition(".")[0])
        ask = Ask(self.clock.boot(), self.name, str(parts.hostname), message.method)
        estate.asks.append(ask)
        if other is None or other.is_gone:
            return NotSent("connect_failed")
        try:
            async with asyncio.timeout(until - self.clock.boot()):
                await asyncio.sleep(estate.latency)
                answered = await other.answer(message, parts.path, self.address)
                await asyncio.sleep(1000.0 if other.is_silent else estate.latency)
        except TimeoutError:
            return Ambiguous("timeout")
        ask.status = answered.status_code
        return Answer(answered.status_code, "", answered.content, answered.headers.get("retry-after", ""))

    async def answer(self, message: Message, path: str, address: str) -> httpx.Response:
        """Answer what another hub asks."""
        replica = self.reads_come_to if message.method == "GET" else self
        return await replica.calling(
            message.method, path, address=address, content=message.body, headers=dict(message.headers)
        )

    def add_replica(self) -> Hub:
        """Return another replica on its store that has read it, and polls no more."""
        replica = Hub(self.estate, self.name, self.store)
        self.clock.run(replica.keeper.poll())
        self.clock.run(replica.keyring.refresh())
        return replica

    @property
    def record(self) -> Record:
        """The store's record of the slot."""
        return self.clock.run(self.store.load(SLOT))

    @property
    def codes(self) -> list[str]:
        """The codes of the audit log, oldest first."""
        return [kept.event.code for kept in self.clock.run(self.store.events(limit=10_000))]


@dataclass
class Estate:
    """The hubs, by name, and the platform that they all stand before."""

    clock: FakeClock = field(default_factory=FakeClock)
    world: World = field(default_factory=lambda: World(seed=7))
    hubs: dict[str, Hub] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    latency: float = LATENCY

    def add_hub(self, name: str) -> Hub:
        """Open a hub that has no account."""
        hub = self.hubs[name] = Hub(self, name)
        hub.open()
        return hub

    def add_leader(self, name: str = "leader", mode: Mode = Mode.STABLE) -> Hub:
        """Open a hub that mints at the platform."""
        hub = self.add_hub(name)
        hub.add_account(mode=mode)
        return hub

    def add_follower(self, leader: Hub, name: str = "follower", key: str = "", *, admin: str = "") -> Hub:
        """Open a hub whose account follows `leader`, with a key of its own made there."""
        hub = self.hubs.get(name) or self.add_hub(name)
        text = key or leader.add_key(Grant.READ, name=name, appids=(APPID,))
        added = hub.call("POST", "/v1/accounts", admin or hub.add_key(Grant.ADMIN), json=following(leader, text))
        assert added.status_code == 201, added.text
        return hub

    def put_follower(self, leader: Hub, name: str, key: str) -> Hub:
        """Open a hub whose account was told to follow, whatever the leader says to that."""
        hub = self.hubs.get(name) or self.add_hub(name)
        account = Account(APPID, AccountKind.OFFICIAL, Secret(key), mode=Mode.FOLLOW, base_url=leader.url)
        self.clock.run(hub.store.put_account(account))
        self.clock.turn(1.5)
        return hub

    def turn(self, seconds: float) -> None:
        """Let so much time pass."""
        self.clock.turn(seconds)

    def asked(self, to: Hub, method: str = "GET") -> list[Ask]:
        """Return what was asked of a hub by others."""
        return [ask for ask in self.asks if ask.to == f"{to.name}.test" and ask.method == method]

    def is_alive(self, value: str) -> bool:
        """Say whether the platform takes the token now."""
        return self.world.is_alive(value, self.clock.wall())

    def revoke(self) -> None:
        """Let the platform end every token of the account."""
        self.world.revoke_all(APPID, self.clock.wall())

    def seat_reader(self, hub: Hub, key: str, every: float = 2.0) -> Reader:
        """Let a business server read from a hub and use what it got, from now on."""
        reader = Reader(self, hub, key, every)
        _ = self.clock.begin(reader.run())
        return reader


class Reader:
    """A business server that does as it is told, and uses its token all the time."""

    def __init__(self, estate: Estate, hub: Hub, key: str, every: float) -> None:
        self.used = 0
        self.refused: list[float] = []
        self.failed: list[tuple[float, dict[str, Any]]] = []
        self.generations: list[int] = []
        self.marks: set[str] = set()
        self._estate = estate
        self._hub = hub
        self._key = key
        self._every = every
        self._etag = ""
        self._held: dict[str, Any] = {}
        self._until = 0.0

    async def run(self) -> None:
        """Go on for ever."""
        look_at = 0.0
        clock = self._estate.clock
        while True:
            if clock.boot() >= look_at:
                look_at = await self._read()
            if self._held and clock.boot() < self._until:
                self.used += 1
                if not self._estate.is_alive(self._held["access_token"]):
                    self.refused.append(clock.boot())
            await asyncio.sleep(self._every)

    async def _read(self) -> float:
        """Ask as the documents say; return when to ask again."""
        asked_at = self._estate.clock.boot()
        headers = {"If-None-Match": self._etag} if self._etag else {}
        answer = await self._hub.calling("GET", READ, self._key, headers=headers)
        if answer.status_code == 200:
            self._held, self._etag = answer.json(), answer.headers["etag"]
            self._until = asked_at + self._held["expires_in"]
            self.generations.append(self._held["generation"])
            self.marks |= {mark for mark in ("stale", "doubtful") if self._held.get(mark)}
        elif answer.status_code != 304:
            self.failed.append((asked_at, answer.json()))
            return asked_at + float(answer.headers["retry-after"])
        return asked_at + float(answer.headers["cache-control"].rpartition("=")[2])


def following(leader: Hub, key: str) -> dict[str, Any]:
    """Return what adds an account that follows."""
    return {"appid": APPID, "mode": "follow", "base_url": leader.url, "secret": key}


@contextmanager
def open_estate() -> Iterator[Estate]:
    """Yield an estate whose platform knows the account; nothing in it may fail unseen."""
    estate = Estate()
    estate.world.add_account(APPID, SECRET)
    yield estate
    for hub in estate.hubs.values():
        for task in hub._tasks:  # noqa: SLF001 (one loop for all of them: it is closed once)
            task.cancel()
    estate.clock.turn(1.0)
    estate.clock.loop.close()
