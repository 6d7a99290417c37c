"""The connection breaks around the commit: the caller cannot know, asks again, and nothing happens twice."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from tests.contract.stores.sqlite import FakeWall, run
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.dialects import Sqlite
from zhongkong.adapters.stores.place import file_system_of
from zhongkong.adapters.stores.sql import SqlStore, open_store
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.model import Record
from zhongkong.core.save import Save, Saved
from zhongkong.errors import StoreUnavailable
from zhongkong.testing.store_contract.stories import ACCOUNT, SLOT, TOKEN, Count, Put, one
from zhongkong.wechat.answers import Granted


class Breaking(Sqlite):
    """SQLite on a disk that fails at the next commit: `before` it is done, or `after`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FakeWall(), 5.0, file_system_of)
        self.breaks = ""

    def connect(self) -> Connection:
        """Return a connection that breaks when it is told to."""
        connection = super().connect()
        commit = connection.commit

        def breaking() -> None:
            breaks, self.breaks = self.breaks, ""
            if breaks != "before":
                commit()
            if breaks:
                cause = sqlite3.OperationalError("disk I/O error")
                cause.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise OperationalError("COMMIT", {}, cause)

        connection.commit = breaking  # type: ignore[method-assign]
        return connection


async def opened(tmp_path: Path) -> tuple[SqlStore, Breaking]:
    """Return a store and what breaks it."""
    dialect = Breaking(tmp_path / "hub.db")
    return await open_store(dialect, RingSeal(b"k" * 32), "zhongkong_"), dialect


@run
async def test_a_commit_that_is_not_acknowledged_is_recognised(tmp_path: Path) -> None:
    """Claim and save are repeated under their fence: one attempt, one generation, one event."""
    store, disk = await opened(tmp_path)
    account = await store.put_account(ACCOUNT)
    claim = Claim(SLOT, account, "mine", 0)
    save = Save(SLOT, account, "mine", Granted(TOKEN, 7200))
    disk.breaks = "after"
    with pytest.raises(StoreUnavailable):
        await store.apply([claim])
    version = (await store.load(SLOT)).version
    claimed = await one(store, claim)
    assert isinstance(claimed.answer, Claimed)
    assert claimed.record.version == version
    disk.breaks = "after"
    with pytest.raises(StoreUnavailable):
        await store.apply([save])
    saved = await one(store, save)
    assert isinstance(saved.answer, Saved)
    assert (saved.record.generation, saved.record.attempts) == (1, ())
    assert len(await store.events()) == 1
    await store.close()


@run
async def test_a_commit_that_failed_left_nothing(tmp_path: Path) -> None:
    """Neither in the file nor in what the store remembers of it."""
    store, disk = await opened(tmp_path)
    await store.apply([Count(SLOT)])
    disk.breaks = "before"
    with pytest.raises(StoreUnavailable) as caught:
        await store.apply([Count(SLOT)])
    assert caught.value.code == "store_failing"
    assert (await store.load(SLOT)).asks == 1
    assert (await one(store, Count(SLOT))).answer == 1
    assert [kept.event.values["before"] for kept in await store.events()] == [0, 1]
    await store.close()


@run
async def test_what_was_never_committed_is_not_remembered(tmp_path: Path) -> None:
    """Another replica may write the same version at the same moment: what lies in the store counts."""
    store, disk = await opened(tmp_path)
    other, _ = await opened(tmp_path)
    disk.breaks = "before"
    with pytest.raises(StoreUnavailable):
        await store.apply([Count(SLOT)])
    written = (await one(other, Put(SLOT, replace(Record(SLOT), asks=70)))).record
    assert await store.load(SLOT) == written
    assert (await one(store, Count(SLOT))).answer == 70
    await store.close()
    await other.close()
