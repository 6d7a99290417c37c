"""One refresh of one slot: claim, mint, save; and the probe that goes before or instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, cast

from zhongkong.core.change import Restamp
from zhongkong.core.claim import (
    Claim,
    ClaimAnswer,
    Claimed,
    Faster,
    Held,
    Moved,
    NotYet,
    ProbeFirst,
)
from zhongkong.core.command import AnswerT, Applied, Command
from zhongkong.core.freshness import is_unanswered
from zhongkong.core.handing import Handed
from zhongkong.core.issuing import ISSUING, mode_now
from zhongkong.core.lineage import parent_of, proves_parent_dead, was_refused_with_parent
from zhongkong.core.model import (
    DEADLINE,
    Account,
    Ambiguous,
    Attempt,
    Event,
    Outcome,
    Record,
    Seconds,
    Secret,
    Slot,
    Trouble,
    hash_value,
)
from zhongkong.core.ports import Clock, Order, Platform, Store
from zhongkong.core.reject import BeginProbe, EndProbe, ProbeNow
from zhongkong.core.retry import PERSON_STATES
from zhongkong.core.rounds import PROBES_APART, next_ping_at
from zhongkong.core.save import GiveBack, LeaseLost, Save, SaveAnswer, Saved
from zhongkong.errors import (
    AccountUnknown,
    CredentialUnavailable,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    WrongSeal,
)
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import ProbeVerdict

FIRST_LOOK: Seconds = 0.05
LAST_LOOK: Seconds = 0.5
"""Who waits for a lease held elsewhere reads again after these, doubling."""


class _Lease(NamedTuple):
    """A claim that was granted, by the store or by memory alone. `until` is on our boot-time clock."""

    attempt: Attempt
    forced: bool
    account: Account
    until: Seconds
    is_pretended: bool
    parent: Handed | None
    """What to ask with, where that is another credential."""


class Refresher:
    """Refreshes slots. It joins nobody and plans nothing: the keeper sees to it that one runs per slot.

    What a slot's parent has, the keeper obtains for it like for any caller.
    """

    def __init__(
        self,
        store: Store,
        platform: Platform,
        clock: Clock,
        knowledge: Knowledge,
        obtain: Callable[[Slot], Awaitable[Handed]],
        *,
        make_fence: Callable[[], str],
        roll: Callable[[], float],
    ) -> None:
        self._store = store
        self._platform = platform
        self._clock = clock
        self._known = knowledge
        self._obtain = obtain
        self._make_fence = make_fence
        self._roll = roll
        self._silent: set[str] = set()
        """Hosts that left a request unanswered that can end a token, and have answered nothing since."""
        self._owed: list[Restamp | GiveBack | Save] = []
        """What the store could not be told yet: leases that were not used, answers that came while it was away."""
        self._unsure: dict[Slot, str] = {}
        """Fences of claims that the store did not acknowledge: the next claim for the slot is made under the same."""
        self._looking: dict[Slot, asyncio.Task[ProbeVerdict]] = {}
        """Who looks for the verdict of a probe that somebody else sent."""

    # --- refresh

    async def refresh(self, slot: Slot, beyond: int, *, in_round: bool, force: bool = False) -> Record:
        """Return the slot's record once its credential is of a later generation than `beyond`, or needs no mint.

        Raises: CredentialUnavailable: nobody may mint yet, or the mint failed; it carries the cause and the wait.
        StoreError. AccountUnknown.
        """
        look, may_blame = FIRST_LOOK, True
        while True:
            account = await self._account_of(slot)
            await self._break_silence(slot, account, wait=not in_round)
            parent = await self._parent_of(slot, account, may_blame=may_blame)
            asked_at = self._clock.boot()
            fence = self._unsure.get(slot) or self._make_fence()
            (record, answer, now), is_pretended = await self._claim(
                Claim(slot, account, fence, beyond, in_round, force)
            )
            match answer:
                case Claimed(attempt, forced, until):
                    since = self._clock.boot() if is_pretended else asked_at  # a store may refuse after a whole lease
                    lease = _Lease(attempt, forced, account, since + until - now, is_pretended, parent)
                    saved = await self._mint_and_save(record, lease, may_blame=may_blame)
                    if saved is not None:
                        return saved
                    may_blame = False
                case Faster():
                    return record
                case NotYet(until, trouble):
                    raise unavailable(slot, trouble, until - now)
                case ProbeFirst():
                    await self._ping(slot, wait=not in_round)
                case Held() if in_round:
                    return record
                case Held():
                    await self._wait_for_change(slot, look)
                    look = min(2 * look, LAST_LOOK)
                    await self._reread(slot)
                case Moved():
                    await self._reread_moved(slot, account)

    async def _claim(self, claim: Claim) -> tuple[Applied[ClaimAnswer], bool]:
        """Claim in the store; while cut off from it, for a mode that ends nothing, in memory alone: then say so."""
        slot = claim.slot
        was_unsure = slot in self._unsure
        try:
            claimed = await self.tell(claim)
        except StoreError:
            self._unsure[slot] = claim.fence
            record = self._known.record(slot)
            if not self._known.is_cut_off_from(slot) or record is None or claim.force or record.insist:
                raise
            if ISSUING[mode_now(claim.account, record, self._known.now())].ends_former:
                raise
            return self._known.pretend(replace(claim, fence=self._make_fence())), True
        self._unsure.pop(slot, None)
        if was_unsure and not isinstance(claimed.answer, Claimed):
            await self._give_back(GiveBack(slot, claim.fence))
        return claimed, False

    async def _parent_of(self, slot: Slot, account: Account, *, may_blame: bool) -> Handed | None:
        """Return what it takes to ask for the slot's credential. Before the claim, so that leases never nest.

        Of one that was refused the time before a probe tells first, unless it was just replaced because of that.
        """
        record = self._known.record(slot) or Record(slot)
        parent = parent_of(slot, mode_now(account, record, self._known.now()))
        if parent is None:
            return None
        if may_blame and was_refused_with_parent(record):
            await self._reread(parent)  # of one that others have replaced meanwhile nothing was proved yet
            await self.probe(parent, "probed")
        return await self._obtain(parent)

    async def _blame(self, slot: Slot, lease: _Lease, parent: Handed, refused: Refused) -> None:
        """Give the lease back, and condemn the parent that the platform refused: that answer is the proof."""
        back = GiveBack(slot, lease.attempt.fence, refused)
        if lease.is_pretended:
            self._known.pretend(back)
        else:
            await self._give_back(back)
        digest, left = hash_value(parent.value), lease.attempt.left
        await self._tell_or_pretend(
            EndProbe(Slot(parent.appid, parent.kind), digest, left, ProbeVerdict.DEAD, "rejected")
        )

    async def _mint_and_save(self, record: Record, lease: _Lease, *, may_blame: bool) -> Record | None:
        """Mint under the claim and save; return the record, or None to begin again."""
        slot, attempt, parent = record.slot, lease.attempt, lease.parent
        if self._clock.boot() + DEADLINE > lease.until:
            await self._give_back(GiveBack(slot, attempt.fence))
            return None
        with_parent = Secret(parent.value) if parent is not None else None
        order = Order(lease.account, attempt.mode, lease.forced, slot.kind, with_parent)
        outcome = await self._mint(order, ends=attempt.ends)
        may_blame = may_blame and proves_parent_dead(record, outcome)
        if parent is not None and may_blame and isinstance(outcome, Refused):
            await self._blame(slot, lease, parent, outcome)
            return None
        save = Save(slot, lease.account, attempt.fence, outcome, dice=self._roll())
        saved = self._known.pretend(save) if lease.is_pretended else await self._save(save, lease.until)
        match saved.answer:
            case Saved(again):
                return None if again else saved.record
            case LeaseLost():
                return None
        retry = saved.record.retry
        raise unavailable(slot, retry.trouble, retry.next_try_at - saved.now)

    async def _mint(self, order: Order, *, ends: bool) -> Outcome:
        outcome = await self._platform.mint(order)
        if not isinstance(outcome, Ambiguous):
            self._silent.discard(order.account.base_url)
        elif ends:
            self._silent.add(order.account.base_url)
        return outcome

    async def _save(self, save: Save, until: Seconds) -> Applied[SaveAnswer]:
        """Tell the store what the platform answered; memory knows it at once, and tells it later if the store is away.

        `until`, on our boot-time clock, is when the lease ends: who waits for the refresh waits no longer than that.
        """
        pretended = None
        pause = FIRST_LOOK
        while True:
            try:
                saved = await self.tell(save)
            except StoreError:
                pretended = pretended or self._known.pretend(save)
            else:
                self._known.forget_unsaved(save.slot)
                return saved
            if self._clock.boot() > until:
                self._owed.append(save)
                return pretended
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)

    async def _give_back(self, back: GiveBack) -> None:
        try:
            await self.tell(back)
        except StoreError:
            self._owed.append(back)

    def owe(self, restamps: Sequence[Restamp]) -> None:
        """Have the store told these first, as soon as it can be told."""
        self._owed[:0] = restamps

    @property
    def must_settle(self) -> bool:
        """Say whether the store is owed something, or is to be asked whether it can be written again."""
        return bool(self._owed) or self._known.must_write_again

    async def settle(self) -> None:
        """Tell the store what it could not be told while it was away, all at once; find out whether it can be told."""
        owed = list(self._owed)
        try:
            told = await self._tell_all(cast("Sequence[Command[object]]", owed)) if owed else []
            if self._known.is_unwritable:
                seconds = round(self._known.unwritten_for, 1)
                await self._store.tell([Event("store_written_again", "", {"seconds": seconds})])
        except StoreError:
            self._known.write_failed()
            return
        self._known.wrote()
        for command, applied in zip(owed, told, strict=True):
            if applied is None:
                continue
            self._owed.remove(command)
            self._known.learn(applied.record)
            if isinstance(command, Save):
                self._known.forget_unsaved(command.slot)

    async def _tell_all(self, commands: Sequence[Command[object]]) -> list[Applied[object] | None]:
        """Have the store apply the commands, and return None for those whose record cannot be unsealed."""
        try:
            return list(await self._store.apply(commands))
        except WrongSeal:
            if len(commands) == 1:
                return [None]
            return [told for command in commands for told in await self._tell_all([command])]

    # --- probe

    async def _break_silence(self, slot: Slot, account: Account, *, wait: bool) -> None:
        """A host that went silent on a request that can end a token is asked something harmless first."""
        record = self._known.record(slot)
        if account.base_url not in self._silent or record is None or record.credential is None:
            return
        if not ISSUING[mode_now(account, record, self._known.now())].ends_former:
            return
        await self._ping(slot, wait=wait)

    async def _ping(self, slot: Slot, *, wait: bool) -> None:
        """Return when a silent platform answered a probe, or somebody asks it for a credential just now.

        Raises: CredentialUnavailable: it is silent still.
        """
        verdict = await self.probe(slot, "probed", wait=wait)
        record = self._known.record(slot)
        if record is not None and record.lease is not None and record.lease.holds(self._known.now()):
            return
        if verdict is ProbeVerdict.UNKNOWN or (record is not None and is_unanswered(record)):
            again_at = next_ping_at(record, self._known.now()) if record is not None and not wait else 0.0
            raise unavailable(slot, Trouble("unanswered"), max(PROBES_APART, again_at - self._known.now()))

    async def probe(self, slot: Slot, reason: str, *, wait: bool = True) -> ProbeVerdict:
        """Look whether the platform takes the current credential, at most once in 5 s whoever asks; return the verdict.

        Of what has no probe it is `UNKNOWN`. If somebody else looks just now, his verdict is waited for, unless `wait`
        is false.

        Raises: StoreError. AccountUnknown.
        """
        account = await self._account_of(slot)
        record = self._known.planned(slot)
        if record is None or record.credential is None or not ISSUING[record.credential.mode].has_probe:
            return ProbeVerdict.UNKNOWN
        begun = await self._tell_or_pretend(BeginProbe(slot, record.generation))
        if isinstance(begun.answer, ProbeNow):
            return await self.end_probe(begun.record, account, begun.answer.began_at, reason)
        return await self.recent_verdict(begun.record) if wait else ProbeVerdict.UNKNOWN

    async def end_probe(
        self, record: Record, account: Account, began_at: float, reason: str, caller: str = ""
    ) -> ProbeVerdict:
        """Ask the platform about the record's credential and tell the store what it proved."""
        credential = record.credential
        if credential is None:
            return ProbeVerdict.UNKNOWN
        verdict = await self._platform.probe(account, credential.value, caller, record.slot.kind)
        if verdict is not ProbeVerdict.UNKNOWN:
            self._silent.discard(account.base_url)
        await self._tell_or_pretend(EndProbe(record.slot, credential.sha256, began_at, verdict, reason, caller))
        return verdict

    async def recent_verdict(self, record: Record) -> ProbeVerdict:
        """Return what a probe that left within the last 5 s proved, whoever sent it; `UNKNOWN` if it does not say.

        However many wait for it, one looks.
        """
        if record.probe.last is not None:
            return record.probe.last
        look = self._looking.get(record.slot)
        if look is None:
            look = asyncio.create_task(self._look_for_verdict(record.slot))
            self._looking[record.slot] = look
            look.add_done_callback(lambda done: self._end_look(record.slot, done))
        return await asyncio.shield(look)

    def _end_look(self, slot: Slot, done: asyncio.Task[ProbeVerdict]) -> None:
        del self._looking[slot]
        if not done.cancelled():
            done.exception()  # seen, also if everybody who waited hung up

    async def _look_for_verdict(self, slot: Slot) -> ProbeVerdict:
        pause = FIRST_LOOK
        waited = 0.0
        last = None
        while last is None and waited < DEADLINE:
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, LAST_LOOK)
            last = (await self._reread(slot)).probe.last
        return last or ProbeVerdict.UNKNOWN

    # --- the store

    async def tell(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        """Have the store apply the command; memory knows at once. Raises: StoreError."""
        try:
            (applied,) = await self._store.apply([command])
        except (StoreUnavailable, StoreRefused):
            self._known.write_failed()
            raise
        if self._known.learn(applied.record) and not self._known.is_unwritable:
            self._known.wrote()
        return applied

    async def _tell_or_pretend(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        try:
            return await self.tell(command)
        except StoreError:
            if not self._known.is_cut_off_from(command.slot):
                raise
            return self._known.pretend(command)

    async def _wait_for_change(self, slot: Slot, longest: Seconds) -> None:
        """Wait until a poll brought something of the slot: a bell makes that soon."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest):
                await self._known.changed(slot)

    async def _reread(self, slot: Slot) -> Record:
        """Return the record as the store has it, or as we know it while it cannot tell."""
        with suppress(StoreError):
            self._known.learn(await self._store.load(slot))
        return self._known.record(slot) or Record(slot)

    async def _account_of(self, slot: Slot) -> Account:
        account = self._known.account(slot.appid)
        return account if account is not None else await self._reread_account(slot)

    async def _reread_moved(self, slot: Slot, account: Account) -> None:
        """Read again what the store says was changed.

        Raises: CredentialUnavailable: it was not. Another store answers than the one we know; the next poll will tell.
        """
        if (await self._reread_account(slot)).revision <= account.revision:
            raise unavailable(slot, None, 1.0)

    async def _reread_account(self, slot: Slot) -> Account:
        account = await self._store.account(slot.appid)
        if account is None:
            raise AccountUnknown(appid=slot.appid)
        self._known.learn_account(account)
        await self._reread(slot)
        return account


def unavailable(slot: Slot, trouble: Trouble | None, wait: Seconds, *, text: str = "") -> CredentialUnavailable:
    """Return the error for a slot that has nothing to hand out: why, and when to ask again; `text` as in the error."""
    if trouble is None:
        return CredentialUnavailable(slot.appid, slot.kind, "refreshing", retry_after=max(wait, 0.0))
    if trouble.state in PERSON_STATES:
        text = text or "credential_withheld"
    errcode: dict[str, Any] = {} if trouble.errcode is None else {"errcode": trouble.errcode}
    return CredentialUnavailable(
        slot.appid,
        slot.kind,
        trouble.state,
        retry_after=max(wait, 0.0),
        errmsg=trouble.errmsg,
        rid=trouble.rid,
        text=text,
        **errcode,
    )
