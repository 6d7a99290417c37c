"""Brings pushes on in the platform's own form: to the one program that answers, and to those that only listen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from zhongkong.core.callbacks import ANSWER_LONGEST, Callback
from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Clock, Courier, Delivered, Undelivered
from zhongkong.hub.callback.telling import Telling
from zhongkong.wechat.pushes import SUCCESS, Answer, judge_answer

HANDLER_PAUSES: tuple[Seconds, ...] = (0.2, 0.6)
"""Between tries of the handler, for which the platform waits."""
LISTENER_PAUSES: tuple[Seconds, ...] = (1.0, 5.0)
TRIES = 1 + len(LISTENER_PAUSES)
"""Of listeners, and as many of the handler."""
LISTENER_WITHIN: Seconds = 5.0
"""What one try may take: as long as the platform itself would wait."""
MOST_UNDER_WAY = 512
"""Pushes on their way to listeners, on this replica."""
_OK = range(200, 300)
_AGAIN = frozenset({408, 425, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class Parcel:
    """A push as it came. The signed query goes along, and so does every byte of the body."""

    query: str = field(repr=False)
    content_type: str
    body: bytes = field(repr=False)


class Delivery:
    """Brings parcels on."""

    def __init__(self, courier: Courier, clock: Clock, telling: Telling) -> None:
        self._courier = courier
        self._clock = clock
        self._telling = telling
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask_handler(self, callback: Callback, parcel: Parcel, until: Seconds) -> tuple[bytes, Answer]:
        """Return what the account's handler answers before `until` (on the boot-time clock), else `success`."""
        nothing = SUCCESS, Answer.NOTHING
        if not callback.handler:
            return nothing

        async def bring() -> Delivered | Undelivered:
            return await self._courier.bring(_aim(callback.handler, parcel), parcel.content_type, parcel.body, until)

        delivered = await self._try(callback, "handler", callback.handler, bring, HANDLER_PAUSES, until)
        if delivered is None:
            return nothing
        answer = judge_answer(delivered.body) if len(delivered.body) <= ANSWER_LONGEST else Answer.UNFIT
        if answer is Answer.UNFIT:
            self._telling.unfit(callback.appid, callback.handler)
            return nothing
        return delivered.body, answer

    def tell_listeners(self, callback: Callback, parcel: Parcel) -> None:
        """Begin to bring the parcel to the account's listeners."""
        for number, url in enumerate(callback.listeners, 1):
            role = f"listener {number}"
            if len(self._under_way) >= MOST_UNDER_WAY:
                self._telling.undelivered(callback.appid, role, url, "busy", 0)
                continue
            task = asyncio.create_task(self._tell(callback, role, url, parcel))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def drain(self, patience: Seconds) -> None:
        """Wait for what is under way, at most `patience` seconds; what is not there then is given up."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=patience)
        for task in self._under_way:
            task.cancel()

    async def _tell(self, callback: Callback, role: str, url: Secret, parcel: Parcel) -> None:
        async def bring() -> Delivered | Undelivered:
            until = self._clock.boot() + LISTENER_WITHIN
            return await self._courier.bring(_aim(url, parcel), parcel.content_type, parcel.body, until)

        await self._try(callback, role, url, bring, LISTENER_PAUSES, float("inf"))

    async def _try(
        self,
        callback: Callback,
        role: str,
        url: Secret,
        bring: Callable[[], Awaitable[Delivered | Undelivered]],
        pauses: tuple[Seconds, ...],
        until: Seconds,
    ) -> Delivered | None:
        """Return what a program said to the parcel, or None, and say so, if it did not get it in three tries."""
        why, tries = "", 0
        for pause in (*pauses, None):
            said, tries = await bring(), tries + 1
            if isinstance(said, Delivered) and said.status in _OK:
                return said
            why = said.why if isinstance(said, Undelivered) else f"HTTP {said.status}"
            is_final = isinstance(said, Delivered) and said.status not in _AGAIN
            if is_final or pause is None or self._clock.boot() + pause >= until:
                break
            await asyncio.sleep(pause)
        self._telling.undelivered(callback.appid, role, url, why, tries)
        return None


def _aim(url: Secret, parcel: Parcel) -> Secret:
    """Return where the parcel goes: the program's URL with what the platform had in the query."""
    text = url.reveal()
    return Secret(f"{text}{'&' if '?' in text else '?'}{parcel.query}" if parcel.query else text)
