"""The ports of a simulated replica: a platform that loses answers, a store that goes away, a clock that drifts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.families import is_wecom
from tests.simulation.weather import WORK
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.command import AnswerT, Applied, Command
from zhongkong.core.handing import Handed
from zhongkong.core.model import (
    DEADLINE,
    Account,
    Ambiguous,
    Event,
    Instant,
    Kind,
    NotSent,
    Outcome,
    Record,
    Slot,
)
from zhongkong.core.ports import Changes, Order
from zhongkong.core.save import GiveBack, Save
from zhongkong.errors import StoreUnavailable, WrongSeal
from zhongkong.keeper.keeper import PATIENCE, Keeper
from zhongkong.wechat.answers import Refused, Unreadable, parse_grant
from zhongkong.wechat.endpoints import domain_of
from zhongkong.wechat.errcodes import ProbeVerdict, judge_probe

if TYPE_CHECKING:
    from tests.simulation.ledger import Flight
    from tests.simulation.universe import Replica, Universe

EPOCH = 1_800_000_000.0 - 8 * 3600
"""Where virtual time begins, on the platform's clock: a midnight in Shanghai, give or take a day's remainder."""
FASTEST_DRIFT = 1e-4
"""By how much a boot-time clock may run too fast or too slow."""
STORE_TIMEOUT = 1.0
REFUSED_WITHIN = 5.0
"""How long a lock that somebody holds may keep a writer, who is refused then although it is gone by now."""
PROBE_PATH = "/cgi-bin/get_api_domain_ip"
HELD: ContextVar[str] = ContextVar("held", default="")
"""The fence that the present task may send a request under: of its last claim, if the store told it that it has it."""


class Leased(NamedTuple):
    """A lease that was granted, and not given back or used up since."""

    slot: Slot
    fence: str


LEASED: ContextVar[Leased | None] = ContextVar("leased", default=None)
"""The lease that the present task holds."""


class SimClock:
    """A replica's boot-time clock: it drifts a little and began at another moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random) -> None:
        self._loop = loop
        self._rate = 1.0 + random.uniform(-FASTEST_DRIFT, FASTEST_DRIFT)
        self._start = random.uniform(0.0, 1e6)
        self._skew = random.uniform(-3600.0, 3600.0)

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._skew += seconds

    def boot(self) -> float:
        """Return boot-time seconds."""
        return self._start + self._loop.time() * self._rate

    def wall(self) -> Instant:
        """Return what the replica believes the time to be: wrong, and nothing may depend on it."""
        return EPOCH + self._loop.time() + self._skew


class WatchedStore(MemoryStore):
    """The shared store; the oracle sees every command that took effect."""

    def __init__(self, universe: Universe) -> None:
        self.step = 0.0
        self._universe = universe
        incarnation = f"store {universe.stores_made}"
        super().__init__(lambda: EPOCH + universe.loop.time() + self.step, incarnation)

    def _apply(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        before = self._record(command.slot)
        applied = super()._apply(command)
        self._universe.oracle.applied(self._universe.replica_at_work(), command, before, applied)
        return applied

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account; the oracle sees that too."""
        old = self.kept_account(account.appid)
        new = await super().put_account(account)
        self._universe.settles(new)
        self._universe.oracle.account_put(old, new)
        return new

    async def remove_account(self, appid: str) -> bool:
        """Remove an account."""
        was_there = await super().remove_account(appid)
        if was_there:
            self._universe.oracle.account_removed(appid)
        return was_there

    def kept_account(self, appid: str) -> Account | None:
        """Return the account, for the oracle."""
        kept = self._accounts.get(appid)
        return kept[0] if kept else None

    def peek(self, slot: Slot) -> Record:
        """Return the record, for the oracle."""
        return self._records.get(slot) or Record(slot)

    @property
    def clock(self) -> Instant:
        """Return the store's time, for the oracle."""
        return self._now()


class SimStore:
    """One replica's way to the store: latency, outages, commits that nobody acknowledged, crashes at a chosen point."""

    def __init__(self, universe: Universe, replica: Replica) -> None:
        self._universe = universe
        self._replica = replica
        self._random = universe.noise

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply, as far as the weather lets it."""
        HELD.set("")
        self._universe.passes(WORK, self._replica)
        leased = LEASED.get()
        if leased and any(isinstance(one, Save | GiveBack) and one.fence == leased.fence for one in commands):
            LEASED.set(None)
        writing = self._replica.writing
        for command in commands:
            writing[command.slot] = writing.get(command.slot, 0) + 1
        try:
            return await self._apply(commands)
        finally:
            for command in commands:
                writing[command.slot] -= 1

    async def _apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        await self._go("before", commands)
        await self._refuse_to_write()
        applied = await self._universe.store.apply(commands)
        read_at = self._universe.loop.time()
        self._crash("after", commands)
        await self._come_back()
        self._learns([command.slot for command in commands], read_at)
        for command, one in zip(commands, applied, strict=True):
            if isinstance(command, Claim) and isinstance(one.answer, Claimed):
                HELD.set(command.fence)
                LEASED.set(Leased(command.slot, command.fence))
        return applied

    async def load(self, slot: Slot) -> Record:
        """Read one record."""
        await self._go()
        record = await self._universe.store.load(slot)
        read_at = self._universe.loop.time()
        await self._come_back()
        self._learns([slot], read_at)
        return record

    def _learns(self, slots: Sequence[Slot], read_at: float) -> None:
        """Note what this replica knows from now on, unless it is about to find that this is another store."""
        if self._replica.store is self._universe.store:
            for slot in slots:
                self._replica.learnt[slot] = max(read_at, self._replica.learnt.get(slot, read_at))

    async def account(self, appid: str) -> Account | None:
        """Read one account."""
        await self._go()
        account = await self._universe.store.account(appid)
        await self._come_back()
        return account

    async def changes(self, after: Instant) -> Changes:
        """Poll; the oracle is told when this replica read the store."""
        self._universe.oracle.zeal.did(self._replica, "poll")
        is_quick = not self._universe.is_store_troubled and self._random.random() < 0.9
        if not is_quick:  # most polls are answered at once: they are what a quiet world spends its time on
            await self._reach()
        changes = await self._universe.store.changes(after)
        read_at, step = self._universe.loop.time(), self._universe.store.step
        if not is_quick:
            await self._come_back()
        if self._is_wrong_seal():
            changes = _sealed(changes)
        replica = self._replica
        if not replica.keeper.known.is_estranged(changes):
            replica.blind = {slot: at for slot, at in replica.blind.items() if slot not in _slots_of(changes)}
            replica.blind |= {slot: replica.read_at(slot) for slot in changes.unreadable_records}
            replica.blind_accounts.difference_update(account.appid for account in changes.accounts)
            replica.blind_accounts.update(changes.unreadable_accounts)
            replica.read_store_at, replica.store = read_at, self._universe.store
            replica.step_read = step
        return changes

    async def accounts(self) -> list[Account]:
        """Read all accounts."""
        await self._go()
        return await self._universe.store.accounts()

    async def put_account(self, account: Account) -> Account:
        """Write one account."""
        await self._go()
        await self._refuse_to_write()
        return await self._universe.store.put_account(account)

    async def remove_account(self, appid: str) -> bool:
        """Remove one account."""
        await self._go()
        await self._refuse_to_write()
        return await self._universe.store.remove_account(appid)

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events."""
        await self._go()
        await self._refuse_to_write()
        await self._universe.store.tell(events)

    async def _go(self, when: str = "", commands: Sequence[Command[Any]] = ()) -> None:
        self._universe.oracle.zeal.did(self._replica, "call")
        await self._reach()
        if self._is_wrong_seal():
            raise WrongSeal("wrong_seal")
        if commands:
            self._crash(when, commands)

    async def _reach(self) -> None:
        if self._is_away():
            await asyncio.sleep(self._random.uniform(0.0, STORE_TIMEOUT))
            raise StoreUnavailable("store_unavailable")
        await asyncio.sleep(self._latency())

    def _is_wrong_seal(self) -> bool:
        """Say whether this replica can unseal nothing of what is stored."""
        return self._replica.index in self._universe.on("wrong_seal")

    async def _refuse_to_write(self) -> None:
        """A full disk refuses at once, a lock that somebody holds after a while."""
        if self._universe.is_on("store_unwritable"):
            await asyncio.sleep(self._random.choice((0.0, 0.0, REFUSED_WITHIN)))
            raise StoreUnavailable("store_full")

    async def _come_back(self) -> None:
        await asyncio.sleep(self._latency())
        if self._is_away() or (self._universe.is_on("store_unsure") and self._random.random() < 0.3):
            raise StoreUnavailable("store_unavailable")

    def _is_away(self) -> bool:
        return self._universe.is_on("store_away") or self._replica.index in self._universe.on("store_away_for_one")

    def _latency(self) -> float:
        if self._universe.is_on("store_slow"):
            return self._random.random() * self._random.choice((0.1, 1.0, 3.0))
        return 0.0002 + 0.001 * self._random.random()

    def _crash(self, when: str, commands: Sequence[Command[Any]]) -> None:
        kind = {Claim: "claim", Save: "save"}.get(type(commands[0]))
        if kind is not None:
            self._universe.passes(f"{when}_{kind}", self._replica)


class WatchedKeeper(Keeper):
    """A keeper; somebody is told whenever a credential is asked of it, by itself too."""

    def observe(self, tell: Callable[[Slot], None]) -> None:
        """Have `tell` called with the slot, in the context of who asks."""
        self._asked = tell

    async def credential(self, slot: Slot, patience: float = PATIENCE, *, seen: int = 0) -> Handed:
        """Return a credential."""
        self._asked(slot)
        return await super().credential(slot, patience, seen=seen)


class SimPlatform:
    """One replica's way to the platform. A request lands whatever becomes of its sender."""

    def __init__(self, universe: Universe, replica: Replica) -> None:
        self._universe = universe
        self._replica = replica
        self._random = universe.noise

    async def mint(self, order: Order) -> Outcome:
        """Send one request and return what can be known of it."""
        universe, random = self._universe, self._random
        flight = universe.oracle.departs(self._replica, order, HELD.get())
        universe.passes("before_mint", self._replica)
        fate = self._fate()
        if fate == "refused_connection":
            await asyncio.sleep(random.uniform(0.0, 1.0))
            universe.oracle.lands_not(flight)
            return NotSent("connection refused")
        there, back = self._latency(), self._latency()
        lands = fate not in ("lost_before", "busy", "overloaded")
        if fate == "lands_late":
            there = random.uniform(DEADLINE, DEADLINE + 59.0)
        answer: asyncio.Future[dict[str, Any]] = universe.loop.create_future()
        if lands:
            universe.loop.call_later(there, self._land, order, flight, answer, context=universe.context)
            if universe.is_on("resent") and not flight.ends:
                again = there + random.choice((0.0, 0.5, DEADLINE))
                universe.loop.call_later(again, self._land, order, flight, answer, context=universe.context)
        universe.passes("during_mint", self._replica)
        outcome = await self._answer(order, fate, there + back, answer)
        universe.oracle.answered(flight, outcome)
        universe.passes("after_mint", self._replica)
        return outcome

    def _land(self, order: Order, flight: Flight, answer: asyncio.Future[dict[str, Any]]) -> None:
        universe = self._universe
        body = universe.ask(order, ours=flight)
        if not answer.done():
            answer.set_result(body)

    async def _answer(
        self, order: Order, fate: str, arrives_in: float, answer: asyncio.Future[dict[str, Any]]
    ) -> Outcome:
        if fate == "busy":
            await asyncio.sleep(arrives_in)
            return self._random.choice((Ambiguous("status_502"), Refused(-1, "system error")))
        if fate == "overloaded":
            await asyncio.sleep(arrives_in)
            return Refused(-1, "system error")
        if fate in ("lost_before", "lost_after", "lands_late"):
            await asyncio.sleep(DEADLINE if fate == "lands_late" else self._random.choice((0.5, 3.0, DEADLINE)))
            return Ambiguous("no answer")
        if arrives_in >= DEADLINE:
            await asyncio.sleep(DEADLINE)
            return Ambiguous("timeout")
        await asyncio.sleep(arrives_in)
        body = json.dumps(answer.result())
        return read(self._garble(body) if fate == "garbled" else body, order)

    def _garble(self, body: str) -> str:
        """Cut the answer short, or lose what it brings."""
        told = json.loads(body)
        if "expires_in" not in told:
            return body[: len(body) // 2]
        name = "ticket" if "ticket" in told else "access_token"
        return json.dumps({**told, name: ""}) if ord(told[name][-1]) % 2 else body[:-10]

    def _fate(self) -> str:
        universe, random = self._universe, self._random
        for weather, fate in (("unreachable", "refused_connection"), ("overloaded", "overloaded")):
            if universe.is_on(weather):
                return fate
        if universe.is_on("away"):
            return random.choice(("refused_connection", "lost_before", "lost_before", "lost_after"))
        if universe.is_on("lossy") and random.random() < 0.5:
            return random.choice(("lost_before", "lost_after", "lost_after", "lands_late"))
        if universe.is_on("busy") and random.random() < 0.7:
            return "busy"
        if universe.is_on("garbled") and random.random() < 0.5:
            return "garbled"
        return "well"

    def _latency(self) -> float:
        if self._universe.is_on("slow"):
            return self._random.random() * self._random.choice((0.5, 4.0, 9.0))
        return 0.02 + 0.1 * self._random.random()

    async def probe(
        self, account: Account, value: str, _caller: str = "", kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Ask whether the token is good."""
        oracle, slot = self._universe.oracle, Slot(account.appid, kind)
        oracle.probe_departs(self._replica, slot)
        verdict = None
        try:
            verdict = await self._probe(account, value)
        finally:
            oracle.probe_ends(self._replica, slot, verdict)
        return verdict

    async def _probe(self, account: Account, value: str) -> ProbeVerdict:
        fate = self._fate()
        there, back = self._latency(), self._latency()
        if fate not in ("well", "garbled") or there + back >= DEADLINE:
            await asyncio.sleep(min(DEADLINE, self._random.choice((0.5, 3.0, DEADLINE))))
            return ProbeVerdict.UNKNOWN
        await asyncio.sleep(there)
        errcode = self._errcode_of(account, value)
        await asyncio.sleep(back)
        return judge_probe(errcode, domain_of(account.appid))

    def _errcode_of(self, account: Account, value: str) -> int:
        """Return what the platform answers to a harmless call with the token."""
        world, now = self._universe.worlds[account.base_url], self._universe.now()
        if is_wecom(account.appid):
            return int(world.wecom_call(PROBE_PATH, access_token=value, ip=self._replica.ip, now=now)["errcode"])
        body = world.refusal_of(value, now)
        return 0 if body is None else int(body["errcode"])


def _sealed(changes: Changes) -> Changes:
    """Return what a poll tells whose seal fits nothing."""
    return replace(
        changes,
        records=(),
        accounts=(),
        unreadable_records=tuple(record.slot for record in changes.records),
        unreadable_accounts=tuple(account.appid for account in changes.accounts),
    )


def _slots_of(changes: Changes) -> set[Slot]:
    return {record.slot for record in changes.records}


def read(body: str, order: Order) -> Outcome:
    """Return the platform's answer as the adapter reads it."""
    answer = parse_grant(200, body.encode(), "access_token" if order.parent is None else "ticket")
    return Ambiguous(answer.why) if isinstance(answer, Unreadable) else answer
