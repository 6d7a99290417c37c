"""Which program's migrations the store has: an older one that meets it says what to install."""

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.migrations.steps import add_column

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add its column; whoever migrates fills it in the same transaction."""
    prefix = op.get_context().opts["prefix"]
    add_column(f"{prefix}meta", sa.Column("program", sa.String(64)))
