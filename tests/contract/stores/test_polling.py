"""What a poll promises, at the one moment that matters."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from tests.contract.stores.sqlite import FakeWall, run
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.sql import open_sqlite
from zhongkong.core.model import NEVER, Kind
from zhongkong.testing.store_contract.stories import SLOT, Count

KEY = RingSeal(b"k" * 32)


@run
async def test_the_time_that_a_poll_tells_is_not_later_than_what_it_saw(tmp_path: Path) -> None:
    """A replica trusts until that time what it read: a write just before it must not be missing.

    Another process writes at the very moment at which the clock is read.
    """
    wall = FakeWall()
    written: list[float] = []

    async def write() -> None:
        (applied,) = await other.apply([Count(SLOT)])
        written.append(applied.now)

    def wall_with_a_write() -> float:
        if threading.current_thread().name.endswith("reader"):
            asyncio.run(write())
        return wall()

    other = await open_sqlite(tmp_path / "hub.db", KEY, wall=wall)
    store = await open_sqlite(tmp_path / "hub.db", KEY, wall=wall_with_a_write)
    for _ in range(3):
        wall.advance(1)
        changes = await store.changes(NEVER)
        assert changes.now == written[-1]
        assert [record.asks for record in changes.records] == [len(written)]
    await store.close()
    await other.close()


@run
async def test_a_newer_programs_kinds_keep_nobody_from_reading_the_others(tmp_path: Path) -> None:
    """Two versions are on one store while one takes the other's place."""
    store = await open_sqlite(tmp_path / "hub.db", KEY)
    await store.apply([Count(SLOT), Count(SLOT._replace(kind=Kind.JSAPI_TICKET))])
    with closing(sqlite3.connect(tmp_path / "hub.db")) as tool, tool:
        tool.execute("UPDATE zhongkong_records SET kind = 'of_tomorrow' WHERE kind = 'jsapi_ticket'")
    assert [record.slot for record in (await store.changes(NEVER)).records] == [SLOT]
    assert [record.slot for record in (await store.changes(0.0)).records] == [SLOT]
    await store.close()
