"""Brings pushes to the programs behind the hub, each over a connection of its own."""

from __future__ import annotations

from dataclasses import replace

from zhongkong.adapters.connections import DIRECT, Answer, Message, ask
from zhongkong.adapters.names import SystemNames
from zhongkong.core.model import NotSent, Seconds, Secret
from zhongkong.core.ports import Clock, Delivered, Undelivered

CONNECT_SHARE = 0.6


class HttpCourier:
    """A `core.ports.Courier` over HTTP. It goes straight there: programs behind the hub are on this side of a proxy."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._way = replace(DIRECT, resolver=SystemNames())

    async def bring(self, url: Secret, content_type: str, body: bytes, until: Seconds) -> Delivered | Undelivered:
        """Post the body once and return what came back."""
        return await self._ask(Message("POST", url.reveal(), body, {"Content-Type": content_type}), until)

    async def look(self, url: Secret, until: Seconds) -> Delivered | Undelivered:
        """Get `url` once and return what came back."""
        return await self._ask(Message("GET", url.reveal()), until)

    async def _ask(self, message: Message, until: Seconds) -> Delivered | Undelivered:
        answer = await ask(message, self._way, self._clock, until, CONNECT_SHARE)
        if isinstance(answer, Answer):
            return Delivered(answer.status, answer.body, answer.refused_step)
        return Undelivered(answer.why, was_sent=not isinstance(answer, NotSent))
