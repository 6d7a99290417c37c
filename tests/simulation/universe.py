"""One simulated world: platform, store, replicas, readers, and whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from tests.simulation.families import NO_SUCH_TOKEN, is_ticket, is_wecom
from tests.simulation.ledger import LONG_AGO, Flight, Life
from tests.simulation.oracle import Oracle
from tests.simulation.readers import force_for_a_while, read_for_ever, reject_good_ones, storm
from tests.simulation.surroundings import EPOCH, SimClock, SimPlatform, SimStore, WatchedKeeper, WatchedStore
from tests.simulation.weather import DAY, STORE_WEATHER, Fault, Plan
from zhongkong.core.model import Account, AccountKind, Kind, Mode, Secret, Slot, build_account, hash_value
from zhongkong.core.ports import Order
from zhongkong.errors import ZhongkongError
from zhongkong.sandbox.admission import GRANT_TYPE
from zhongkong.sandbox.world import World
from zhongkong.testing.virtual_loop import PROCESS, Process, VirtualLoop

STRANGER_IP = "203.0.113.9"
HERE, ELSEWHERE = "http://sandbox.invalid", "http://elsewhere.invalid"
"""Base URLs of two platforms that know nothing of each other but the secrets."""
CORPID = "ww0123456789abcdef"
TICKET_CALLS: dict[tuple[bool, Kind], tuple[str, dict[str, str]]] = {
    (False, Kind.JSAPI_TICKET): ("/cgi-bin/ticket/getticket", {"type": "jsapi"}),
    (False, Kind.WX_CARD_TICKET): ("/cgi-bin/ticket/getticket", {"type": "wx_card"}),
    (True, Kind.JSAPI_TICKET): ("/cgi-bin/get_jsapi_ticket", {}),
    (True, Kind.AGENT_CONFIG_TICKET): ("/cgi-bin/ticket/get", {"type": "agent_config"}),
}
"""By whether it is WeCom's: the call for each ticket. Source: 获取 ticket; JS-SDK 使用权限签名算法 (企业微信)."""
READ_FOR = 86_400.0 - 120.0
"""Who reads a ticket at a replica has it kept there for a day, give or take a poll."""
REMEMBERED = 64


class Replica:
    """One process with a keeper, begun anew after each crash."""

    def __init__(self, universe: Universe, index: int) -> None:
        self.index = index
        self.ip = f"10.0.0.{index + 1}"
        self.read_store_at = 0.0
        """When the store last read what this replica then learnt (virtual time)."""
        self.step_read = 0.0
        """By how much the store's clock had stepped by then."""
        self.writing: dict[Slot, int] = {}
        """How many of its commands the store has not answered yet."""
        self.learnt: dict[Slot, float] = {}
        """The same of single slots, where it asked for them or changed them itself."""
        self.blind: dict[Slot, float] = {}
        """Slots that it cannot unseal, and up to when it knows them."""
        self.blind_accounts: set[str] = set()
        """Appids of accounts that it cannot unseal."""
        self.store: WatchedStore | None = None
        """The store that it takes for its own."""
        self.found_alive: dict[Slot, float] = {}
        """When a probe of its own found the current one alive the last time."""
        self.disturbed_at = -1e9
        """The last time at which it was begun, stopped or resumed."""
        self.readings: dict[Slot, tuple[float, float]] = {}
        """Since when tickets are read here again and again, and when they were the last time."""
        self._universe = universe
        self.clock = SimClock(universe.loop, universe.noise)
        self.begin()

    def begin(self) -> None:
        """Start the process."""
        universe = self._universe
        self.process = Process(f"replica {self.index}")
        self.learnt, self.blind, self.store, self.read_store_at = {}, {}, None, -1e9
        self.blind_accounts, self.found_alive = set(), {}
        self.writing, self.readings, self.step_read = {}, {}, universe.store.step
        self.disturbed_at = universe.loop.time()
        self.platform = SimPlatform(universe, self)
        self.keeper = WatchedKeeper(
            SimStore(universe, self),
            self.platform,
            self.clock,
            random=Random(universe.noise.getrandbits(64)),
            poll_seconds=universe.plan.poll_seconds,
        )
        self.keeper.observe(lambda slot: universe.oracle.obtains(self, slot))
        universe.watch(universe.loop.spawn(self.process, self.keeper.run()))

    @property
    def is_up(self) -> bool:
        """Say whether it runs."""
        return not (self.process.dead or self.process.stopped)

    def read_at(self, slot: Slot) -> float:
        """Return when the store last read what this replica knows of the slot by its polls."""
        return self.blind.get(slot, self.read_store_at)

    def knew(self, slot: Slot) -> float:
        """Return up to when it knows all that was written of the slot."""
        return max(self.read_at(slot), self.learnt.get(slot, LONG_AGO))

    def was_read(self, slot: Slot) -> None:
        """Somebody was handed the ticket here."""
        now = self._universe.loop.time()
        since, last = self.readings.get(slot, (now, LONG_AGO))
        self.readings[slot] = (since if now - last < READ_FOR else now), now

    def wants_since(self, slot: Slot) -> float:
        """Return since when this process is to keep the slot fresh: a ticket only while somebody reads it here."""
        if not is_ticket(slot):
            return LONG_AGO
        now = self._universe.loop.time()
        since, last = self.readings.get(slot, (now, LONG_AGO))
        return since if now - last < READ_FOR else now + 1.0


class Universe:
    """Everything of one run. The seed of the plan decides all of it; virtual time begins at 0."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = VirtualLoop(Random(f"order {plan.seed}"))  # type: ignore[abstract]  # it has no sockets, on purpose
        self.noise = Random(f"noise {plan.seed}")
        self.context: Context = copy_context()
        self.worlds = {
            url: World(seed=plan.seed + index * 10**9, switches=plan.switches)
            for index, url in enumerate((HERE, ELSEWHERE))
        }
        self.homes: defaultdict[str, tuple[str, float]] = defaultdict(lambda: (HERE, LONG_AGO))
        """By appid: where the account lives, as the store has it, and since when."""
        self.oracle = Oracle(self)
        self.stores_made = 1
        self.store = WatchedStore(self)
        self.slots = [
            Slot(f"{CORPID}:app-{index:04x}" if mode is Mode.WECOM else f"wx{index:016x}")
            for index, mode in enumerate(plan.modes)
        ]
        """Those of the accounts' tokens."""
        self.families = {
            slot.appid: [slot, *(Slot(slot.appid, kind) for kind in kinds)]
            for slot, kinds in zip(self.slots, plan.tickets or [()] * plan.accounts, strict=True)
        }
        """By appid: its token, then the tickets that somebody reads."""
        self.secrets = {slot.appid: f"secret-{slot.appid}-0" for slot in self.slots}
        self._tickets: defaultdict[Slot, dict[str, Life]] = defaultdict(dict)
        self._tickets_made: Counter[Slot] = Counter()
        self.replicas: list[Replica] = []
        self._on: defaultdict[str, list[int]] = defaultdict(list)
        self._armed: dict[tuple[str, int], Fault] = {}
        self._pending: set[asyncio.Task[Any]] = set()
        self.survived = 0

    def now(self) -> float:
        """Return the platform's time."""
        return EPOCH + self.loop.time()

    def is_on(self, kind: str) -> bool:
        """Say whether such weather is on."""
        return bool(self._on[kind])

    def on(self, kind: str) -> list[int]:
        """Return whom such weather meets."""
        return self._on[kind]

    @property
    def is_store_troubled(self) -> bool:
        """Say whether the way to the store is bad for anybody."""
        return any(self._on[kind] for kind in STORE_WEATHER)

    @property
    def all_slots(self) -> Iterator[Slot]:
        """Return what is read of any account, token and tickets."""
        return (slot for family in self.families.values() for slot in family)

    @property
    def size(self) -> int:
        """Return how many credentials are read."""
        return sum(map(len, self.families.values()))

    # --- the truth

    def virtual(self, instant: float) -> float:
        """Return an instant of the platform's clock in virtual time."""
        return instant - EPOCH

    def life_of(self, slot: Slot, value: str) -> Life | None:
        """Return how a token lives and dies, as things stand; None for one that the platform does not remember."""
        life = self._tickets[slot].get(value) if is_ticket(slot) else self._life_of_token(slot, value)
        home, since = self.homes[slot.appid]
        if life is None or life.issued_at == home or since >= life.dies_at:
            return life
        return life._replace(dies_at=since, end="moved")

    def _life_of_token(self, slot: Slot, value: str) -> Life | None:
        for url, world in self.worlds.items():
            issued = world.find(value)
            if issued is not None and issued.appid == slot.appid:
                born_at, dies_at = self.virtual(issued.issued_at), self.virtual(issued.dies_at)
                return Life(issued.mode, born_at, dies_at, self.virtual(issued.expires_at), issued.end, url)
        return None

    def is_alive(self, slot: Slot, value: str) -> bool:
        """Say whether the platform takes the token now."""
        life = self.life_of(slot, value)
        return life is not None and self.loop.time() < life.dies_at

    def is_secret_known(self, slot: Slot) -> bool:
        """Say whether the secret in the store is the platform's."""
        account = self.store.kept_account(slot.appid)
        return account is not None and account.secret.reveal() == self.home_of(slot).account(slot.appid).secret

    def issued_lately(self, slot: Slot) -> list[str]:
        """Return the slot's values that an event may have touched just now, wherever the account lived.

        Where one replaces the other those are the last ones; of what lives side by side, all that are remembered.
        """
        if is_ticket(slot):
            return list(self._tickets[slot])
        accounts = [world.account(slot.appid) for world in self.worlds.values()]
        if is_wecom(slot.appid):
            return [issued.value for account in accounts for issued in account.wecom.tokens]
        lines = [line for account in accounts for line in (account.classic, account.stable)]
        return [issued.value for line in lines for issued in list(line.tokens)[-4:]]

    def made(self, slot: Slot) -> int:
        """Return how many different values the platform has issued where the account lives."""
        if is_ticket(slot):
            return self._tickets_made[slot]
        account = self.home_of(slot).account(slot.appid)
        return account.classic.made + account.stable.made + account.wecom.made

    def is_repeated(self, slot: Slot) -> bool:
        """Say whether the platform repeats the slot's value to its very end, so that it can only be asked for then."""
        if is_ticket(slot):
            return self.plan.switches.repeated_ticket == "same"
        return is_wecom(slot.appid) and self.plan.switches.wecom_repeat == "same"

    def repeats_until(self, slot: Slot) -> float:
        """Return until when WeCom goes on handing out a token that it has ended, and cannot be told otherwise."""
        current = self.home_of(slot).account(slot.appid).wecom.current
        if self.plan.switches.wecom_revoked == "new" or current is None or current.end == "age":
            return LONG_AGO
        return self.virtual(current.expires_at)

    def home_of(self, slot: Slot) -> World:
        """Return the platform that the account lives on."""
        return self.worlds[self.homes[slot.appid][0]]

    def settles(self, account: Account) -> None:
        """The store has the account now; if it lives elsewhere than before, so do the tokens that count."""
        if self.homes[account.appid][0] != account.base_url:
            self.homes[account.appid] = account.base_url, self.loop.time()
            for slot in self.families[account.appid]:
                self.oracle.meddled(slot)

    def replica_at_work(self) -> Replica | None:
        """Return the replica whose step this is; None for the world's own."""
        process = PROCESS.get()
        return next((one for one in self.replicas if process is not None and one.process is process), None)

    # --- running

    def run(self) -> None:
        """Run the plan to its end; the oracle raises Violation at the first wrong step."""
        try:
            self.loop.run_until_complete(self._set_up())
            for fault in self.plan.faults:
                self.loop.call_at(fault.at, self._strike, fault, context=self.context)
            for index, slot in enumerate(self._read()):
                self.begin(read_for_ever(self, slot, self.plan.read_every, Random(f"reader {self.plan.seed} {index}")))
            self.begin(self.oracle.audit_for_ever())
            self.loop.run_until(self.plan.days * DAY)
            self.oracle.raise_failures()
        finally:
            self.loop.close()
            self._forget_what_never_began()

    def _forget_what_never_began(self) -> None:
        """What was to begin in the step that a violation stopped never will, and nobody need be warned of it."""
        for task in asyncio.all_tasks(self.loop):
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()

    async def _set_up(self) -> None:
        for slot, mode, is_test in zip(self.slots, self.plan.modes, self.plan.tests, strict=True):
            secret, of_wecom = self.secrets[slot.appid], mode is Mode.WECOM
            for world in self.worlds.values():
                world.add_account(
                    slot.appid,
                    secret,
                    kind="wecom" if of_wecom else "official",
                    profile="test" if is_test else "verified",
                    expires_in=self.plan.expires_in,
                )
            kind = AccountKind.WECOM if of_wecom else AccountKind.OFFICIAL
            told = {"is_test": is_test, "mode": mode, "base_url": HERE}
            await self.store.put_account(build_account(slot.appid, kind, Secret(secret), **told))
        self.replicas = [Replica(self, index) for index in range(self.plan.replicas)]

    def _read(self) -> Iterator[Slot]:
        """Return what somebody reads, the tokens first."""
        unread = self.plan.unread or [False] * self.plan.accounts
        yield from (slot for slot, is_unread in zip(self.slots, unread, strict=True) if not is_unread)
        yield from (slot for slot in self.all_slots if is_ticket(slot))

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Begin a task of the world itself: it is never stopped or killed."""
        self.watch(self.loop.create_task(coroutine, context=self.context.copy()))

    def watch(self, task: asyncio.Task[None]) -> None:
        """See to it that no exception of the task goes unseen."""
        self._pending.add(task)
        task.add_done_callback(self._ended, context=self.context.copy())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._pending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.oracle.blame(error)

    # --- the platform

    def ask(self, order: Order, *, ours: Flight) -> dict[str, Any]:
        """Let a request of ours land, and return the platform's answer."""
        body = self._answer(order, ours.replica.ip)
        self.oracle.landed(ours, body)
        return body

    def _answer(self, order: Order, ip: str) -> dict[str, Any]:
        account, now, world = order.account, self.now(), self.worlds[order.account.base_url]
        if self.is_on("quota"):
            errcode = self.noise.choice((45009, 45011))
            return world.wecom_refusal(45009, now, ip) if is_wecom(account.appid) else world.refusal(errcode, now)
        if order.parent is not None and self.is_on("refusing"):
            refused = NO_SUCH_TOKEN["wecom" if is_wecom(account.appid) else "ticket"]
            errcode = self.noise.choice(sorted(refused))
            return world.wecom_refusal(errcode, now, ip) if is_wecom(account.appid) else world.refusal(errcode, now)
        if order.parent is not None:
            return self.fetch_ticket(Slot(account.appid, order.kind), order.parent.reveal(), world, ip)
        return self.fetch_token(account.appid, account.secret.reveal(), order.mode, world, ip, force=order.force)

    def fetch_token(
        self, appid: str, secret: str, mode: Mode, world: World, ip: str, *, force: bool = False
    ) -> dict[str, Any]:
        """Ask a platform for a token, as whoever has the secret can."""
        now, asked = self.now(), {"appid": appid, "secret": secret, "grant_type": GRANT_TYPE}
        match mode:
            case Mode.WECOM:
                return world.gettoken(corpid=CORPID, corpsecret=secret, ip=ip, now=now)
            case Mode.CLASSIC:
                return world.token(**asked, ip=ip, now=now)
            case _:
                return world.stable_token(**asked, force_refresh=force, ip=ip, now=now)

    def fetch_ticket(self, slot: Slot, access_token: str, world: World, ip: str) -> dict[str, Any]:
        """Ask a platform for a ticket, as whoever has a token can."""
        of_wecom, now = is_wecom(slot.appid), self.now()
        path, asked = TICKET_CALLS[of_wecom, slot.kind]
        if of_wecom:
            body = world.wecom_call(path, access_token=access_token, params=asked, ip=ip, now=now)
        else:
            body = world.call(path, access_token=access_token, params=asked, now=now)
        self._remember_ticket(slot, world)
        return body

    def _remember_ticket(self, slot: Slot, world: World) -> None:
        """Take down what the platform knows only of the last one: when each was issued, and when it ends."""
        _, asked = TICKET_CALLS[is_wecom(slot.appid), slot.kind]
        ticket = world.account(slot.appid).tickets.get(asked.get("type", "jsapi"))
        known = self._tickets[slot]
        if ticket is None or ticket.value in known:
            return
        self._tickets_made[slot] += 1
        url = next(url for url, one in self.worlds.items() if one is world)
        born_at = self.virtual(ticket.issued_at)
        dies_at = born_at + ticket.life
        known[ticket.value] = Life("ticket", born_at, dies_at, dies_at, "age", url)
        for old in list(known)[:-REMEMBERED]:
            del known[old]

    # --- faults

    def passes(self, point: str, replica: Replica) -> None:
        """A replica is at this point of its work: crash or stop it here, if a fault was waiting for it."""
        if PROCESS.get() is not replica.process:
            return
        fault = self._armed.pop((point, replica.index), None)
        if fault is None:
            return
        if fault.kind == "crash_at":
            self._kill(replica, fault.lasts)
        elif fault.kind == "crash_step":
            self.loop.call_after_steps(replica.process, int(fault.size), partial(self._kill, replica, fault.lasts))
        else:
            self._stopped(fault)

    def _kill(self, replica: Replica, down_for: float) -> None:
        if replica.process.dead:
            return
        self.oracle.disturbed(replica, "crash")
        self.loop.kill(replica.process)
        self.loop.call_later(down_for, replica.begin, context=self.context)

    def _strike(self, fault: Fault) -> None:
        self.oracle.struck(fault)
        strike = self._arm if fault.note else getattr(self, f"_{fault.kind}", None)
        if strike is not None:
            strike(fault)
        else:
            self._begin_weather(fault)
        self.survived += 1

    def _begin_weather(self, fault: Fault) -> None:
        self._on[fault.kind].append(fault.who)
        self.loop.call_later(fault.lasts, self._end_weather, fault, context=self.context)

    def _end_weather(self, fault: Fault) -> None:
        self._on[fault.kind].remove(fault.who)
        self.oracle.cleared(fault)

    def _crash(self, fault: Fault) -> None:
        self._kill(self.replicas[fault.who], fault.lasts)

    def _arm(self, fault: Fault) -> None:
        self._armed[fault.note, fault.who] = fault

    def _stopped(self, fault: Fault) -> None:
        replica = self.replicas[fault.who]
        if not replica.is_up:
            return
        self.oracle.disturbed(replica, "stop")
        self.loop.stop_process(replica.process)
        self.loop.call_later(fault.lasts, self._resume, replica, replica.process, context=self.context)

    def _asleep(self, fault: Fault) -> None:
        """The machine that all replicas run on sleeps: their timers stand still, boot-time goes on."""
        for replica in self.replicas:
            self._stopped(replace(fault, who=replica.index))

    def _wall_jump(self, fault: Fault) -> None:
        self.replicas[fault.who].clock.jump(fault.size)

    def _resume(self, replica: Replica, process: Process) -> None:
        if not process.dead:
            self.oracle.disturbed(replica, "resume")
            self.loop.resume(process)

    def _store_step(self, fault: Fault) -> None:
        self.store.step += fault.size
        self.oracle.store_stepped(fault.size)

    def _store_lost(self, _fault: Fault) -> None:
        """The store is made anew, empty; somebody must remember what was in it."""
        now = self.loop.time()
        if now > 60.0 and any(
            one.is_up and one.read_store_at > max(now - 30.0, one.disturbed_at) for one in self.replicas
        ):
            step, self.stores_made = self.store.step, self.stores_made + 1
            self.store = WatchedStore(self)
            self.store.step = step
            self.oracle.store_lost()

    def _slot(self, fault: Fault) -> Slot:
        return self.slots[fault.slot]

    def _aim(self, fault: Fault) -> Slot:
        """Return the credential of the account that the fault is aimed at."""
        family = self.families[self.slots[fault.slot].appid]
        return family[fault.of % len(family)]

    def _stranger(self, fault: Fault) -> None:
        """Somebody else with the secret asks for what we keep; a stable token he replaces."""
        slot, mode = self._aim(fault), self.plan.modes[fault.slot]
        world = self.home_of(slot)
        account = world.account(slot.appid)
        force = mode is Mode.STABLE and not is_ticket(slot)
        body = self.fetch_token(slot.appid, account.secret, mode, world, STRANGER_IP, force=force)
        if is_ticket(slot) and not body.get("errcode"):
            self.fetch_ticket(slot, str(body["access_token"]), world, STRANGER_IP)
        for one in self.families[slot.appid]:
            self.oracle.meddled(one)

    def _revoked(self, fault: Fault) -> None:
        self.revoke(self._slot(fault))

    def revoke(self, slot: Slot) -> None:
        """End all tokens of the slot's account behind our back; its tickets live on."""
        self.home_of(slot).revoke_all(slot.appid, self.now())
        self.oracle.meddled(Slot(slot.appid))

    def _secret_reset(self, fault: Fault) -> None:
        slot = self._slot(fault)
        secret = self.secrets[slot.appid] = self.worlds[HERE].reset_secret(slot.appid, self.now())
        self.worlds[ELSEWHERE].reset_secret(slot.appid, self.now(), secret)
        self.oracle.meddled(slot)
        delay = self.noise.choice((0.05, 30.0, 3600.0))
        self.loop.call_later(delay, self._patch_later, fault, {"secret": True}, context=self.context)

    def _patched(self, fault: Fault) -> None:
        self._patch_later(fault, {})

    def _mode_changed(self, fault: Fault) -> None:
        self._patch_later(fault, {"mode": True})

    def _patch_later(self, fault: Fault, what: dict[str, bool]) -> None:
        self.begin(self._patch(self._slot(fault), **what))

    async def _patch(self, slot: Slot, *, secret: bool = False, mode: bool = False, move: bool = False) -> None:
        """Change the account in the store, as the CLI would."""
        account = await self.store.account(slot.appid)
        if account is None:
            return
        if secret:
            account = replace(account, secret=Secret(self.secrets[slot.appid]))
        if mode and account.mode is not Mode.WECOM:
            account = replace(account, mode=Mode.STABLE if account.mode is Mode.CLASSIC else Mode.CLASSIC)
        if move:
            account = replace(account, base_url=HERE if account.base_url == ELSEWHERE else ELSEWHERE)
        await self.store.put_account(account)

    def _moved(self, fault: Fault) -> None:
        """The account is moved, and moved back after a while."""
        self._patch_later(fault, {"move": True})
        self.loop.call_later(fault.lasts, self._patch_later, fault, {"move": True}, context=self.context)

    def _removed(self, fault: Fault) -> None:
        self.begin(self._remove(self._slot(fault), fault.lasts))

    async def _remove(self, slot: Slot, away: float) -> None:
        """Remove the account, and add it again after a while, as the CLI would."""
        account = self.store.kept_account(slot.appid)
        if account is None or not await self.store.remove_account(slot.appid):
            return
        await asyncio.sleep(away)
        if self.store.kept_account(slot.appid) is None:
            await self.store.put_account(replace(account, secret=Secret(self.secrets[slot.appid]), revision=1))

    def _not_listed(self, fault: Fault) -> None:
        for world in self.worlds.values():
            account = world.account(self._slot(fault).appid)
            account.set_allow_list(["192.0.2.1"])
            self.loop.call_later(fault.lasts, account.set_allow_list, None, context=self.context)
        self.loop.call_later(fault.lasts, self.oracle.cleared, fault, context=self.context)

    def _foreign_reject(self, fault: Fault) -> None:
        replica = self.replicas[fault.who]
        if replica.is_up:
            self.begin(self._reject_foreign(replica, self._aim(fault)))

    async def _reject_foreign(self, replica: Replica, slot: Slot) -> None:
        foreign = hash_value(str(self.noise.random()))
        task = self.loop.spawn(replica.process, replica.keeper.reject(slot, f"{slot.kind} foreign", sha256=foreign))
        done, _ = await asyncio.wait([task], timeout=30.0)
        for one in done:
            if (error := one.exception()) is not None and not isinstance(error, ZhongkongError):
                raise error

    def _buggy_rejecter(self, fault: Fault) -> None:
        self.begin(reject_good_ones(self, self._aim(fault), fault))

    def _forcer(self, fault: Fault) -> None:
        self.begin(force_for_a_while(self, self._aim(fault), fault))

    def _storm(self, fault: Fault) -> None:
        self.begin(storm(self, self._aim(fault), self.noise.choice((5, 50))))
