"""The hub as one ASGI application: its rooms behind one door, one error shape, one access log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from zhongkong.core.ports import Clock, FullStore
from zhongkong.hub.admin import Admin
from zhongkong.hub.api.accounts import Accounts
from zhongkong.hub.api.credentials import Credentials
from zhongkong.hub.api.events import Events
from zhongkong.hub.api.keys import Keys
from zhongkong.hub.api.replies import EXCEPTION_HANDLERS
from zhongkong.hub.api.state import State
from zhongkong.hub.door import Door, Network
from zhongkong.hub.keys import Keyring
from zhongkong.hub.logs import AccessLog
from zhongkong.hub.pages import Pages
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import CONTENT_TYPE, Gauges, Telemetry
from zhongkong.keeper.keeper import Keeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a hub's application is made of; `serving` seats them."""

    clock: Clock
    store: FullStore
    keeper: Keeper
    keyring: Keyring
    admin: Admin
    tail: Tail
    telemetry: Telemetry
    draining: asyncio.Event
    """Set when the hub is to end: long answers end, and what is asked from then on is still answered."""
    trusted_proxies: Sequence[Network] = ()

    def exposition(self) -> bytes:
        """Return all measures in Prometheus' text format."""
        return self.telemetry.exposition(Gauges(self.keeper.known, lambda: self.keeper.attending))


class _Application(Starlette):
    """Starlette without its outermost layer, which answers a bug in plain text and has the server log its traceback."""

    def build_middleware_stack(self) -> ASGIApp:
        return ExceptionMiddleware(self.router, self.exception_handlers)


def build_app(parts: Parts) -> AccessLog:
    """Return the application that serves everything of the hub on its main port."""
    known = parts.keeper.known
    door = Door(parts.keyring, parts.trusted_proxies)
    routes: list[BaseRoute] = [
        *Credentials(parts.keeper, door, parts.telemetry, parts.draining).routes(),
        *Accounts(parts.store, parts.admin, known, door).routes(),
        *Keys(parts.store, parts.admin, parts.keyring, known, door).routes(),
        *Events(parts.store, parts.tail, door, parts.draining).routes(),
        *State(known, door, parts.exposition).routes(),
        *Pages().routes(),
    ]
    app = _Application(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return AccessLog(app, parts.clock, parts.telemetry)


def build_metrics_app(parts: Parts) -> Starlette:
    """Return the application for a port of its own that serves the measures without a key."""

    async def metrics(_request: Request) -> Response:
        return PlainTextResponse(parts.exposition(), media_type=CONTENT_TYPE)

    return _Application(routes=[Route("/metrics", metrics, methods=["GET"])], exception_handlers=EXCEPTION_HANDLERS)
