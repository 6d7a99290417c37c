"""Whether the hub lives, whether it can serve, and what it measures."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.grants import Grant
from zhongkong.core.model import NEVER
from zhongkong.hub.api.accounts import describe_health
from zhongkong.hub.api.replies import language_of, reply
from zhongkong.hub.door import Door
from zhongkong.hub.health import RESTING, WELL, health_of_all
from zhongkong.hub.telemetry import CONTENT_TYPE
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.version import __version__


def identify(incarnation: str) -> str:
    """Return what tells one store from another and nothing else about it: anybody may ask for it. None gives none."""
    return sha256(b"zhongkong store\0" + incarnation.encode()).hexdigest()[:16] if incarnation else ""


class State:
    """The routes `/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, known: Knowledge, door: Door, exposition: Callable[[], bytes]) -> None:
        self._known = known
        self._door = door
        self._exposition = exposition

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def healthz(self, _request: Request) -> Response:
        """Answer that the process serves requests, whatever is the matter elsewhere."""
        return reply({"status": "ok", "version": __version__})

    async def readyz(self, request: Request) -> Response:
        """Answer which accounts are not well, and why; 503 while nothing can be served.

        A store that is away is told, but takes no replica out of traffic: it would take them all.
        """
        slots = health_of_all(self._known)
        lang = language_of(request)
        unwell = [
            {"appid": one.slot.appid, "kind": one.slot.kind.value, **describe_health(one, lang)}
            for one in slots
            if one.state not in (WELL, RESTING)
        ]
        is_ready = self._known.seen > NEVER and (not slots or any(one.serving for one in slots))
        body = {
            "status": "ready" if is_ready else "not_ready",
            "store": "away" if self._known.is_stale else "unwritable" if self._known.is_unwritable else "ok",
            "store_id": identify(self._known.incarnation),
            "slots": len(slots),
            "serving": sum(one.serving for one in slots),
            "unwell": unwell,
        }
        return reply(body, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Answer with the measures, for a key that covers all accounts."""
        self._door.admit(request, Grant.READ, "")
        return Response(self._exposition(), media_type=CONTENT_TYPE)
