"""Bugs planted on purpose: what the usual central control server does wrong. The oracle must see each of them.

A bug is a context manager that patches one rule; `worlds` says in which weather to look for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import surroundings
from tests.simulation.weather import Plan, draw
from zhongkong.core import claim, freshness, handing, lineage, reject, rounds, save
from zhongkong.core.change import Change
from zhongkong.core.handing import Handed
from zhongkong.core.issuing import overlap_of
from zhongkong.core.model import (
    NEVER,
    Ambiguous,
    Attempt,
    Instant,
    Kind,
    Lease,
    Mode,
    Outcome,
    Record,
    Retry,
    Slot,
    hash_value,
)
from zhongkong.keeper import keeper, knowledge, refresh
from zhongkong.keeper.keeper import Keeper, Rejected, RejectOutcome
from zhongkong.wechat import answers
from zhongkong.wechat.errcodes import ProbeVerdict

CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE
JSAPI = (Kind.JSAPI_TICKET,)
"""Every account can have this one."""


@dataclass(frozen=True)
class Bug:
    """A planted bug: what it is, what it breaks, how it is planted, and the weather in which it shows."""

    name: str
    rule: str
    """The invariant that does not hold then."""
    plant: Callable[[], Any]
    kinds: tuple[str, ...]
    mode: Mode | None = None
    point: str = ""
    """Where replicas are stopped or crashed, instead of anywhere."""
    tickets: tuple[Kind, ...] = ()
    """Which are read of every account; without any there is nothing but tokens of official accounts."""

    def plan(self, seed: int) -> Plan:
        """Return the world of a seed in which the bug may show."""
        plan = draw(seed, kinds=self.kinds, shape="small", is_plain=not self.tickets)
        if self.mode is not None:
            plan = replace(plan, modes=(self.mode,) * plan.accounts)
        if self.tickets:
            plan = replace(plan, tickets=(self.tickets,) * plan.accounts)
        if self.point:
            faults = tuple(replace(one, note=self.point, lasts=400.0) for one in plan.faults)
            plan = replace(plan, faults=faults)
        days = min(plan.days, 0.4)
        return replace(plan, read_every=20.0, replicas=max(plan.replicas, 2), poll_seconds=5.0, days=days)


@contextmanager
def patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Set attributes for a while."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def no_condition_at_the_claim() -> Any:
    """Who has the lease mints, whoever was faster."""
    return patched((claim.Claim, "_is_needed", lambda *_: True), (claim.Claim, "_rhythm", lambda *_: NEVER))


def no_fence() -> Any:
    """A save is kept whoever holds the lease."""

    def granted(self: save.Save, record: Record, granted: Any, now: Instant) -> Any:
        attempts = record.attempts
        if not any(one.fence == self.fence for one in attempts):
            attempts = (*attempts, Attempt(self.fence, now, self.account.mode, ends=True))
        mine = replace(record, lease=Lease(self.fence, now), attempts=attempts)
        return original(self, mine, granted, now)

    original = save.Save._granted
    return patched((save.Save, "_granted", granted))


def save_closes_older_attempts() -> Any:
    """A successor's save forgets the attempts before it."""

    def other(self: save.Save, record: Record, *rest: Any) -> Any:
        return original(self, replace(record, attempts=()), *rest)

    original = save.Save._other
    return patched((save.Save, "_other", other))


def second_attempt_keeps_trust() -> Any:
    """Two open attempts count as one."""

    def trust_of(record: Record) -> Instant:
        credential = record.credential
        open_attempts = freshness.threats(record)
        if credential is None or len(open_attempts) < 2:
            return original(record)
        left = max(one.left for one in open_attempts)
        return min(credential.expires_at, max(left, credential.left) + overlap_of(credential.life))

    original = freshness.trust_of
    return patched(*((owner, "trust_of", trust_of) for owner in (freshness, save, knowledge)))


def silence_is_transient() -> Any:
    """No answer is a failure like any other: the attempt is closed."""

    def apply(self: save.Save, record: Record, now: Instant) -> Any:
        step = original(self, record, now)
        if not isinstance(self.outcome, Ambiguous):
            return step
        still_open = tuple(one for one in step.record.attempts if one.fence != self.fence)
        return step._replace(record=replace(step.record, attempts=still_open))

    original = save.Save.apply
    return patched((save.Save, "apply", apply))


def the_client_re_sends() -> Any:
    """The HTTP client sends a request again on a broken connection."""

    def land(self: surroundings.SimPlatform, order: Any, flight: Any, answer: asyncio.Future[Any]) -> None:
        if self._random.random() < 0.3:
            self._universe.ask(order, ours=flight)
        original(self, order, flight, answer)

    original = surroundings.SimPlatform._land
    return patched((surroundings.SimPlatform, "_land", land))


def expire_before_mint() -> Any:
    """The old token is dropped before the new one is there."""

    def take(self: claim.Claim, record: Record, *rest: Any) -> Record:
        return replace(original(self, record, *rest), credential=None)

    original = claim.Claim._take
    return patched((claim.Claim, "_take", take))


def original_life_echoed() -> Any:
    """A repeated stable token is taken to have its whole life before it."""

    def same(self: save.Save, record: Record, kept: Any, attempt: Any, now: Instant, **rest: Any) -> Any:
        return original(self, record, replace(kept, expires_at=attempt.left + kept.life), attempt, now, **rest)

    original = save.Save._same
    return patched((save.Save, "_same", same))


def reject_without_compare() -> Any:
    """Whatever a caller rejects is taken to be the current one."""
    return patched((reject.Reject, "_names", lambda *_: True))


def reject_from_memory() -> Any:
    """A reject is compared with what the replica remembers."""

    async def answer(self: Keeper, slot: Slot, caller: str, *, value: str = "", **rest: Any) -> Rejected:
        record = self.known.record(slot)
        if record is not None and record.credential is not None and record.credential.sha256 != hash_value(value):
            return Rejected(RejectOutcome.ALREADY_NEWER, self._hand_out(slot, None))
        return await original(self, slot, caller, value=value, **rest)

    original = Keeper.reject
    return patched((Keeper, "reject", answer))


def probe_ignored() -> Any:
    """A reject is believed, whatever the probe says."""

    async def end_probe(self: refresh.Refresher, record: Record, account: Any, began_at: float, *rest: Any) -> Any:
        credential = record.credential
        if credential is None:
            return ProbeVerdict.UNKNOWN
        ended = reject.EndProbe(record.slot, credential.sha256, began_at, ProbeVerdict.DEAD, *rest)
        await self._tell_or_pretend(ended)
        return ProbeVerdict.DEAD

    return patched((refresh.Refresher, "end_probe", end_probe))


def callers_ignore_next_try_at() -> Any:
    """Only rounds keep to the wait."""

    def wait(self: claim.Claim, record: Record, *rest: Any) -> Any:
        return original(self, record if self.in_round else replace(record, retry=Retry()), *rest)

    original = claim.Claim._wait
    return patched((claim.Claim, "_wait", wait))


def patch_loses_to_an_answer_in_flight() -> Any:
    """A change of the account leaves the lease of who still asks with the former secret."""

    def apply(self: Change, record: Record, now: Instant) -> Any:
        step = original(self, record, now)
        return step._replace(record=replace(step.record, lease=record.lease))

    original = Change.apply
    return patched((Change, "apply", apply))


def unsealable_read_as_absent() -> Any:
    """A credential that another seal closed is taken for none."""

    def is_wrong(self: surroundings.SimStore) -> bool:
        return self._replica.index in self._universe.on("wrong_seal")

    async def apply(self: surroundings.SimStore, commands: Any) -> Any:
        records = self._universe.store._records
        for command in commands:
            if is_wrong(self) and command.slot in records:
                records[command.slot] = replace(records[command.slot], credential=None)
        return await original_apply(self, commands)

    async def changes(self: surroundings.SimStore, after: Instant) -> Any:
        read = await original_changes(self, after)
        if not is_wrong(self):
            return read
        return replace(read, records=tuple(replace(record, credential=None) for record in read.records))

    store = surroundings.SimStore
    original_apply, original_changes = store.apply, store.changes
    patches = (store, "_is_wrong_seal", lambda _: False), (store, "apply", apply), (store, "changes", changes)
    return patched(*patches)


def unsealable_read_as_unchanged() -> Any:
    """A poll that tells of what cannot be unsealed is taken for one that tells of no change."""
    return patched((knowledge.Knowledge, "_note_unreadable", lambda _self, _changes: None))


def promise_beyond_the_overlap() -> Any:
    """The whole remaining life is announced, although a mint may end it earlier."""

    def promised_until(_record: Record, *, seen: Instant, trust: Instant) -> Instant:
        return trust

    return patched((handing, "promised_until", promised_until))


def an_unwritable_store_is_waited_for() -> Any:
    """Memory has to do only while the store cannot be read."""
    return patched((knowledge.Knowledge, "is_unwritable", property(lambda _self: False)))


def asked_again_with_a_refused_parent() -> Any:
    """A ticket whose token was refused is asked for again with the same one: nobody is told that it is dead."""

    async def blame(self: refresh.Refresher, slot: Slot, lease: Any, *rest: Any) -> None:
        await self._give_back(save.GiveBack(slot, lease.attempt.fence))

    return patched((refresh.Refresher, "_blame", blame))


def parent_blamed_without_compare() -> Any:
    """Whichever token is the current one is condemned for the one that the ticket was refused with."""

    async def blame(self: refresh.Refresher, slot: Slot, lease: Any, parent: Any, *rest: Any) -> None:
        record = await self._store.load(Slot(slot.appid))
        current = record.credential.value if record.credential else parent.value
        await original(self, slot, lease, replace(parent, value=current), *rest)

    original = refresh.Refresher._blame
    return patched((refresh.Refresher, "_blame", blame))


def lease_kept_while_the_parent_is_fetched() -> Any:
    """The ticket's lease is kept while another token is fetched for it."""

    async def blame(self: refresh.Refresher, slot: Slot, lease: Any, parent: Any, *rest: Any) -> None:
        dead = reject.EndProbe(
            Slot(slot.appid), hash_value(parent.value), lease.attempt.left, ProbeVerdict.DEAD, "rejected"
        )
        await self._tell_or_pretend(dead)

    return patched((refresh.Refresher, "_blame", blame))


def a_child_believed_again() -> Any:
    """Every refusal of a ticket condemns the token it was asked for with, be it the second one in a row."""

    def proves_parent_dead(record: Record, outcome: Outcome) -> bool:
        return original(replace(record, retry=Retry()), outcome)

    original = lineage.proves_parent_dead
    return patched((refresh, "proves_parent_dead", proves_parent_dead))


def empty_answer_kept() -> Any:
    """An answer without a ticket in it is taken for one."""
    return patched((answers, "is_token", lambda value: isinstance(value, str)))


def childs_reject_rejects_its_parent() -> Any:
    """Who says that a ticket is refused is taken to say so of the token too."""

    async def reject_both(self: Keeper, slot: Slot, caller: str, **rest: Any) -> Rejected:
        parent = self.known.record(Slot(slot.appid))
        if slot.kind is not Kind.ACCESS_TOKEN and parent is not None:
            await original(self, parent.slot, caller, generation=parent.generation)
        return await original(self, slot, caller, **rest)

    original = Keeper.reject
    return patched((Keeper, "reject", reject_both))


def a_shorter_promise_is_no_news() -> Any:
    """Who waits for news is woken by another credential only."""

    def is_news(before: Handed, now: Handed) -> bool:
        return original(replace(before, expires_at=0.0), now)

    original = keeper._is_news
    return patched((keeper, "_is_news", is_news))


def silence_is_not_broken_first() -> Any:
    """After a request that nobody answered another one leaves, as soon as the rhythm has it."""
    return patched(*((owner, "is_unanswered", lambda _record: False) for owner in (claim, rounds, refresh)))


BUGS = (
    Bug("no condition at the claim", "2", no_condition_at_the_claim, ("store_slow", "crash"), mode=CLASSIC),
    Bug("no fence", "1", no_fence, ("stop_at",), mode=CLASSIC, point="after_mint"),
    Bug(
        "a successor's save closes older attempts", "8", save_closes_older_attempts, ("lossy", "revoked"), mode=CLASSIC
    ),
    Bug(
        "a second prompt attempt keeps trust",
        "1",
        second_attempt_keeps_trust,
        ("lossy", "revoked", "storm"),
        mode=CLASSIC,
    ),
    Bug("late answer counted as transient", "2", silence_is_transient, ("lossy",), mode=CLASSIC),
    Bug("the client re-sends", "1", the_client_re_sends, ("slow",), mode=CLASSIC),
    Bug("expire before mint", "4", expire_before_mint, ("slow",)),
    Bug("original expires_in echoed", "1", original_life_echoed, ("mode_changed",), mode=STABLE),
    Bug("reject without compare", "1", reject_without_compare, ("storm", "stranger")),
    Bug("reject answered from stale memory", "1", reject_from_memory, ("buggy_rejecter", "store_away_for_one")),
    Bug("probe ignored", "1", probe_ignored, ("buggy_rejecter",)),
    Bug("callers ignore next_try_at", "3", callers_ignore_next_try_at, ("quota", "not_listed", "away", "storm")),
    Bug("PATCH loses to an in-flight 40125", "2", patch_loses_to_an_answer_in_flight, ("secret_reset", "slow")),
    Bug("cannot-unseal read as absent", "1", unsealable_read_as_absent, ("wrong_seal",)),
    Bug("cannot-unseal read as unchanged", "1", unsealable_read_as_unchanged, ("wrong_seal", "lossy"), mode=CLASSIC),
    Bug("promise beyond the overlap", "1", promise_beyond_the_overlap, ("patched",), mode=CLASSIC),
    Bug("a shorter promise is no news", "8", a_shorter_promise_is_no_news, ("forcer", "away", "lossy"), mode=STABLE),
    Bug("silence is not broken first", "2", silence_is_not_broken_first, ("lossy", "revoked", "storm"), mode=CLASSIC),
    Bug(
        "an unwritable store is waited for", "4", an_unwritable_store_is_waited_for, ("store_unwritable",), mode=STABLE
    ),
    Bug("asked for again with a refused parent", "3", asked_again_with_a_refused_parent, ("storm",), tickets=JSAPI),
    Bug(
        "a parent blamed without compare",
        "1",
        parent_blamed_without_compare,
        ("revoked",),
        mode=CLASSIC,
        tickets=(Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET),
    ),
    Bug(
        "a lease kept while the parent is fetched",
        "2",
        lease_kept_while_the_parent_is_fetched,
        ("storm",),
        tickets=JSAPI,
    ),
    Bug("a child believed again and again", "1", a_child_believed_again, ("refusing", "patched"), tickets=JSAPI),
    Bug("an empty ticket kept", "1", empty_answer_kept, ("garbled",), tickets=JSAPI),
    Bug(
        "a child's reject rejects its parent", "3", childs_reject_rejects_its_parent, ("buggy_rejecter",), tickets=JSAPI
    ),
)
