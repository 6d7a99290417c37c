"""Credentials: read one, wait for news of it, reject it."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.following import CALLER_LONGEST
from zhongkong.core.grants import Grant
from zhongkong.core.handing import Handed
from zhongkong.core.model import Kind, Mode, Seconds, Slot
from zhongkong.errors import CredentialUnavailable, RequestRefused, ZhongkongError
from zhongkong.hub.api.asking import Fields, appid_of, prefers_text, query_integer, read_fields, refuse
from zhongkong.hub.api.replies import reply
from zhongkong.hub.door import Caller, Door
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper, Rejected

WAIT_LONGEST = 60
"""Seconds: shorter than what proxies in between give a request."""
NAMING = "rejected | rejected_sha256 | generation | force"
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,15})\.[0-9a-f]{8}"')


class Credentials:
    """The routes of `/v1/accounts/{appid}/access_token`, and the same for each other kind."""

    def __init__(self, keeper: Keeper, door: Door, telemetry: Telemetry, draining: asyncio.Event) -> None:
        """Take what they use; once `draining` is set nobody waits for news any more."""
        self._keeper = keeper
        self._door = door
        self._telemetry = telemetry
        self._draining = draining

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            route
            for kind in Kind
            for route in (
                Route(f"/v1/accounts/{{appid}}/{kind.value}", partial(self.read, kind=kind), methods=["GET"]),
                Route(f"/v1/accounts/{{appid}}/{kind.value}/reject", partial(self.reject, kind=kind), methods=["POST"]),
            )
        ]

    async def read(self, request: Request, kind: Kind) -> Response:
        """Answer with the credential; 304 if the caller has it; after a while, if he waits for news."""
        appid = appid_of(request)
        self._door.admit(request, Grant.READ, appid)
        held = request.headers.get("if-none-match", "")
        wait = query_integer(request, "wait", 0, WAIT_LONGEST)
        try:
            handed = await self._keeper.credential(Slot(appid, kind), seen=latest_generation(held))
            if wait and is_held(handed.etag, held):
                handed = await self._news_of(handed, wait)
        except ZhongkongError as error:
            self._telemetry.read("unavailable" if isinstance(error, CredentialUnavailable) else "failed")
            raise
        answer = build_answer(handed, held, as_text=prefers_text(request.headers.get("accept", "")))
        self._telemetry.read(outcome_of(handed, answer))
        return answer

    async def _news_of(self, handed: Handed, wait: Seconds) -> Handed:
        """Return the credential once it is another one or less of it holds; as it is when time is up or we drain."""
        news = asyncio.ensure_future(self._keeper.changed(Slot(handed.appid, handed.kind), handed, wait))
        end = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((news, end), return_when=asyncio.FIRST_COMPLETED)
            return news.result() if news.done() else handed
        finally:
            news.cancel()
            end.cancel()

    async def reject(self, request: Request, kind: Kind) -> Response:
        """Take a report that the credential was refused, and answer with the one to use now."""
        appid = appid_of(request)
        caller = self._door.admit(request, Grant.READ, appid)
        fields = await read_fields(request)
        try:
            rejected = await self._decide(Slot(appid, kind), caller, fields)
        except ZhongkongError as error:
            if isinstance(error, CredentialUnavailable):
                self._telemetry.rejected("unavailable")
            raise
        self._telemetry.rejected(rejected.outcome.value)
        members = {**describe(rejected.handed), "outcome": rejected.outcome.value}
        return reply(members, headers={"ETag": rejected.handed.etag})

    async def _decide(self, slot: Slot, caller: Caller, fields: Fields) -> Rejected:
        value = fields.text("rejected", r".{1,2048}", "1..2048 characters")
        sha256 = fields.text("rejected_sha256", r"[0-9a-fA-F]{64}", "64 hex digits")
        generation = fields.integer("generation", 1, 10**15)
        force = fields.flag("force")
        told_by = fields.text("caller", rf".{{1,{CALLER_LONGEST}}}", f"1..{CALLER_LONGEST} characters")
        fields.end()
        if sum(1 for one in (value, sha256, generation, force or None) if one is not None) != 1:
            refuse(NAMING, "1")
        if force:
            self._door.judge(caller, Grant.FORCE, slot.appid)
            return await self._force(slot)
        name = f"{caller.name} {told_by}" if told_by else caller.name
        return await self._keeper.reject(
            slot, name, value=value or "", sha256=(sha256 or "").lower(), generation=generation or 0
        )

    async def _force(self, slot: Slot) -> Rejected:
        account = self._keeper.known.account(slot.appid)
        if account is not None and account.mode is Mode.FOLLOW:
            raise RequestRefused("force_at_leader", appid=slot.appid)
        try:
            return await self._keeper.force(slot)
        except TimeoutError as error:
            raise CredentialUnavailable(slot.appid, slot.kind, "refreshing", retry_after=1.0) from error


def latest_generation(if_none_match: str) -> int:
    """Return the latest generation among the ETags that a caller holds; 0 for none of ours."""
    return max((int(found) for found in _ETAG.findall(if_none_match)), default=0)


def is_held(etag: str, if_none_match: str) -> bool:
    """Say whether this very credential is among the ETags that a caller holds, by weak comparison."""
    return etag.removeprefix("W/") in if_none_match


def build_answer(handed: Handed, if_none_match: str, *, as_text: bool) -> Response:
    """Return the answer to a read. It may be kept for `refresh_in` seconds, by the caller alone."""
    etag = handed.etag
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={handed.refresh_in}",
        "Vary": "Accept, Authorization",
    }
    if is_held(etag, if_none_match):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    if as_text:
        return Response(handed.value, HTTPStatus.OK, headers, "text/plain")
    body = json.dumps(describe(handed), ensure_ascii=False, separators=(",", ":"))
    return Response(body, HTTPStatus.OK, headers, "application/json")


def describe(handed: Handed) -> dict[str, Any]:
    """Return the members of a credential, the token under the name of its kind."""
    members: dict[str, Any] = {
        "appid": handed.appid,
        "kind": handed.kind.value,
        handed.kind.value: handed.value,
        "expires_in": handed.expires_in,
        "expires_at": int(handed.expires_at),
        "refresh_in": handed.refresh_in,
        "generation": handed.generation,
    }
    if handed.stale:
        members["stale"] = True
    if handed.doubtful:
        members["doubtful"] = True
    return members


def outcome_of(handed: Handed, answer: Response) -> str:
    """Return as what a read is counted."""
    if answer.status_code == HTTPStatus.NOT_MODIFIED:
        return "not_modified"
    if handed.doubtful:
        return "doubtful"
    return "stale" if handed.stale else "fresh"
