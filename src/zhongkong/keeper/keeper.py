"""The keeper: hands out what is fresh, renews behind it what is due, answers those who were refused."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from random import Random, SystemRandom
from typing import Any, NamedTuple, TypeVar

from zhongkong.core.command import Applied
from zhongkong.core.freshness import Freshness
from zhongkong.core.handing import Handed
from zhongkong.core.issuing import ISSUING, mode_now
from zhongkong.core.lineage import parent_of
from zhongkong.core.model import (
    DEADLINE,
    KINDS_OF,
    NEVER,
    Event,
    Instant,
    Record,
    Seconds,
    Slot,
    hash_value,
)
from zhongkong.core.ports import Clock, KeeperStore, Platform
from zhongkong.core.reject import (
    AlreadyNewer,
    ProbeNow,
    ProbeRecent,
    Reject,
    RejectAnswer,
    StillValid,
)
from zhongkong.core.retry import unjudged
from zhongkong.core.rounds import (
    LOOK_AGAIN,
    PROBES_APART,
    Action,
    Plan,
    is_vouched,
    needs_mint,
    next_ping_at,
    plan,
    probe_due_at,
)
from zhongkong.errors import (
    AccountUnknown,
    CredentialUnavailable,
    RequestRefused,
    StoreError,
    StoreUnavailable,
    WrongSeal,
    ZhongkongError,
)
from zhongkong.keeper.knowledge import REREAD, Knowledge
from zhongkong.keeper.refresh import Refresher, unavailable
from zhongkong.wechat.errcodes import ProbeVerdict

T = TypeVar("T")

PATIENCE: Seconds = 5.0
"""How long a caller waits for a refresh, unless he says otherwise."""
POLL_DEADLINE: Seconds = 5.0
POSTPONED_LONGEST: Seconds = 60.0
"""What an error says of its wait was true when it was said: a change that came with it must not be slept over."""
SETTLE_PATIENCE: Seconds = 0.5
HEARD_APART: Seconds = 0.1
"""However often a bell rings, the store is asked no sooner than this after the last time."""
COMPARE_EVERY: Seconds = 60.0
"""What memory holds is compared in full with the store this often."""


class RejectOutcome(StrEnum):
    """What became of a reject. A caller repeats his call on the first two only."""

    REFRESHED = "refreshed"
    ALREADY_NEWER = "already_newer"
    STILL_VALID = "still_valid"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The answer to a reject: what became of it, and the credential to use now."""

    outcome: RejectOutcome
    handed: Handed


@dataclass(frozen=True, slots=True)
class _Done:
    """How an attendance ended. A value, so that one nobody waits for is no unseen exception."""

    record: Record | None
    error: ZhongkongError | None = None


class _Put(NamedTuple):
    """What the store answered to a reject, and what the probe proved if it was for us to send."""

    told: Applied[RejectAnswer]
    verdict: ProbeVerdict = ProbeVerdict.UNKNOWN


class Keeper:
    """Keeps the credentials of every account in a store fresh, together with the other replicas on it.

    Whole when made; `run` polls and renews until cancelled, the other methods serve callers. All of it belongs to one
    event loop.
    """

    def __init__(
        self,
        store: KeeperStore,
        platform: Platform,
        clock: Clock,
        *,
        random: Random | None = None,
        poll_seconds: Seconds = 1.0,
        departures: int = 64,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random or SystemRandom()
        self._poll_seconds = poll_seconds
        self._departures = departures
        self.known = Knowledge(clock, stale_after=2 * poll_seconds + 1.0)
        self.known.on_change(self._look_now)
        self._refresher = Refresher(
            store,
            platform,
            clock,
            self.known,
            self.credential,
            make_fence=lambda: f"{self._random.getrandbits(128):032x}",
            roll=self._random.random,
        )
        self._attending: dict[Slot, asyncio.Task[_Done]] = {}
        self._putting: set[asyncio.Task[_Put]] = set()
        self._begun_in_round: set[Slot] = set()
        self._looks: list[tuple[Instant, Slot]] = []
        self._look_at: dict[Slot, Instant] = {}
        self._settling: asyncio.Task[None] | None = None
        self._compared_at: Seconds = NEVER
        self._poll_at: Seconds = NEVER
        self._polled_at: Seconds = NEVER
        self._heard = asyncio.Event()
        self._first_poll: asyncio.Task[bool] | None = None

    # --- for callers

    def peek(self, slot: Slot) -> Handed | None:
        """Return the credential if it can be handed out this instant, else None. What is due the rounds renew."""
        handed = self.known.handed(slot)
        if handed is not None:
            return handed
        record = self.known.record(slot)
        if record is None or self.known.is_blind:
            return None
        self._note_read(slot)
        freshness = self.known.freshness(record)
        if freshness is Freshness.DEAD:
            return None
        if freshness is Freshness.DOUBTFUL and not is_vouched(record, self.known.now()):
            return None
        return self.known.hand_out(record, freshness)

    async def credential(self, slot: Slot, patience: Seconds = PATIENCE, *, seen: int = 0) -> Handed:
        """Return a credential, waiting at most `patience` seconds for one that is not dead.

        A doubtful one is handed out, marked, when the wait brought nothing better. `seen` is the latest generation
        that the caller knows: he never gets an earlier one, whichever replica he met before.

        Raises: AccountUnknown. CredentialUnavailable: with the cause and when to try again. StoreUnavailable.
        """
        handed = await self._credential(slot, asyncio.get_running_loop().time() + patience, seen)
        if handed.generation == seen - 1:  # by so much memory runs ahead of a store that is away
            raise StoreUnavailable("store_behind", appid=slot.appid, generation=seen, retry_after=1.0)
        return handed

    async def _credential(self, slot: Slot, until: float, seen: int) -> Handed:
        if seen and (known := self.known.record(slot)) is not None and known.generation < seen:
            self.known.learn(await _answered(until, self._store.load(slot)))
        handed = self.peek(slot)
        if handed is not None:
            return handed
        record = await _answered(until, self._known_record(slot))
        is_waiting = record.retry.holds_until(self.known.now()) > self.known.now()
        if is_waiting and self.known.freshness(record) is Freshness.DEAD:
            return self._hand_out(slot, None)
        left = max(0.0, until - asyncio.get_running_loop().time())
        error = await self._attend(slot, record.generation if record.condemned else 0, left)
        return self._hand_out(slot, error)

    async def reject(
        self,
        slot: Slot,
        caller: str,
        *,
        value: str = "",
        sha256: str = "",
        generation: int = 0,
        patience: Seconds = PATIENCE,
    ) -> Rejected:
        """Say what became of a credential that a caller saw refused, and return the one to use now.

        Named by value, sha-256 or generation. `caller` tells one caller from another (a key's id, an address). The
        answer comes within `patience` and the time that the platform has for a probe.

        Raises: AccountUnknown. CredentialUnavailable. StoreUnavailable: a reject is decided on the store's record.
        """
        reject = Reject(slot, caller, hash_value(value) if value else sha256, generation)
        try:
            async with asyncio.timeout(patience + DEADLINE):
                await self._known_record(slot)
                rejected = await self._answer(reject, patience)
        except TimeoutError:
            if self.known.is_cut_off_from(slot):
                raise StoreUnavailable("store_unavailable", retry_after=1.0) from None
            raise unavailable(slot, None, 1.0) from None
        if rejected.outcome is not RejectOutcome.STILL_VALID and _names(reject, rejected.handed):
            raise unavailable(slot, None, 1.0)  # of what we were issued while it was away the store knows only now
        return rejected

    async def _answer(self, reject: Reject, patience: Seconds) -> Rejected:
        applied, verdict = await self._put(reject, patience)
        slot, record = reject.slot, applied.record
        match applied.answer:
            case AlreadyNewer() if self.known.freshness(record) is not Freshness.DEAD:
                return Rejected(RejectOutcome.ALREADY_NEWER, self._hand_out(slot, None))
            case StillValid():
                return self._still_valid(slot, record)
            case ProbeNow():
                return await self._judge(slot, record, verdict, patience)
            case ProbeRecent() if record.probe.generation != record.generation:
                await asyncio.sleep(record.probe.began_at + PROBES_APART - applied.now)  # nobody asked of this one yet
                return await self._answer(reject, patience)
            case ProbeRecent():
                return await self._judge(slot, record, await self._refresher.recent_verdict(record), patience)
        return await self._replaced(slot, record, patience)

    async def force(self, slot: Slot, patience: Seconds = PATIENCE) -> Rejected:
        """Replace the credential although nobody refused it; for people, and keys that may.

        Raises: as `credential`; CredentialUnavailable when rhythm, platform or budget allow no other for now: of the
        code `force_refused` where the present one goes on being handed out.
        """
        record = await self._known_record(slot)
        until = asyncio.get_running_loop().time() + patience
        running = self._attending.get(slot)
        if running is not None:
            await asyncio.wait([running], timeout=patience)
        task = self._begin(slot, record.generation, force=True)
        await asyncio.wait([task], timeout=max(0.0, until - asyncio.get_running_loop().time()))
        if not task.done():
            if self.known.is_cut_off_from(slot):
                raise StoreUnavailable("store_unavailable", retry_after=1.0)
            raise unavailable(slot, None, 1.0)
        result = task.result()
        after = self.known.record(slot) or record
        if result.error is not None and after.generation == record.generation:
            raise self._force_refused(slot, result.error)
        outcome = RejectOutcome.REFRESHED if after.generation > record.generation else RejectOutcome.STILL_VALID
        return Rejected(outcome, self._hand_out(slot, None))

    async def renew(self, slot: Slot, patience: Seconds = PATIENCE) -> None:
        """Have what the slot needs done now and not in the next round; return when it was, or may not be done yet."""
        record = self.known.record(slot)
        if record is not None and needs_mint(record, self.known.now()):
            await self._attend(slot, record.generation, patience)

    def _force_refused(self, slot: Slot, error: ZhongkongError) -> ZhongkongError:
        """Return the error that does not say that there is nothing, where there is."""
        if not isinstance(error, CredentialUnavailable) or self.peek(slot) is None:
            return error
        told: dict[str, Any] = error.values
        return CredentialUnavailable(**told, retry_after=error.retry_after or 1.0, code="force_refused")

    async def changed(self, slot: Slot, handed: Handed, patience: Seconds) -> Handed:
        """Return the credential when it is another one than `handed`, or less of it holds, or `patience` is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    now = self.peek(slot)
                    if now is not None and _is_news(handed, now):
                        return now
                    await self.known.changed(slot)
        return await self.credential(slot)

    async def _known_record(self, slot: Slot) -> Record:
        """Return the record as known; an account that we never saw is looked up in the store."""
        if self.known.is_blind and not await self._poll_first():
            raise StoreUnavailable("store_unavailable", retry_after=1.0)
        record = self.known.record(slot)
        if record is None or record.removed:
            loaded = await self._store.load(slot)
            account = await self._store.account(slot.appid)
            if account is None:
                raise AccountUnknown(appid=slot.appid)  # and nothing learned: what is known the rounds look after
            if slot.kind not in KINDS_OF[account.kind]:
                raise RequestRefused("kind_unfit", appid=slot.appid, kind=slot.kind, account_kind=account.kind)
            self.known.learn(loaded)
            self.known.learn_account(account)
            record = self.known.record(slot) or Record(slot)
            self._note_read(slot)
        return record

    def _note_read(self, slot: Slot) -> None:
        """Take down that it is read; what was not for a while the rounds look after again."""
        if self.known.note_read(slot):
            self._look_now(slot)

    def _hand_out(self, slot: Slot, error: ZhongkongError | None) -> Handed:
        """Return what there is now, or raise why there is nothing."""
        record = self.known.record(slot) or Record(slot)
        freshness = self.known.freshness(record)
        if freshness is not Freshness.DEAD:
            return self.known.hand_out(record, freshness)
        raise error or self._why_dark(record)

    def _why_dark(self, record: Record) -> ZhongkongError:
        """Return why there is nothing to hand out: what is out of reach of what it takes comes first."""
        slot, parent = record.slot, self._parent_out_of_reach(record)
        if self.known.is_unreadable(slot):
            return WrongSeal("wrong_seal", appid=slot.appid)
        if parent is not None:
            return self._why_dark(parent)
        if record.retry.trouble is None and self._must_wait_for_store(record):
            return StoreUnavailable("store_unavailable", retry_after=1.0)
        wait = max(1.0, record.retry.next_try_at - self.known.now())
        return unavailable(slot, record.retry.trouble, wait)

    # --- reject

    async def _put(self, reject: Reject, patience: Seconds) -> _Put:
        """Tell the store of a reject, and probe if that is what it answers. A store that hangs is away."""
        answered = asyncio.Event()
        putting = asyncio.create_task(self._tell_and_probe(reject, answered))
        self._putting.add(putting)  # it goes on when the caller hangs up: others wait for its verdict
        putting.add_done_callback(self._put_away)
        try:
            async with asyncio.timeout(patience):
                await answered.wait()
        except TimeoutError:
            raise StoreUnavailable("store_unavailable", retry_after=1.0) from None
        return await asyncio.shield(putting)

    def _put_away(self, putting: asyncio.Task[_Put]) -> None:
        self._putting.discard(putting)
        if not putting.cancelled():
            putting.exception()  # seen, also if the caller hung up

    async def _tell_and_probe(self, reject: Reject, answered: asyncio.Event) -> _Put:
        try:
            told = await self._refresher.tell(reject)
        finally:
            answered.set()
        if not isinstance(told.answer, ProbeNow):
            return _Put(told)
        account = self.known.account(reject.slot.appid)
        if account is None:
            raise AccountUnknown(appid=reject.slot.appid)
        began_at, caller = told.answer.began_at, reject.caller
        return _Put(told, await self._refresher.end_probe(told.record, account, began_at, "rejected", caller))

    async def _judge(self, slot: Slot, record: Record, verdict: ProbeVerdict, patience: Seconds) -> Rejected:
        if (self.known.record(slot) or record).generation > record.generation:
            return Rejected(RejectOutcome.REFRESHED, self._hand_out(slot, None))
        if verdict is ProbeVerdict.ALIVE:
            return self._still_valid(slot, record)
        if verdict is ProbeVerdict.DEAD:
            return await self._replaced(slot, record, patience)
        text = "" if self.peek(slot) is None else "reject_unjudged"
        raise unavailable(slot, unjudged(record), PROBES_APART, text=text)

    def _still_valid(self, slot: Slot, record: Record) -> Rejected:
        """The credential in `record` was found alive; another one may have taken its place since."""
        handed = self._hand_out(slot, None)
        is_other = handed.generation > record.generation
        return Rejected(RejectOutcome.ALREADY_NEWER if is_other else RejectOutcome.STILL_VALID, handed)

    async def _replaced(self, slot: Slot, record: Record, patience: Seconds) -> Rejected:
        """Wait for the successor of a dead or doubtful credential; a doubtful one may be found alive instead."""
        error = await self._attend(slot, record.generation, patience)
        after = self.known.record(slot) or record
        if after.generation > record.generation or record.credential is None:
            return Rejected(RejectOutcome.REFRESHED, self._hand_out(slot, error))
        if self.known.freshness(after) is not Freshness.DEAD and is_vouched(after, self.known.now()):
            return self._still_valid(slot, record)
        raise error or unavailable(slot, None, 1.0)

    # --- attendance: one per slot in this process

    async def _attend(self, slot: Slot, beyond: int, patience: Seconds) -> ZhongkongError | None:
        """Join what runs for the slot, or begin; return why it failed, None also when `patience` ran out.

        Who joined and got no later generation than he named begins again, once.
        """
        until = asyncio.get_running_loop().time() + patience
        may_begin_again = slot in self._attending
        while True:
            task = self._begin(slot, beyond)
            await asyncio.wait([task], timeout=until - asyncio.get_running_loop().time())
            if not task.done():
                return None
            result = task.result()
            is_enough = (
                result.record is not None
                and result.record.generation > beyond
                and self.known.freshness(result.record) is not Freshness.DEAD
            )
            if is_enough or not may_begin_again:
                return result.error
            may_begin_again = False

    def _begin(self, slot: Slot, beyond: int, *, in_round: bool = False, force: bool = False) -> asyncio.Task[_Done]:
        task = self._attending.get(slot)
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._attendance(slot, beyond, in_round=in_round, force=force)
            )
            self._attending[slot] = task
        return task

    async def _attendance(self, slot: Slot, beyond: int, *, in_round: bool, force: bool) -> _Done:
        """Probe and mint as the slot needs it now."""
        try:
            record = (self.known.planned(slot) if in_round else self.known.record(slot)) or Record(slot)
            if not force and self._is_doubt_all(record, in_round=in_round):
                await self._refresher.probe(slot, "probed", wait=not in_round)
                record = self.known.record(slot) or record
            else:
                record = await self._refresher.refresh(slot, beyond, in_round=in_round, force=force)
        except ZhongkongError as error:
            if in_round:  # what a caller wanted in vain is no reason to look later
                self._postpone(slot, error.retry_after or 1.0)
            return _Done(None, error)
        else:
            return _Done(record)
        finally:
            self._attending.pop(slot, None)
            self._begun_in_round.discard(slot)

    def _is_doubt_all(self, record: Record, *, in_round: bool) -> bool:
        """Say whether a probe, and no mint, is what helps: a round does what it planned; a caller may only doubt."""
        if in_round:
            return self._plan(record).action is Action.PROBE
        if self.known.freshness(record) is Freshness.DOUBTFUL and self._must_wait_for_store(record):
            return True
        return not needs_mint(record, self.known.now()) and self.known.freshness(record) is not Freshness.DEAD

    def _plan(self, record: Record) -> Plan:
        """Plan as the record tells; without the store nothing is minted that ends the former, only doubt is probed."""
        now = self.known.now()
        if not self.known.is_wanted(record.slot):
            return Plan(Action.REST, now + LOOK_AGAIN)
        if self._parent_out_of_reach(record) is not None:
            return Plan(Action.REST, now + PROBES_APART)
        if not self._must_wait_for_store(record):
            return plan(record, now)
        is_doubtful = self.known.freshness(record) is Freshness.DOUBTFUL
        is_time = now >= next_ping_at(record, now)
        return Plan(Action.PROBE if is_doubtful and is_time else Action.REST, now + PROBES_APART)

    def _must_wait_for_store(self, record: Record) -> bool:
        account = self.known.account(record.slot.appid)
        if not self.known.is_cut_off_from(record.slot) or account is None:
            return False
        return record.insist or ISSUING[mode_now(account, record, self.known.now())].ends_former

    def _parent_out_of_reach(self, record: Record) -> Record | None:
        """Return what it takes to ask for the credential, if that is dead and cannot be had without the store."""
        account = self.known.account(record.slot.appid)
        if account is None:
            return None
        slot = parent_of(record.slot, mode_now(account, record, self.known.now()))
        parent = self.known.record(slot) if slot is not None else None
        if parent is None or not self._must_wait_for_store(parent):
            return None
        return parent if self.known.freshness(parent) is Freshness.DEAD else None

    @property
    def attending(self) -> int:
        """How many slots are being probed or refreshed in this process."""
        return len(self._attending)

    async def drain(self, patience: Seconds) -> None:
        """Wait for what is under way, so that what the platform answers it is saved. For the end, after `run`.

        What takes longer than `patience` is given up: its attempt stays open, as after a crash.
        """
        under_way = [*self._attending.values(), *self._putting]
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._settling is not None:
            await asyncio.wait([self._settling], timeout=patience)
        if self._refresher.must_settle:
            await self._refresher.settle()

    # --- rounds

    async def run(self) -> None:
        """Poll the store and renew what is due, until cancelled."""
        while True:
            if self._clock.boot() >= self._poll_at:
                self._poll_at = self._clock.boot() + self._poll_seconds
                await self.poll()
            self.plan_round()
            self._heard.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._next_tick()):
                    await self._heard.wait()

    def hear(self) -> None:
        """Poll now, or as soon after the last poll as that may be: somebody says that there is something new."""
        self._poll_at = min(self._poll_at, max(self._clock.boot(), self._polled_at + HEARD_APART))
        self._heard.set()

    async def poll(self) -> bool:
        """Read what changed; return whether the store answered. Memory stands as it was if it did not."""
        self._polled_at = asked_at = self._clock.boot()
        in_full = asked_at - self._compared_at >= COMPARE_EVERY
        after = NEVER if in_full else self.known.seen - REREAD
        if in_full and not self.known.is_blind:
            self._compared_at = asked_at  # also if it fails: what is too slow in full must not shut out what is new
        try:
            async with asyncio.timeout(POLL_DEADLINE):
                changes = await self._store.changes(after)
        except (StoreError, TimeoutError):
            return False
        if self.known.is_estranged(changes, in_full=in_full):
            return await self._write_back()
        if in_full:
            self._compared_at = asked_at
        restamps = self.known.learn_changes(changes, asked_at, self._clock.boot())
        self._refresher.owe(restamps)
        with suppress(StoreError):
            if self.known.stepped:
                await self._store.tell([Event("store_clock_stepped", "", {"seconds": round(self.known.stepped, 1)})])
        await self._settle()
        return True

    async def _poll_first(self) -> bool:
        """Poll for callers who have nothing to go by yet: one poll for all of them, no more often than rounds do."""
        if self._first_poll is None or (self._first_poll.done() and self._clock.boot() >= self._poll_at):
            self._poll_at = self._clock.boot() + self._poll_seconds
            self._first_poll = asyncio.create_task(self.poll())
        await asyncio.wait([self._first_poll])
        return not self.known.is_blind

    async def _settle(self) -> None:
        """Tell the store what it is owed; one that takes its time to refuse must not keep us from polling."""
        if self._refresher.must_settle and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._refresher.settle())
        if self._settling is not None:
            await asyncio.wait([self._settling], timeout=SETTLE_PATIENCE)

    async def _write_back(self) -> bool:
        """Another store answered: tell it what we remember, then take it for ours. Nothing is minted until then."""
        accounts, records = self.known.remembered()
        try:
            there = await self._store.changes(NEVER)
            records = [one for one in records if one.slot not in there.unreadable_records]
            known_there = {*there.unreadable_accounts, *(account.appid for account in there.accounts)}
            for account in accounts:
                if account.appid not in known_there:
                    await self._store.put_account(account)
                    await self._store.apply([one for one in records if one.slot.appid == account.appid])
            await self._store.apply(records)
            await self._store.tell([Event("store_replaced", "", {"accounts": len(accounts)})])
        except StoreError:
            return False
        self.known.forget_store()
        self._compared_at = NEVER
        return await self.poll()

    def plan_round(self) -> None:
        """Begin what is due, no more than can leave at once; what is left over is first in the next round."""
        now = self.known.now()
        while self._looks and self._looks[0][0] <= now and len(self._begun_in_round) < self._departures:
            at, slot = heapq.heappop(self._looks)
            if self._look_at.get(slot) != at:
                continue
            del self._look_at[slot]
            record = self.known.planned(slot)
            if record is None or slot in self._attending:
                self._look(slot, now + 1.0)
                continue
            action, look_again_at = self._plan(record)
            self._look(slot, look_again_at)
            if action is not Action.REST:
                self._begun_in_round.add(slot)
                _ = self._begin(slot, record.generation, in_round=True)

    def _look_now(self, slot: Slot) -> None:
        self._look(slot, self.known.now())

    def _look(self, slot: Slot, at: Instant) -> None:
        known = self._look_at.get(slot)
        if known is None or at < known:
            self._look_at[slot] = at
            heapq.heappush(self._looks, (at, slot))

    def _postpone(self, slot: Slot, seconds: Seconds) -> None:
        """Look again no sooner, but for a change or a probe: the claim knows of waits that a plan does not."""
        now, record = self.known.now(), self.known.planned(slot)
        probe_at = probe_due_at(record, now) if record is not None else None
        self._look_at.pop(slot, None)
        self._look(slot, now + max(1.0, min(seconds, POSTPONED_LONGEST, inf if probe_at is None else probe_at - now)))

    def _next_tick(self) -> Seconds:
        """Sleep until the next poll, or until something is due before it."""
        wait = self._looks[0][0] - self.known.now() if self._looks else self._poll_seconds
        return max(0.02, min(self._poll_at - self._clock.boot(), wait))


async def _answered(until: Seconds, asking: Awaitable[T]) -> T:
    """Return what the store says by then, on the loop's clock: as long as a caller waits. Raises: StoreUnavailable."""
    try:
        async with asyncio.timeout_at(until):
            return await asking
    except TimeoutError:
        raise StoreUnavailable("store_unavailable", retry_after=1.0) from None


def _names(reject: Reject, handed: Handed) -> bool:
    return reject.sha256 == hash_value(handed.value) if reject.sha256 else reject.generation == handed.generation


def _is_news(before: Handed, now: Handed) -> bool:
    """Say whether a caller who holds `before` should hear of `now`: another one, or less of it holds."""
    return (
        now.generation != before.generation
        or now.value != before.value
        or now.doubtful != before.doubtful
        or now.expires_at < before.expires_at - 1.0
    )
