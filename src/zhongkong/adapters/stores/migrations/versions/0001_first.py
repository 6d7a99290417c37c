"""The first schema: meta, accounts, records, keys, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    prefix = op.get_context().opts["prefix"]
    op.create_table(
        f"{prefix}meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("incarnation", sa.String(32), nullable=False),
        sa.Column("seal_check", sa.String(32), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        f"{prefix}accounts",
        sa.Column("appid", sa.String(128), primary_key=True),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
    op.create_index(f"{prefix}accounts_changed_at", f"{prefix}accounts", ["changed_at"])
    op.create_table(
        f"{prefix}records",
        sa.Column("appid", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary),
    )
    op.create_index(f"{prefix}records_changed_at", f"{prefix}records", ["changed_at"])
    op.create_table(
        f"{prefix}keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("last_used_at", sa.Double),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        f"{prefix}events",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("appid", sa.String(128), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{prefix}events_appid", f"{prefix}events", ["appid", "id"])
    op.create_index(f"{prefix}events_at", f"{prefix}events", ["at"])
