"""Keys: what an administrator gives to business servers, and what a key says of itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.grants import PATH_PATTERN, Grant, Key
from zhongkong.core.model import Instant
from zhongkong.core.ports import Keys as StoredKeys
from zhongkong.hub.admin import Admin
from zhongkong.hub.api.asking import Fields, read_fields, refuse
from zhongkong.hub.api.replies import reply
from zhongkong.hub.door import Door
from zhongkong.hub.keys import Keyring
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.wechat.endpoints import APPID_PATTERN

EVERY = "*"
YEARS_LONGEST = 10 * 366 * 86_400
"""Seconds."""
DEFAULT_OVERLAP = 86_400
"""Seconds: a day to bring the new key to every server."""
RATE_HIGHEST = 6_000_000


class Keys:
    """The routes of `/v1/keys` and `/v1/whoami`. Whoever makes keys may do anything, so they need a key for `*`."""

    def __init__(self, store: StoredKeys, admin: Admin, keyring: Keyring, known: Knowledge, door: Door) -> None:
        self._store = store
        self._admin = admin
        self._keyring = keyring
        self._known = known
        self._door = door

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/v1/keys", self.list, methods=["GET"]),
            Route("/v1/keys", self.create, methods=["POST"]),
            Route("/v1/keys/{id}", self.revoke, methods=["DELETE"]),
            Route("/v1/keys/{id}/rotate", self.rotate, methods=["POST"]),
            Route("/v1/whoami", self.whoami, methods=["GET"]),
        ]

    async def whoami(self, request: Request) -> Response:
        """Answer with what the caller's key may do, and where he comes from."""
        caller = self._door.admit(request)
        return reply({**describe_key(caller.key), "address": caller.address})

    async def list(self, request: Request) -> Response:
        """Answer with all keys."""
        self._door.admit(request, Grant.ADMIN, "")
        return reply({"keys": [describe_key(key) for key in await self._store.keys()]})

    async def create(self, request: Request) -> Response:
        """Make a key; this answer is the only one that ever shows it."""
        caller = self._door.admit(request, Grant.ADMIN, "")
        fields = await read_fields(request)
        key, text = await self._admin.create_key(caller.key.id, **_holds(fields, self._known.now()))
        return await self._shown_once(key, text.reveal())

    async def rotate(self, request: Request) -> Response:
        """Make a twin of a key; the old one goes on for `overlap` seconds."""
        caller = self._door.admit(request, Grant.ADMIN, "")
        fields = await read_fields(request)
        overlap = fields.integer("overlap", 0, YEARS_LONGEST)
        fields.end()
        seconds = DEFAULT_OVERLAP if overlap is None else overlap
        key, text = await self._admin.rotate_key(request.path_params["id"], seconds, caller.key.id)
        return await self._shown_once(key, text.reveal())

    async def revoke(self, request: Request) -> Response:
        """Remove a key; every replica refuses it within two seconds."""
        caller = self._door.admit(request, Grant.ADMIN, "")
        await self._admin.revoke_key(request.path_params["id"], caller.key.id)
        await self._keyring.refresh()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _shown_once(self, key: Key, text: str) -> Response:
        await self._keyring.refresh()
        return reply({**describe_key(key), "key": text}, HTTPStatus.CREATED)


def describe_key(key: Key) -> dict[str, Any]:
    """Return a key without what would let anybody in."""
    return {
        "id": key.id,
        "name": key.name,
        "grants": sorted(grant.value for grant in key.grants),
        "appids": sorted(key.appids) or [EVERY],
        "networks": [str(network) for network in key.networks],
        "rate": key.rate,
        "paths": list(key.paths),
        "created_at": int(key.created_at),
        "expires_at": None if key.expires_at is None else int(key.expires_at),
        "last_used_at": None if key.last_used_at is None else int(key.last_used_at),
    }


def _holds(fields: Fields, now: Instant) -> dict[str, Any]:
    name = fields.text("name", r".{1,64}", "1..64 characters")
    grants = fields.choices("grants", Grant)
    appids = fields.texts("appids", rf"{APPID_PATTERN}|\*", '["wx…"] | ["*"]')
    expires_in = fields.integer("expires_in", 1, YEARS_LONGEST)
    networks = fields.networks("networks")
    rate = fields.integer("rate", 0, RATE_HIGHEST)
    paths = fields.texts("paths", PATH_PATTERN, '["/cgi-bin/message/**", …]')
    fields.end()
    if name is None:
        refuse("name", "1..64 characters")
    if appids is None or (EVERY in appids and len(appids) > 1):
        refuse("appids", '["wx…"] | ["*"]')
    return {
        "name": name,
        "grants": grants or [Grant.READ],
        "appids": () if EVERY in appids else appids,
        "expires_at": None if expires_in is None else now + expires_in,
        "networks": networks or (),
        "rate": rate or 0,
        "paths": paths or (),
    }
