"""What the audit log is told of pushes: a storm of one trouble is one event, with how often it was."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

from zhongkong.core.model import Event, Seconds, Secret
from zhongkong.core.ports import Clock, Store
from zhongkong.errors import StoreError
from zhongkong.hub.callback.checking import Step
from zhongkong.hub.places import place_of

APART: Seconds = 60.0
REMEMBERED = 4096
LONGEST_APPID = 64


class _Told(NamedTuple):
    at: Seconds
    since: int
    """How often it happened since it was told last."""


class Telling:
    """Tells the audit log. Never what a message says, nor a URL's path or query: they may hold secrets."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._told: dict[tuple[str, ...], _Told] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def refused(self, appid: str, step: Step, address: str, *, is_known: bool) -> None:
        """A request was refused. All accounts that nobody keeps here are one: anybody can make up names."""
        appid = appid[:LONGEST_APPID] if appid.isprintable() else "?"
        if times := self._count("refused", appid if is_known else "", step):
            self._write(Event("push_refused", appid, {"step": step.value, "address": address or "-", "times": times}))

    def undelivered(self, appid: str, role: str, url: Secret, why: str, tries: int) -> None:
        """A program did not get a push."""
        place = place_of(url)
        if times := self._count("undelivered", appid, role, place, why):
            self._write(
                Event(
                    "push_undelivered",
                    appid,
                    {"role": role, "place": place, "why": why, "tries": tries, "times": times},
                )
            )

    def unfit(self, appid: str, url: Secret) -> None:
        """A handler's answer was none that the platform takes."""
        place = place_of(url)
        if times := self._count("unfit", appid, place):
            self._write(Event("push_answer_unfit", appid, {"place": place, "times": times}))

    def _count(self, *what: str) -> int:
        """Return how often it happened, if that is to be told now, else 0."""
        now, told = self._clock.boot(), self._told.get(what)
        if told is not None and now - told.at < APART:
            self._told[what] = told._replace(since=told.since + 1)
            return 0
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[what] = _Told(now, 0)
        return 1 + (told.since if told else 0)

    def _write(self, event: Event) -> None:
        task = asyncio.create_task(self._tell(event))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _tell(self, event: Event) -> None:
        with suppress(StoreError):
            await self._store.tell([event])
