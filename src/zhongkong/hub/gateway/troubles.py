"""What the gateway could not do, as events: a storm of one trouble is one event."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

from zhongkong.core.model import Event, Seconds
from zhongkong.core.ports import Clock, Store
from zhongkong.errors import StoreError
from zhongkong.wechat.answers import Refused

APART: Seconds = 60.0
"""How long one trouble of one account is told once."""
QUOTA_APART: Seconds = 3600.0
REMEMBERED = 4096


class Troubles:
    """Tells the audit log. Never a body, never a token: the path, the platform's code and rid, an id of the request."""

    def __init__(self, store: Store, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._told: dict[tuple[str, ...], Seconds] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def unhealed(self, appid: str, key_id: str, path: str, refused: Refused, why: str) -> str:
        """A call was refused for its token, and there is no better one. Return the id of the request."""
        request = self._name()
        values: dict[str, str | int] = {"errcode": refused.errcode, "rid": refused.rid, "why": why}
        self._tell("gateway_unhealed", appid, APART, path=path, key=key_id, request=request, **values)
        return request

    def unreachable(self, appid: str, key_id: str, path: str, why: str) -> str:
        """The platform did not answer a call. Return the id of the request."""
        request = self._name()
        self._tell("gateway_unreachable", appid, APART, path=path, key=key_id or "-", request=request, why=why)
        return request

    def quota_spent(self, appid: str, path: str, refused: Refused) -> None:
        """A call's quota of the day is spent (45009)."""
        self._tell("gateway_quota_spent", appid, QUOTA_APART, path=path, rid=refused.rid)

    def _name(self) -> str:
        return f"{self._random.getrandbits(48):012x}"

    def _tell(self, code: str, appid: str, apart: Seconds, **values: str | int) -> None:
        now = self._clock.boot()
        name = (code, appid, str(values.get("why", "")), str(values["path"]) if code == "gateway_quota_spent" else "")
        if now - self._told.get(name, float("-inf")) < apart:
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[name] = now
        task = asyncio.create_task(self._write(Event(code, appid or "-", dict(values))))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _write(self, event: Event) -> None:
        with suppress(StoreError):
            await self._store.tell([event])
