"""While the process forks, no database is open in it: what a child inherits of an open one is worse than nothing.

SQLite keeps in the memory of the process what the process has locked. A child gets that memory and none of the locks:
its own connections to the same file would never take some locks, and wait for others for ever. So before a fork whoever
works on a database finishes, and the connections are closed; the parent opens them again with its next task.
See docs/decisions/0012-no-database-is-open-while-a-process-forks.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition

from zhongkong.core.model import Seconds
from zhongkong.errors import StoreRefused

LONGEST_WAIT: Seconds = 10.0
"""How long a fork waits for those who are at work: for a lock that another process holds, and a commit."""


class _Gate:
    """Who is at work on a database in this process, and what is open."""

    def __init__(self) -> None:
        self._open: set[Callable[[], None]] = set()
        self._inherited: list[Callable[[], None]] = []
        """What closes that which was open in the parent at a fork nobody announced. It is kept, and never called."""
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = Condition()
        self._at_work = 0
        self._forks = 0

    def enter(self, close: Callable[[], None] | None) -> None:
        """Wait until no fork is under way, and keep the next one off."""
        if self._pid != os.getpid():  # forked from C, where Python is not told: uWSGI does so unless asked not to
            self.begin_in_child()
        if self._inherited:
            raise StoreRefused("store_forked")
        with self._changed:
            self._changed.wait_for(lambda: not self._forks)
            self._at_work += 1
            if close is not None:
                self._open.add(close)

    def leave(self) -> None:
        """Let a fork go ahead."""
        with self._changed:
            self._at_work -= 1
            self._changed.notify_all()

    def forget(self, close: Callable[[], None]) -> None:
        """Never close it again."""
        with self._changed:
            self._open.discard(close)

    def shut(self) -> None:
        """Keep everybody out and close what is open, before a fork. If somebody takes too long, the child inherits."""
        with self._changed:
            self._forks += 1
            if self._changed.wait_for(lambda: not self._at_work, LONGEST_WAIT):
                while self._open:
                    self._open.pop()()

    def reopen(self) -> None:
        """Let everybody in again, after it."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def begin_in_child(self) -> None:
        """Leave the parent's threads behind: they are not here, and one of them may hold the lock."""
        self._inherited += self._open
        self._open.clear()
        self._begin()


_gate = _Gate()


@contextmanager
def at_work(close: Callable[[], None] | None = None) -> Iterator[None]:
    """Work on a database while no fork is under way. Before one, what is left open here is closed by `close`.

    Raises: StoreRefused: this process was forked unannounced while its parent had a database open.
    """
    _watch_forks()
    _gate.enter(close)
    try:
        yield
    finally:
        _gate.leave()


def forget(close: Callable[[], None]) -> None:
    """Note that what `close` closes is closed for good."""
    _gate.forget(close)


@cache
def _watch_forks() -> None:
    watch = getattr(os, "register_at_fork", None)  # where a process cannot fork there is none
    if watch is not None:
        watch(before=_gate.shut, after_in_parent=_gate.reopen, after_in_child=_gate.begin_in_child)
