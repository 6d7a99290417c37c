"""Pushes on their way: to the account's own server, again while it does not answer, and what the person reads then."""

import asyncio
from collections import deque
from typing import Any

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.posting import Fetch, Fetched
from zhongkong.sandbox.pushes import (
    NOTICE,
    TOKEN_FAILED,
    URL_TIMEOUT,
    Addressee,
    Callback,
    Letter,
    Message,
    Stamp,
    build_check,
    build_letter,
    original_id,
    read_reply,
)
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.wecom import agentid_of

KEPT_PUSHES = 200
_OK = 200


class Pushing:
    """Pushes for the accounts of a sandbox."""

    def __init__(self, sandbox: Sandbox, fetch: Fetch) -> None:
        self._sandbox = sandbox
        self._fetch = fetch
        self._turn = asyncio.Lock()

    async def check(self, account: Account, callback: Callback) -> None:
        """Ask the URL as the console does when it is saved. Raises ValueError in the console's words."""
        echostr = str(int(self._sandbox.world.draw(16), 16))
        url = build_check(callback, addressee_of(account), self._stamp(), echostr)
        answer = await self._fetch("GET", url, "", b"", self._switches.push_patience_seconds)
        if answer.status is None:
            raise ValueError(f"{URL_TIMEOUT} ({answer.why})")
        if answer.status != _OK or answer.body != echostr.encode():
            raise ValueError(f"{TOKEN_FAILED} (HTTP {answer.status}, {len(answer.body)} bytes, not echostr)")

    async def tell(self, account: Account, event: Message) -> dict[str, Any] | None:
        """Push an event, if the account is pushed to at all, and return what came of it."""
        return None if account.callback is None else await self.deliver(account, {"MsgType": "event", **event})

    async def push_due(self) -> None:
        """Push what calls have left to be pushed, what became of template messages; none is on its way afterwards."""
        async with self._turn:
            for account in list(self._sandbox.world.accounts.values()):
                while account.due:
                    await self.tell(account, account.due.popleft())

    async def deliver(self, account: Account, message: Message) -> dict[str, Any]:
        """Push a message until its account's server answers, and return what came of it.

        Receiver and time are filled in, and whom it is from if it does not say. Raises ValueError: it is not pushed to.
        """
        callback = account.callback
        if callback is None:
            raise ValueError(f"account {account.appid} has no callback")
        message = {**self._envelope(account), **message}
        attempts: list[dict[str, Any]] = []
        answer, stamp = Fetched(None), self._stamp()
        for number in range(1 + self._switches.push_retries):
            if number and self._switches.push_repeats_signed == "anew":
                stamp = self._stamp()
            letter = build_letter(callback, addressee_of(account), message, stamp)
            answer = await self._post(letter)
            attempts.append({"url": letter.url, "status": answer.status, "why": answer.why})
            if answer.status is not None:
                break
        reply, notice = None, None
        try:
            if answer.status != _OK:
                raise ValueError(f"no answer that counts: {answer.why or answer.status}")  # noqa: TRY301 - one way out
            reply = read_reply(callback, addressee_of(account).receiver, answer.body)
        except ValueError as error:
            notice = None if account.kind == "wecom" else NOTICE  # members of a corp read nothing
            attempts[-1]["why"] = str(error)
        done = {"message": message, "attempts": attempts, "reply": reply, "notice": notice}
        self._sandbox.pushes.setdefault(account.appid, deque(maxlen=KEPT_PUSHES)).append(done)
        return done

    async def _post(self, letter: Letter) -> Fetched:
        patience = self._switches.push_patience_seconds
        return await self._fetch("POST", letter.url, letter.content_type, letter.body, patience)

    def _envelope(self, account: Account) -> Message:
        to = addressee_of(account)
        sender = next(iter(account.followers), "o000000000000000000000000000")
        named = {} if to.agentid is None else {"AgentID": to.agentid}
        now = int(self._sandbox.clock.now())
        return {"ToUserName": to.user_name, "FromUserName": sender, "CreateTime": now, **named}

    def _stamp(self) -> Stamp:
        draw = self._sandbox.world.draw
        return Stamp(int(self._sandbox.clock.now()), str(int(draw(8), 16)), bytes.fromhex(draw(32)))

    @property
    def _switches(self) -> Switches:
        return self._sandbox.world.switches


def addressee_of(account: Account) -> Addressee:
    """Return how the account stands in what is pushed to it."""
    if account.kind == "wecom":
        corpid = account.appid.partition(":")[0]
        return Addressee(corpid, corpid, agentid_of(account))
    return Addressee(account.appid, original_id(account.appid))
