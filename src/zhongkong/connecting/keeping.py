"""Keeps credentials in this process, behind the calls of a source: a keeper over a store, as in a hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random, SystemRandom
from typing import NamedTuple, TypeVar

from zhongkong.client.engine import Held, Publish
from zhongkong.client.explaining import speaking
from zhongkong.client.source import Credential, Rejected
from zhongkong.connecting.declaring import Declarations
from zhongkong.core.handing import Handed
from zhongkong.core.model import Account, Kind, Seconds, Slot, Trouble
from zhongkong.core.ports import Clock, FullStore, Platform
from zhongkong.errors import (
    CredentialUnavailable,
    RequestRefused,
    StoreUnavailable,
    ZhongkongError,
)
from zhongkong.keeper.keeper import Keeper
from zhongkong.keeper.upkeep import run_for_ever, sweep_for_ever
from zhongkong.wechat.advice import explain_trouble

logger = logging.getLogger("zhongkong.library")

T = TypeVar("T")

TELL_EVERY: Seconds = 0.5
"""What may be handed out is published this often, and when it changes: the shortest promise is a second."""
LATE: Seconds = 0.5
"""How much longer than a caller's patience the store may take to say no."""
LOOK: Seconds = 1.0
"""How long a caller is kept while the store is asked what happened in a time when this process did not run."""
DRAIN: Seconds = 2.0
"""What a refresh that is under way gets at the end. An answer that comes later is lost as in a crash: its attempt stays
open, and the next keeper knows what that means."""
OPEN_AGAIN: Seconds = 1.0
WANTS_A_PERSON = frozenset({"blocked", "quota", "contested"})


class Seats(NamedTuple):
    """What a keeper works with."""

    store: FullStore
    platform: Platform


Seat = Callable[[], AbstractAsyncContextManager[Seats]]


@dataclass(frozen=True, slots=True)
class Kept(Held):
    """What the keeper promised at `promised_at`; it is held for less: another process may renew or condemn it."""

    promised_at: Seconds = field(kw_only=True)

    def at(self, now: float) -> Credential:
        """Return the credential with what is left of its spans at `now`."""
        past = now - self.promised_at
        promised = self.credential
        left = max(0, int(promised.expires_in - past))
        return replace(promised, expires_in=left, refresh_in=max(1, int(promised.refresh_in - past)))


class KeeperEngine:
    """An `Engine` over a keeper of its own. `seat` opens what that works with, and closes it again."""

    def __init__(
        self,
        seat: Seat,
        clock: Clock,
        *,
        accounts: Sequence[Account] = (),
        poll_seconds: Seconds = 1.0,
        random: Random | None = None,
    ) -> None:
        """Take the parts; nothing begins before `run`."""
        self._seat = seat
        self._clock = clock
        self._accounts = accounts
        self._poll_seconds = poll_seconds
        self._random = random or SystemRandom()
        self._caller = f"library-{self._random.getrandbits(32):08x}"
        """Of all who reject, this process is one: its threads see the same refusals."""
        self._publish: Publish = lambda _held: None
        self._opening: asyncio.Future[_Life | ZhongkongError] | None = None
        self._delay: StoreUnavailable | None = None
        """Why the store is not open yet, if it can be waited for."""

    async def run(self, publish: Publish) -> None:
        """Keep all accounts of the store fresh until cancelled, and publish what was asked for once."""
        self._publish = publish
        while True:
            if self._opening is not None and self._opening.done():
                self._opening = None
            try:
                async with self._seat() as seats:
                    await self._keep(seats)
            except StoreUnavailable as error:
                self._delay = error
            except ZhongkongError as error:
                self._opened(error)
            await asyncio.sleep(OPEN_AGAIN)

    async def credential(self, appid: str, kind: str, patience: Seconds) -> Held:
        """Return a credential within `patience` seconds. Raises: as `Source.access_token`; StoreError."""
        return await self._within(appid, kind, patience, _Life.credential)

    async def reject(self, appid: str, kind: str, value: str, patience: Seconds) -> Rejected:
        """Return what became of a refused value, within `patience` seconds. Raises: as `credential`."""
        return await self._within(appid, kind, patience, partial(_Life.reject, caller=self._caller, value=value))

    async def _within(
        self, appid: str, kind: str, patience: Seconds, ask: Callable[[_Life, Slot, Seconds], Awaitable[T]]
    ) -> T:
        """Ask the keeper once it is there. The platform is waited for `patience` seconds, the store a little longer."""
        slot = _read_slot(appid, kind)
        until = asyncio.get_running_loop().time() + patience
        try:
            async with asyncio.timeout_at(until + LATE):
                opened = await asyncio.shield(self._future())
                if isinstance(opened, ZhongkongError):
                    raise copy(opened)
                return await ask(opened, slot, until)
        except TimeoutError:
            error = self._delay or CredentialUnavailable(appid, kind, "refreshing", retry_after=1.0)
            raise copy(error) from None

    # --- opening

    def _future(self) -> asyncio.Future[_Life | ZhongkongError]:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
        return self._opening

    def _opened(self, result: _Life | ZhongkongError) -> None:
        self._delay = None
        if not self._future().done():
            self._future().set_result(result)

    async def _keep(self, seats: Seats) -> None:
        store, platform = seats
        keeper = Keeper(store, platform, self._clock, random=self._random, poll_seconds=self._poll_seconds)
        declarations = Declarations(store, platform, keeper.known, self._accounts)
        life = _Life(keeper, declarations, self._clock, self._publish)
        await keeper.poll()
        self._opened(life)
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, run in (
                    ("keeper", keeper.run),
                    ("accounts", declarations.run),
                    ("readers", life.publish_for_ever),
                    ("sweep", partial(sweep_for_ever, store, keeper.known)),
                ):
                    tasks.create_task(run_for_ever(name, run, logger), name=f"zhongkong-{name}")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN + LATE):
                    await keeper.drain(DRAIN)


class _Life:
    """A keeper that is at work, and what it told the readers of this process."""

    def __init__(self, keeper: Keeper, declarations: Declarations, clock: Clock, publish: Publish) -> None:
        self._keeper = keeper
        self._declarations = declarations
        self._clock = clock
        self._publish = publish
        self._wanted: dict[Slot, Kept | None] = {}
        """What readers asked for, and what they were told last."""
        self._troubles: dict[Slot, Trouble | None] = {}
        self._looking: asyncio.Task[bool] | None = None
        keeper.known.on_change(self._changed)

    # --- for callers

    async def credential(self, slot: Slot, until: Seconds) -> Held:
        """Return a credential by `until`, on the loop's clock; readers know it too, unless it is doubtful."""
        await self._look_if_stale()
        if self._keeper.peek(slot) is None:
            await self._declarations.settled(slot.appid)
        handed = await self._keeper.credential(slot, _left(until))
        return self._tell(slot, handed)

    async def reject(self, slot: Slot, until: Seconds, *, caller: str, value: str) -> Rejected:
        """Return what became of a refused value, by `until`."""
        await self._declarations.settled(slot.appid)
        rejected = await self._keeper.reject(slot, caller, value=value, patience=_left(until))
        kept = self._tell(slot, rejected.handed)
        return Rejected(rejected.outcome.value, kept.credential)

    async def _look_if_stale(self) -> None:
        """If this process did not run for a while, ask the store first what happened meanwhile; all wait for one."""
        if not self._keeper.known.is_stale:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keeper.poll())
        await asyncio.wait([self._looking], timeout=LOOK)

    # --- for readers

    async def publish_for_ever(self) -> None:
        """Tell the readers again and again what they may hand out: a promise that is kept is prolonged."""
        while True:
            await self._look_if_stale()
            for slot in list(self._wanted):
                self._tell_again(slot)
            await asyncio.sleep(TELL_EVERY)

    def _changed(self, slot: Slot) -> None:
        record = self._keeper.known.record(slot)
        trouble = record.retry.trouble if record is not None else None
        if slot in self._wanted:
            self._tell_again(slot)
            self._warn(slot, trouble)

    def _tell_again(self, slot: Slot) -> None:
        """Publish what can be handed out now, or that nothing can."""
        handed = self._keeper.peek(slot)
        if handed is not None:
            self._tell(slot, handed)
        else:
            self._withdraw(slot)

    def _tell(self, slot: Slot, handed: Handed) -> Kept:
        """Publish what was handed out, for as long as it holds whatever other processes do; not what is doubtful."""
        now, known = self._clock.boot(), self._keeper.known
        credential = Credential(
            appid=handed.appid,
            kind=handed.kind.value,
            value=handed.value,
            generation=handed.generation,
            expires_in=handed.expires_in,
            refresh_in=handed.refresh_in,
            doubtful=handed.doubtful,
            stale=handed.stale,
        )
        promised_until = now + handed.expires_in
        holds_until = min(promised_until, known.stale_at if known.stale_at > now else now + known.stale_after)
        fresh_until = min(now + handed.refresh_in, holds_until)
        kept = Kept(credential, credential.value, fresh_until, holds_until, promised_until, promised_at=now)
        if handed.doubtful:
            self._withdraw(slot)
        else:
            self._wanted[slot] = kept
            self._publish(kept)
        return kept

    def _withdraw(self, slot: Slot) -> None:
        told, now = self._wanted.get(slot), self._clock.boot()
        if told is not None and told.holds_until > now:
            self._publish(replace(told, fresh_until=now, holds_until=now))
        self._wanted[slot] = None

    def _warn(self, slot: Slot, trouble: Trouble | None) -> None:
        """Log what a person must put right, once: while the old credential lives, no call fails that would tell."""
        told = self._troubles.get(slot)
        self._troubles[slot] = trouble
        if trouble is None or trouble.state not in WANTS_A_PERSON:
            return
        if told is None or (told.state, told.errcode) != (trouble.state, trouble.errcode):
            text = explain_trouble(trouble.state, speaking(), slot.appid, trouble.errcode, trouble.errmsg)
            logger.warning("%s", text)


def _read_slot(appid: str, kind: str) -> Slot:
    try:
        return Slot(appid, Kind(kind))
    except ValueError:
        raise RequestRefused("kind_not_kept", kind=kind, known=", ".join(Kind)) from None


def _left(until: Seconds) -> Seconds:
    return max(0.0, until - asyncio.get_running_loop().time())
