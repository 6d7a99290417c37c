"""Looks names up, in a few threads of its own.

The system's resolver blocks, for half a minute if its name server is silent and for longer if it is broken. In the
loop's own threads that would hold up whoever else uses them, and the end of the process; a handful of ours hold up only
who asks for names, whose deadline ends the wait, and nobody waits for them at the end.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS_MOST = 8
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


@dataclass(slots=True, eq=False)
class _Question:
    """Who waits, and for what."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[ResolveResult]]
    host: str
    port: int
    family: int

    def settle(self, found: list[ResolveResult] | Exception) -> None:
        """Tell who waits, if he still does; a loop that is gone has nobody who waits."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._tell, found)

    def _tell(self, found: list[ResolveResult] | Exception) -> None:
        if self.future.done():
            return
        if isinstance(found, Exception):
            self.future.set_exception(found)
        else:
            self.future.set_result(found)


class SystemNames(AbstractResolver):
    """The system's resolver. Threads begin when there is something to look up and end when there is nothing."""

    def __init__(self) -> None:
        """Begin nothing."""
        self._waiting: deque[_Question] = deque()
        self._threads = 0
        self._lock = Lock()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`, the machine's own preference first.

        Raises: OSError: nobody knows the name, or no name server answered. ValueError: it is no name.
        """
        loop = asyncio.get_running_loop()
        question = _Question(loop, loop.create_future(), host, port, family)
        with self._lock:
            self._waiting.append(question)
            if self._threads < THREADS_MOST:
                Thread(target=self._work, name="zhongkong-names", daemon=True).start()
                self._threads += 1
        return await question.future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                question = self._waiting.popleft()
            if not question.future.cancelled():
                question.settle(_look_up(question))

    async def close(self) -> None:
        """There is nothing to close."""


def _look_up(question: _Question) -> list[ResolveResult] | Exception:
    try:
        infos: list[Any] = socket.getaddrinfo(
            question.host, question.port, question.family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except Exception as error:  # noqa: BLE001 (whoever asked has to hear of it, whatever it is)
        return error
    return [
        ResolveResult(
            hostname=question.host, host=address[0], port=address[1], family=family, proto=proto, flags=_NUMERIC
        )
        for family, _kind, proto, _name, address in infos
    ]
