"""An engine that does as a test says, behind the real faces and their thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Self

from zhongkong.client.clock import find_boot_clock
from zhongkong.client.engine import Held, Publish
from zhongkong.client.source import Credential, Rejected
from zhongkong.errors import CredentialUnavailable

SOON = 20.0
"""Seconds after which a test gives up."""
SILENT = "silent"
"""An appid that is never answered."""
GONE = "gone"
"""An appid that there is nothing for."""


class Stub:
    """Mints a token per question: `<appid>-<pid>-<number>`."""

    def __init__(self, fresh_for: float = 1000.0, holds_for: float = 1000.0) -> None:
        self.boot = find_boot_clock()
        self.fresh_for = fresh_for
        self.holds_for = holds_for
        self.asked: list[str] = []
        self.runs = 0
        self.fails: list[Exception] = []
        """What `run` raises, one at each run."""
        self.fails_from_now_on = False
        self.gate = threading.Event()
        """Until it is set, no question is answered."""
        self.gate.set()
        self._came = threading.Semaphore(0)
        self.ended = threading.Event()
        """Set when `run` was cancelled."""
        self._publish: Publish = lambda _held: None

    def make(self) -> Self:
        """Return itself: the engine that is made."""
        return self

    async def run(self, publish: Publish) -> None:
        """Publish what is asked for."""
        self._publish = publish
        self.runs += 1
        if self.fails:
            raise self.fails.pop()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def credential(self, appid: str, kind: str, patience: float) -> Held:
        """Return the next token."""
        await self._pass(appid, kind, patience)
        value = f"{appid}-{os.getpid()}-{len(self.asked)}"
        now = self.boot()
        credential = Credential(appid, kind, value, len(self.asked), int(self.holds_for), 50)
        held = Held(credential, value, now + self.fresh_for, now + self.holds_for, now + self.holds_for)
        self._publish(held)
        return held

    async def reject(self, appid: str, kind: str, value: str, patience: float) -> Rejected:
        """Return the next token as the successor."""
        held = await self.credential(appid, kind, patience)
        return Rejected("still_valid" if held.value == value else "refreshed", held.credential)

    def await_question(self) -> None:
        """Return when a question came, for each that came once."""
        assert self._came.acquire(timeout=SOON)

    async def _pass(self, appid: str, kind: str, _patience: float) -> None:
        self.asked.append(appid)
        self._came.release()
        if appid == SILENT:
            await asyncio.Event().wait()
        await asyncio.to_thread(self.gate.wait)
        if appid == GONE or self.fails_from_now_on:
            raise CredentialUnavailable(appid, kind, "unreachable", retry_after=3.0)


def threads_of_ours() -> list[threading.Thread]:
    """Return the engine threads of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "zhongkong"]


def join(*threads: threading.Thread) -> None:
    """Wait for threads that must end."""
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def begin(work: Callable[[], object]) -> threading.Thread:
    """Begin a daemon thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
