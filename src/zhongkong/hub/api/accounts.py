"""Accounts: what an administrator adds, changes and removes. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.grants import Grant
from zhongkong.core.model import (
    ACCOUNT_MODES,
    TICKETS,
    Account,
    AccountKind,
    Kind,
    Secret,
    Slot,
    build_account,
    home_of,
)
from zhongkong.core.ports import KeeperStore
from zhongkong.errors import AccountUnknown
from zhongkong.hub.admin import Admin
from zhongkong.hub.api.asking import Fields, appid_of, read_fields, refuse
from zhongkong.hub.api.replies import language_of, reply
from zhongkong.hub.door import Door
from zhongkong.hub.health import WELL, Health, health_of
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.messages import Language, render
from zhongkong.settings.values import read_appid, read_base_url
from zhongkong.wechat.advice import action_on, explain_trouble

SECRET = r"[\x21-\x7e]{1,128}"


class Accounts:
    """The routes of `/v1/accounts`."""

    def __init__(self, store: KeeperStore, admin: Admin, known: Knowledge, door: Door) -> None:
        self._store = store
        self._admin = admin
        self._known = known
        self._door = door

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        one = "/v1/accounts/{appid}"
        return [
            Route("/v1/accounts", self.list, methods=["GET"]),
            Route("/v1/accounts", self.add, methods=["POST"]),
            Route(one, self.show, methods=["GET"]),
            Route(one, self.change, methods=["PATCH"]),
            Route(one, self.remove, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """Answer with all accounts that the key covers."""
        caller = self._door.admit(request, Grant.ADMIN)
        accounts = [one for one in await self._store.accounts() if caller.key.covers(one.appid)]
        readable = {one.appid for one in accounts}
        sealed = [
            slot for slot in self._known.unreadable() if slot.appid not in readable and caller.key.covers(slot.appid)
        ]
        lang = language_of(request)
        body = {
            "accounts": [self._describe(one, lang) for one in accounts],
            "unreadable": [
                {"appid": slot.appid, **describe_health(health_of(self._known, slot), lang)} for slot in sealed
            ],
        }
        return reply(body)

    async def show(self, request: Request) -> Response:
        """Answer with one account."""
        appid = appid_of(request)
        self._door.admit(request, Grant.ADMIN, appid)
        account = await self._store.account(appid)
        if account is None:
            raise AccountUnknown(appid)
        return reply(self._describe(account, language_of(request)))

    async def add(self, request: Request) -> Response:
        """Add an account and mint at once; what the platform says is in the answer."""
        caller = self._door.admit(request, Grant.ADMIN)
        fields = await read_fields(request)
        appid = _given("appid", fields.like_setting("appid", read_appid, "wx…"), "wx…")
        self._door.judge(caller, Grant.ADMIN, appid)
        kind = fields.choice("kind", AccountKind) or AccountKind.OFFICIAL
        secret = Secret(_given("secret", fields.text("secret", SECRET, "AppSecret"), "AppSecret"))
        account = build_account(appid, kind, secret, **_changes(fields, home_of(kind)))
        added = await self._admin.add_account(account, caller.key.id)
        health = await self._admin.settle(Slot(appid))
        headers = {"Location": f"/v1/accounts/{appid}"}
        return reply(self._describe(added, language_of(request), health), HTTPStatus.CREATED, headers)

    async def change(self, request: Request) -> Response:
        """Change an account and try it at once; without any field, only the latter."""
        appid = appid_of(request)
        caller = self._door.admit(request, Grant.ADMIN, appid)
        fields = await read_fields(request)
        changes: dict[str, Any] = {}
        if (kind := fields.choice("kind", AccountKind)) is not None:
            changes["kind"] = kind
        if (secret := fields.text("secret", SECRET, "AppSecret")) is not None:
            changes["secret"] = Secret(secret)
        changes |= _changes(fields)
        changed = await self._admin.change_account(appid, caller.key.id, **changes)
        health = await self._admin.settle(Slot(appid))
        return reply({**self._describe(changed.account, language_of(request), health), "changed": changed.fields})

    async def remove(self, request: Request) -> Response:
        """Remove an account; its credentials are handed out no more."""
        appid = appid_of(request)
        caller = self._door.admit(request, Grant.ADMIN, appid)
        await self._admin.remove_account(appid, caller.key.id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _describe(self, account: Account, lang: Language, health: Health | None = None) -> dict[str, Any]:
        return describe_account(account, health or health_of(self._known, Slot(account.appid)), self._known, lang)


def describe_account(account: Account, health: Health, known: Knowledge, lang: Language) -> dict[str, Any]:
    """Return an account without its secret, and how its credentials are: of tickets those that were ever asked for."""
    tickets = [Slot(account.appid, kind) for kind in Kind if kind in TICKETS]
    records = {slot: known.record(slot) for slot in tickets}
    healths = [health, *(health_of(known, slot) for slot, record in records.items() if record and record.version)]
    return {
        "appid": account.appid,
        "kind": account.kind.value,
        "name": account.name,
        "mode": account.mode.value,
        "on_contest": account.on_contest.value,
        "base_url": account.base_url,
        "is_test": account.is_test,
        "declared": account.declared,
        "revision": account.revision,
        "credentials": {one.slot.kind.value: _describe_credential(one, account, known, lang) for one in healths},
    }


def _describe_credential(health: Health, account: Account, known: Knowledge, lang: Language) -> dict[str, Any]:
    members, record = describe_health(health, lang, {"base_url": account.base_url}), known.record(health.slot)
    if record is not None and record.credential is not None:
        members |= {
            "generation": record.generation,
            "mode": record.credential.mode.value,
            "minted_at": int(record.credential.since),
            "expires_at": int(record.credential.expires_at),
        }
    return members


def describe_health(health: Health, lang: Language, named: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return how a slot is: its state, and where it is not well why, in the platform's words and in ours.

    `named` is what the text may name besides the appid.
    """
    members: dict[str, Any] = {"state": health.state, "serving": health.serving}
    if health.state == WELL:
        return members
    trouble = health.trouble
    appid = health.slot.appid
    if trouble is None:
        return {**members, "detail": render(f"trouble_{health.state}", lang, appid=appid)}
    members["detail"] = explain_trouble(trouble.state, lang, appid, trouble.errcode, trouble.errmsg, named)
    if trouble.errcode is not None:
        members |= {
            "errcode": trouble.errcode,
            "errmsg": trouble.errmsg,
            "action": action_on(health.slot.appid, trouble.errcode),
        }
    if trouble.rid:
        members["rid"] = trouble.rid
    if health.next_try_at is not None:
        members["next_try_at"] = int(health.next_try_at)
    return members


def _changes(fields: Fields, base_url: str | None = None) -> dict[str, Any]:
    """Return what is said about an account, kind and secret aside; `base_url` is its default where one is needed."""
    values = {
        "name": fields.text("name", r".{0,64}", "0..64 characters"),
        "mode": fields.choice("mode", ACCOUNT_MODES),
        "on_contest": fields.choice("on_contest", ACCOUNT_MODES),
        "base_url": fields.like_setting("base_url", read_base_url, "https://host[:port]") or base_url,
        "is_test": fields.flag("is_test"),
    }
    fields.end()
    return {name: value for name, value in values.items() if value is not None}


def _given(name: str, value: str | None, wanted: str) -> str:
    if value is None:
        refuse(name, wanted)
    return value
