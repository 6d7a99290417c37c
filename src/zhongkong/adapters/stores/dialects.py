"""Where databases differ: how a writer takes its lock, whose clock counts, how a row is put, what an error means."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Insert, NullPool, Table, create_engine
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from zhongkong.adapters.stores.place import FileSystemOf, has_room, judge_place, judge_rights, owner_of
from zhongkong.adapters.stores.rows import RowUnreadable
from zhongkong.core.model import Instant, Seconds, Slot
from zhongkong.errors import StoreError, StoreRefused, StoreUnavailable


class Dialect(Protocol):
    """What the one SQL body asks of a database."""

    def connect(self) -> Connection:
        """Return a connection of its own for the calling thread; its transactions begin by the two calls below.

        Raises: StoreRefused: the database cannot be used as it is, and a person must act.
        """

    def begin_write(self, connection: Connection, slots: Sequence[Slot]) -> None:
        """Begin a transaction in which nobody else, from whichever process, writes the records of `slots`.

        With no slots it keeps every other writer off that gives none: so migrations run alone.
        """

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction that sees one committed state throughout, and holds up nobody."""

    def now(self, connection: Connection) -> Instant:
        """Return the store's clock at this moment, not at the transaction's begin."""

    def upsert(self, table: Table) -> Insert:
        """Return the statement that puts a row of `table`, in place of the one with its primary key."""

    def translate(self, error: Exception) -> Exception:
        """Return what an error of the database means to its callers; any other error is returned as it is."""


class Sqlite:
    """SQLite in one file on a local disk. Processes on the file are replicas; the writer's lock is on the whole file.

    The machine's wall clock is the store's clock: one machine, one clock.
    """

    def __init__(
        self, path: Path, wall: Callable[[], Instant], patience: Seconds, file_system_of: FileSystemOf
    ) -> None:
        """Take the file, which need not be there yet, and how long to wait for its lock."""
        self._path = path.absolute()
        self._wall = wall
        self._patience = patience
        self._file_system_of = file_system_of
        self._file: tuple[int, int] | None = None
        self._engine = create_engine("sqlite://", creator=self._open, poolclass=NullPool, hide_parameters=True)

    def connect(self) -> Connection:
        """Return a connection; the first one makes the file, which nobody but its owner may read."""
        if self._file is None:
            judge_place(self._path, self._file_system_of)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = self._identify()
        self._judge_file()
        return self._engine.connect()

    def _open(self) -> sqlite3.Connection:
        uri = self._path.as_uri() + "?mode=rw"  # never makes a file: an empty store in place of a lost one is a trap
        opened = sqlite3.connect(
            uri, uri=True, timeout=self._patience, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            opened.execute(f"PRAGMA {pragma}")
        return opened

    def begin_write(self, connection: Connection, slots: Sequence[Slot]) -> None:  # noqa: ARG002 (all slots, always)
        """Take the file's lock, waiting for it as long as patience lasts."""
        self._judge_file()
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_read(self, connection: Connection) -> None:
        """Begin; the first read decides which state is seen."""
        self._judge_file()
        connection.exec_driver_sql("BEGIN")

    def now(self, connection: Connection) -> Instant:  # noqa: ARG002 (other databases have a clock of their own)
        """Return the machine's wall clock."""
        return self._wall()

    @staticmethod
    @cache
    def upsert(table: Table) -> Insert:
        """Return INSERT … ON CONFLICT DO UPDATE."""
        statement = sqlite_insert(table)
        columns = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=columns)

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _judge_file(self) -> None:
        """Refuse to go on with a file that no longer has its name: others would write another one."""
        if self._identify() != self._file:
            raise StoreRefused("store_replaced", path=str(self._path))

    def translate(self, error: Exception) -> Exception:
        """Return the error of the tree, with the one that it came from as its cause."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, RowUnreadable):
            told: StoreError = self._damaged()
        elif isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.ProgrammingError):
            told = self._told(getattr(cause, "sqlite_errorname", ""))
        else:
            return error
        told.__cause__ = error
        return told

    def _told(self, name: str) -> StoreError:
        """Say what a result code means here; an I/O error on a full disk is a full disk.

        SQLite's own words are not repeated: they may quote what is stored. It gives an error without a code where it
        finds text that is none.
        """
        path = str(self._path)
        primary = "_".join(name.split("_")[:2])
        if primary in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return StoreUnavailable("store_locked", path=path)
        if primary == "SQLITE_FULL" or (primary == "SQLITE_IOERR" and not has_room(self._path)):
            return StoreUnavailable("store_full", path=path)
        if primary in ("SQLITE_CORRUPT", "SQLITE_NOTADB", ""):
            return self._damaged()
        if primary in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"):
            return self._barred(name)
        return StoreUnavailable("store_failing", path=path, why=name)

    def _damaged(self) -> StoreRefused:
        return StoreRefused("store_damaged", path=str(self._path), owner=owner_of(self._path))

    def _barred(self, why: str) -> StoreError:
        try:
            judge_rights(self._path)
        except StoreRefused as refused:
            return refused
        return StoreRefused("store_barred", path=str(self._path), owner=owner_of(self._path), why=why)
