"""A look at a store that changes nothing: is it whole, whose schema is it, which seal closed it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, inspect, select

from zhongkong.adapters.stores.addresses import Address, FileAddress, ServerAddress
from zhongkong.adapters.stores.dialects import Dialect, Sqlite
from zhongkong.adapters.stores.opening import program_of, schema_of
from zhongkong.adapters.stores.place import FileSystemOf, file_system_of
from zhongkong.adapters.stores.schema import SCHEMA, Tables, build_tables
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.server_facts import ServerFacts, look_at_server
from zhongkong.core.model import Seconds


class StoreFacts(NamedTuple):
    """What was found."""

    schema: str
    """The number of its newest migration; empty for a place that holds no store yet."""
    known: str
    """The number of the newest migration that this program knows."""
    program: str
    """The version of the program that brought it to its schema; empty where that is not known."""
    seal_check: str
    """The check value of the seal that closed it; empty for an empty store."""
    faults: tuple[str, ...] = ()
    """What the database says of its own file: nothing where it is whole."""
    server: ServerFacts | None = None
    """How the server is set up, if there is one."""
    moved_to: str = ""
    """Where the store was moved; empty where it was not."""
    is_unfinished: bool = False
    """Whether it is a copy that is not complete."""
    incarnation: str = ""
    """Which store it is; empty for an empty one."""


def is_there(path: Path) -> bool:
    """Say whether there is such a file or directory, as far as this user can see."""
    try:
        return path.exists()
    except OSError:
        return False


def examine(address: Address, prefix: str) -> StoreFacts:
    """Return what is found at `address`; a file must be there.

    Raises: as `open_at`, but for the schema and the seal, which are told, not judged.
    """
    if isinstance(address, FileAddress):
        return examine_sqlite(address.path, prefix)
    return examine_server(address, prefix)


def examine_sqlite(
    path: Path,
    prefix: str,
    *,
    patience: Seconds = 5.0,
    file_system_of: FileSystemOf = file_system_of,
) -> StoreFacts:
    """Return what is found in the file `path`, which must be there. Reads all of it: seconds, for a large one."""
    dialect = Sqlite(path, time.time, patience, file_system_of)  # noqa: TID251 (nothing is stamped)

    def look(connection: Connection, tables: Tables) -> StoreFacts:
        said = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
        faults = tuple(str(one) for one in said if one != "ok")
        return _look(connection, tables)._replace(faults=faults)

    return _examine(dialect, prefix, look)


def examine_server(address: ServerAddress, prefix: str) -> StoreFacts:
    """Return what is found in a database on a server, and how that is set up."""
    dialect = dialect_of(address, prefix)

    def look(connection: Connection, tables: Tables) -> StoreFacts:
        return _look(connection, tables)._replace(server=look_at_server(connection, dialect, tables))

    return _examine(dialect, prefix, look)


def _examine(dialect: Dialect, prefix: str, look: Callable[[Connection, Tables], StoreFacts]) -> StoreFacts:
    try:
        with dialect.connect() as connection:
            dialect.begin_read(connection)
            try:
                return look(connection, build_tables(prefix))
            finally:
                dialect.end_read(connection)
    except Exception as error:
        told = dialect.translate(error)
        if told is error:
            raise
        raise told from error


def _look(connection: Connection, tables: Tables) -> StoreFacts:
    schema, meta = schema_of(connection, tables), tables.meta.c
    facts = StoreFacts(schema, SCHEMA, program_of(connection, tables), "")
    if not inspect(connection).has_table(tables.meta.name):
        return facts
    told = connection.execute(select(meta.seal_check, meta.incarnation)).one_or_none()
    if told is None:
        return facts
    facts = facts._replace(seal_check=told.seal_check, incarnation=told.incarnation)
    if schema != SCHEMA:
        return facts
    standing = connection.execute(select(meta.moved_to, meta.filled_by)).one()
    return facts._replace(moved_to=standing.moved_to or "", is_unfinished=standing.filled_by is not None)
