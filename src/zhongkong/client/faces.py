"""The two faces of a source: one for threads, one for coroutines. What is fresh they hand out and ask nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, cast
from weakref import finalize

from zhongkong.client.clock import find_boot_clock
from zhongkong.client.engine import Engine, Held
from zhongkong.client.explaining import explained
from zhongkong.client.source import PATIENCE, Credential, Rejected
from zhongkong.client.thread import EngineThread, Question
from zhongkong.errors import CredentialUnavailable

T = TypeVar("T")

ACCESS_TOKEN = "access_token"
GRACE = 1.0
"""Seconds that an engine may be late with an answer before it is taken for stuck."""


class Table:
    """What is held, by account and kind. The engine's thread writes, all threads read, and each access is one step."""

    def __init__(self) -> None:
        self.tokens: dict[str, Held] = {}
        """The access_tokens, by appid: the way of nearly all reads."""
        self._others: dict[tuple[str, str], Held] = {}

    def publish(self, held: Held) -> None:
        """Hand this one out from now on."""
        credential = held.credential
        if credential.kind == ACCESS_TOKEN:
            self.tokens[credential.appid] = held
        else:
            self._others[credential.appid, credential.kind] = held

    def get(self, appid: str, kind: str) -> Held | None:
        """Return what is held, if anything is."""
        return self.tokens.get(appid) if kind == ACCESS_TOKEN else self._others.get((appid, kind))

    def clear(self) -> None:
        """Hold nothing any more."""
        self.tokens.clear()
        self._others.clear()


class _Face:
    """What both faces do alike: hand out what is fresh, have renewed what is not, and end."""

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        name: str,
        *,
        patience: float = PATIENCE,
        boot: Callable[[], float] | None = None,
    ) -> None:
        self._name = name
        self._patience = patience
        self._boot = boot or find_boot_clock()
        self._table = Table()
        self._tokens = self._table.tokens
        self._thread = EngineThread(make_engine, self._table.publish)
        finalize(self, self._thread.close, 0.0).atexit = False  # a source that nobody holds any more ends by itself

    def __repr__(self) -> str:
        return f"<zhongkong source: {self._name}>"

    def __reduce__(self) -> NoReturn:
        message = f"{self!r} stays in its process: connect in the other one too"
        raise TypeError(message)

    def _find(self, appid: str, kind: str) -> Credential | None:
        """Return what may be handed out without waiting; what is not fresh any more is renewed behind it."""
        held, now = self._table.get(appid, kind), self._boot()
        if held is None or now >= held.holds_until:
            return None
        if now >= held.fresh_until:
            self._thread.nudge((appid, kind), lambda engine: engine.credential(appid, kind, self._patience))
        return held.at(now)

    def _question(self, appid: str, kind: str) -> Question[Credential]:
        async def ask(engine: Engine) -> Credential:
            return (await engine.credential(appid, kind, self._patience)).at(self._boot())

        return ask

    def _late(self, appid: str, kind: str) -> CredentialUnavailable:
        return CredentialUnavailable(appid, kind, "refreshing", retry_after=1.0)


class SyncFace(_Face):
    """A `Source` over the engines that `make_engine` makes; `name` is shown, so it holds no secret."""

    def access_token(self, appid: str) -> str:
        """Return the account's access_token; without any I/O while it is fresh."""
        try:
            held = self._tokens[appid]  # a tenth quicker than to ask for what may not be there
        except KeyError:
            pass
        else:
            if self._boot() < held.fresh_until:
                return held.value
        return self.credential(appid).value

    def credential(self, appid: str, kind: str = ACCESS_TOKEN) -> Credential:
        """Return a credential with what is promised of it."""
        return self._find(appid, kind) or self._wait(appid, kind, self._question(appid, kind))

    def reject(self, appid: str, value: str, kind: str = ACCESS_TOKEN) -> Rejected:
        """Report that the platform refused `value`; return what to use now."""
        return self._wait(appid, kind, lambda engine: engine.reject(appid, kind, value, self._patience))

    def _wait(self, appid: str, kind: str, question: Question[T]) -> T:
        box: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread.ask(question, lambda value, error: box.put((value, error)))
        try:
            value, error = box.get(timeout=self._patience + GRACE)
        except Empty:
            raise explained(self._late(appid, kind)) from None
        if error is not None:
            raise explained(error)
        return cast("T", value)

    def close(self) -> None:
        """Stop what runs in the background; what still waits is told."""
        self._thread.close()
        self._table.clear()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class AsyncFace(_Face):
    """An `AsyncSource` over the engines that `make_engine` makes; `name` is shown, so it holds no secret."""

    async def access_token(self, appid: str) -> str:
        """Return the account's access_token; without any I/O while it is fresh."""
        held = self._tokens.get(appid)
        if held is not None and self._boot() < held.fresh_until:
            return held.value  # nothing was awaited: who awaits this goes on in the same step
        return (await self.credential(appid)).value

    async def credential(self, appid: str, kind: str = ACCESS_TOKEN) -> Credential:
        """Return a credential with what is promised of it."""
        found = self._find(appid, kind)
        return found if found is not None else await self._wait(appid, kind, self._question(appid, kind))

    async def reject(self, appid: str, value: str, kind: str = ACCESS_TOKEN) -> Rejected:
        """Report that the platform refused `value`; return what to use now."""
        return await self._wait(appid, kind, lambda engine: engine.reject(appid, kind, value, self._patience))

    async def _wait(self, appid: str, kind: str, question: Question[T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(value: T | None, error: BaseException | None) -> None:
            if future.done():
                return  # who asked was cancelled, or gave up
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def answer(value: T | None, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop of who asked is closed
                loop.call_soon_threadsafe(settle, value, error)

        self._thread.ask(question, answer)
        try:
            await asyncio.wait([future], timeout=self._patience + GRACE)
            error = future.exception() if future.done() else self._late(appid, kind)
            if error is not None:
                raise explained(error)
            return cast("T", future.result())
        finally:
            future.cancel()

    async def aclose(self) -> None:
        """Stop what runs in the background; what still waits is told."""
        await asyncio.to_thread(self._thread.close)
        self._table.clear()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()
