"""The first schema: meta, accounts, records, keys, events."""

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.migrations.steps import make_index, make_table
from zhongkong.adapters.stores.schema import Document, Serial, name_of

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    prefix = op.get_context().opts["prefix"]
    make_table(
        f"{prefix}meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("incarnation", sa.String(32), nullable=False),
        sa.Column("seal_check", sa.String(32), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    make_table(
        f"{prefix}accounts",
        sa.Column("appid", name_of(128), primary_key=True),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
    make_index(f"{prefix}accounts_changed_at", f"{prefix}accounts", ["changed_at"])
    make_table(
        f"{prefix}records",
        sa.Column("appid", name_of(128), primary_key=True),
        sa.Column("kind", name_of(32), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("value", sa.LargeBinary),
    )
    make_index(f"{prefix}records_changed_at", f"{prefix}records", ["changed_at"])
    make_table(
        f"{prefix}keys",
        sa.Column("id", name_of(64), primary_key=True),
        sa.Column("last_used_at", sa.Double),
        sa.Column("document", Document, nullable=False),
    )
    make_table(
        f"{prefix}events",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("appid", name_of(128), nullable=False),
        sa.Column("code", name_of(64), nullable=False),
        sa.Column("document", Document, nullable=False),
        sqlite_autoincrement=True,
    )
    make_index(f"{prefix}events_appid", f"{prefix}events", ["appid", "id"])
    make_index(f"{prefix}events_at", f"{prefix}events", ["at"])
