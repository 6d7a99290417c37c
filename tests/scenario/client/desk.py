"""A business server's program before a whole hub, all of it in virtual time: the real client, without its thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import httpx

from tests.scenario.hub.house import APPID, House
from zhongkong.client.engine import Engine
from zhongkong.client.faces import AsyncFace
from zhongkong.client.hub import Hub
from zhongkong.client.source import Credential, Rejected
from zhongkong.client.thread import Answer, Question
from zhongkong.core.grants import Grant

T = TypeVar("T")

URL = "http://hub.test:8600"


@dataclass(frozen=True)
class Asked:
    """One request that arrived at the hub, or would have."""

    at: float
    method: str
    path: str
    wait: int
    etag: str


class Network(httpx.AsyncBaseTransport):
    """The way to the hub. `broken` is raised and `answer` given in its place; `delay` is each request's.

    What befalls a request is decided when it leaves.
    """

    def __init__(self, house: House) -> None:
        self.asked: list[Asked] = []
        self.broken: Callable[[], Exception] | None = None
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None
        self.delay = 0.0
        self.waiting = 0
        self.most_waiting = 0
        self.app: Any = house.app
        self._clock = house.clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note the request and have the hub answer it."""
        wait = int(request.url.params.get("wait", 0))
        etag = request.headers.get("if-none-match", "")
        self.asked.append(Asked(self._clock.boot(), request.method, request.url.path, wait, etag))
        if wait:
            self.waiting += 1
            self.most_waiting = max(self.waiting, self.most_waiting)
        try:
            return await self._answer(request)
        finally:
            self.waiting -= bool(wait)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        broken, answer = self.broken, self.answer
        await asyncio.sleep(self.delay)
        if broken is not None:
            raise broken()
        if answer is not None:
            return answer(request)
        transport = httpx.ASGITransport(self.app, client=("192.0.2.9", 4711))
        return await transport.handle_async_request(request)

    def since(self, at: float, method: str = "GET") -> list[Asked]:
        """Return what was asked since then."""
        return [one for one in self.asked if one.at >= at and one.method == method]


class _SameLoop:
    """Stands for the thread: the engine runs on the loop of whoever calls."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._nudged: set[object] = set()
        self._asked: set[asyncio.Task[None]] = set()

    def ask(self, question: Question[T], answer: Answer[T]) -> None:
        task = asyncio.ensure_future(self._reply(question(self.engine), answer))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def nudge(self, name: object, question: Question[Any]) -> None:
        if name not in self._nudged:
            self._nudged.add(name)
            self.ask(question, lambda _value, _error: self._nudged.discard(name))

    async def _reply(self, question: Awaitable[T], answer: Answer[T]) -> None:
        try:
            value = await question
        except Exception as error:  # noqa: BLE001 (as the thread does)
            answer(None, error)
        else:
            answer(value, None)


class Program:
    """A program with a source."""

    def __init__(self, house: House, key: str, **given: Any) -> None:
        self.clock = house.clock
        self.network = Network(house)
        hub = Hub(URL, key, transport=lambda: self.network, boot=self.clock.boot, random=Random(5))
        self.source = AsyncFace(hub.make_engine, hub.url, boot=self.clock.boot, **given)
        self._make_engine = hub.make_engine
        self.begin()

    def begin(self) -> None:
        """Begin an engine; after one has ended, as a forked child does: with what was held and remembered."""
        self.engine = self._make_engine()
        self.source._thread = _SameLoop(self.engine)  # type: ignore[assignment]  # noqa: SLF001
        self.running = self.clock.begin(self.engine.run(self.source._table.publish))  # noqa: SLF001
        self.clock.turn(0.001)

    def token(self, appid: str = APPID) -> str:
        """Return what the program gets; time passes as far as it has to wait."""
        return self.clock.run(self.source.access_token(appid))

    def credential(self, appid: str = APPID, kind: str = "access_token") -> Credential:
        """Return the credential likewise."""
        return self.clock.run(self.source.credential(appid, kind))

    def reject(self, value: str, appid: str = APPID) -> Rejected:
        """Reject a value."""
        return self.clock.run(self.source.reject(appid, value))

    def at_once(self, appid: str = APPID) -> str:
        """Return what the program gets without waiting at all."""
        before = self.clock.boot()
        token = self.token(appid)
        assert self.clock.boot() == before, "it waited"
        return token

    def end(self) -> None:
        """End the engine."""
        self.running.cancel()
        self.clock.turn(0.01)


def open_program(house: House, **given: Any) -> Program:
    """Return a program with a key of its own, beside a hub that keeps APPID."""
    return Program(house, house.add_key(Grant.READ, name="program"), **given)


def problem(status: int, retry_after: int | None = None, **members: Any) -> Callable[[httpx.Request], httpx.Response]:
    """Return a hub that answers everything with one problem."""
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return lambda _request: httpx.Response(status, headers=headers, content=json.dumps(members).encode())
