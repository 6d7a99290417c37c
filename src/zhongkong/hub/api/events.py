"""The audit log: read page by page, or followed live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from zhongkong.core.grants import Grant, Key
from zhongkong.core.model import Seconds
from zhongkong.core.ports import Events as StoredEvents
from zhongkong.core.ports import KeptEvent
from zhongkong.errors import StoreError
from zhongkong.hub.api.asking import query_integer, refuse
from zhongkong.hub.api.replies import language_of, reply
from zhongkong.hub.door import Caller, Door
from zhongkong.hub.tail import Tail
from zhongkong.messages import Language
from zhongkong.wechat.advice import explain_event

PAGE = 100
PAGE_LONGEST = 1000
SIGN_OF_LIFE: Seconds = 15.0
"""A comment this often keeps proxies from closing a quiet stream, and shows us who has left."""
LOOK_EVERY: Seconds = 1.0
"""How often a quiet stream sees whether its key is still good."""
ID_HIGHEST = 10**17


class Events:
    """The route `/v1/events`. A key sees the events of the accounts it covers; those of the hub itself need `admin`."""

    def __init__(self, store: StoredEvents, tail: Tail, door: Door, draining: asyncio.Event) -> None:
        """Take what it uses; once `draining` is set the streams end."""
        self._store = store
        self._tail = tail
        self._door = door
        self._draining = draining

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [Route("/v1/events", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        """Answer with a page of events, or follow them."""
        appid = request.query_params.get("appid", "")
        caller = self._door.admit(request, Grant.READ, appid or None)
        after = query_integer(request, "after", 0, ID_HIGHEST)
        limit = query_integer(request, "limit", 1, PAGE_LONGEST) or PAGE
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(self._follow(caller, appid, await self._start(request, after), language_of(request)))
        if after is None:
            page = await self._store.last_events(limit, appid)
        else:
            page = await self._store.events(after, limit, appid)
        lang = language_of(request)
        events = [describe_event(one, lang) for one in page if _may_see(caller.key, one)]
        return reply({"events": events, "next": page[-1].id if page else after or 0})

    async def _start(self, request: Request, after: int | None) -> int:
        """Return the event to begin after: where the caller was cut off, where he says, or the newest."""
        last_seen = request.headers.get("last-event-id")
        if last_seen:
            if not (last_seen.isascii() and last_seen.isdigit() and int(last_seen) <= ID_HIGHEST):
                refuse("Last-Event-ID", f"0..{ID_HIGHEST}")
            return int(last_seen)
        if after is not None:
            return after
        newest = await self._store.last_events(1)
        return newest[-1].id if newest else 0

    async def _follow(self, caller: Caller, appid: str, after: int, lang: Language) -> AsyncIterator[str]:
        """Yield events as they come, until we drain or the key is no longer good."""
        yield ": zhongkong\n\n"
        quiet, is_behind = 0.0, True
        while not self._draining.is_set() and self._door.still_admits(caller):
            newest = self._tail.last
            page = await self._page(after, appid) if is_behind else []
            for one in page or ():
                after = one.id
                if _may_see(caller.key, one):
                    yield _as_sse(one, lang)
                    quiet = 0.0
            if not page:
                is_behind = await self._tail.moves_beyond(max(after, newest), LOOK_EVERY) or page is None
                quiet += LOOK_EVERY
            if quiet >= SIGN_OF_LIFE:
                yield ":\n\n"
                quiet = 0.0

    async def _page(self, after: int, appid: str) -> list[KeptEvent] | None:
        """Return the next events, or None while the store is away."""
        try:
            return await self._store.events(after, PAGE, appid)
        except StoreError:
            return None


class EventStream(Response):
    """Server-sent events, sent as they come, until there are no more or nobody listens."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str]) -> None:
        """Take the events, each as the text to send."""
        self._events = events
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Send them."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_wait_for_end(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        async for text in self._events:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def describe_event(kept: KeptEvent, lang: Language) -> dict[str, Any]:
    """Return an event with its text."""
    event = kept.event
    try:
        text = explain_event(event.code, lang, event.appid, event.values)
    except LookupError:
        text = event.code  # a newer version's event
    return {
        "id": kept.id,
        "at": round(kept.at, 3),
        "code": event.code,
        "appid": event.appid,
        "values": event.values,
        "text": text,
    }


def _as_sse(kept: KeptEvent, lang: Language) -> str:
    data = json.dumps(describe_event(kept, lang), ensure_ascii=False, separators=(",", ":"))
    return f"id: {kept.id}\nevent: {kept.event.code}\ndata: {data}\n\n"


def _may_see(key: Key, kept: KeptEvent) -> bool:
    appid = kept.event.appid
    return (key.covers(appid) and bool(appid)) or (key.allows(Grant.ADMIN) and not key.appids)
