"""What migrations are made of. What is done already is passed over: MySQL keeps a step whose successor fails."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from zhongkong.adapters.stores.schema import BYTEWISE


def make_table(name: str, *columns: sa.Column[Any], **options: Any) -> None:
    """Have a table of this name."""
    if not _look().has_table(name):
        op.create_table(name, *columns, **BYTEWISE, **options)


def make_index(name: str, table: str, columns: list[str]) -> None:
    """Have an index of this name."""
    if name not in {index["name"] for index in _look().get_indexes(table)}:
        op.create_index(name, table, columns)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Have the table hold the column."""
    if column.name not in {one["name"] for one in _look().get_columns(table)}:
        op.add_column(table, column)


def _look() -> sa.Inspector:
    return sa.inspect(op.get_bind())
