"""Signing a page for `wx.config`, so that no business server need hold a ticket or know how."""

from __future__ import annotations

import string
from random import Random, SystemRandom

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.grants import Grant
from zhongkong.core.model import Kind, Slot
from zhongkong.errors import RequestRefused
from zhongkong.hub.api.asking import appid_of
from zhongkong.hub.api.replies import reply
from zhongkong.hub.door import Door
from zhongkong.keeper.keeper import Keeper
from zhongkong.wechat.endpoints import corpid_of
from zhongkong.wechat.jsapi import is_page_url, sign_page

NONCE_LENGTH = 16
_LETTERS = string.ascii_letters + string.digits
_OURS = frozenset({"url", "lang"})
_AGENT = "agent_config"
"""As WeCom's `ticket/get` calls it: the page is signed for `wx.agentConfig`."""


class JsapiConfig:
    """The route `/v1/accounts/{appid}/jsapi_config`."""

    def __init__(self, keeper: Keeper, door: Door, random: Random | None = None) -> None:
        self._keeper = keeper
        self._door = door
        self._random = random or SystemRandom()

    def routes(self) -> list[BaseRoute]:
        """Return the route."""
        return [Route("/v1/accounts/{appid}/jsapi_config", self.sign, methods=["GET"])]

    async def sign(self, request: Request) -> Response:
        """Answer with what `wx.config` of the page takes, under its names there; at WeCom also `wx.agentConfig`."""
        appid = appid_of(request)
        self._door.admit(request, Grant.READ, appid)
        corpid = corpid_of(appid)
        is_agents = request.query_params.get("type") == _AGENT
        url = _page_of(request, _OURS | {"type"} if is_agents else _OURS)
        kind = Kind.AGENT_CONFIG_TICKET if is_agents else Kind.JSAPI_TICKET
        handed = await self._keeper.credential(Slot(appid, kind))
        timestamp = int(self._keeper.known.told_now())
        nonce = "".join(self._random.choices(_LETTERS, k=NONCE_LENGTH))
        signature = sign_page(handed.value, nonce, timestamp, url)
        named = {"corpid": corpid} if is_agents else {"appId": corpid or appid}
        signed = {**named, "timestamp": timestamp, "nonceStr": nonce, "signature": signature}
        return reply(signed, headers={"Cache-Control": "no-store"})


def _page_of(request: Request, ours: frozenset[str]) -> str:
    """Return the page's URL. Whatever stands beside it was most likely a part of it that was not encoded.

    Raises: RequestRefused.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    beside = next((name for name in names if name not in ours or names.count(name) > 1), None)
    if beside is not None:
        raise RequestRefused("page_url_cut", field=beside if beside.isprintable() else "?")
    url = request.query_params.get("url", "")
    if not is_page_url(url):
        raise RequestRefused("page_url_invalid")
    return url
