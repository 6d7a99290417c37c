"""The control API of pushes: the configuration of an account's server, and what is pushed to it."""

import re
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.exchange import read_fields, write_json
from zhongkong.sandbox.following import scan
from zhongkong.sandbox.pushes import Callback, DataFormat, Message, PushMode
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.sandbox import Sandbox

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CONFIGURATION: dict[str, Any] = {
    "url": str,
    "token": str,
    "encoding_aes_key": str,
    "mode": PushMode,
    "data_format": DataFormat,
}
_OF_WECOM = {"mode": "safe", "data_format": "xml"}
"""WeCom pushes in no other way. Source: 接收消息服务器配置 (企业微信)."""


class PushControl:
    """The routes about pushes."""

    def __init__(self, sandbox: Sandbox, pushing: Pushing) -> None:
        self._sandbox = sandbox
        self._pushing = pushing

    def routes(self) -> list[Route]:
        """Return the routes, relative to /sandbox/v1."""
        account = "/accounts/{appid}"
        return [
            Route(f"{account}/callback", self.show, methods=["GET"]),
            Route(f"{account}/callback", self.save, methods=["PUT"]),
            Route(f"{account}/callback", self.remove, methods=["DELETE"]),
            Route(f"{account}/scan", self.scan, methods=["POST"]),
            Route(f"{account}/followers/{{openid}}/say", self.say, methods=["POST"]),
            Route(f"{account}/pushes", self.list_pushes, methods=["GET"]),
            Route(f"{account}/pushes", self.push, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Answer the configuration, Token and key in clear; null when there is none."""
        callback = self._account(request).callback
        return write_json({"callback": None if callback is None else asdict(callback)})

    async def save(self, request: Request) -> Response:
        """Check the URL as the console does, and save the configuration if it answered echostr."""
        account = self._account(request)
        given = await read_fields(request, _CONFIGURATION, required=["url", "token"])
        if account.kind == "wecom":
            given = {**_OF_WECOM, **given}
            if any(given[name] != only for name, only in _OF_WECOM.items()):
                raise ValueError("WeCom pushes in mode safe and in xml, and in no other")
        callback = Callback(**given)
        await self._pushing.check(account, callback)
        account.callback = callback
        return write_json({"callback": asdict(callback)})

    async def remove(self, request: Request) -> Response:
        """Take the configuration away: nothing is pushed any more."""
        self._account(request).callback = None
        return Response(status_code=204)

    async def scan(self, request: Request) -> Response:
        """Let a person scan the account's QR code, or one with a scene: who does not follow does then."""
        account = self._account(request)
        given = await read_fields(request, {"openid": str, "nickname": str, "ticket": str})
        follower, event = scan(self._sandbox.world, account, self._sandbox.clock.now(), **given)
        push = None if event is None else await self._pushing.tell(account, event)
        return write_json({"openid": follower.openid, "push": push})

    async def say(self, request: Request) -> Response:
        """Let a follower write `content` to the account, and answer what he reads then."""
        account, openid = self._account(request), request.path_params["openid"]
        given = await read_fields(request, {"content": str}, required=["content"])
        account.hear(openid, self._sandbox.clock.now())
        msgid = int(self._sandbox.world.draw(13), 16)
        message = {"FromUserName": openid, "MsgType": "text", "Content": given["content"], "MsgId": msgid}
        return write_json(await self._pushing.deliver(account, message))

    async def push(self, request: Request) -> Response:
        """Push a message or event of any kind; sender, receiver and time are filled in where they are missing."""
        account = self._account(request)
        given = await read_fields(request, {"message": dict}, required=["message"])
        message: Message = given["message"]
        if not message.get("MsgType") or not all(map(_NAME.fullmatch, message)):
            raise ValueError("message must have a MsgType, and names of letters, digits and _")
        return write_json(await self._pushing.deliver(account, message))

    async def list_pushes(self, request: Request) -> Response:
        """Answer the last pushes with their attempts, oldest first, once what calls left to be pushed is there too."""
        await self._pushing.push_due()
        return write_json({"pushes": list(self._sandbox.pushes.get(self._account(request).appid, ()))})

    def _account(self, request: Request) -> Account:
        return self._sandbox.world.account(request.path_params["appid"])
