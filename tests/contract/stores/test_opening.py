"""Opening a SQLite store: its schema, its seal, its file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from tests.contract.stores.sqlite import SqliteHarness, run
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal, RingSeal
from zhongkong.adapters.stores.dialects import Sqlite
from zhongkong.adapters.stores.opening import MIGRATIONS
from zhongkong.adapters.stores.place import file_system_of
from zhongkong.adapters.stores.schema import SCHEMA, build_tables
from zhongkong.adapters.stores.sql import open_sqlite
from zhongkong.core.model import NEVER, Record
from zhongkong.errors import StoreRefused, WrongSeal
from zhongkong.testing.store_contract.stories import ACCOUNT, APPID, SLOT, Count, minted

WALL = MachineClock().wall
KEY, OTHER_KEY = RingSeal(b"k" * 32), RingSeal(b"o" * 32)


@run
async def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    """The migrations and `schema.py` say the same twice; nothing may be only in one of them."""
    await (await open_sqlite(tmp_path / "hub.db", KEY)).close()
    with create_engine(f"sqlite:///{tmp_path / 'hub.db'}").connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "zhongkong_schema", "compare_type": True}
        )
        assert compare_metadata(context, build_tables("zhongkong_").metadata) == []
        made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'zhongkong_events'")).scalar_one()
    assert "AUTOINCREMENT" in made


def test_the_schemas_number_is_the_newest_migrations() -> None:
    """A store that is up to date is opened without Alembic, by comparing this number."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


@run
async def test_a_store_of_every_earlier_schema_is_brought_along_with_what_it_holds(tmp_path: Path) -> None:
    """Made as its program made it: today's store without what later migrations added."""
    path, seal = tmp_path / "hub.db", FileSeal(tmp_path / "seal")
    store = await open_sqlite(path, seal)
    account = await store.put_account(ACCOUNT)
    record = await minted(store, account)
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for column in ("signing_key", "program", "moved_to", "filled_by"):
            connection.execute(f"ALTER TABLE zhongkong_meta DROP COLUMN {column}")
        for table in ("callbacks", "proofs", "pushes"):
            connection.execute(f"DROP TABLE zhongkong_{table}")
        connection.execute("UPDATE zhongkong_schema SET version_num = '0001'")
    store = await open_sqlite(path, seal)
    assert (await store.account(account.appid), await store.load(record.slot)) == (account, record)
    assert len(await store.signing_key()) == 32
    assert await store.callback(account.appid) is None
    await store.close()


@run
async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An older program would drop what it does not know."""
    path = tmp_path / "hub.db"
    await (await open_sqlite(path, KEY)).close()
    with sqlite3.connect(path) as tool:
        tool.execute("UPDATE zhongkong_schema SET version_num = '9999'")
        tool.execute("UPDATE zhongkong_meta SET program = '47.11'")
    with pytest.raises(StoreRefused) as caught:
        await open_sqlite(path, KEY)
    assert caught.value.code == "store_newer"
    assert caught.value.values == {"found": "9999", "known": SCHEMA, "version": "47.11"}


@run
async def test_many_who_open_a_new_store_at_once_make_one(tmp_path: Path) -> None:
    """Workers of one hub start together; one of them migrates under the lock."""
    paths = [tmp_path / "hub.db"] * 6
    stores = await asyncio.gather(*(open_sqlite(path, FileSeal(tmp_path / "seal")) for path in paths))
    assert len({(await store.changes(NEVER)).incarnation for store in stores}) == 1
    for store in stores:
        await store.close()


@run
async def test_two_prefixes_in_one_file_are_two_stores(tmp_path: Path) -> None:
    """Hubs of two environments may share a database."""
    one = await open_sqlite(tmp_path / "hub.db", KEY, "one_")
    two = await open_sqlite(tmp_path / "hub.db", OTHER_KEY, "two_")
    await one.apply([Count(SLOT)])
    assert await two.load(SLOT) == Record(SLOT)
    assert (await one.changes(NEVER)).incarnation != (await two.changes(NEVER)).incarnation
    await one.close()
    await two.close()


@run
async def test_a_wrong_seal_does_not_start(tmp_path: Path) -> None:
    """It could neither read what is there nor write what others read. The store is left as it was."""
    path = tmp_path / "hub.db"
    store = await open_sqlite(path, KEY)
    await store.put_account(ACCOUNT)
    await store.close()
    before = path.read_bytes()
    with pytest.raises(WrongSeal):
        await open_sqlite(path, OTHER_KEY)
    assert path.read_bytes() == before
    store = await open_sqlite(path, KEY)
    assert await store.account(APPID) == ACCOUNT
    await store.close()


@run
async def test_what_cannot_be_unsealed_is_an_error_never_an_absence(tmp_path: Path) -> None:
    """An absent credential would be minted anew, and end the one that lives."""
    path = tmp_path / "hub.db"
    store = await open_sqlite(path, KEY)
    account = await store.put_account(ACCOUNT)
    await minted(store, account)
    await store.close()
    with sqlite3.connect(path) as tool:
        tool.execute("UPDATE zhongkong_records SET value = ?", [OTHER_KEY.close("x", APPID)])
        tool.execute("UPDATE zhongkong_accounts SET secret = ?", [KEY.close("x", "wx-another")])
    store = await open_sqlite(path, KEY)
    for call in (store.load(SLOT), store.apply([Count(SLOT)]), store.account(APPID), store.put_account(ACCOUNT)):
        with pytest.raises(WrongSeal) as caught:
            await call
        assert (caught.value.code, caught.value.values) == ("wrong_seal", {"appid": APPID})
    changes = await store.changes(NEVER)
    assert (changes.unreadable_records, changes.unreadable_accounts) == ((SLOT,), (APPID,))
    await store.close()


@pytest.mark.parametrize(
    ("damage", "unreadable"),
    [
        ("UPDATE zhongkong_records SET value = zeroblob(40)", ((SLOT,), ())),
        ("UPDATE zhongkong_records SET document = '{'", ((SLOT,), ())),
        ("UPDATE zhongkong_accounts SET secret = x''", ((), (APPID,))),
        ("UPDATE zhongkong_accounts SET document = '[]'", ((), (APPID,))),
    ],
    ids=["its token", "its record", "its secret", "its account"],
)
@run
async def test_a_row_that_is_damaged_concerns_its_account_alone(
    tmp_path: Path, damage: str, unreadable: tuple[object, object]
) -> None:
    """SQLite has no checksums: what a bad disk changed inside a page it hands on as it is."""
    path = tmp_path / "hub.db"
    store = await open_sqlite(path, KEY)
    await minted(store, await store.put_account(ACCOUNT))
    well = await store.put_account(replace(ACCOUNT, appid="wx-well"))
    await store.close()
    with sqlite3.connect(path) as tool:
        tool.execute(f"{damage} WHERE appid = ?", [APPID])
    store = await open_sqlite(path, KEY)
    changes = await store.changes(NEVER)
    assert (changes.unreadable_records, changes.unreadable_accounts) == unreadable
    assert well in changes.accounts
    assert await store.account(well.appid) == well
    await store.close()


@run
async def test_a_store_restored_in_place_is_known_as_another(tmp_path: Path) -> None:
    """A replica that goes on with what it remembers would mint against the past: the next poll tells it."""
    path = tmp_path / "hub.db"
    restored = await open_sqlite(tmp_path / "backup.db", KEY)
    await restored.apply([Count(SLOT), Count(SLOT)])
    await restored.close()
    store = await open_sqlite(path, KEY)
    await store.apply([Count(SLOT)])
    before = await store.changes(NEVER)
    with closing(sqlite3.connect(tmp_path / "backup.db")) as backup, closing(sqlite3.connect(path)) as live:
        backup.backup(live)
    after = await store.changes(NEVER)
    assert after.incarnation != before.incarnation
    assert [record.asks for record in after.records] == [2]
    await store.close()


@run
async def test_a_commit_reaches_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """WAL with synchronous FULL: durable when a machine loses power, not only when a process dies."""
    with Sqlite(tmp_path / "hub.db", WALL, 5.0, file_system_of).connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


@run
async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    """What is not sealed in it is nobody's business either: appids, names, events."""
    harness = SqliteHarness(tmp_path)
    store = await harness.open()
    await store.apply([Count(SLOT)])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}  # noqa: ASYNC240 (nothing else runs)
    assert modes == dict.fromkeys(("seal", "hub.db", "hub.db-wal", "hub.db-shm"), 0o600)
    await store.close()


@run
async def test_any_path_will_do(tmp_path: Path) -> None:
    """SQLite opens it as a URL, in which these characters mean something."""
    directory = tmp_path / "数据 100%41?mode=ro#1"
    directory.mkdir()
    store = await open_sqlite(directory / "hub & co.db", KEY)
    await store.apply([Count(SLOT)])
    await store.close()
    assert [path.name for path in directory.iterdir()] == ["hub & co.db"]
