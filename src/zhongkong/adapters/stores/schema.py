"""The tables, the same in every database. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
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

SCHEMA = "0001"
"""The newest migration."""

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in a column of its own INTEGER."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables under one prefix."""

    metadata: MetaData
    meta: Table
    accounts: Table
    records: Table
    keys: Table
    events: Table
    version: str
    """The name of the table in which Alembic keeps the schema's version."""
    records_of: Select[Any]
    """The records of `appids` and `kinds`. Not by pairs of both, for which SQLite reads the whole table."""


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
    )
    accounts = Table(
        f"{prefix}accounts",
        metadata,
        Column("appid", String(128), primary_key=True),
        Column("changed_at", Double, nullable=False),
        Column("document", Text, nullable=False),
        Column("secret", LargeBinary, nullable=False),
        Index(f"{prefix}accounts_changed_at", "changed_at"),
    )
    records = Table(
        f"{prefix}records",
        metadata,
        Column("appid", String(128), primary_key=True),
        Column("kind", String(32), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("changed_at", Double, nullable=False),
        Column("document", Text, nullable=False),
        Column("value", LargeBinary),
        Index(f"{prefix}records_changed_at", "changed_at"),
    )
    keys = Table(
        f"{prefix}keys",
        metadata,
        Column("id", String(64), primary_key=True),
        Column("last_used_at", Double),
        Column("document", Text, nullable=False),
    )
    events = Table(
        f"{prefix}events",
        metadata,
        Column("id", Serial, primary_key=True, autoincrement=True),
        Column("at", Double, nullable=False),
        Column("appid", String(128), nullable=False),
        Column("code", String(64), nullable=False),
        Column("document", Text, nullable=False),
        Index(f"{prefix}events_appid", "appid", "id"),
        Index(f"{prefix}events_at", "at"),
        sqlite_autoincrement=True,  # an id that was swept away is never given again
    )
    records_of = select(records).where(
        records.c.appid.in_(bindparam("appids", expanding=True)), records.c.kind.in_(bindparam("kinds", expanding=True))
    )
    return Tables(metadata, meta, accounts, records, keys, events, f"{prefix}schema", records_of)
