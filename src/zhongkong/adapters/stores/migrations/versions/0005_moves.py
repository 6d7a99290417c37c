"""Where the store was moved to, and who is filling it: until both are nobody, no program uses it."""

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.migrations.steps import add_column

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; they stay empty but in a move."""
    prefix = op.get_context().opts["prefix"]
    add_column(f"{prefix}meta", sa.Column("moved_to", sa.Text))
    add_column(f"{prefix}meta", sa.Column("filled_by", sa.String(32)))
