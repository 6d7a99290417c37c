"""The platform over HTTP, behind `core.ports.Platform`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeAlias
from urllib.parse import urlencode

from yarl import URL

from zhongkong.adapters.connections import DIRECT, Answer, Message, Way, ask
from zhongkong.adapters.hosts import Hosts
from zhongkong.adapters.names import SystemNames
from zhongkong.core.model import DEADLINE, Account, Ambiguous, Instant, Kind, Mode, NotSent, Outcome, Seconds
from zhongkong.core.ports import Clock, Order
from zhongkong.wechat.answers import Granted, Refused, Unreadable, parse_grant, parse_probe
from zhongkong.wechat.endpoints import (
    Request,
    build_gettoken_request,
    build_probe_request,
    build_stable_token_request,
    build_ticket_request,
    build_token_request,
    domain_of,
)
from zhongkong.wechat.errcodes import ProbeVerdict, judge_probe

CONNECT_SHARE = 1 / 3
"""Of the time left, what a host may take to be reached while another could stand in: 3.3 s outlast a lost SYN."""

Observe: TypeAlias = Callable[[str, str, Seconds], None]
"""Told after every call: the endpoint's path, what came of it (an outcome or a probe's verdict), how long it took."""
_OUTCOMES: dict[type, str] = {Granted: "granted", Refused: "refused", NotSent: "not_sent", Ambiguous: "ambiguous"}


class Stamp(NamedTuple):
    """A `Date` header of the platform, and what this machine took the time to be when it came."""

    wall: Instant
    date: Instant


class AiohttpPlatform:
    """The platform, or whatever an account's base URL leads to.

    Each call has a connection of its own and is sent at most once, so nothing is held between calls, there is nothing
    to close, and any event loop will do. The platform's hosts stand in for each other where not a byte had left.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        way: Way = DIRECT,
        deadline: Seconds = DEADLINE,
        observe: Observe = lambda _endpoint, _outcome, _seconds: None,
    ) -> None:
        self._clock = clock
        self._way = replace(way, resolver=way.resolver or SystemNames())
        self._deadline = deadline
        self._observe = observe
        self._hosts = Hosts(clock)
        self.last_dates: dict[str, Stamp] = {}
        """By host, of its last answer: what *doctor* compares clocks by."""

    async def mint(self, order: Order) -> Outcome:
        """Ask for a credential, once, and return the one of four outcomes that is true. Only cancellation raises."""
        request = _mint_request(order)
        began = self._clock.boot()
        answer = await self._ask(order.account.base_url, request)
        outcome = _judge_mint(answer, "access_token" if order.parent is None else "ticket")
        self._observe(request.path, _OUTCOMES[type(outcome)], self._clock.boot() - began)
        return outcome

    async def probe(
        self,
        account: Account,
        value: str,
        caller: str = "",  # noqa: ARG002 (the port's)
        kind: Kind = Kind.ACCESS_TOKEN,  # noqa: ARG002 (the port's)
    ) -> ProbeVerdict:
        """Say whether the platform takes `value`, by a call that changes nothing. Only cancellation raises."""
        request = build_probe_request(value)
        began = self._clock.boot()
        answer = await self._ask(account.base_url, request)
        errcode = parse_probe(answer.status, answer.body) if isinstance(answer, Answer) else None
        verdict = judge_probe(errcode, domain_of(account.appid))
        self._observe(request.path, verdict, self._clock.boot() - began)
        return verdict

    async def _ask(self, base_url: str, request: Request) -> Answer | NotSent | Ambiguous:
        """Ask the hosts in turn until a byte may have left to one of them; the first host's reason stands for all."""
        until = self._clock.boot() + self._deadline
        refusals: list[NotSent] = []
        addresses = self._hosts.addresses(base_url)
        for address in addresses:
            share = 1.0 if address == addresses[-1] else CONNECT_SHARE
            answer = await ask(_message(address, request), self._way, self._clock, until, share)
            if not isinstance(answer, NotSent):
                self._remember(base_url, address, answer)
                return answer
            refusals.append(answer)
        return refusals[0]

    def _remember(self, base_url: str, address: str, answer: Answer | Ambiguous) -> None:
        """Keep the `Date` of the answer, and the host that stood in for a nearer one."""
        if isinstance(answer, Answer) and (date := parse_date(answer.date)) is not None:
            self.last_dates[str(URL(address).host)] = Stamp(self._clock.wall(), date)
        self._hosts.answered(base_url, address)


def _mint_request(order: Order) -> Request:
    account = order.account
    match order.mode:
        case Mode.CLASSIC:
            return build_token_request(account.appid, account.secret.reveal())
        case Mode.STABLE:
            return build_stable_token_request(account.appid, account.secret.reveal(), force_refresh=order.force)
        case Mode.WECOM:
            return build_gettoken_request(account.appid, account.secret.reveal())
        case Mode.TICKET | Mode.WECOM_TICKET if order.parent is not None:
            return build_ticket_request(domain_of(account.appid), order.parent.reveal(), order.kind)
    raise ValueError(order.mode)  # of who follows, the secret is a key of another hub: none of the platform's business


def _message(address: str, request: Request) -> Message:
    query = f"?{urlencode(request.query)}" if request.query else ""
    return Message(request.method, f"{address.rstrip('/')}{request.path}{query}", request.body)


def _judge_mint(answer: Answer | NotSent | Ambiguous, name: str) -> Outcome:
    if not isinstance(answer, Answer):
        return answer
    outcome = parse_grant(answer.status, answer.body, name)
    return Ambiguous(outcome.why) if isinstance(outcome, Unreadable) else outcome


def parse_date(header: str) -> Instant | None:
    """Return the instant that a `Date` header names, or None."""
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
