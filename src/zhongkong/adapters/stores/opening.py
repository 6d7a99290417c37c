"""What happens to a store when it is opened: migrations, its own facts, and whether the seal is the right one."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from threading import Lock
from uuid import uuid4

from sqlalchemy import Connection, Select, column, insert, inspect, select, table, update

from zhongkong.adapters.stores.rows import SIGNING_KEY
from zhongkong.adapters.stores.schema import SCHEMA, Tables
from zhongkong.adapters.stores.standing import judge_standing
from zhongkong.adapters.stores.writer import Snapshot, Transaction
from zhongkong.core.ports import Seal
from zhongkong.errors import StoreRefused, WrongSeal
from zhongkong.version import __version__

MIGRATIONS = Path(__file__).parent / "migrations"

_one_at_a_time = Lock()
"""Alembic keeps what it works on in globals."""


def prepare(transaction: Transaction, prefix: str, seal: Seal) -> None:
    """Bring the store to this program's schema and compare its seal; whoever comes first makes it what it is.

    Runs in a write transaction, hence under the store's lock: one replica migrates, the others find it done.
    Raises: StoreRefused: a newer program made the schema, or as `judge_standing`. WrongSeal: the store is under another
    seal; nothing changed.
    """
    connection, tables = transaction.connection, transaction.tables
    found = bring_along(connection, tables, prefix)
    judge_standing(connection, tables, may_be_new=True)
    check = connection.execute(select(tables.meta.c.seal_check)).scalar_one_or_none()
    if check is None:
        new = {"id": 1, "incarnation": uuid4().hex, "seal_check": seal.check, "created_at": transaction.now()}
        connection.execute(insert(tables.meta).values(new))
    elif not seal.knows(check):
        raise WrongSeal("seal_of_another_store")
    if found < SCHEMA:
        connection.execute(update(tables.meta).values(program=__version__))
    unsigned = update(tables.meta).where(tables.meta.c.signing_key.is_(None))
    connection.execute(unsigned.values(signing_key=seal.close(token_hex(32), SIGNING_KEY)))


def bring_along(connection: Connection, tables: Tables, prefix: str) -> str:
    """Run what migrations are missing; return the schema that was found.

    Raises: StoreRefused: a newer program made it.
    """
    found = schema_of(connection, tables)
    if found > SCHEMA:
        version = program_of(connection, tables) or "?"
        raise StoreRefused("store_newer", found=found, known=SCHEMA, version=version)
    if found < SCHEMA:
        migrate(connection, tables, prefix)
    return found


def is_prepared(snapshot: Snapshot, tables: Tables, seal: Seal) -> bool:
    """Say whether there is nothing to prepare: such a store is opened while its disk is full or its lock is held.

    Raises: as `judge_standing`.
    """
    if schema_of(snapshot.connection, tables) != SCHEMA:
        return False
    judge_standing(snapshot.connection, tables, may_be_new=True)
    check = snapshot.connection.execute(select(tables.meta.c.seal_check)).scalar_one_or_none()
    return check is not None and seal.knows(check)


def schema_of(connection: Connection, tables: Tables) -> str:
    """Return the number of the store's newest migration; empty for an empty store."""
    if not inspect(connection).has_table(tables.version):
        return ""
    newest: Select[str] = select(column("version_num")).select_from(table(tables.version))
    return connection.execute(newest).scalar_one_or_none() or ""


def program_of(connection: Connection, tables: Tables) -> str:
    """Return the version of the program that brought the store to its schema; empty where that is not known."""
    if not inspect(connection).has_table(tables.meta.name):
        return ""
    if "program" not in {one["name"] for one in inspect(connection).get_columns(tables.meta.name)}:
        return ""
    return connection.execute(select(tables.meta.c.program)).scalar_one_or_none() or ""


def migrate(connection: Connection, tables: Tables, prefix: str) -> None:
    """Run the migrations that are missing, inside the transaction that `connection` is in."""
    from alembic import command  # noqa: PLC0415 (slow to import, and seldom needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection, "version_table": tables.version, "prefix": prefix})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _one_at_a_time:
        command.upgrade(config, "head")
