"""What goes wrong with a file and a disk: the error names what, whose and what to do, and then it works again."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pwd import getpwuid
from typing import Any

import pytest
from sqlalchemy import Row

from tests.contract.stores.sqlite import SqliteHarness, run
from tests.needs import lack
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.rows import Rows
from zhongkong.core.model import NEVER, Event, Record
from zhongkong.errors import StoreError, StoreRefused, StoreUnavailable, ZhongkongError
from zhongkong.testing.store_contract.stories import SLOT, Count, one
from zhongkong.wechat.advice import explain_error

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534
ME = getpwuid(os.geteuid()).pw_name
ANOTHER = getpwuid(NOBODY if IS_ROOT else os.geteuid()).pw_name
DIRECTORY = "store_directory_read_only" if IS_ROOT else "store_directory_shut"
KEY = b"k" * 32
BULK = Event("bulk", "", {"text": "x" * 100_000})


def told(error: ZhongkongError, code: str, *names: str) -> None:
    """Assert what the error is, and that both languages name what a person must know."""
    assert error.code == code
    for lang in ("zh", "en"):
        text = explain_error(error, lang)
        for name in names:
            assert name in text


@pytest.fixture
def harness(tmp_path: Path) -> SqliteHarness:
    """Return an empty store that does not wait long for a lock."""
    return SqliteHarness(tmp_path, patience=0.05)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 1 MiB. Only root may mount one."""
    if not IS_ROOT or shutil.which("mount") is None:
        lack("a small tmpfs can be mounted by root only")
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


class TestPassing:
    """It passes by itself, or somebody frees what is busy: the same store object goes on."""

    @run
    async def test_a_full_disk(self, small_disk: Path) -> None:
        """What was committed stands, reading goes on, and writing does as soon as there is room."""
        harness = SqliteHarness(small_disk, patience=0.05)
        store = await harness.open()
        await store.apply([Count(SLOT)])
        fill(small_disk)
        with pytest.raises(StoreUnavailable) as caught:
            await store.tell([BULK])
        told(caught.value, "store_full", str(harness.path), ME)
        assert (await store.load(SLOT)).asks == 1
        another = await harness.open()
        assert (await another.load(SLOT)).asks == 1
        await another.close()
        (small_disk / "filling").unlink()
        assert (await one(store, Count(SLOT))).answer == 1
        await store.tell([BULK])
        await store.close()

    @run
    async def test_a_full_disk_on_which_nobody_uses_the_file(self, small_disk: Path) -> None:
        """A hub that ended in order left no index behind, and there is no room for a new one: one may begin and read.

        It writes when there is room, and sees what others wrote before.
        """
        harness = SqliteHarness(small_disk)
        store = await harness.open()
        await store.apply([Count(SLOT)])
        await store.close()
        fill(small_disk)
        store = await harness.open()
        for _ in range(2):
            assert (await store.load(SLOT)).asks == 1
        with pytest.raises(StoreUnavailable) as caught:
            await store.apply([Count(SLOT)])
        told(caught.value, "store_full", str(harness.path), ME)
        (small_disk / "filling").unlink()
        another = await harness.open()
        assert (await one(another, Count(SLOT))).answer == 1
        assert (await store.load(SLOT)).asks == 2
        assert (await one(store, Count(SLOT))).answer == 2
        await another.close()
        await store.close()

    @run
    async def test_what_is_read_while_somebody_begins_to_write_counts_for_nothing(
        self, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without the index a reader cannot see what is in the log, nor keep pages from being folded in under it."""
        harness = SqliteHarness(small_disk)
        store = await harness.open()
        await store.apply([Count(SLOT)])
        await store.close()
        fill(small_disk)
        store = await harness.open()
        read = Rows.read_record

        def read_slowly(rows: Rows, row: Row[Any]) -> Record:
            (small_disk / "filling").unlink()
            with foreign(harness.path) as tool:
                tool.execute("DELETE FROM zhongkong_records")
            return read(rows, row)

        monkeypatch.setattr(Rows, "read_record", read_slowly)
        with pytest.raises(StoreUnavailable) as caught:
            await store.load(SLOT)
        assert caught.value.code == "store_full"
        assert (await store.load(SLOT)).asks == 0
        await store.close()

    @run
    async def test_a_full_disk_with_a_log_that_cannot_be_read(self, small_disk: Path) -> None:
        """The file alone would be the past: rather nothing than that."""
        harness = SqliteHarness(small_disk)
        store = await harness.open()
        await store.apply([Count(SLOT)])
        kept = harness.path.with_name("hub.db-wal").read_bytes()
        await store.close()
        harness.path.with_name("hub.db-wal").write_bytes(kept)
        fill(small_disk)
        with pytest.raises(StoreUnavailable) as caught:
            await harness.open()
        told(caught.value, "store_full", str(harness.path), ME)

    @run
    async def test_a_disk_too_full_to_begin(self, small_disk: Path) -> None:
        """Opening says so too, and leaves nothing that would stand in the way later."""
        harness = SqliteHarness(small_disk)
        harness.seal = RingSeal(KEY)
        fill(small_disk)
        with pytest.raises(StoreUnavailable) as caught:
            await harness.open()
        told(caught.value, "store_full", str(harness.path), ME)
        (small_disk / "filling").unlink()
        store = await harness.open()
        assert (await one(store, Count(SLOT))).answer == 0
        await store.close()

    def test_a_file_that_may_not_grow(self, tmp_path: Path) -> None:
        """A limit of the process or a quota looks like a failing disk: it is tried again, and then it works."""
        program = """
            import asyncio, resource, sys
            from pathlib import Path
            from zhongkong.adapters.seal import FileSeal
            from zhongkong.adapters.stores.sql import open_sqlite
            from zhongkong.core.model import Event
            from zhongkong.errors import StoreUnavailable
            from zhongkong.testing.store_contract.stories import SLOT, Count, one

            async def main(directory):
                store = await open_sqlite(directory / "hub.db", FileSeal(directory / "seal"))
                await store.apply([Count(SLOT)])
                unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1]))
                try:
                    await store.tell([Event("bulk", "", {"text": "x" * 400_000})])
                except StoreUnavailable as error:
                    print(error.code)
                print((await store.load(SLOT)).asks)
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
                print((await one(store, Count(SLOT))).answer)
                await store.close()

            asyncio.run(main(Path(sys.argv[1])))
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["store_failing", "1", "1"]

    @run
    async def test_a_file_locked_by_another_program(self, harness: SqliteHarness) -> None:
        """A backup or a database tool holds the writers' lock: one may begin and read, and write when it lets go."""
        store = await harness.open()
        await store.apply([Count(SLOT)])
        with foreign(harness.path) as tool:
            tool.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as caught:
                await store.apply([Count(SLOT)])
            told(caught.value, "store_locked", str(harness.path), ME)
            assert (await store.load(SLOT)).asks == 1
            assert len((await store.changes(NEVER)).records) == 1
            another = await harness.open()
            assert (await another.load(SLOT)).asks == 1
        assert (await one(another, Count(SLOT))).answer == 1
        await another.close()
        await store.close()

    @run
    async def test_a_file_locked_even_for_readers(self, harness: SqliteHarness) -> None:
        """A program that takes the file for itself alone keeps everybody out, at the opening too."""
        await (await harness.open()).close()
        with foreign(harness.path) as tool:
            tool.execute("PRAGMA locking_mode = EXCLUSIVE")
            tool.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable) as caught:
                await harness.open()
            told(caught.value, "store_locked", str(harness.path), ME)
        store = await harness.open()
        assert (await one(store, Count(SLOT))).answer == 0
        await store.close()

    @run
    async def test_a_closed_store(self, harness: SqliteHarness) -> None:
        """Whoever still asks while the program ends gets an error, not silence."""
        store = await harness.open()
        await store.close()
        await store.close()
        for call in (store.apply([Count(SLOT)]), store.load(SLOT)):
            with pytest.raises(StoreUnavailable) as caught:
                await call
            told(caught.value, "store_closed")


class TestAPersonMustAct:
    """It does not pass: the error says whose file it is and what to do, and nothing was harmed."""

    @run
    async def test_no_directory(self, harness: SqliteHarness, tmp_path: Path) -> None:
        """A mistyped path makes no directories."""
        harness.path, harness.seal = tmp_path / "absent" / "hub.db", RingSeal(KEY)
        refused = await refusal(harness)
        told(refused, "store_directory_missing", str(harness.path), str(tmp_path / "absent"))
        assert not (tmp_path / "absent").exists()

    @run
    async def test_a_directory_in_place_of_the_file(self, harness: SqliteHarness) -> None:
        """As a container makes it when what it should mount is missing."""
        harness.path.mkdir()
        told(await refusal(harness), "store_not_a_file", str(harness.path))

    @run
    async def test_a_network_file_system(self, harness: SqliteHarness) -> None:
        """Its locks do not hold across machines: two hubs would mint against each other."""
        harness.file_system_of = lambda path: "nfs4"  # noqa: ARG005 (every path)
        told(await refusal(harness), "store_on_network", str(harness.path), "nfs4", harness.path.parent.owner())
        assert not harness.path.exists()

    @run
    async def test_no_database(self, harness: SqliteHarness) -> None:
        """Another file under that name is not overwritten."""
        harness.path.write_text("appid,secret\n" * 1000)
        told(await refusal(harness), "store_damaged", str(harness.path), harness.path.owner())
        assert harness.path.read_text() == "appid,secret\n" * 1000

    @run
    async def test_a_damaged_database(self, harness: SqliteHarness) -> None:
        """Pages that the disk lost are found where they are read."""
        store = await harness.open()
        await store.apply([Count(SLOT)])
        await store.close()
        whole = harness.path.read_bytes()
        for damaged in (whole[:4096] + b"\xa5" * (len(whole) - 4096), whole[:5000], whole[:50]):
            harness.path.write_bytes(damaged)
            told(await refusal(harness), "store_damaged", str(harness.path), harness.path.owner())
            assert harness.path.read_bytes() == damaged
        harness.path.write_bytes(whole)
        store = await harness.open()
        assert (await store.load(SLOT)).asks == 1
        await store.close()

    @run
    async def test_a_database_damaged_while_in_use(self, harness: SqliteHarness) -> None:
        """One page is gone: what lies elsewhere is still served."""
        store = await harness.open()
        await store.tell([BULK, BULK])
        await store.apply([Count(SLOT)])
        await store.close()
        content = harness.path.read_bytes()
        harness.path.write_bytes(content[:-4096] + b"\xa5" * 4096)
        with foreign(harness.path) as tool:
            verdict = tool.execute("PRAGMA integrity_check").fetchall()
        assert verdict != [("ok",)]
        store = await harness.open()
        with pytest.raises(StoreRefused) as caught:
            await store.events()
        told(caught.value, "store_damaged", str(harness.path))
        assert (await store.load(SLOT)).asks == 1
        await store.close()

    @run
    async def test_a_file_moved_away_while_in_use(self, harness: SqliteHarness) -> None:
        """Who went on writing to it would lose everything; who made a new one would begin generations anew."""
        store = await harness.open()
        await store.apply([Count(SLOT)])
        aside = harness.path.with_name("aside")
        harness.path.rename(aside)
        for is_another_there in (False, True):
            if is_another_there:
                harness.path.touch()
            for call in (store.apply([Count(SLOT)]), store.load(SLOT)):
                with pytest.raises(StoreRefused) as caught:
                    await call
                told(caught.value, "store_replaced", str(harness.path))
        aside.rename(harness.path)
        assert (await one(store, Count(SLOT))).answer == 1
        await store.close()

    @run
    async def test_a_disk_mounted_read_only(self, small_disk: Path) -> None:
        """As Linux does to a failing disk. Root, too, cannot write there."""
        harness = SqliteHarness(small_disk)
        await (await harness.open()).close()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: ASYNC221 (nothing else runs)
        told(await refusal(harness), "store_mounted_read_only", str(harness.path), harness.path.owner())

    def test_a_file_of_another_user(self, shared: SqliteHarness) -> None:
        """Two users, one file: it says whose it is, and as whom this program runs."""
        open_and_close(shared)
        shared.path.chmod(0o644 if IS_ROOT else 0o444)
        code = "store_read_only" if IS_ROOT else "store_shut"
        told(refusal_as_another(shared), code, str(shared.path), shared.path.owner(), ANOTHER)

    def test_a_directory_of_another_user(self, shared: SqliteHarness) -> None:
        """The database's log lies beside the file, so that the directory must be writable too."""
        directory = shared.path.parent
        directory.chmod(0o755 if IS_ROOT else 0o555)
        told(refusal_as_another(shared), DIRECTORY, str(directory), directory.owner(), ANOTHER)

    def test_a_directory_that_cannot_be_entered(self, shared: SqliteHarness) -> None:
        """A closed door above is named as such, not as a directory that is missing."""
        closed = shared.path.parent
        shared.path = closed / "data" / "hub.db"
        shared.path.parent.mkdir()
        closed.chmod(0o700 if IS_ROOT else 0o000)
        told(refusal_as_another(shared), DIRECTORY, str(shared.path), f"{closed} ", ANOTHER)


@pytest.fixture
def shared() -> Iterator[SqliteHarness]:
    """A store in a directory that everybody may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        harness = SqliteHarness(Path(name))
        harness.seal = RingSeal(KEY)
        yield harness
        Path(name).chmod(0o700)


def open_and_close(harness: SqliteHarness) -> None:
    """Open the store and close it."""

    async def story() -> None:
        await (await harness.open()).close()

    asyncio.run(story())


def refusal_as_another(harness: SqliteHarness) -> ZhongkongError:
    """Return the error with which the store is not opened as a user without rights: another one, where we are root."""
    with tempfile.TemporaryDirectory() as name:
        open_and_close(SqliteHarness(Path(name)))  # loads what the other user may not be able to read
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()

    def child() -> None:
        if IS_ROOT:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        try:
            open_and_close(harness)
        except ZhongkongError as error:
            theirs.send(error)
        else:
            theirs.send(None)

    process = fork.Process(target=child)
    process.start()
    theirs.close()
    error = ours.recv()
    process.join()
    assert isinstance(error, StoreRefused)
    return error


def fill(disk: Path) -> None:
    """Leave no room on it."""
    with (disk / "filling").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    assert shutil.disk_usage(disk).free == 0


async def refusal(harness: SqliteHarness) -> StoreError:
    """Return the error with which the store is not opened."""
    with pytest.raises(StoreRefused) as caught:
        await harness.open()
    return caught.value


@contextmanager
def foreign(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as another program does."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
