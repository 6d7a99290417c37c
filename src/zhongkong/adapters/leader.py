"""Another hub, behind `core.ports.Platform`: what an account that follows is minted by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from zhongkong.adapters.connections import Answer, Message
from zhongkong.adapters.platform import Observe
from zhongkong.core.following import (
    READ_PATH,
    REJECT_PATH,
    build_etag,
    build_reject,
    parse_read,
    parse_rejected,
    path_of,
)
from zhongkong.core.model import (
    DEADLINE,
    Account,
    Ambiguous,
    HandedOn,
    Kind,
    NotSent,
    Outcome,
    Seconds,
    Withheld,
    hash_value,
)
from zhongkong.core.ports import Clock, Order
from zhongkong.wechat.errcodes import ProbeVerdict

Send: TypeAlias = Callable[[Message, Seconds], Awaitable[Answer | NotSent | Ambiguous]]
"""Sends a message at most once, until an instant on the boot-time clock, and tells what came of it."""

_OUTCOMES: dict[type, str] = {
    HandedOn: "granted",
    Withheld: "refused",
    NotSent: "not_sent",
    Ambiguous: "ambiguous",
}


class LeaderHub:
    """The hubs that accounts follow, each asked with the account's key, which leaves in a header and nowhere else.

    Nothing it asks for ends a credential. Of each one it remembers the generation seen last, so that a replica of its
    leader that is behind, or is cut off from its store, says so instead of handing out an earlier one.
    """

    def __init__(
        self,
        clock: Clock,
        send: Send,
        *,
        deadline: Seconds = DEADLINE,
        observe: Observe = lambda _endpoint, _outcome, _seconds: None,
    ) -> None:
        self._clock = clock
        self._send = send
        self._deadline = deadline
        self._observe = observe
        self._seen: dict[tuple[str, str, Kind], int] = {}

    async def mint(self, order: Order) -> Outcome:
        """Ask for what the leader has, once, and return what came of it. Only cancellation raises."""
        account, began = order.account, self._clock.boot()
        seen = self._seen.get(_leader_of(account, order.kind), 0)
        headers = {"If-None-Match": build_etag(seen)} if seen else {}
        message = _build(account, "GET", path_of(READ_PATH, account.appid, order.kind), headers)
        answer = await self._send(message, began + self._deadline)
        outcome = self._judge(account, order.kind, answer)
        self._observe(READ_PATH, _OUTCOMES[type(outcome)], self._clock.boot() - began)
        return outcome

    async def probe(
        self, account: Account, value: str, caller: str = "", kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Reject `value` at the leader and say what that proves. Only cancellation raises."""
        began = self._clock.boot()
        path = path_of(REJECT_PATH, account.appid, kind)
        message = _build(account, "POST", path, body=build_reject(hash_value(value), caller))
        answer = await self._send(message, began + self._deadline)
        verdict = ProbeVerdict.UNKNOWN
        if isinstance(answer, Answer):
            verdict, generation = parse_rejected(account.appid, answer.status, answer.body)
            self._remember(account, kind, generation)
        self._observe(REJECT_PATH, verdict, self._clock.boot() - began)
        return verdict

    def _judge(self, account: Account, kind: Kind, answer: Answer | NotSent | Ambiguous) -> Outcome:
        if not isinstance(answer, Answer):
            return answer
        outcome = parse_read(account.appid, kind, answer.status, answer.body, answer.retry_after)
        if isinstance(outcome, HandedOn):
            self._remember(account, kind, outcome.generation)
        elif isinstance(outcome, Withheld) and outcome.trouble.errmsg == "store_behind":
            self._seen.pop(
                _leader_of(account, kind), None
            )  # all of it is behind: it lost what it had, and begins again
        return outcome

    def _remember(self, account: Account, kind: Kind, generation: int) -> None:
        if generation:
            self._seen[_leader_of(account, kind)] = generation


def _leader_of(account: Account, kind: Kind) -> tuple[str, str, Kind]:
    return account.base_url, account.appid, kind


def _build(
    account: Account, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> Message:
    url = f"{account.base_url}{path}"
    bearer = {"Authorization": f"Bearer {account.secret.reveal()}", "Accept": "application/json"}
    return Message(method, url, body, {**bearer, **(headers or {})})
