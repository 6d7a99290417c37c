"""Reads of a credential that is fresh, answered ahead of the routes: what business servers ask all day.

Only the plain question is answered here: a GET without a query, each header once, JSON wanted, a key that may, and a
credential sure enough to hand out, which the caller has or knows nothing of. Everything else goes on to the routes,
which know how to wait, to refuse and to explain. A test asks both ways and finds no difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from zhongkong.core.grants import Grant
from zhongkong.core.handing import Handed
from zhongkong.core.model import Kind, Slot
from zhongkong.core.ports import Clock
from zhongkong.errors import AccessDenied, StoreUnavailable
from zhongkong.hub.api.asking import prefers_text
from zhongkong.hub.api.credentials import build_answer, outcome_of
from zhongkong.hub.door import CALLER, Door
from zhongkong.hub.logs import AccessLog
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper

_PATH = re.compile(rf"/v1/accounts/([^/]+)/({'|'.join(Kind)})")


class _Ready:
    """An answer as ASGI wants it, to be sent as often as it is asked for."""

    __slots__ = ("body", "outcome", "start", "status")

    def __init__(self, handed: Handed, answer: Response) -> None:
        self.status = answer.status_code
        self.outcome = outcome_of(handed, answer)
        self.start: Message = {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": answer.raw_headers,
        }
        self.body: Message = {"type": "http.response.body", "body": answer.body}


@dataclass(frozen=True, slots=True)
class _Page:
    """The answers of one path, good while `handed` is what is handed out of the slot."""

    slot: Slot
    handed: Handed
    etag: bytes
    whole: _Ready
    not_modified: _Ready


class HotReads:
    """An ASGI application that answers what is plain, and leaves the rest to the one behind it."""

    def __init__(self, app: AccessLog, keeper: Keeper, door: Door, clock: Clock, telemetry: Telemetry) -> None:
        self.app = app
        self._keeper = keeper
        self._door = door
        self._clock = clock
        self._telemetry = telemetry
        self._pages: dict[str, _Page] = {}
        """By path; one for every slot that was ever handed out here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and tell of it."""
        began = self._clock.boot()
        ready = self._find(scope) if scope["type"] == "http" else None
        if ready is None:
            await self.app(scope, receive, send)
            return
        self._telemetry.read(ready.outcome)
        try:
            await send(ready.start)
            await send(ready.body)
        finally:
            self.app.tell(scope, ready.status, began)

    def _find(self, scope: Scope) -> _Ready | None:
        """Return the answer, the caller admitted and counted, or None with nothing done."""
        page = self._page(scope["path"]) if scope["method"] == "GET" and not scope["query_string"] else None
        if page is None:
            return None
        fields = dict(scope["headers"])
        held, client = fields.get(b"if-none-match"), scope.get("client")
        if len(fields) < len(scope["headers"]) or held not in (None, page.etag):
            return None
        forwarded, accept = fields.get(b"x-forwarded-for"), fields.get(b"accept")
        try:
            caller = self._door.recognise(
                client[0] if client else "",
                () if forwarded is None else (forwarded.decode("latin-1"),),
                fields.get(b"authorization", b"").decode("latin-1"),
            )
            self._door.judge(caller, Grant.READ, page.slot.appid)
            if accept is not None and prefers_text(accept.decode("latin-1")):
                return None
            self._door.count(caller)
        except (AccessDenied, StoreUnavailable):
            return None
        scope[CALLER] = caller
        return page.whole if held is None else page.not_modified

    def _page(self, path: str) -> _Page | None:
        """Return the answers for a path, if it is one of ours and the credential sure enough to hand out."""
        page = self._pages.get(path)
        if page is not None:
            slot = page.slot
        elif match := _PATH.fullmatch(path):
            slot = Slot(match[1], Kind(match[2]))
        else:
            return None
        handed = self._keeper.peek(slot)
        if handed is None or handed.doubtful:
            self._pages.pop(path, None)
            return None
        if page is None or page.handed is not handed:
            whole = build_answer(handed, "", as_text=False)
            not_modified = build_answer(handed, handed.etag, as_text=False)
            page = self._pages[path] = _Page(
                slot, handed, handed.etag.encode(), _Ready(handed, whole), _Ready(handed, not_modified)
            )
        return page
