"""Programs behind the hub that pushes are brought to, in virtual time."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Delivered, Undelivered
from zhongkong.testing.fake_clock import FakeClock


class Got(NamedTuple):
    """A push that a program got, or would have got."""

    at: Seconds
    place: str
    query: str
    content_type: str
    body: bytes


class Says(NamedTuple):
    """What a program says, and after how long."""

    what: Delivered | Undelivered
    after: Seconds = 0.0


NOTHING = Says(Delivered(200, b"success"))
AWAY = Says(Undelivered("connect_failed", was_sent=False))


class Programs:
    """A `Courier`. `says` holds for each URL what it says to one push after another; the last word holds on."""

    def __init__(self, clock: FakeClock) -> None:
        self.says: dict[str, list[Says]] = {}
        self.got: list[Got] = []
        self._clock = clock

    async def bring(self, url: Secret, content_type: str, body: bytes, until: Seconds) -> Delivered | Undelivered:
        """Have the program say its next word, if that is before `until`."""
        place, _, query = url.reveal().partition("?")
        self.got.append(Got(self._clock.boot(), place, query, content_type, body))
        words = self.says.get(place, [NOTHING])
        said = words.pop(0) if len(words) > 1 else words[0]
        left = until - self._clock.boot()
        await asyncio.sleep(min(said.after, left))
        return said.what if said.after <= left else Undelivered("timeout", was_sent=True)

    async def look(self, url: Secret, until: Seconds) -> Delivered | Undelivered:
        """Have whatever is there say its next word."""
        return await self.bring(url, "", b"", until)

    def at(self, place: str) -> list[Got]:
        """Return what one program got."""
        return [one for one in self.got if one.place == place]
