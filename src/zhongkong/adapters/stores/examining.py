"""A look at a store that changes nothing: is it whole, whose schema is it, which seal closed it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, inspect, select

from zhongkong.adapters.stores.dialects import Sqlite
from zhongkong.adapters.stores.opening import schema_of
from zhongkong.adapters.stores.place import FileSystemOf, file_system_of
from zhongkong.adapters.stores.schema import SCHEMA, Tables, build_tables
from zhongkong.core.model import Seconds


class StoreFacts(NamedTuple):
    """What was found."""

    schema: str
    """The number of its newest migration; empty for a file that holds no store yet."""
    known: str
    """The number of the newest migration that this program knows."""
    seal_check: str
    """The check value of the seal that closed it; empty for an empty store."""
    faults: tuple[str, ...]
    """What the database says of its own file: nothing where it is whole."""


def is_there(path: Path) -> bool:
    """Say whether there is such a file or directory, as far as this user can see."""
    try:
        return path.exists()
    except OSError:
        return False


def examine_sqlite(
    path: Path,
    prefix: str,
    *,
    patience: Seconds = 5.0,
    file_system_of: FileSystemOf = file_system_of,
) -> StoreFacts:
    """Return what is found in the file `path`, which must be there. Reads all of it: seconds, for a large one.

    Raises: as `open_sqlite`, but for the schema and the seal, which are told, not judged.
    """
    dialect = Sqlite(path, time.time, patience, file_system_of)  # noqa: TID251 (nothing is stamped)
    try:
        with dialect.connect() as connection:
            dialect.begin_read(connection)
            return _examine(connection, build_tables(prefix))
    except Exception as error:
        told = dialect.translate(error)
        if told is error:
            raise
        raise told from error


def _examine(connection: Connection, tables: Tables) -> StoreFacts:
    said = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
    seal_check = ""
    if inspect(connection).has_table(tables.meta.name):
        seal_check = connection.execute(select(tables.meta.c.seal_check)).scalar_one_or_none() or ""
    return StoreFacts(
        schema=schema_of(connection, tables),
        known=SCHEMA,
        seal_check=seal_check,
        faults=tuple(str(one) for one in said if one != "ok"),
    )
