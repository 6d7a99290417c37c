"""The control API of pushes: the configuration of an account's server, and what is pushed to it."""

import re
from collections import deque
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.exchange import read_fields, write_json
from zhongkong.sandbox.posting import Fetch, Fetched
from zhongkong.sandbox.pushes import (
    NOTICE,
    TOKEN_FAILED,
    URL_TIMEOUT,
    Callback,
    DataFormat,
    Letter,
    Message,
    PushMode,
    Stamp,
    build_check,
    build_letter,
    original_id,
    read_reply,
)
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.switches import Switches

KEPT_PUSHES = 200
_OK = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CONFIGURATION: dict[str, Any] = {
    "url": str,
    "token": str,
    "encoding_aes_key": str,
    "mode": PushMode,
    "data_format": DataFormat,
}


class PushControl:
    """The routes about pushes."""

    def __init__(self, sandbox: Sandbox, fetch: Fetch) -> None:
        self._sandbox = sandbox
        self._fetch = fetch

    def routes(self) -> list[Route]:
        """Return the routes, relative to /sandbox/v1."""
        account = "/accounts/{appid}"
        return [
            Route(f"{account}/callback", self.show, methods=["GET"]),
            Route(f"{account}/callback", self.save, methods=["PUT"]),
            Route(f"{account}/callback", self.remove, methods=["DELETE"]),
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
        callback = Callback(**given)
        echostr = str(int(self._sandbox.world.draw(16), 16))
        url = build_check(callback, self._stamp(), echostr)
        answer = await self._fetch("GET", url, "", b"", self._switches.push_patience_seconds)
        if answer.status is None:
            raise ValueError(f"{URL_TIMEOUT} ({answer.why})")
        if answer.status != _OK or answer.body != echostr.encode():
            raise ValueError(f"{TOKEN_FAILED} (HTTP {answer.status}, {len(answer.body)} bytes, not echostr)")
        account.callback = callback
        return write_json({"callback": asdict(callback)})

    async def remove(self, request: Request) -> Response:
        """Take the configuration away: nothing is pushed any more."""
        self._account(request).callback = None
        return Response(status_code=204)

    async def say(self, request: Request) -> Response:
        """Let a follower write `content` to the account, and answer what he reads then."""
        account, openid = self._account(request), request.path_params["openid"]
        given = await read_fields(request, {"content": str}, required=["content"])
        account.hear(openid, self._sandbox.clock.now())
        msgid = int(self._sandbox.world.draw(13), 16)
        message = {"MsgType": "text", "Content": given["content"], "MsgId": msgid}
        return write_json(await self._deliver(account, {**self._envelope(account, openid), **message}))

    async def push(self, request: Request) -> Response:
        """Push a message or event of any kind; sender, receiver and time are filled in where they are missing."""
        account = self._account(request)
        given = await read_fields(request, {"message": dict}, required=["message"])
        message: Message = given["message"]
        if not message.get("MsgType") or not all(map(_NAME.fullmatch, message)):
            raise ValueError("message must have a MsgType, and names of letters, digits and _")
        openid = str(message.get("FromUserName") or next(iter(account.followers), "o000000000000000000000000000"))
        return write_json(await self._deliver(account, {**self._envelope(account, openid), **message}))

    async def list_pushes(self, request: Request) -> Response:
        """Answer the last pushes with their attempts, oldest first."""
        return write_json({"pushes": list(self._sandbox.pushes.get(self._account(request).appid, ()))})

    async def _deliver(self, account: Account, message: Message) -> dict[str, Any]:
        """Push a message until its account's server answers, and return what came of it."""
        callback = account.callback
        if callback is None:
            raise ValueError(f"account {account.appid} has no callback")
        attempts: list[dict[str, Any]] = []
        answer, stamp = Fetched(None), self._stamp()
        for number in range(1 + self._switches.push_retries):
            if number and self._switches.push_repeats_signed == "anew":
                stamp = self._stamp()
            letter = build_letter(callback, account.appid, message, stamp)
            answer = await self._post(letter)
            attempts.append({"url": letter.url, "status": answer.status, "why": answer.why})
            if answer.status is not None:
                break
        reply, notice = None, None
        try:
            if answer.status != _OK:
                raise ValueError(f"no answer that counts: {answer.why or answer.status}")  # noqa: TRY301 - one way out
            reply = read_reply(callback, account.appid, answer.body)
        except ValueError as error:
            notice = NOTICE
            attempts[-1]["why"] = str(error)
        done = {"message": message, "attempts": attempts, "reply": reply, "notice": notice}
        self._sandbox.pushes.setdefault(account.appid, deque(maxlen=KEPT_PUSHES)).append(done)
        return done

    async def _post(self, letter: Letter) -> Fetched:
        patience = self._switches.push_patience_seconds
        return await self._fetch("POST", letter.url, letter.content_type, letter.body, patience)

    def _envelope(self, account: Account, openid: str) -> Message:
        now = int(self._sandbox.clock.now())
        return {"ToUserName": original_id(account.appid), "FromUserName": openid, "CreateTime": now}

    def _stamp(self) -> Stamp:
        draw = self._sandbox.world.draw
        return Stamp(int(self._sandbox.clock.now()), str(int(draw(8), 16)), bytes.fromhex(draw(32)))

    @property
    def _switches(self) -> Switches:
        return self._sandbox.world.switches

    def _account(self, request: Request) -> Account:
        return self._sandbox.world.account(request.path_params["appid"])
