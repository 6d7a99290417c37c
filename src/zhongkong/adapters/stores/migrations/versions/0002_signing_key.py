"""The key that virtual tokens are signed with, sealed."""

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.migrations.steps import add_column

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add its column; whoever migrates fills it in the same transaction."""
    prefix = op.get_context().opts["prefix"]
    add_column(f"{prefix}meta", sa.Column("signing_key", sa.LargeBinary))
