"""The tables, the same in every database. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    bindparam,
    select,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.types import TypeEngine

SCHEMA = "0005"
"""The newest migration."""

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in a column of its own INTEGER."""
Document = Text().with_variant(MEDIUMTEXT(), "mysql")
"""MySQL's TEXT ends at 64 KiB."""
BYTEWISE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
"""Tables with transactions, in which names that differ differ."""


def name_of(length: int) -> TypeEngine[str]:
    """Return the type of a column of names: compared and ordered by their characters' numbers, in every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables under one prefix."""

    metadata: MetaData
    meta: Table
    accounts: Table
    records: Table
    keys: Table
    events: Table
    callbacks: Table
    proofs: Table
    pushes: Table
    version: str
    """The name of the table in which Alembic keeps the schema's version."""
    records_of: Select[Any]
    """The records of `appids` and `kinds`, locked where rows are. Not by pairs of both: SQLite would read all."""
    lock_accounts: Select[Any]
    """What locks the accounts of `appids`."""
    lock_events: Select[Any]
    """What keeps others from adding to the events, until the transaction ends."""


def build_tables(prefix: str) -> Tables:
    """Return the tables with `prefix` before every name. Instants are seconds since the Unix epoch."""
    metadata = MetaData()
    meta = Table(
        f"{prefix}meta",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("incarnation", String(32), nullable=False),
        Column("seal_check", String(32), nullable=False),
        Column("created_at", Double, nullable=False),
        Column("signing_key", LargeBinary),
        Column("program", String(64)),
        Column("moved_to", Text),
        Column("filled_by", String(32)),
        **BYTEWISE,
    )
    accounts = Table(
        f"{prefix}accounts",
        metadata,
        Column("appid", name_of(128), primary_key=True),
        Column("changed_at", Double, nullable=False),
        Column("document", Document, nullable=False),
        Column("secret", LargeBinary, nullable=False),
        Index(f"{prefix}accounts_changed_at", "changed_at"),
        **BYTEWISE,
    )
    records = Table(
        f"{prefix}records",
        metadata,
        Column("appid", name_of(128), primary_key=True),
        Column("kind", name_of(32), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("changed_at", Double, nullable=False),
        Column("document", Document, nullable=False),
        Column("value", LargeBinary),
        Index(f"{prefix}records_changed_at", "changed_at"),
        **BYTEWISE,
    )
    keys = Table(
        f"{prefix}keys",
        metadata,
        Column("id", name_of(64), primary_key=True),
        Column("last_used_at", Double),
        Column("document", Document, nullable=False),
        **BYTEWISE,
    )
    events = Table(
        f"{prefix}events",
        metadata,
        Column("id", Serial, primary_key=True, autoincrement=True),
        Column("at", Double, nullable=False),
        Column("appid", name_of(128), nullable=False),
        Column("code", name_of(64), nullable=False),
        Column("document", Document, nullable=False),
        Index(f"{prefix}events_appid", "appid", "id"),
        Index(f"{prefix}events_at", "at"),
        sqlite_autoincrement=True,  # an id that was swept away is never given again
        **BYTEWISE,
    )
    callbacks = Table(
        f"{prefix}callbacks",
        metadata,
        Column("appid", name_of(128), primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        **BYTEWISE,
    )
    proofs = Table(
        f"{prefix}proofs",
        metadata,
        Column("name", name_of(64), primary_key=True),
        Column("appid", name_of(128), nullable=False),
        Column("body", String(128), nullable=False),
        Index(f"{prefix}proofs_appid", "appid"),
        **BYTEWISE,
    )
    pushes = Table(
        f"{prefix}pushes",
        metadata,
        Column("id", name_of(64), primary_key=True),
        Column("at", Double, nullable=False),
        Column("appid", name_of(128), nullable=False),
        Column("holder", String(64), nullable=False),
        Column("answer", LargeBinary),
        Index(f"{prefix}pushes_at", "at"),
        **BYTEWISE,
    )
    appids: BindParameter[Any] = bindparam("appids", expanding=True)
    records_of = (
        select(records)
        .where(records.c.appid.in_(appids), records.c.kind.in_(bindparam("kinds", expanding=True)))
        .order_by(records.c.appid, records.c.kind)
        .with_for_update()
    )
    lock_accounts = select(accounts.c.appid).where(accounts.c.appid.in_(appids)).order_by(accounts.c.appid)
    return Tables(
        metadata=metadata,
        meta=meta,
        accounts=accounts,
        records=records,
        keys=keys,
        events=events,
        callbacks=callbacks,
        proofs=proofs,
        pushes=pushes,
        version=f"{prefix}schema",
        records_of=records_of,
        lock_accounts=lock_accounts.with_for_update(),
        lock_events=select(meta.c.id).with_for_update(),
    )
