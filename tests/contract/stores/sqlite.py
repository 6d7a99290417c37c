"""What the tests of the SQLite store share: a clock, a harness, an account."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from zhongkong.adapters.seal import FileSeal, RingSeal
from zhongkong.adapters.stores.place import FileSystemOf, file_system_of
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.core.ports import Seal

P = ParamSpec("P")


class FakeWall:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_795_240_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class SqliteHarness:
    """Every opening is a connection of its own to one file, as another process has."""

    def __init__(self, directory: Path, patience: float = 5.0) -> None:
        self.path = directory / "hub.db"
        self.seal: Seal | None = None
        self.patience = patience
        self.file_system_of: FileSystemOf = file_system_of
        self._wall = FakeWall()
        self.advance = self._wall.advance

    async def open(self) -> SqlStore:
        """Return a replica."""
        return await open_sqlite(
            self.path,
            self.seal or FileSeal(self.path.with_name("seal")),
            wall=self._wall,
            patience=self.patience,
            file_system_of=self.file_system_of,
        )

    def spoil(self, appid: str) -> bool:
        """Seal its secret and its token with a key that nobody has."""
        lost = RingSeal(b"lost" * 8)
        with closing(sqlite3.connect(self.path)) as tool, tool:
            secrets = tool.execute(
                "UPDATE zhongkong_accounts SET secret = ? WHERE appid = ?", [lost.close("x", appid), appid]
            )
            tool.execute("UPDATE zhongkong_records SET value = ? WHERE appid = ?", [lost.close("x", appid), appid])
        return secrets.rowcount == 1

    def stored_bytes(self) -> bytes:
        """Return what lies on the disk, the log beside the database included."""
        files = sorted(self.path.parent.glob("hub.db*"))
        assert [file.suffix for file in files] == [".db", ".db-shm", ".db-wal"]
        return b"".join(file.read_bytes() for file in files)


def run(told: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine."""

    @wraps(told)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(told(*args, **kwargs))

    return test
