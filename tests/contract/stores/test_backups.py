"""Backups of a SQLite store, and what happens to who runs on a store that is restored."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.stores.sqlite import run
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores import backups
from zhongkong.adapters.stores.addresses import FileAddress
from zhongkong.adapters.stores.backups import back_up, put_back
from zhongkong.adapters.stores.copying import Copying
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.core.model import NEVER, Slot
from zhongkong.core.ports import Seal
from zhongkong.errors import StoreError, StoreRefused, StoreUnavailable, WrongSeal
from zhongkong.testing.store_contract.stories import ACCOUNT, APPID, SLOT, Count, minted, told

KEY, OTHER_KEY = RingSeal(b"k" * 32), RingSeal(b"o" * 32)
PREFIX = "zhongkong_"


class Desk:
    """A store in a directory, and a backup of it."""

    def __init__(self, directory: Path) -> None:
        self.store = directory / "hub.db"
        self.backup = directory / "hub.bak"

    async def open(self, path: Path | None = None) -> SqlStore:
        """Open the store."""
        return await open_sqlite(path or self.store, KEY, PREFIX)

    def back_up(self, *, overwrite: bool = False) -> None:
        """Back it up."""
        back_up(FileAddress(self.store), PREFIX, self.backup, overwrite=overwrite)

    def restore(self, seal: Seal = KEY, *, overwrite: bool = False) -> None:
        """Restore it."""
        put_back(self.backup, FileAddress(self.store), PREFIX, seal, overwrite=overwrite)

    def files(self) -> list[str]:
        """Return what lies there."""
        return sorted(path.name for path in self.store.parent.iterdir())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a place for both."""
    return Desk(tmp_path)


@run
async def test_a_backup_is_one_file_with_all_that_was_acknowledged(desk: Desk) -> None:
    """Made beside writers; only its owner may read it, and it opens on a disk where nothing can be written."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    acknowledged, begun = 0, asyncio.Event()

    async def write() -> None:
        nonlocal acknowledged
        while True:
            await store.apply([Count(SLOT)])
            acknowledged += 1
            begun.set()

    writing = asyncio.create_task(write())
    await begun.wait()
    before = acknowledged
    await asyncio.to_thread(desk.back_up)
    writing.cancel()
    await asyncio.wait([writing])
    await store.close()
    assert desk.files() == ["hub.bak", "hub.db"]
    assert desk.backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(f"{desk.backup.as_uri()}?mode=ro&immutable=1", uri=True)) as tool:
        (records,) = tool.execute("SELECT count(*) FROM zhongkong_events").fetchone()
    assert before <= records <= acknowledged + 1


@run
async def test_who_runs_on_a_store_that_is_restored_meets_another_one(desk: Desk) -> None:
    """In one step, in the same file; event numbers go on, for those who follow them."""
    store = await desk.open()
    account = await store.put_account(ACCOUNT)
    record = await minted(store, account)
    desk.back_up()
    before = await store.changes(NEVER)
    await store.put_account(replace(ACCOUNT, appid="wx-late"))
    await store.tell([told() for _ in range(5)])
    last = (await store.last_events(1))[0].id
    desk.restore(overwrite=True)
    after = await store.changes(NEVER)
    assert after.incarnation != before.incarnation
    assert [one.appid for one in after.accounts] == [APPID]
    restored = await store.load(record.slot)
    assert (restored.credential, len(restored.attempts)) == (record.credential, 2)
    (event,) = await store.events(last)
    assert (event.event.code, event.id) == ("store_restored", last + 1)
    assert await store.signing_key()
    await store.apply([Count(SLOT)])
    await store.close()
    assert desk.files() == ["hub.bak", "hub.db"]


@run
async def test_a_store_is_restored_where_there_is_none(desk: Desk) -> None:
    """The disk was lost. The backup stays as it was."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    await store.close()
    desk.back_up()
    kept = desk.backup.read_bytes()
    desk.store.unlink()
    desk.restore()
    assert desk.backup.read_bytes() == kept
    assert desk.store.stat().st_mode & 0o777 == 0o600
    store = await desk.open()
    assert await store.account(APPID) == ACCOUNT
    await store.close()


@run
async def test_a_backup_of_an_earlier_schema_is_brought_along(desk: Desk) -> None:
    """It may be older than the program."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    await store.close()
    with closing(sqlite3.connect(desk.store, isolation_level=None)) as tool:
        for column in ("moved_to", "filled_by"):
            tool.execute(f"ALTER TABLE zhongkong_meta DROP COLUMN {column}")
        tool.execute("UPDATE zhongkong_schema SET version_num = '0004'")
    desk.backup.write_bytes(desk.store.read_bytes())
    desk.restore(overwrite=True)
    store = await desk.open()
    assert await store.account(APPID) == ACCOUNT
    await store.close()


@run
async def test_what_is_there_is_not_written_over_unasked(desk: Desk) -> None:
    """Neither a backup nor a store."""
    await (await desk.open()).close()
    desk.back_up()
    kept = desk.backup.read_bytes(), desk.store.read_bytes()
    assert refused(desk.back_up) == "backup_exists"
    assert refused(desk.restore) == "restore_store_exists"
    assert (desk.backup.read_bytes(), desk.store.read_bytes()) == kept
    desk.back_up(overwrite=True)
    desk.restore(overwrite=True)


@run
async def test_only_a_backup_is_written_over(desk: Desk) -> None:
    """Not the store that somebody runs on, whichever way it is named, and nothing that is not ours: a seal, say."""
    await (await desk.open()).close()
    kept = desk.store.stat().st_ino
    linked, symbolic, seal = (desk.store.with_name(name) for name in ("linked", "symbolic", "hub.seal"))
    os.link(desk.store, linked)
    symbolic.symlink_to(desk.store)
    for path in (desk.store, linked, symbolic, desk.store.parent / ".." / desk.store.parent.name / "hub.db"):
        desk.backup = path
        assert refused(lambda: desk.back_up(overwrite=True)) == "backup_is_store"
    assert desk.store.stat().st_ino == kept
    seal.write_bytes(b"a master key")
    other, dangling = desk.store.with_name("other.db"), desk.store.with_name("dangling")
    with closing(sqlite3.connect(other)) as tool:
        tool.execute("CREATE TABLE notes (id INTEGER)")
    dangling.symlink_to("nowhere")
    for path in (seal, other, dangling):
        desk.backup = path
        assert refused(lambda: desk.back_up(overwrite=True)) == "backup_over_another_file"
    assert seal.read_bytes() == b"a master key"


@run
async def test_a_directory_is_no_backup(desk: Desk, tmp_path: Path) -> None:
    """As where others keep many backups in one: here each has its name."""
    await (await desk.open()).close()
    desk.backup = tmp_path / "backups"
    desk.backup.mkdir()
    assert refused(desk.back_up) == "backup_is_directory"
    assert refused(lambda: desk.back_up(overwrite=True)) == "backup_is_directory"
    assert refused(lambda: desk.restore(overwrite=True)) == "backup_is_directory"
    assert not list(desk.backup.iterdir())


@run
async def test_what_cannot_be_restored_is_said_and_nothing_changed(desk: Desk, tmp_path: Path) -> None:
    """Each with the file that somebody has to look at."""
    assert refused(desk.back_up) == "store_missing"
    assert refused(desk.restore) == "backup_missing"
    store = await desk.open()
    await store.put_account(ACCOUNT)
    desk.back_up()
    with pytest.raises(WrongSeal) as sealed:
        desk.restore(OTHER_KEY, overwrite=True)
    assert (sealed.value.code, sealed.value.values) == ("backup_of_another_seal", {"path": str(desk.backup)})
    whole = desk.backup.read_bytes()
    for junk in (b"no database, " * 1000, whole[: len(whole) // 2], whole[:5000] + b"junk" * 1000 + whole[9000:]):
        desk.backup.write_bytes(junk)
        with pytest.raises(StoreRefused) as caught:
            desk.restore(overwrite=True)
        assert (caught.value.code, caught.value.values["path"]) == ("backup_damaged", str(desk.backup))
    desk.backup.unlink()
    sqlite3.connect(desk.backup).close()
    assert refused(lambda: desk.restore(overwrite=True)) == "backup_holds_no_store"
    desk.backup.unlink()
    os.link(desk.store, desk.backup)
    assert refused(lambda: desk.restore(overwrite=True)) == "backup_is_store"
    desk.backup = tmp_path / "absent" / "hub.bak"
    assert refused(desk.back_up) == "backup_unwritable"
    assert await store.account(APPID) == ACCOUNT
    await store.close()


@run
async def test_a_store_that_was_moved_is_not_the_one_to_back_up(desk: Desk) -> None:
    """A restore of it would bring back what is used no more."""
    await (await desk.open()).close()
    for _ in Copying(FileAddress(desk.store), FileAddress(desk.store.with_name("new.db")), PREFIX, KEY).run():
        pass
    assert refused(desk.back_up) == "store_moved"


@run
async def test_a_writer_who_keeps_the_lock_is_waited_for_so_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then told; the store stays as it was."""
    monkeypatch.setattr(backups, "LOCKED_TRIES", 1)
    store = await desk.open()
    await store.apply([Count(SLOT)])
    desk.back_up()
    await store.apply([Count(SLOT)])
    with closing(sqlite3.connect(desk.store, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            desk.restore(overwrite=True)
        assert caught.value.code == "store_locked"
    assert (await store.load(Slot(APPID))).asks == 2
    await store.close()


def refused(call: object) -> str:
    """Return why it was refused."""
    assert callable(call)
    with pytest.raises(StoreRefused) as caught:
        call()
    return caught.value.code


@run
async def test_a_log_that_a_killed_hub_left_is_not_played_into_what_is_restored(desk: Desk) -> None:
    """The damaged file is put aside as our words say; its log stays behind, and SQLite takes it for the next one's."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    await store.close()
    desk.back_up()
    store = await desk.open()
    for number in range(30):
        await store.put_account(replace(ACCOUNT, appid=f"wxafter{number:011d}", name="x" * 3000))
        await store.apply([Count(SLOT)])
    log = desk.store.with_name("hub.db-wal")
    kept = log.read_bytes()
    await store.close()
    desk.store.unlink()
    log.write_bytes(kept)
    desk.restore()
    store = await desk.open()
    assert [account.appid for account in (await store.changes(NEVER)).accounts] == [APPID]
    await store.close()


@run
async def test_a_log_beside_a_copy_made_by_hand_is_not_played_into_a_backup(desk: Desk) -> None:
    """`cp hub.db hub.bak` takes the log along, and `backup --overwrite` replaces the first alone."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    for number in range(30):
        await store.put_account(replace(ACCOUNT, appid=f"wxold{number:013d}", name="x" * 3000))
    desk.backup.write_bytes(desk.store.read_bytes())
    desk.backup.with_name("hub.bak-wal").write_bytes(desk.store.with_name("hub.db-wal").read_bytes())
    for number in range(30):
        await store.remove_account(f"wxold{number:013d}")
    await store.close()
    desk.back_up(overwrite=True)
    desk.store.unlink()
    desk.restore()
    store = await desk.open()
    assert [account.appid for account in (await store.changes(NEVER)).accounts] == [APPID]
    await store.close()


@run
async def test_a_store_whose_facts_are_gone_for_a_moment_is_away(desk: Desk) -> None:
    """A restore by a server's own tools fills table by table: what is there meanwhile is nobody's store."""
    store = await desk.open()
    await store.put_account(ACCOUNT)
    with closing(sqlite3.connect(desk.store)) as connection:
        facts = connection.execute(f"SELECT * FROM {PREFIX}meta").fetchall()  # noqa: S608 (our own)
        connection.execute(f"DELETE FROM {PREFIX}meta")  # noqa: S608
        connection.commit()
        for asked in (store.changes(NEVER), store.load(SLOT), store.apply([Count(SLOT)])):
            with pytest.raises(StoreUnavailable):
                await asked
        connection.execute(f"INSERT INTO {PREFIX}meta VALUES ({','.join('?' * len(facts[0]))})", facts[0])  # noqa: S608
        connection.commit()
    assert (await store.changes(NEVER)).accounts == (await store.account(APPID),)
    await store.close()
