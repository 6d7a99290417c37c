"""A whole hub in one process: the real application and keeper, the sandbox's world as the platform, virtual time."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any, TypeVar

import httpx

from tests.scenario.hub.programs import Programs
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.grants import Grant, Key, create_key
from zhongkong.core.model import (
    Account,
    AccountKind,
    Ambiguous,
    Kind,
    Mode,
    NotSent,
    Outcome,
    Secret,
    Slot,
    build_account,
)
from zhongkong.core.ports import Order, Platform
from zhongkong.errors import StoreUnavailable
from zhongkong.hub.admin import Admin
from zhongkong.hub.app import Parts, build_app, build_metrics_app
from zhongkong.hub.callback.room import CallbackRoom
from zhongkong.hub.keys import Keyring
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry, TimedStore
from zhongkong.keeper.keeper import Keeper
from zhongkong.sandbox.world import World
from zhongkong.testing.fake_clock import FakeClock
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.endpoints import PROBE, STABLE_TOKEN, TICKET, TOKEN, build_ticket_request, corpid_of, domain_of
from zhongkong.wechat.errcodes import ProbeVerdict, judge_probe

T = TypeVar("T")

APPID = "wx0123456789abcdef"
SECRET = "8f14e45fceea167a5a36dedd4bea2543"
OTHER = "wxfedcba9876543210"
ADDRESS = "203.0.113.5"
HUB_IP = "198.51.100.7"


class WorldPlatform:
    """The sandbox's world as the platform; `fails_with` is what every mint brings instead, `delay` its time."""

    def __init__(self, world: World, clock: FakeClock, telemetry: Telemetry) -> None:
        self.world = world
        self.fails_with: Outcome | None = None
        self.is_lost = False
        """What is asked is done, and no answer comes."""
        self.delay = 0.05
        self.mints: list[Order] = []
        self.probes = 0
        self._clock = clock
        self._telemetry = telemetry

    async def mint(self, order: Order) -> Outcome:
        """Ask the world, as the adapter would ask the platform."""
        self.mints.append(order)
        await asyncio.sleep(self.delay)
        outcome = self.fails_with or self._ask(order)
        if self.is_lost:
            outcome = Ambiguous("timeout")
        path = {Mode.STABLE: STABLE_TOKEN.path, Mode.TICKET: TICKET.path}.get(order.mode, TOKEN.path)
        self._telemetry.platform_called(path, type(outcome).__name__.lower(), self.delay)
        return outcome

    def _ask(self, order: Order) -> Granted | Refused:
        if order.account.kind is AccountKind.WECOM:
            return self._ask_wecom(order)
        if order.parent is not None:
            return self._ask_for_ticket(order.kind, order.parent.reveal())
        asked: dict[str, Any] = {
            "appid": order.account.appid,
            "secret": order.account.secret.reveal(),
            "grant_type": "client_credential",
            "ip": HUB_IP,
            "now": self._clock.wall(),
        }
        if order.mode is Mode.STABLE:
            body = self.world.stable_token(**asked, force_refresh=order.force)
        else:
            body = self.world.token(**asked)
        if "errcode" in body:
            return Refused(int(body["errcode"]), str(body["errmsg"]), "6720ea21-0dc53ebd-5bdb45c7")
        return Granted(str(body["access_token"]), int(body["expires_in"]))

    def _ask_wecom(self, order: Order) -> Granted | Refused:
        at: dict[str, Any] = {"ip": HUB_IP, "now": self._clock.wall()}
        if order.parent is None:
            corpid, secret = corpid_of(order.account.appid), order.account.secret.reveal()
            body = self.world.gettoken(corpid=corpid, corpsecret=secret, **at)
        else:
            request = build_ticket_request("wecom", order.parent.reveal(), order.kind)
            token = order.parent.reveal()
            body = self.world.wecom_call(request.path, access_token=token, params=request.query, **at)
        if body["errcode"]:
            return Refused(int(body["errcode"]), str(body["errmsg"]))
        return Granted(str(body["access_token" if order.parent is None else "ticket"]), int(body["expires_in"]))

    def _ask_for_ticket(self, kind: Kind, token: str) -> Granted | Refused:
        asked = {"type": {Kind.JSAPI_TICKET: "jsapi", Kind.WX_CARD_TICKET: "wx_card"}[kind]}
        body = self.world.call(TICKET.path, access_token=token, params=asked, now=self._clock.wall())
        if body["errcode"]:
            return Refused(int(body["errcode"]), str(body["errmsg"]), "6720ea21-0dc53ebd-5bdb45c7")
        return Granted(str(body["ticket"]), int(body["expires_in"]))

    async def probe(
        self, account: Account, value: str, _caller: str = "", _kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Ask the world whether it takes the token."""
        self.probes += 1
        await asyncio.sleep(self.delay)
        if self.is_lost or isinstance(self.fails_with, NotSent | Ambiguous):
            return ProbeVerdict.UNKNOWN
        if account.kind is AccountKind.WECOM:
            body = self.world.wecom_call(PROBE.path, access_token=value, ip=HUB_IP, now=self._clock.wall())
        else:
            body = self.world.refusal_of(value, self._clock.wall()) or {"errcode": 0}
        verdict = judge_probe(int(body["errcode"]), domain_of(account.appid))
        self._telemetry.platform_called(PROBE.path, verdict.value, self.delay)
        return verdict


class MovableStore(MemoryStore):
    """A store in memory that can go away."""

    is_away = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("_") and asyncio.iscoroutinefunction(found) and super().__getattribute__("is_away"):

            async def fail(*_given: object, **_named: object) -> None:
                raise StoreUnavailable("store_unavailable", retry_after=1.0)

            return fail
        return found


class House:
    """A hub, its platform, its store, and whoever calls it; `clock` moves all of it."""

    def __init__(
        self,
        clock: FakeClock | None = None,
        world: World | None = None,
        store: MovableStore | None = None,
        **given: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = store or MovableStore(self.clock.wall)
        self.world = world or World(seed=7)
        self.telemetry = Telemetry()
        self.platform = WorldPlatform(self.world, self.clock, self.telemetry)
        timed = TimedStore(self.store, self.clock, self.telemetry.store_called)
        asked = self.find_platform()
        self.keeper = Keeper(timed, asked, self.clock, random=Random(1))
        self.admin = Admin(self.store, asked, self.keeper, random=Random(2))
        self.keyring = Keyring(self.store, self.clock, self.keeper.known.told_now)
        self.tail = Tail(self.store)
        self.draining = self.clock.run(_make(asyncio.Event))
        self.programs = Programs(self.clock)
        self.room = CallbackRoom(self.store, self.keeper.known, self.programs, self.clock, random=Random(3))
        parts = Parts(
            callback=self.room,
            courier=self.programs,
            public_url="https://wx.example.com",
            clock=self.clock,
            store=self.store,
            keeper=self.keeper,
            keyring=self.keyring,
            admin=self.admin,
            tail=self.tail,
            telemetry=self.telemetry,
            draining=self.draining,
            **given,
        )
        self.app = build_app(parts)
        self.metrics_app = build_metrics_app(parts)
        self.texts: list[str] = []
        """Every key that was made, and every secret: what must be nowhere else."""
        self._tasks: list[asyncio.Task[Any]] = []

    def find_platform(self) -> Platform:
        """Return what the hub asks for credentials."""
        return self.platform

    def open(self) -> None:
        """Have everything run that a hub has running."""
        for run in (self.keeper.run, self.keyring.run, self.tail.run):
            self._tasks.append(self.clock.begin(run()))
        self.clock.turn(0.01)

    def close(self) -> None:
        """End it all."""
        for task in self._tasks:
            task.cancel()
        self.clock.turn(1.0)
        self.clock.loop.close()

    # --- who is there

    def add_account(self, appid: str = APPID, **given: Any) -> Account:
        """Add an account here and on the platform."""
        if appid not in self.world.accounts:
            self.world.add_account(appid, SECRET)
        account = Account(appid, AccountKind.OFFICIAL, Secret(SECRET), base_url="http://sandbox.test", **given)
        kept = self.clock.run(self.store.put_account(account))
        self.clock.turn(1.5)
        return kept

    def add_application(self, appid: str, base_url: str = "http://sandbox.test") -> Account:
        """Add an application of WeCom here and on the platform."""
        secret = Secret(self.world.add_account(appid, kind="wecom").secret)
        kept = self.clock.run(
            self.store.put_account(build_account(appid, AccountKind.WECOM, secret, base_url=base_url))
        )
        self.clock.turn(1.5)
        return kept

    def add_key(self, *grants: Grant, appids: tuple[str, ...] = (), **given: Any) -> str:
        """Make a key and return its text."""
        return self.make_key(*grants, appids=appids, **given)[1]

    def make_key(self, *grants: Grant, **given: Any) -> tuple[Key, str]:
        """Make a key and return it with its text."""
        name = given.pop("name", "test")
        random = Random(len(self.texts) + 100)
        key, text = create_key(random, self.clock.wall(), name=name, grants=grants, **given)
        self.clock.run(self.store.put_key(key))
        self.clock.run(self.keyring.refresh())
        self.texts.append(text.reveal())
        return key, text.reveal()

    def token(self) -> str:
        """Return the token that is being handed out."""
        handed = self.keeper.peek(Slot(APPID))
        assert handed is not None
        return handed.value

    # --- calling

    def call(self, method: str, path: str, key: str | None = None, **given: Any) -> httpx.Response:
        """Return the answer to a request."""
        return self.clock.run(self.calling(method, path, key, **given))

    async def calling(
        self, method: str, path: str, key: str | None = None, *, address: str = ADDRESS, **given: Any
    ) -> httpx.Response:
        """Return the answer to a request, as a coroutine."""
        headers = dict(given.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        transport = httpx.ASGITransport(given.pop("app", self.app), client=(address, 4711))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://hub.test", timeout=httpx.Timeout(None)
        ) as client:
            return await client.request(method, path, headers=headers, **given)

    def follow(self, path: str, key: str, headers: dict[str, str] | None = None) -> Stream:
        """Begin to follow a stream of events."""
        return Stream(self, path, {"accept": "text/event-stream", "authorization": f"Bearer {key}", **(headers or {})})


class Stream:
    """A client of server-sent events; `httpx.ASGITransport` would wait for the end of the answer."""

    def __init__(self, house: House, path: str, headers: dict[str, str]) -> None:
        self.status = 0
        self.received = b""
        self.ended = False
        self._house = house
        self._left = house.clock.run(_make(asyncio.Event))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (ADDRESS, 4711),
        }
        self.task = house.clock.begin(house.app(scope, self._receive, self._send))
        house.clock.turn(0.01)

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.received += message["body"]
            self.ended = not message.get("more_body", False)

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()
        self._house.clock.turn(0.01)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events that came so far."""
        lines = self.received.decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def _make(kind: type[T]) -> T:
    return kind()
