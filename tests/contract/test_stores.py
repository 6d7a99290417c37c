"""The contract of a store, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.adapters.stores.sql import open_sqlite
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract import StoreContract


class FakeWall:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_795_240_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class MemoryHarness:
    """Everybody opens the same store; it cannot be lost while the process lives."""

    def __init__(self) -> None:
        self._wall = FakeWall()
        self._store = MemoryStore(self._wall)
        self.advance = self._wall.advance

    async def open(self) -> FullStore:
        return self._store

    def stored_bytes(self) -> bytes:
        return b""


class SqliteHarness:
    """Every opening is a connection of its own to one file, as another process has."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._wall = FakeWall()
        self.advance = self._wall.advance

    async def open(self) -> FullStore:
        seal = FileSeal(self._directory / "seal")
        return await open_sqlite(self._directory / "hub.db", seal, wall=self._wall)

    def stored_bytes(self) -> bytes:
        files = sorted(self._directory.glob("hub.db*"))
        assert [file.suffix for file in files] == [".db", ".db-shm", ".db-wal"]
        return b"".join(file.read_bytes() for file in files)


class TestMemory(StoreContract):
    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()


class TestSqlite(StoreContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return SqliteHarness(tmp_path)
