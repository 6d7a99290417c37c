"""What the suite is told with: the harness, a store opened and closed around each test, commands of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeVar

from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.command import Applied, Command, Step
from zhongkong.core.model import (
    Account,
    AccountKind,
    Attempt,
    Complaint,
    Contest,
    Credential,
    Event,
    Instant,
    Lease,
    Mode,
    Probe,
    Record,
    Retry,
    Seconds,
    Secret,
    Slot,
    Spent,
    Trouble,
    hash_value,
)
from zhongkong.core.ports import FullStore
from zhongkong.core.save import Save, Saved
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = "wx0123456789abcdef"
SLOT = Slot(APPID)
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TOKEN = "76_" + "Qx-9_" * 27
TOLD = "told"
ACCOUNT = Account(APPID, AccountKind.OFFICIAL, Secret(SECRET), Mode.CLASSIC)

AnswerT = TypeVar("AnswerT")
SuiteT = TypeVar("SuiteT")


def told(appid: str = "", **values: str | float) -> Event:
    """Return an event that only the suite knows."""
    return Event(TOLD, appid, values)


class Harness(Protocol):
    """How the suite gets at an engine. One harness is one store, empty at first."""

    async def open(self) -> FullStore:
        """Return a replica of the store: another connection, as another process has; it is the suite's to close."""

    def advance(self, seconds: Seconds) -> None:
        """Move the store's clock, which stands still between."""

    def spoil(self, appid: str) -> bool:
        """Make what is sealed of this account impossible to unseal, for who opens the store from now on.

        Say whether anything was sealed: a store that seals nothing has nothing to spoil.
        """

    def stored_bytes(self) -> bytes:
        """Return every byte that the store keeps where somebody else might read it; none if it keeps nothing."""


Story: TypeAlias = Callable[[SuiteT, FullStore, Harness], Awaitable[None]]


def on_a_store(story: Story[SuiteT]) -> Callable[[SuiteT, Harness], None]:
    """Make a test of a coroutine: it gets a store that is opened before and closed after."""

    def test(self: SuiteT, harness: Harness) -> None:
        async def tell() -> None:
            store = await harness.open()
            try:
                await story(self, store, harness)
            finally:
                await store.close()

        asyncio.run(tell())

    test.__doc__ = story.__doc__
    return test


@dataclass(frozen=True, slots=True)
class Count:
    """A command of the suite: adds one and answers what was there; it tells of it by an event."""

    slot: Slot

    def apply(self, record: Record, now: Instant) -> Step[int]:
        """Count in a field that nothing else in the suite uses."""
        return Step(replace(record, asks=record.asks + 1), record.asks, (told(self.slot.appid, before=record.asks),))


@dataclass(frozen=True, slots=True)
class Put:
    """A command of the suite: makes the record what it says."""

    slot: Slot
    record: Record

    def apply(self, record: Record, now: Instant) -> Step[None]:
        """Keep what the store counts by."""
        return Step(replace(self.record, version=record.version, changed_at=record.changed_at), None)


@dataclass(frozen=True, slots=True)
class Look:
    """A command of the suite: changes nothing, and answers the time it was applied at."""

    slot: Slot

    def apply(self, record: Record, now: Instant) -> Step[Instant]:
        """Return the record as it is."""
        return Step(record, now)


class Broken(Exception):
    """What `Break` raises."""


@dataclass(frozen=True, slots=True)
class Break:
    """A command of the suite that is a bug."""

    slot: Slot

    def apply(self, record: Record, now: Instant) -> Step[int]:
        """Raise."""
        raise Broken


async def one(store: FullStore, command: Command[AnswerT]) -> Applied[AnswerT]:
    """Return what came of one command."""
    (applied,) = await store.apply([command])
    return applied


async def minted(store: FullStore, account: Account, value: str = TOKEN, *, fence: str = "f0") -> Record:
    """Claim and save; return the record after."""
    slot = Slot(account.appid)
    before = await store.load(slot)
    claimed = await one(store, Claim(slot, account, fence, before.generation))
    assert isinstance(claimed.answer, Claimed)
    saved = await one(store, Save(slot, account, fence, Granted(value, 7200)))
    assert isinstance(saved.answer, Saved)
    return saved.record


def full_record() -> Record:
    """Return a record in which nothing is as it is by default."""
    return Record(
        slot=SLOT,
        revision=3,
        removed=True,
        generation=41,
        credential=Credential(
            41,
            TOKEN,
            hash_value(TOKEN),
            Mode.FOLLOW,
            1.1,
            2.000000238418579,
            7202.3,
            7200,
            fence="5c" * 16,
            doubtful=True,
            stale=True,
        ),
        condemned="probed",
        suspected=True,
        refresh_at=1795240189.5774968,
        asks=2,
        insist=True,
        longest=7200,
        attempts=(Attempt("a1", 3.25, Mode.CLASSIC, ends=True), Attempt("a2", 4.5, Mode.STABLE, ends=False)),
        lease=Lease("a2", 24.5),
        retry=Retry(99.5, 4, Trouble("blocked", 40164, "invalid ip 10.1.2.3, not in 白名单", "62cb0f39-01")),
        probe=Probe(5.0, ProbeVerdict.ALIVE, 5.5, 6.0, 316.0),
        complaints=(Complaint("Ab3_-xYz", 7.0, 3, again=True),),
        escalated_at=8.0,
        last_force=9.0,
        spent=Spent(20778, 5, 2, 1, 1),
        contest=Contest((1.0, 2.0, 3.0), 2, 10.0, "cd" * 32),
        past=("ab" * 32, "cd" * 32),
    )
