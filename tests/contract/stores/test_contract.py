"""The contract of a store, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.stores.servers import ServerHarness
from tests.contract.stores.sqlite import FakeWall, SqliteHarness
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract import StoreContract


class MemoryHarness:
    """Everybody opens the same store; it cannot be lost while the process lives."""

    def __init__(self) -> None:
        self._wall = FakeWall()
        self._store = MemoryStore(self._wall)
        self.advance = self._wall.advance

    async def open(self) -> FullStore:
        """Return the store."""
        return self._store

    def spoil(self, _appid: str) -> bool:
        """Say that nothing is sealed."""
        return False

    def stored_bytes(self) -> bytes:
        """Return nothing: a process's memory is not for others to read."""
        return b""


class TestMemory(StoreContract):
    """The reference."""

    @pytest.fixture
    def harness(self) -> MemoryHarness:
        """Return an empty store."""
        return MemoryHarness()


class TestSqlite(StoreContract):
    """The default."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        """Return an empty store."""
        return SqliteHarness(tmp_path)


class TestServers(StoreContract):
    """PostgreSQL, and MySQL or MariaDB: one schema for all tests, emptied before each."""

    @pytest.fixture
    def harness(self, server: ServerHarness) -> ServerHarness:
        """Return an empty store."""
        return server
