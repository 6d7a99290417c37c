"""How accounts are pushed to: callbacks, files that prove a domain, and which pushes were here before."""

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.migrations.steps import make_index, make_table
from zhongkong.adapters.stores.schema import name_of

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    prefix = op.get_context().opts["prefix"]
    make_table(
        f"{prefix}callbacks",
        sa.Column("appid", name_of(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    make_table(
        f"{prefix}proofs",
        sa.Column("name", name_of(64), primary_key=True),
        sa.Column("appid", name_of(128), nullable=False),
        sa.Column("body", sa.String(128), nullable=False),
    )
    make_index(f"{prefix}proofs_appid", f"{prefix}proofs", ["appid"])
    make_table(
        f"{prefix}pushes",
        sa.Column("id", name_of(64), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("appid", name_of(128), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("answer", sa.LargeBinary),
    )
    make_index(f"{prefix}pushes_at", f"{prefix}pushes", ["at"])
