"""The way to a hub: requests that are bounded in time and size, and a gate that spares a hub which is away."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

import httpx

from zhongkong.client.answers import BODY_LONGEST, Answer, Given, Question, Troubled, read_answer
from zhongkong.errors import CredentialUnavailable

logger = logging.getLogger("zhongkong.client")

ANSWER_WITHIN = 10.0
"""Seconds. A hub waits 5 for a refresh before it answers."""
CONNECT_WITHIN = 5.0
READS_AT_ONCE = 8
"""More at a time are no faster with this HTTP client, and would keep other programs from the hub."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
TOLD_LONGEST = 60.0
"""Seconds: however long a hub tells us to wait, we look again after that."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and when the request for it left, by the boot-time clock: what was promised counts from there."""

    departed: float
    answer: Answer


@dataclass(frozen=True, slots=True)
class Away:
    """The hub is away since then, by the boot-time clock; the next look is at `next_try_at`."""

    since: float
    tries: int
    next_try_at: float
    trouble: Troubled


class Wire:
    """Asks a hub. Whatever goes wrong on the way is an answer too, `Troubled`, and never raises."""

    def __init__(self, url: str, client: httpx.AsyncClient, boot: Callable[[], float], random: Random) -> None:
        self.url = url
        self._client = client
        self._boot = boot
        self._random = random
        self._gate = asyncio.Lock()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self.away: Away | None = None

    async def read(self, appid: str, kind: str, etag: str, wait: int = 0) -> Reply:
        """Ask for a credential; with `wait`, for news of the one that has this ETag, that many seconds."""
        question = Question(self.url, appid, kind, etag)
        request = self._client.build_request(
            "GET",
            _path(question),
            params={"wait": wait} if wait else None,
            headers={"If-None-Match": etag} if etag else None,
            timeout=httpx.Timeout(ANSWER_WITHIN + wait, connect=CONNECT_WITHIN, pool=None),
        )
        if wait:
            return await self._pass(question, request, ANSWER_WITHIN + wait)
        async with self._reads:
            return await self._pass(question, request, ANSWER_WITHIN)

    async def report(self, appid: str, kind: str, value: str) -> Reply:
        """Say that the platform refused this value."""
        question = Question(self.url, appid, kind)
        request = self._client.build_request("POST", f"{_path(question)}/reject", json={"rejected": value})
        async with self._reads:
            reply = await self._pass(question, request, ANSWER_WITHIN)
        if isinstance(reply.answer, Given) and reply.answer.outcome is None:
            return Reply(reply.departed, Troubled("hub_not_understood", {"hub": self.url, "said": "HTTP 200"}))
        return reply

    def lacking(self, appid: str, kind: str) -> CredentialUnavailable:
        """Return the error of who waited in vain: why the hub is away, or else that it is slow."""
        if self.away is None:
            return CredentialUnavailable(appid, kind, "hub_slow", retry_after=1.0, hub=self.url)
        wait, trouble = max(1.0, self.away.next_try_at - self._boot()), self.away.trouble
        values: dict[str, Any] = trouble.values
        return CredentialUnavailable(appid, kind, trouble.cause, retry_after=wait, **values)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _pass(self, question: Question, request: httpx.Request, within: float) -> Reply:
        """Send; while the hub is away one at a time, who looks whether it is back, and the others wait for that."""
        while self.away is not None:
            async with self._gate:
                if self.away is not None:
                    await asyncio.sleep(max(0.0, self.away.next_try_at - self._boot()))
                    return await self._send(question, request, within)
        return await self._send(question, request, within)

    async def _send(self, question: Question, request: httpx.Request, within: float) -> Reply:
        began = self._boot()
        try:
            async with asyncio.timeout(within + CONNECT_WITHIN):
                try:
                    reply = await self._exchange(question, request)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    # Perhaps a connection that was kept, and that the hub closed that moment. To ask twice, and to
                    # report twice, is to do it once.
                    reply = await self._exchange(question, request)
        except Exception as error:
            if not isinstance(error, httpx.HTTPError | TimeoutError | OSError):
                logger.exception("asking the hub failed in a way that nobody foresaw")
            reply = Reply(self._boot(), explain_failure(self.url, error))
        self.away = self._judge(reply.answer, began)
        return reply

    async def _exchange(self, question: Question, request: httpx.Request) -> Reply:
        departed = self._boot()
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_LONGEST:
                    body.clear()
                    break
        finally:
            await response.aclose()
        return Reply(departed, read_answer(question, response.status_code, response.headers, bytes(body)))

    def _judge(self, answer: Answer, began: float) -> Away | None:
        if not isinstance(answer, Troubled):
            return None
        if self.away is not None and began < self.away.next_try_at:
            return self.away  # one of those that were under way together: it tells nothing new
        now, tries = self._boot(), self.away.tries + 1 if self.away else 0
        if answer.retry_after is not None:
            pause = min(answer.retry_after, TOLD_LONGEST)
        else:
            pause = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE) * self._random.uniform(0.5, 1.0)
        return Away(self.away.since if self.away else now, tries, now + pause, answer)


def explain_failure(url: str, error: BaseException) -> Troubled:
    """Return why no answer came, in words of the system: the HTTP client's may hold more than is to be shown."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__
            return Troubled("hub_tls", {"hub": url, "why": why.replace("_", " ").lower()})
    said = [_words_of(cause) for cause in causes if isinstance(cause, OSError) and cause.strerror]
    return Troubled("hub_unreachable", {"hub": url, "why": said[-1] if said else type(error).__name__})


def _words_of(error: OSError) -> str:
    """Return the system's words; an event loop has its own for a connection that failed."""
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return str(error.strerror)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = inner or error.__cause__ or error.__context__


def _path(question: Question) -> str:
    return f"/v1/accounts/{quote(question.appid, safe='')}/{quote(question.kind, safe='')}"
