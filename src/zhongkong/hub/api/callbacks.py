"""How an account is pushed to: what an administrator sees and changes. Token and key go in and never come out again."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.callbacks import Callback, Proof
from zhongkong.core.grants import Grant
from zhongkong.core.model import Secret
from zhongkong.errors import RequestRefused
from zhongkong.hub.admin_callbacks import CallbackAdmin, Wish
from zhongkong.hub.api.asking import Fields, appid_of, read_fields, refuse
from zhongkong.hub.api.replies import language_of, reply
from zhongkong.hub.door import Door
from zhongkong.hub.places import program_of
from zhongkong.hub.verifying import Verifier, url_of
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.messages import render
from zhongkong.settings.values import read_base_url

ANYTHING = r"[\x21-\x7e]{1,2048}"
TYPED = r"[^\x00-\x1f\x7f]{1,2048}"
"""Whatever somebody types in place of a Token or key; what is wrong with it is told by who knows them."""


class Callbacks:
    """The routes `/v1/accounts/{appid}/callback` and its `/verify`."""

    def __init__(self, admin: CallbackAdmin, verifier: Verifier, known: Knowledge, door: Door, public_url: str) -> None:
        self._admin = admin
        self._verifier = verifier
        self._known = known
        self._door = door
        self._public_url = public_url

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/v1/accounts/{appid}/callback", self.show, methods=["GET"]),
            Route("/v1/accounts/{appid}/callback", self.change, methods=["PATCH"]),
            Route("/v1/accounts/{appid}/callback/verify", self.verify, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Answer with how an account is pushed to."""
        appid = appid_of(request)
        self._door.admit(request, Grant.ADMIN, appid)
        return reply(self._describe(appid, *await self._admin.find(appid)))

    async def change(self, request: Request) -> Response:
        """Change it; what was made for it stands in this answer and nowhere else."""
        appid = appid_of(request)
        caller = self._door.admit(request, Grant.ADMIN, appid)
        fields = await read_fields(request)
        wish, files = _read_wish(fields), _read_files(fields)
        fields.end()
        made: dict[str, str] = {}
        if wish != Wish():
            changed = await self._admin.change(appid, wish, caller.key.id)
            held = {"token": changed.token, "encoding_aes_key": changed.encoding_aes_key}
            made = {name: secret.reveal() for name, secret in held.items() if secret is not None}
        for name, body in files.items():
            await self._admin.add_proof(appid, name, body, caller.key.id)
        return reply({**self._describe(appid, *await self._admin.find(appid)), "made": made})

    async def verify(self, request: Request) -> Response:
        """Ask the account's address outside as the platform would, and answer with the step that fails."""
        appid = appid_of(request)
        self._door.admit(request, Grant.ADMIN, appid)
        fields = await read_fields(request)
        given = fields.like_setting("url", read_base_url, "https://wx.example.com")
        fields.end()
        callback, _ = await self._admin.find(appid)
        if callback is None:
            raise RequestRefused("callback_token_wanted", appid=appid)
        url = url_of(given or self._public_url, appid)
        found = await self._verifier.verify(callback, url, self._known.told_now())
        detail = render(f"verify_{found.step}", language_of(request), appid=appid, url=url, said=found.said)
        is_well = found.step == "well"
        return reply({"appid": appid, "url": url, "ok": is_well, "step": found.step, "detail": detail})

    def _describe(self, appid: str, callback: Callback | None, proofs: list[Proof]) -> dict[str, Any]:
        return {
            "appid": appid,
            "path": f"/callback/{appid}",
            "url": url_of(self._public_url, appid),
            "token": callback is not None,
            "encoding_aes_key": bool(callback and callback.encoding_aes_key),
            "handler": program_of(callback.handler) if callback and callback.handler else "",
            "listeners": [program_of(url) for url in callback.listeners] if callback else [],
            "verify_files": [proof.name for proof in proofs],
        }


def _read_wish(fields: Fields) -> Wish:
    token, key = (_secret(fields, name) for name in ("token", "encoding_aes_key"))
    makes_token, makes_key = (bool(fields.flag(f"make_{name}")) for name in ("token", "encoding_aes_key"))
    for name, given, made in (("token", token, makes_token), ("encoding_aes_key", key, makes_key)):
        if given is not None and made:
            refuse(f"make_{name}", "false")
    handler = fields.text("handler", rf"({ANYTHING})?", "https://robot.internal/wechat")
    listeners = fields.text_list("listeners", ANYTHING, '["https://robot.internal/wechat", …]')
    return Wish(
        token=token,
        encoding_aes_key=key,
        handler=None if handler is None else Secret(handler),
        listeners=None if listeners is None else [Secret(one) for one in listeners],
        makes_token=makes_token,
        makes_encoding_aes_key=makes_key,
    )


def _secret(fields: Fields, name: str) -> Secret | None:
    text = fields.text(name, TYPED, "Token" if name == "token" else "EncodingAESKey")
    return None if text is None else Secret(text)


def _read_files(fields: Fields) -> dict[str, str]:
    """Return the files by name."""
    given = fields.members("verify_files", '{"MP_verify_….txt": "…"}')
    return given or {}
