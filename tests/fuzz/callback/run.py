"""One run, in virtual time: two replicas over one store are pushed to in lanes beside each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.fuzz.callback.judge import end_of, find_secrets, judge
from tests.fuzz.callback.parties import MUTE, PARTIES
from tests.fuzz.callback.programs import Entry, Programs
from tests.fuzz.callback.tries import Drawing, Try
from tests.fuzz.clients import call_over_asgi
from tests.fuzz.outcome import Outcome, heard_bugs
from tests.fuzz.scene import SECRET_HEART, Minting
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.model import AccountKind, Instant, Seconds, Secret, build_account
from zhongkong.hub.admin import Admin
from zhongkong.hub.api.hot import HotReads
from zhongkong.hub.app import Parts, build_app
from zhongkong.hub.callback.room import CallbackRoom
from zhongkong.hub.callback.telling import APART
from zhongkong.hub.keys import Keyring
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper
from zhongkong.keeper.upkeep import sweep_pushes_for_ever
from zhongkong.testing.fake_clock import FakeClock

LANES = 64
PAUSE: Seconds = 4.0
"""The longest between two tries of a lane."""
JUDGED_FROM = 60_000
"""Tries from which on memory is judged: pushes are kept for 15 minutes, and in the first ones they only become more."""
EVENTS_KEPT: Seconds = 2 * APART
SETTLES: Seconds = 40.0
"""After which nothing is on its way to a listener."""


def play(count: int, seed: int) -> Outcome:
    """Make `count` tries and return what came of them; the same seed is the same run."""
    outcome, clock = Outcome(count, seed, judged_from=JUDGED_FROM), FakeClock()
    scene = _Scene(outcome, clock)
    with heard_bugs(outcome.wrong), _watched_log(outcome.wrong):
        clock.run(scene.open())
        clock.run(scene.make_all())
        clock.turn(SETTLES)
        clock.run(scene.end())
    outcome.wrong += [f"a task failed: {failure}" for failure in clock.loop.failures]
    outcome.judge_memory()
    return outcome


class _Scene:
    """Two replicas, who pushes to them, and what they tell the audit log."""

    def __init__(self, outcome: Outcome, clock: FakeClock) -> None:
        self._outcome = outcome
        self._clock = clock
        self._store = MemoryStore(clock.wall)
        self._programs = Programs(clock, outcome.wrong)
        self._random = Random(outcome.seed)
        self._drawing = Drawing(self._random, clock, self._programs)
        self._keeper = Keeper(self._store, Minting(), clock, random=Random(1))
        self._told: dict[tuple[str, str], Instant] = {}
        """When the audit log was last told of a refusal of this account at this step."""
        self._heard = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._replicas: list[HotReads] = []

    async def open(self) -> None:
        """Have accounts kept, and everything run that a hub has running."""
        for appid, kind in [*((party.appid, party.kind) for party in PARTIES), (MUTE, AccountKind.OFFICIAL)]:
            await self._store.put_account(build_account(appid, kind, Secret(SECRET_HEART + appid)))
        for party in PARTIES:
            await self._store.put_callback(party.build_here())
        self._replicas = [self._build(number) for number in (1, 2)]
        for run in (self._keeper.run(), sweep_pushes_for_ever(self._store, self._keeper.known)):
            self._tasks.append(asyncio.create_task(run))
        await asyncio.sleep(2)

    def _build(self, number: int) -> HotReads:
        clock, store, keeper = self._clock, self._store, self._keeper
        parts = Parts(
            callback=CallbackRoom(store, keeper.known, self._programs, clock, random=Random(number)),
            courier=self._programs,
            clock=clock,
            store=store,
            keeper=keeper,
            keyring=Keyring(store, clock, keeper.known.told_now),
            admin=Admin(store, Minting(), keeper, random=Random(number)),
            tail=Tail(store),
            telemetry=Telemetry(),
            draining=asyncio.Event(),
        )
        return build_app(parts)

    async def make_all(self) -> None:
        """Make all tries."""
        numbers = iter(range(self._outcome.count))
        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(self._run_lane(numbers))

    async def end(self) -> None:
        """Judge what is left when all is over."""
        await self._hear()
        self._judge_entries(self._drawing.rest())
        for task in self._tasks:
            task.cancel()

    async def _run_lane(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await asyncio.sleep(self._random.random() * PAUSE)
            tries = self._drawing.draw(number)
            await asyncio.gather(*(self._make(number, one) for one in tries))
            self._judge_entries(self._drawing.over())
            self._outcome.note_done()

    async def _make(self, number: int, one: Try) -> None:
        await asyncio.sleep(one.after)
        got = await call_over_asgi(self._replicas[one.replica], one, one.takes / max(1, len(one.body)))
        await asyncio.sleep(0.01)
        await self._hear()
        wrong = list(judge(one, got))
        if got.status == 403 and self._told.get((one.appid, end_of(one, got)), 0) < self._clock.wall() - APART - 1:
            wrong.append(f"no event says that it was refused at {end_of(one, got)}")
        if got.status == 200 and one.entry is not None:
            one.entry.is_answered = True
            if one.entry.answer is None:
                one.entry.answer, one.entry.stamp = got.body, one.stamp
        self._outcome.seen[end_of(one, got) if one.client != "cut" else "cut"] += 1
        self._outcome.wrong += [f"try {number}: {text}\n    {_describe(one)}" for text in wrong]

    def _judge_entries(self, entries: Iterator[Entry] | list[Entry]) -> None:
        self._outcome.wrong += [text for entry in entries for text in entry.judge_brought()]

    async def _hear(self) -> None:
        """Take in what the audit log was told."""
        known = {party.appid for party in PARTIES} | {MUTE}
        for kept in await self._store.events(self._heard, 1000):
            self._heard, event = kept.id, kept.event
            self._outcome.wrong += [f"event: {found}" for found in find_secrets(str(event).encode())]
            if event.code == "push_refused":
                self._told[event.appid if event.appid in known else "", str(event.values["step"])] = kept.at
        await self._store.sweep_events(self._clock.wall() - EVENTS_KEPT)


class _Log(logging.Handler):
    """Looks for secrets in every line."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.INFO)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        self._wrong += [f"log: {found}" for found in find_secrets(record.getMessage().encode())]


@contextmanager
def _watched_log(wrong: list[str]) -> Iterator[None]:
    """Note what must not be in the log while the block runs."""
    logger, log = logging.getLogger("zhongkong"), _Log(wrong)
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


def _describe(one: Try) -> str:
    body = b"".join(one.body)[:300]
    return f"{one.what}: {one.method} {one.path[:100]!r} ? {one.query[:400]!r} ({one.client}) {body!r}"
