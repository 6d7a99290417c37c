"""The one thread behind a source: it runs the engine on an event loop of its own, in every process that calls.

Forks are met in three ways. A fork waits for the moment at which the thread waits, so that it is inside nothing whose
locks the child would find taken: an import, OpenSSL, a log. What a thread needs is kept by process id, so a child never
touches, waits for or closes what is its parent's. And the child puts all of that aside at once: not to be collected,
for to close an inherited loop or socket would reach into the parent's selector.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import selectors
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeAlias, TypeVar
from weakref import WeakSet

from zhongkong.client.engine import Engine, Publish

logger = logging.getLogger("zhongkong.client")

T = TypeVar("T")
P = ParamSpec("P")
Question: TypeAlias = Callable[[Engine], Awaitable[T]]
Answer: TypeAlias = Callable[[T | None, BaseException | None], None]
"""Called once: with what came, or with the error. On the engine's thread, or on the asker's when that has ended."""

FAREWELL = 15.0
"""Seconds that an engine gets to end what is under way, at `close` and at the interpreter's end."""
RUN_AGAIN_AFTER = 1.0
FORK_WAITS = 2.0
"""Seconds that a fork waits, at most, for what the thread is doing."""


class SourceClosed(RuntimeError):
    """The source was closed, by this very program: it has nothing more to hand out."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("this source of credentials was closed")


class EngineThread:
    """Begins the thread of this process at the first question, and ends it."""

    def __init__(self, make_engine: Callable[[], Engine], publish: Publish) -> None:
        self._make_engine = make_engine
        self._publish = publish
        self._closed = False
        self._lives: dict[int, _Life] = {}
        _ALL.add(self)

    def ask(self, question: Question[T], answer: Answer[T]) -> None:
        """Put a question to the engine. Raises: SourceClosed."""
        self._life().ask(question, answer)

    def nudge(self, name: object, question: Question[Any]) -> None:
        """Put a question whose answer nobody waits for, unless the one of that name is still under way."""
        with suppress(RuntimeError):  # no thread to be had, at the interpreter's end: the reader has what he asked for
            self._life().nudge(name, question)

    def close(self, patience: float = FAREWELL) -> None:
        """End it for good; who still waits gets SourceClosed. With no patience it ends by itself, a little later."""
        self._closed = True
        life = self._lives.get(os.getpid())
        if life is not None:
            life.end(patience)

    def put_aside(self) -> None:
        """Forget the parent's thread, in the child."""
        _OF_ANCESTORS.extend(self._lives.values())
        self._lives = {}

    def _life(self) -> _Life:
        if self._closed:
            raise SourceClosed
        pid = os.getpid()
        life = self._lives.get(pid) or self._lives.setdefault(pid, _Life(self._make_engine, self._publish))  # atomic
        life.begin()
        return life


class _Life:
    """The thread of one process."""

    def __init__(self, make_engine: Callable[[], Engine], publish: Publish) -> None:
        self._make_engine = make_engine
        self._pid = os.getpid()
        self._is_silent = False
        self._publish = publish
        self._lock = threading.RLock()
        """Once more for a signal's handler that closes what it interrupts in its beginning."""
        self._selector: _Selector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._ending = asyncio.Event()
        self._questions: deque[tuple[Question[Any], Answer[Any]]] = deque()
        """Put, and not yet taken up."""
        self._asked: dict[asyncio.Task[None], Answer[Any]] = {}
        self._nudged: set[object] = set()

    def begin(self) -> None:
        """Begin the thread, unless it was."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is not None:
                return
            if self._loop is None:
                self._selector = _Selector()
                self._loop = asyncio.SelectorEventLoop(self._selector)
                self._loop.set_default_executor(_DaemonThreads())
            thread = threading.Thread(target=self._run, name="zhongkong", daemon=True)
            _RUNNING.add(self)
            thread.start()  # may fail, where the machine has no more threads to give: the next question tries again
            self._thread = thread

    def ask(self, question: Question[T], answer: Answer[T]) -> None:
        """Put a question. Who comes when the thread has ended, or is just ending, is answered SourceClosed."""
        assert self._loop is not None  # noqa: S101 (narrows a type: it was begun)
        self._questions.append((question, answer))
        try:
            self._loop.call_soon_threadsafe(self._receive)
        except RuntimeError:  # the loop is closed
            self._refuse_all()

    def nudge(self, name: object, question: Question[Any]) -> None:
        """Put a question whose answer nobody waits for, once at a time."""
        if name not in self._nudged:
            self._nudged.add(name)
            self.ask(question, lambda _value, _error: self._nudged.discard(name))

    def end(self, patience: float) -> None:
        """End the thread and wait for that, at most `patience` seconds."""
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            self._ending.set()  # should it be just beginning
            return
        with suppress(RuntimeError):  # it has ended
            loop.call_soon_threadsafe(self._ending.set)
        if thread is not threading.current_thread():
            thread.join(patience)

    def leave(self) -> None:
        """End it because the interpreter ends: whoever still waits belongs to a daemon thread, and is not woken."""
        if self._pid == os.getpid():
            self._is_silent = True
            self.end(FAREWELL)

    def park(self) -> threading.Lock | None:
        """Have the thread wait until the lock that is returned is released; None if it cannot be had."""
        if self._selector is None or self._thread is threading.current_thread():
            return None
        return self._selector.busy if self._selector.busy.acquire(timeout=FORK_WAITS) else None

    # --- on the thread

    def _run(self) -> None:
        loop, selector = self._loop, self._selector
        assert loop is not None  # noqa: S101 (narrows a type: it was begun)
        assert selector is not None  # noqa: S101 (the same)
        with selector.busy:
            try:
                loop.run_until_complete(self._live())
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                loop.close()
                self._refuse_all()
            _RUNNING.discard(self)

    async def _live(self) -> None:
        running = asyncio.create_task(self._keep_running())
        await self._ending.wait()
        for task in self._asked:
            task.cancel()
        running.cancel()
        await asyncio.gather(running, *self._asked, return_exceptions=True)

    async def _keep_running(self) -> None:
        while not self._ending.is_set():
            try:
                await self._made().run(self._publish)
            except Exception:
                logger.exception("what keeps the credentials fresh failed; unless this is the end, it is begun again")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), RUN_AGAIN_AFTER)

    def _made(self) -> Engine:
        """Return the engine. It is made here, where a fork waits for it: that imports, and may open a thing or two."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _receive(self) -> None:
        if self._ending.is_set():
            self._refuse_all()
            return
        question, answer = self._questions.popleft()
        task = asyncio.ensure_future(self._reply(question, answer))
        self._asked[task] = answer
        task.add_done_callback(self._asked.pop)

    def _refuse_all(self) -> None:
        """Answer what nobody will take up: whoever takes a question out of the queue is the one who answers it."""
        with suppress(IndexError):
            while True:
                _, answer = self._questions.popleft()
                if not self._is_silent:
                    answer(None, SourceClosed())

    async def _reply(self, question: Question[T], answer: Answer[T]) -> None:
        try:
            value = await question(self._made())
        except asyncio.CancelledError:
            if not self._is_silent:
                answer(None, SourceClosed())
            raise
        except Exception as error:  # noqa: BLE001 (whatever it was, it is the caller's)
            answer(None, error)
        else:
            answer(value, None)


class _Selector(selectors.DefaultSelector):
    """Says whether the thread is doing something, or waits."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Lock()
        """Held by the thread, but while it waits."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait."""
        self.busy.release()
        try:
            return super().select(timeout)
        finally:
            self.busy.acquire()


class _DaemonThreads(ThreadPoolExecutor):
    """A thread for each call, which nobody waits for: a name server that is silent must not hold up the end."""

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin the call."""
        future: Future[T] = Future()
        threading.Thread(target=_settle, args=(future, call, args, kwargs), name="zhongkong-call", daemon=True).start()
        return future


def _settle(future: Future[T], call: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = call(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 (it is whoever awaits the future who is told)
        future.set_exception(error)
    else:
        future.set_result(value)


# --- forks, and the interpreter's end

_ALL: WeakSet[EngineThread] = WeakSet()
_RUNNING: set[_Life] = set()
"""Also those whose source nobody holds any more: what they have under way is saved all the same."""
_OF_ANCESTORS: list[_Life] = []
_PARKED = threading.local()
"""The locks that the fork of this very thread has taken."""


def _park_all() -> None:
    _PARKED.locks = [lock for life in list(_RUNNING) if (lock := life.park()) is not None]


def _unpark_all() -> None:
    for lock in _PARKED.locks:
        lock.release()


def _put_all_aside() -> None:
    for thread in list(_ALL):
        thread.put_aside()
    _OF_ANCESTORS.extend(_RUNNING)
    _RUNNING.clear()


def _leave_all() -> None:
    for life in list(_RUNNING):
        life.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_park_all, after_in_parent=_unpark_all, after_in_child=_put_all_aside)
atexit.register(_leave_all)
