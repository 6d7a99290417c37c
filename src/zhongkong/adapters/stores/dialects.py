"""Where databases differ: how a writer takes its lock, whose clock counts, how a row is put, what an error means.

SQLite's file is here, databases on servers are in `server_dialects.py`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlalchemy import Column, Connection, Insert, NullPool, Table, create_engine
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, OperationalError

from zhongkong.adapters.stores.place import FileSystemOf, has_room, judge_place, judge_rights, owner_of
from zhongkong.adapters.stores.rows import RowUnreadable
from zhongkong.core.model import Instant, Seconds
from zhongkong.errors import StoreError, StoreRefused, StoreUnavailable


class Dialect(Protocol):
    """What the one SQL body asks of a database."""

    def connect(self) -> Connection:
        """Return a connection of its own for the calling thread; its transactions begin by the two calls below.

        Raises: StoreRefused: the database cannot be used as it is, and a person must act.
        """

    def connect_reading(self) -> Connection:
        """Return one that only reads: where that takes less than writing does, it is had with less.

        Raises: as `connect`.
        """

    def connect_alone(self) -> Connection:
        """Return one for `begin_alone`.

        Raises: as `connect`.
        """

    @property
    def locks_rows(self) -> bool:
        """Say whether a writer has to lock the rows that he changes: else `begin_write` locked all there is."""

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction in which nobody else, from whichever process, changes what it locks."""

    def begin_alone(self, connection: Connection) -> None:
        """Begin one beside which nobody else is in another that began so, until `connection` is closed."""

    def begin_last(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Begin one that writes `tables` once every other transaction that read or wrote them is over.

        Others that want to wait until it is over. Close the connection after the commit.
        """

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction that sees one committed state throughout, and holds up nobody."""

    def end_read(self, connection: Connection) -> bool:
        """End it, and say whether the connection serves for another one.

        Raises: StoreUnavailable: it was not one state that was seen, and what was read counts for nothing.
        """

    def now(self, connection: Connection) -> Instant:
        """Return the store's clock at this moment, not at the transaction's begin."""

    def upsert(self, table: Table) -> Insert:
        """Return the statement that puts a row of `table`, in place of the one with its primary key."""

    def count_on(self, connection: Connection, column: Column[int]) -> None:
        """Have the numbers that the database gives by itself go on from the greatest in `column`."""

    def passes(self, error: Exception) -> bool:
        """Say whether a transaction that ended so before its commit may succeed if it is done again at once."""

    def translate(self, error: Exception) -> Exception:
        """Return what an error of the database means to its callers; any other error is returned as it is."""


_LIES = "lies"


class _Lies(NamedTuple):
    """How a file lies that nobody uses: another instant, size or log says that somebody began to."""

    written_at: int
    size: int
    waits_in_log: int
    """Bytes that were committed and are not in the file yet."""


class Sqlite:
    """SQLite in one file on a local disk. Processes on the file are replicas; the writer's lock is on the whole file.

    The machine's wall clock is the store's clock: one machine, one clock.
    """

    locks_rows = False

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
        self._unused = create_engine("sqlite://", creator=self._open_unused, poolclass=NullPool, hide_parameters=True)

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

    def connect_alone(self) -> Connection:
        """Return one like any other."""
        return self.connect()

    def connect_reading(self) -> Connection:
        """Return a connection, on a full disk too.

        Those who use the file share an index beside it. If there is no room for that, nobody uses the file: it holds
        all that was committed, and is read as it lies.
        """
        try:
            return self.connect()
        except OperationalError as error:
            lies = self._lies()
            if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_IOERR_SHMSIZE" or lies.waits_in_log:
                raise
        connection = self._unused.connect()
        connection.info[_LIES] = lies
        return connection

    def _open_unused(self) -> sqlite3.Connection:
        uri = self._path.as_uri() + "?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _lies(self) -> _Lies:
        log = self._path.with_name(f"{self._path.name}-wal")
        status = self._path.stat()
        return _Lies(status.st_mtime_ns, status.st_size, log.stat().st_size if log.exists() else 0)

    def begin_write(self, connection: Connection) -> None:
        """Take the file's lock, waiting for it as long as patience lasts."""
        self._judge_file()
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    begin_alone = begin_write

    def begin_last(self, connection: Connection, tables: Sequence[Table]) -> None:  # noqa: ARG002 (locks all there is)
        """Take the file's lock: whoever writes has it."""
        self.begin_write(connection)

    def begin_read(self, connection: Connection) -> None:
        """Begin; the first read decides which state is seen."""
        self._judge_file()
        connection.exec_driver_sql("BEGIN")

    def end_read(self, connection: Connection) -> bool:
        """End it; what was read as it lay is one state if it still lies so, and next time there may be room."""
        connection.rollback()
        lay = connection.info.get(_LIES)
        if lay not in (None, self._lies()):
            raise StoreUnavailable("store_full", path=str(self._path), owner=owner_of(self._path))
        return lay is None

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

    def count_on(self, connection: Connection, column: Column[int]) -> None:
        """Do nothing: SQLite counts on from what it finds."""

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

    def passes(self, error: Exception) -> bool:  # noqa: ARG002 (it waited for the lock already)
        """Say no."""
        return False

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
        path, owner = str(self._path), owner_of(self._path)
        primary = "_".join(name.split("_")[:2])
        if primary in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return StoreUnavailable("store_locked", path=path, owner=owner)
        if primary == "SQLITE_FULL" or (primary == "SQLITE_IOERR" and not has_room(self._path)):
            return StoreUnavailable("store_full", path=path, owner=owner)
        if primary in ("SQLITE_CORRUPT", "SQLITE_NOTADB", ""):
            return self._damaged()
        if primary in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"):
            return self._barred(name)
        return StoreUnavailable("store_failing", path=path, owner=owner, why=name)

    def _damaged(self) -> StoreRefused:
        return StoreRefused("store_damaged", path=str(self._path), owner=owner_of(self._path))

    def _barred(self, why: str) -> StoreError:
        try:
            judge_rights(self._path)
        except StoreRefused as refused:
            return refused
        return StoreRefused("store_barred", path=str(self._path), owner=owner_of(self._path), why=why)
