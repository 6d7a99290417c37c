"""The hub as one ASGI application: its rooms behind one door, one error shape, one access log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from zhongkong.core.ports import Clock, Courier, FullStore, Upstream
from zhongkong.hub.admin import Admin
from zhongkong.hub.admin_callbacks import CallbackAdmin
from zhongkong.hub.api.accounts import Accounts
from zhongkong.hub.api.callbacks import Callbacks
from zhongkong.hub.api.credentials import Credentials
from zhongkong.hub.api.events import Events
from zhongkong.hub.api.hot import HotReads
from zhongkong.hub.api.jsapi import JsapiConfig
from zhongkong.hub.api.keys import Keys
from zhongkong.hub.api.replies import EXCEPTION_HANDLERS
from zhongkong.hub.api.state import State
from zhongkong.hub.callback.room import CallbackRoom
from zhongkong.hub.door import Door, Network
from zhongkong.hub.gateway.desk import Desk
from zhongkong.hub.gateway.gateway import Gateway, Limits
from zhongkong.hub.gateway.troubles import Troubles
from zhongkong.hub.gateway.virtual import Signer
from zhongkong.hub.keys import Keyring
from zhongkong.hub.logs import AccessLog
from zhongkong.hub.pages import Pages
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import CONTENT_TYPE, Gauges, Telemetry
from zhongkong.hub.verifying import Verifier
from zhongkong.keeper.keeper import Keeper


class GatewayParts(NamedTuple):
    """What a gateway is made of besides."""

    upstream: Upstream
    signing_key: bytes
    """What virtual tokens are signed with."""
    limits: Limits = Limits()


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
    gateway: GatewayParts | None = None
    """What calls are sent on with; None where there is no gateway."""
    callback: CallbackRoom | None = None
    """Where the platform knocks; None where it does not push."""
    courier: Courier
    """What pushes are brought on with, and the hub's own address is asked with."""
    public_url: str = ""
    """Where the platform finds the hub."""

    def exposition(self) -> bytes:
        """Return all measures in Prometheus' text format."""
        return self.telemetry.exposition(Gauges(self.keeper.known, lambda: self.keeper.attending))


class _Application(Starlette):
    """Starlette without its outermost layer, which answers a bug in plain text and has the server log its traceback."""

    def build_middleware_stack(self) -> ASGIApp:
        return ExceptionMiddleware(self.router, self.exception_handlers)


def build_app(parts: Parts) -> HotReads:
    """Return the application that serves everything of the hub on its main port."""
    known = parts.keeper.known
    door = Door(parts.keyring, parts.trusted_proxies)
    routes: list[BaseRoute] = [
        *Credentials(parts.keeper, door, parts.telemetry, parts.draining).routes(),
        *JsapiConfig(parts.keeper, door).routes(),
        *Accounts(parts.store, parts.admin, known, door).routes(),
        *_callbacks(parts, door).routes(),
        *Keys(parts.store, parts.admin, parts.keyring, known, door).routes(),
        *Events(parts.store, parts.tail, door, parts.draining).routes(),
        *State(known, door, parts.exposition).routes(),
        *Pages().routes(),
    ]
    if parts.callback is not None:
        routes.extend(parts.callback.routes())
    app = _Application(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    logged = AccessLog(_with_gateway(app, parts), parts.clock, parts.telemetry)
    return HotReads(logged, parts.keeper, door, parts.clock, parts.telemetry)


def _callbacks(parts: Parts, door: Door) -> Callbacks:
    verifier = Verifier(parts.courier, parts.clock)
    return Callbacks(CallbackAdmin(parts.store), verifier, parts.keeper.known, door, parts.public_url)


def _with_gateway(app: ASGIApp, parts: Parts) -> ASGIApp:
    """Return the application with the gateway in front of it, if there is one."""
    if parts.gateway is None:
        return app
    upstream, signing_key, limits = parts.gateway
    random = SystemRandom()
    desk = Desk(parts.keeper, parts.keyring, Signer(signing_key), random)
    troubles = Troubles(parts.store, parts.clock, random)
    limits = limits._replace(trusted_proxies=tuple(parts.trusted_proxies))
    return Gateway(app, desk, parts.keeper, upstream, troubles, parts.telemetry, limits)


def build_metrics_app(parts: Parts) -> Starlette:
    """Return the application for a port of its own that serves the measures without a key."""

    async def metrics(_request: Request) -> Response:
        return PlainTextResponse(parts.exposition(), media_type=CONTENT_TYPE)

    return _Application(routes=[Route("/metrics", metrics, methods=["GET"])], exception_handlers=EXCEPTION_HANDLERS)
