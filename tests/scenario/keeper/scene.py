"""A scene to play a scenario in: the sandbox's platform, one account there, a store, and keepers, in virtual time.

The platform is the sandbox's pure world. Between it and the keepers is the `Line`, which a scenario can cut; between
the keepers and the store is a way of one millisecond, which it can close. Nothing here sleeps or knows the real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple, TypeVar

from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.command import AnswerT, Applied, Command
from zhongkong.core.handing import Handed
from zhongkong.core.model import (
    DEADLINE,
    Account,
    AccountKind,
    Ambiguous,
    Credential,
    Event,
    Instant,
    Kind,
    Mode,
    NotSent,
    Outcome,
    Record,
    Secret,
    Slot,
    build_account,
)
from zhongkong.core.ports import Changes, Order
from zhongkong.errors import StoreUnavailable, ZhongkongError
from zhongkong.keeper.keeper import Keeper, Rejected
from zhongkong.sandbox.admission import GRANT_TYPE
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.tokens import Issued
from zhongkong.sandbox.world import World
from zhongkong.testing.fake_clock import FakeClock
from zhongkong.testing.virtual_loop import Process
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.endpoints import domain_of
from zhongkong.wechat.errcodes import ProbeVerdict, judge_probe

T = TypeVar("T")

APPID = "wx0123456789abcdef"
SLOT = Slot(APPID)
SECRET = "0123456789abcdef0123456789abcdef"
TICKET = Slot(APPID, Kind.JSAPI_TICKET)
TICKET_TYPES = {Kind.JSAPI_TICKET: "jsapi", Kind.WX_CARD_TICKET: "wx_card"}
WECOM = Slot("ww0123456789abcdef:crm")
WECOM_TICKETS = {
    Kind.JSAPI_TICKET: ("/cgi-bin/get_jsapi_ticket", {}),
    Kind.AGENT_CONFIG_TICKET: ("/cgi-bin/ticket/get", {"type": "agent_config"}),
}
MODES = (Mode.CLASSIC, Mode.STABLE)
"""The modes whose mint is the platform itself."""
STRANGER = "203.0.113.9"


class Call(NamedTuple):
    """One request that arrived at the platform, as its journal would have it."""

    at: float
    """Seconds since the scene began."""
    ip: str
    what: str
    """`token`, `stable_token`, `gettoken`, `probe` or the kind of a ticket."""
    errcode: int
    forced: bool = False


def gaps(calls: Iterable[Call]) -> list[float]:
    """Return the seconds between one call and the next."""
    return [later.at - earlier.at for earlier, later in pairwise(calls)]


@dataclass
class Line:
    """The line between the keepers and the platform, and what arrived over it."""

    latency: float = 0.1
    is_cut: bool = False
    """Requests leave, never arrive, and nobody answers."""
    is_unreachable: bool = False
    """Not a byte leaves."""
    answers_to_lose: int = 0
    """So many mints are acted upon, and their answers never come."""
    refusal: int | None = None
    """The errcode by which the platform refuses every mint."""
    ticket_refusal: int | None = None
    """The errcode by which it refuses every ticket, whatever it is asked with."""
    departed: list[str] = field(default_factory=list)
    """From which address each mint left, whether it arrived or not."""
    probed: list[float] = field(default_factory=list)
    """When each probe left, whether it arrived or not."""
    journal: list[Call] = field(default_factory=list)

    def asked(self, *what: str) -> list[Call]:
        """Return what arrived of these kinds; of all that ask for a credential if none is named."""
        return [call for call in self.journal if call.what in (what or ("token", "stable_token", "gettoken"))]


class ScenePlatform:
    """One replica's way to the platform."""

    def __init__(self, world: World, clock: FakeClock, line: Line, ip: str) -> None:
        self._world = world
        self._clock = clock
        self._line = line
        self._ip = ip
        self._context = copy_context()
        """The world's own: what runs in it is nobody's process."""

    async def mint(self, order: Order) -> Outcome:
        """Ask once; a request that left lands even if its sender is killed or stopped."""
        line = self._line
        if line.is_unreachable:
            return NotSent("connection refused")
        line.departed.append(self._ip)
        if line.is_cut:
            await asyncio.sleep(DEADLINE)
            return Ambiguous("timeout")
        landing: asyncio.Future[dict[str, Any]] = self._clock.loop.create_future()
        self._clock.loop.call_later(
            line.latency / 2, lambda: landing.set_result(self._land(order)), context=self._context
        )
        if line.answers_to_lose:
            line.answers_to_lose -= 1
            await asyncio.sleep(DEADLINE)
            return Ambiguous("timeout")
        await asyncio.sleep(line.latency)
        body = await landing
        if body.get("errcode"):
            return Refused(int(body["errcode"]), str(body["errmsg"]))
        return Granted(str(body["access_token" if order.parent is None else "ticket"]), int(body["expires_in"]))

    async def probe(
        self, account: Account, value: str, _caller: str = "", _kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Say whether the platform takes the token."""
        self._line.probed.append(self._clock.boot())
        if self._line.is_cut or self._line.is_unreachable:
            await asyncio.sleep(DEADLINE)
            return ProbeVerdict.UNKNOWN
        await asyncio.sleep(self._line.latency)
        body = self._refusal_of(account, value)
        errcode = 0 if body is None else int(body["errcode"])
        self._line.journal.append(Call(self._clock.boot(), self._ip, "probe", errcode))
        return judge_probe(errcode, domain_of(account.appid))

    def _refusal_of(self, account: Account, value: str) -> dict[str, Any] | None:
        if account.kind is not AccountKind.WECOM:
            return self._world.refusal_of(value, self._clock.wall())
        asked: dict[str, Any] = {"access_token": value, "ip": self._ip, "now": self._clock.wall()}
        return self._world.wecom_call("/cgi-bin/get_api_domain_ip", **asked)

    def _land(self, order: Order) -> dict[str, Any]:
        if order.parent is not None:
            return self._land_for_ticket(order, order.parent)
        asked: dict[str, Any] = {
            "appid": order.account.appid,
            "secret": order.account.secret.reveal(),
            "grant_type": GRANT_TYPE,
            "ip": self._ip,
            "now": self._clock.wall(),
        }
        if order.mode is Mode.WECOM:
            corpid, _, _ = order.account.appid.partition(":")
            body = self._world.gettoken(corpid=corpid, corpsecret=asked["secret"], ip=self._ip, now=self._clock.wall())
        elif self._line.refusal is not None:
            body = self._world.refusal(self._line.refusal, self._clock.wall())
        elif order.mode is Mode.CLASSIC:
            body = self._world.token(**asked)
        else:
            body = self._world.stable_token(**asked, force_refresh=order.force)
        what = {Mode.CLASSIC: "token", Mode.WECOM: "gettoken"}.get(order.mode, "stable_token")
        call = Call(self._clock.boot(), self._ip, what, int(body.get("errcode", 0)), order.force)
        self._line.journal.append(call)
        return body

    def _land_for_ticket(self, order: Order, parent: Secret) -> dict[str, Any]:
        now, value, refusal = self._clock.wall(), parent.reveal(), self._line.ticket_refusal
        if refusal is not None and order.mode is Mode.WECOM_TICKET:
            body = self._world.wecom_refusal(refusal, now, self._ip)
        elif order.mode is Mode.WECOM_TICKET:
            path, asked = WECOM_TICKETS[order.kind]
            body = self._world.wecom_call(path, access_token=value, params=asked, ip=self._ip, now=now)
        elif refusal is not None:
            body = self._world.refusal(refusal, now)
        else:
            asked = {"type": TICKET_TYPES[order.kind]}
            body = self._world.call("/cgi-bin/ticket/getticket", access_token=value, params=asked, now=now)
        self._line.journal.append(Call(self._clock.boot(), self._ip, order.kind.value, int(body["errcode"])))
        return body


class SceneStore(MemoryStore):
    """A memory store at the end of a way that can be closed. `step` is how far its clock was put forward."""

    def __init__(self, clock: FakeClock) -> None:
        self.is_away = False
        self.is_full = False
        """It can be read, and not written."""
        self.refuses_after = 0.0
        """Seconds: a store that is locked says so late."""
        self.answers_after = 0.0
        """Seconds: a server that hangs says nothing at all."""
        self.loads = 0
        """How often a single record was read."""
        self.polls = 0
        """How often somebody asked what changed."""
        self.applied = 0
        """How often somebody wanted to change something."""
        self.step = 0.0
        super().__init__(lambda: clock.wall() + self.step)

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply, if the way is open; the answer takes a millisecond too, so that one can be stopped before it."""
        self.applied += 1
        await self._go()
        await self._refuse_if_full()
        applied = await super().apply(commands)
        await asyncio.sleep(0.001)
        return applied

    async def load(self, slot: Slot) -> Record:
        """Load, if the way is open."""
        self.loads += 1
        await self._go()
        return await super().load(slot)

    async def account(self, appid: str) -> Account | None:
        """Return the account, if the way is open."""
        await self._go()
        return await super().account(appid)

    async def changes(self, after: Instant) -> Changes:
        """Tell, if the way is open."""
        self.polls += 1
        await self._go()
        return await super().changes(after)

    async def tell(self, events: Sequence[Event]) -> None:
        """Append, if the way is open."""
        await self._go()
        await self._refuse_if_full()
        await super().tell(events)

    async def _go(self) -> None:
        await asyncio.sleep(0.001 + self.answers_after)
        if self.is_away:
            raise StoreUnavailable("store_unavailable")

    async def _refuse_if_full(self) -> None:
        if self.is_full:
            await asyncio.sleep(self.refuses_after)
            raise StoreUnavailable("store_full", path="store.db")


class Replica:
    """A process with a keeper."""

    def __init__(self, scene: Scene, index: int) -> None:
        self.process = Process(f"replica {index}")
        self.ip = f"10.0.0.{index + 1}"
        self.platform = ScenePlatform(scene.world, scene.clock, scene.line, self.ip)
        self.keeper = Keeper(
            scene.store, self.platform, scene.clock, random=Random(index), poll_seconds=scene.poll_seconds
        )


class Reader:
    """A business server: keeps what it was handed for `refresh_in`, uses it all the time, remembers what went wrong."""

    def __init__(self, scene: Scene, replica: Replica, every: float) -> None:
        self.served = 0
        self.refused: list[float] = []
        """When the platform refused what it used."""
        self.failed: list[tuple[float, ZhongkongError]] = []
        self.marks: set[str] = set()
        self.longest_wait = 0.0
        self._scene = scene
        self._every = every
        self._keeper = replica.keeper
        self._handed: Handed | None = None
        self._look_again_at = 0.0

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            if self._scene.time() >= self._look_again_at:
                await self._read()
            if self._handed is not None:
                self.served += 1
                if not self._scene.is_alive(self._handed.value):
                    self.refused.append(self._scene.time())
            await asyncio.sleep(self._every)

    async def _read(self) -> None:
        began = self._scene.time()
        try:
            self._handed = await self._keeper.credential(self._scene.slot)
        except ZhongkongError as error:
            self._handed = None
            self.failed.append((began, error))
            self._look_again_at = began + (error.retry_after or 1.0)
        else:
            self.marks |= {mark for mark in ("doubtful", "stale") if getattr(self._handed, mark)}
            self._look_again_at = began + self._handed.refresh_in
        self.longest_wait = max(self.longest_wait, self._scene.time() - began)


class Scene:
    """One account, some replicas, and time to turn. The account is there from the beginning unless told otherwise."""

    def __init__(
        self,
        mode: Mode = Mode.STABLE,
        *,
        replicas: int = 1,
        on_contest: Mode = Mode.STABLE,
        account: bool = True,
        poll_seconds: float = 3.0,
        switches: Switches | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.world = World(switches=switches)
        self.slot = WECOM if mode is Mode.WECOM else SLOT
        kind = AccountKind.WECOM if mode is Mode.WECOM else AccountKind.OFFICIAL
        self.world.add_account(self.slot.appid, SECRET, kind="wecom" if mode is Mode.WECOM else "official")
        self.line = Line()
        self.store = SceneStore(self.clock)
        self.account = build_account(self.slot.appid, kind, Secret(SECRET), mode=mode, on_contest=on_contest)
        if account:
            self.change_account()
        self.poll_seconds = poll_seconds
        self._tasks: list[asyncio.Task[Any]] = []
        self.replicas = [Replica(self, index) for index in range(replicas)]
        for replica in self.replicas:
            _ = self.begin(replica.keeper.run(), replica)

    # --- time

    def time(self) -> float:
        """Return the seconds since the scene began."""
        return self.clock.boot()

    def turn(self, seconds: float) -> None:
        """Let so much time pass."""
        self.clock.turn(seconds)

    def turn_to(self, instant: Instant) -> None:
        """Let time pass until the clock of platform and store says `instant`."""
        self.clock.turn(max(0.0, instant - self.clock.wall()))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to its end; time passes as far as it takes."""
        return self.clock.run(coroutine)

    def begin(self, coroutine: Coroutine[Any, Any, T], replica: Replica | None = None) -> asyncio.Task[T]:
        """Begin something, in a replica's process if one is named."""
        process = replica.process if replica is not None else Process("the world")
        task = self.clock.loop.spawn(process, coroutine)
        self._tasks.append(task)
        return task

    # --- callers

    def read(self, replica: int = 0, slot: Slot | None = None) -> Handed:
        """Read once."""
        return self.run(self.replicas[replica].keeper.credential(slot or self.slot))

    def reject(self, value: str, caller: str = "caller", replica: int = 0, slot: Slot | None = None) -> Rejected:
        """Reject a value once."""
        return self.run(self.replicas[replica].keeper.reject(slot or self.slot, caller, value=value))

    def seat_reader(self, replica: int = 0, every: float = 3.0) -> Reader:
        """Let a business server read from a replica, and use what it was handed every so many seconds, from now on."""
        reader = Reader(self, self.replicas[replica], every)
        _ = self.begin(reader.run())
        return reader

    # --- what people and strangers do

    def change_account(self, **what: Any) -> None:
        """Put the account into the store, changed as told."""
        self.account = replace(self.account, **what)
        self.run(self.store.put_account(self.account))

    def mint_as_stranger(self) -> None:
        """Let somebody else with the same secret ask for a classic token."""
        secret = self.world.account(APPID).secret
        asked = {"appid": APPID, "secret": secret, "grant_type": GRANT_TYPE, "ip": STRANGER}
        self.world.token(**asked, now=self.clock.wall())

    def revoke_all(self) -> None:
        """Let the platform end every token of the account, behind our back."""
        self.world.revoke_all(self.slot.appid, self.clock.wall())

    # --- what is true

    @property
    def record(self) -> Record:
        """The store's record of the slot, whether the way to it is open or not."""
        return self.clock.run(MemoryStore.load(self.store, self.slot))

    @property
    def credential(self) -> Credential:
        """The store's credential; there must be one."""
        credential = self.record.credential
        assert credential is not None
        return credential

    @property
    def issued(self) -> list[Issued]:
        """Every token that the platform issued, strangers' included."""
        return self.world.issued(self.slot.appid)

    @property
    def events(self) -> list[str]:
        """The codes of the audit log, oldest first."""
        return [kept.event.code for kept in self.clock.run(self.store.events(limit=10_000))]

    def is_alive(self, value: str) -> bool:
        """Say whether the platform takes the token now."""
        return self.world.is_alive(value, self.clock.wall())
