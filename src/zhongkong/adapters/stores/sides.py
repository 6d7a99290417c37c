"""A database and the tables of ours in it, for work that no running store does: moves, backups, what follows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from zhongkong.adapters.stores.addresses import SQLITE, Address, FileAddress
from zhongkong.adapters.stores.dialects import Dialect, Sqlite
from zhongkong.adapters.stores.examining import is_there
from zhongkong.adapters.stores.opening import program_of, schema_of
from zhongkong.adapters.stores.place import file_system_of
from zhongkong.adapters.stores.schema import SCHEMA, Tables, build_tables
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.sql import PATIENCE
from zhongkong.errors import StoreRefused


class Side:
    """One database. Each transaction has a connection of its own."""

    def __init__(self, address: Address, prefix: str) -> None:
        """Take where it is; nothing is connected to yet.

        Raises: SettingInvalid: the driver is not installed.
        """
        self.address = address
        self.place = str(address.path.absolute()) if isinstance(address, FileAddress) else str(address)
        """As it may be shown."""
        self.url = f"{SQLITE}{self.place}" if isinstance(address, FileAddress) else self.place
        """The same as `store.url` has it, but for a password."""
        self.prefix = prefix
        self.tables: Tables = build_tables(prefix)
        self.dialect = _dialect_at(address, prefix)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that sees one state."""
        with self.translating(), self.dialect.connect_reading() as connection:
            self.dialect.begin_read(connection)
            yield connection
            _ = self.dialect.end_read(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a transaction that is committed at the end."""
        with self.translating(), self.dialect.connect() as connection:
            self.dialect.begin_write(connection)
            yield connection
            connection.commit()

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Have errors of the database be those of the tree."""
        try:
            yield
        except Exception as error:
            told = self.dialect.translate(error)
            if told is error:
                raise
            raise told from error

    def read_facts(self) -> Row[Any]:
        """Return the store's own facts.

        Raises: StoreRefused: there is no store, or it is of another schema.
        """
        missing = StoreRefused("store_missing", path=self.place)
        if isinstance(self.address, FileAddress) and not is_there(self.address.path):
            raise missing
        with self.reading() as connection:
            found = schema_of(connection, self.tables)
            if found not in ("", SCHEMA):
                code, version = "store_older" if found < SCHEMA else "store_newer", program_of(connection, self.tables)
                raise StoreRefused(code, found=found, known=SCHEMA, version=version or "?")
            facts = connection.execute(select(self.tables.meta)).one_or_none() if found else None
        if facts is None:
            raise missing
        return facts

    def read_facts_in_use(self) -> Row[Any]:
        """Return them.

        Raises: StoreRefused: as `read_facts`; or it was moved away, or is a copy that is not complete.
        """
        facts = self.read_facts()
        if facts.moved_to is not None:
            raise StoreRefused("store_moved", place=facts.moved_to)
        if facts.filled_by is not None:
            raise StoreRefused("store_unfinished")
        return facts

    @property
    def contents(self) -> list[Table]:
        """The tables of what is kept: all but the store's own facts."""
        return [table for table in self.tables.metadata.sorted_tables if table is not self.tables.meta]


def _dialect_at(address: Address, prefix: str) -> Dialect:
    if isinstance(address, FileAddress):
        return Sqlite(address.path, time.time, PATIENCE, file_system_of)  # noqa: TID251 (one machine, one clock)
    return dialect_of(address, prefix)
