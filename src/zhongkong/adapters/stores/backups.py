"""Backups of a SQLite store: one file each, made beside work that goes on, and put back the same way."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, func, inspect, select

from zhongkong.adapters.stores.addresses import FileAddress
from zhongkong.adapters.stores.examining import examine, is_there
from zhongkong.adapters.stores.opening import bring_along
from zhongkong.adapters.stores.renewing import renew_restored
from zhongkong.adapters.stores.schema import SCHEMA, build_tables
from zhongkong.adapters.stores.sides import Side
from zhongkong.core.ports import Seal
from zhongkong.errors import StoreRefused, StoreUnavailable, WrongSeal

LOCKED_TRIES = 20
"""A quarter of a second apart: as long as other writers wait."""


def back_up(address: FileAddress, prefix: str, backup: Path, *, overwrite: bool) -> None:
    """Write the store, as it is at one moment, to the file `backup`, which only its owner may read.

    Hubs go on meanwhile. The file is there whole or not at all.
    Raises: StoreRefused: there is no store in use, or the file is there, or cannot be written. StoreUnavailable.
    """
    store = Side(address, prefix)
    _ = store.read_facts_in_use()
    _judge_name(backup)
    if os.path.lexists(backup):
        _judge_overwriting(backup, address, prefix, overwrite=overwrite)
    with _draft_of(backup) as draft:
        copy = Side(FileAddress(draft), prefix)
        with store.reading() as connection, copy.translating():
            _copy_all(_driver(connection), draft)
        faults = examine(copy.address, prefix).faults
        if faults:
            raise StoreRefused("store_not_whole", path=store.place, faults="; ".join(faults))
        _keep(draft, backup)


def put_back(backup: Path, address: FileAddress, prefix: str, seal: Seal, *, overwrite: bool) -> None:
    """Have the store be what the file `backup` holds, under an incarnation of its own, in one step.

    Hubs that run on the store notice, and tell it what they remember.
    Raises: StoreRefused: one of the files cannot be used for this. WrongSeal: another seal closed the backup.
    """
    store = Side(address, prefix)
    is_kept = is_there(address.path)
    if not is_there(backup):
        raise StoreRefused("backup_missing", path=str(backup))
    _judge_name(backup)
    if is_kept and backup.samefile(address.path):
        raise StoreRefused("backup_is_store", path=str(backup))
    if is_kept and not overwrite:
        raise StoreRefused("restore_store_exists", path=store.place)
    with _draft_of(address.path) as draft:
        copy = Side(FileAddress(draft), prefix)
        with _naming(backup), copy.translating(), closing(_open_unused(backup)) as source:
            _copy_all(source, draft)
        with _naming(backup):
            _judge_backup(copy, backup, seal)
        with copy.translating(), copy.dialect.connect_alone() as connection:
            copy.dialect.begin_alone(connection)
            _ = bring_along(connection, copy.tables, prefix)
            connection.commit()
        renew_restored(copy, _last_event(store) if is_kept else 0)
        if is_kept:
            _replace(copy, store)
        else:
            _keep(draft, address.path)


def _judge_name(backup: Path) -> None:
    if is_there(backup) and backup.is_dir():
        raise StoreRefused("backup_is_directory", path=str(backup))


def _judge_overwriting(file: Path, address: FileAddress, prefix: str, *, overwrite: bool) -> None:
    """Refuse to write over the store itself, over anything unasked, and over what is neither a backup nor a store."""
    if is_there(file) and file.samefile(address.path):
        raise StoreRefused("backup_is_store", path=str(file))
    if not overwrite:
        raise StoreRefused("backup_exists", path=str(file))
    if not _holds_store(file, prefix):
        raise StoreRefused("backup_over_another_file", path=str(file), prefix=prefix)


def _holds_store(file: Path, prefix: str) -> bool:
    named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    try:
        with closing(_open_unused(file)) as opened:
            return opened.execute(named, (build_tables(prefix).meta.name,)).fetchone() is not None
    except sqlite3.Error:
        return False


def _judge_backup(copy: Side, backup: Path, seal: Seal) -> None:
    facts = examine(copy.address, copy.prefix)
    if facts.faults:
        raise StoreRefused("backup_damaged", path=str(backup), why="; ".join(facts.faults))
    if not facts.schema or not facts.seal_check:
        raise StoreRefused("backup_holds_no_store", path=str(backup), prefix=copy.prefix)
    if facts.schema > SCHEMA:
        version = facts.program or "?"
        raise StoreRefused("backup_newer", path=str(backup), found=facts.schema, known=SCHEMA, version=version)
    if not seal.knows(facts.seal_check):
        raise WrongSeal("backup_of_another_seal", path=str(backup))


@contextmanager
def _naming(backup: Path) -> Iterator[None]:
    """Have an error of what was read name the backup, not the copy of it or a store."""
    try:
        yield
    except StoreRefused as error:
        if error.code == "store_damaged":
            raise StoreRefused("backup_damaged", path=str(backup), why="SQLITE_CORRUPT") from error
        if error.code == "store_barred":
            raise StoreRefused("backup_unreadable", path=str(backup), why=error.values["why"]) from error
        raise


def _last_event(store: Side) -> int:
    """Return the number of the last event of the store that is replaced; 0 if it cannot be read."""
    events = store.tables.events
    with suppress(StoreRefused, StoreUnavailable), store.reading() as connection:
        if inspect(connection).has_table(events.name):
            return int(connection.execute(select(func.max(events.c.id))).scalar_one() or 0)
    return 0


def _replace(copy: Side, store: Side) -> None:
    """Write the whole copy over the store, in one transaction: others see the one or the other."""
    tries = 0

    def wait(_status: int, remaining: int, total: int) -> None:
        nonlocal tries
        tries = tries + 1 if remaining == total else 0
        if tries > LOCKED_TRIES:
            raise StoreUnavailable("store_locked", path=store.place, owner="?")

    with copy.reading() as source, store.translating(), store.dialect.connect() as target:
        _driver(source).backup(_driver(target), progress=wait)


def _copy_all(source: sqlite3.Connection, path: Path) -> None:
    """Copy a database into an empty file."""
    with closing(sqlite3.connect(path)) as target:
        source.backup(target)


def _open_unused(backup: Path) -> sqlite3.Connection:
    """Open a file that nobody writes, wherever it lies: SQLite would put others beside it."""
    has_log = is_there(backup.with_name(f"{backup.name}-wal"))
    return sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True)


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """Make an empty file beside `path` that only its owner may read; what is left of it at the end is deleted."""
    draft = path.with_name(f".{path.name}.{token_hex(6)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreRefused("backup_unwritable", path=str(path), why=why) from error
    try:
        yield draft
    finally:
        for file in (draft, *_logs_of(draft)):
            file.unlink(missing_ok=True)


def _logs_of(path: Path) -> list[Path]:
    """Return the files that SQLite may have put beside a database."""
    return [path.with_name(f"{path.name}-{what}") for what in ("wal", "shm", "journal")]


def _keep(draft: Path, path: Path) -> None:
    """Give the draft its name, durably."""
    try:
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        for log in _logs_of(path):  # of a file that was there: SQLite would play them into this one
            log.unlink(missing_ok=True)
        draft.replace(path)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreRefused("backup_unwritable", path=str(path), why=why) from error
    with suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _driver(connection: Connection) -> Any:  # noqa: ANN401 (the driver's)
    return connection.connection.driver_connection
