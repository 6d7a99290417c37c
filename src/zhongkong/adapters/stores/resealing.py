"""After a rotation everything is closed anew with the newest seal, page by page, so that nobody else waits long."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Column, and_, bindparam, func, select, tuple_, update

from zhongkong.adapters.stores.schema import Tables
from zhongkong.adapters.stores.writer import Snapshot, Transaction

PAGE = 200
Primary: TypeAlias = tuple[str, ...]


class Resealed(NamedTuple):
    """How far it has come, in secrets and values."""

    done: int
    total: int


def sealed_columns(tables: Tables) -> tuple[Column[Any], ...]:
    """Return the columns that hold something sealed, bound to the appid of their row."""
    return tables.accounts.c.secret, tables.records.c.value, tables.callbacks.c.sealed, tables.pushes.c.answer


def count_sealed(snapshot: Snapshot, tables: Tables) -> int:
    """Return how much there is to do."""
    counts = (select(func.count(column)) for column in sealed_columns(tables))
    return sum(snapshot.connection.execute(count).scalar_one() for count in counts)


def reseal_page(transaction: Transaction, column: Column[Any], after: Primary) -> list[Primary]:
    """Close the page of a column that follows `after` with the newest seal; return its rows, none at the end."""
    primary = list(column.table.primary_key)
    page = select(column, *primary).where(column.is_not(None)).order_by(*primary).limit(PAGE).with_for_update()
    if after:
        page = page.where(tuple_(*primary) > after)
    rows = transaction.connection.execute(page).all()
    if rows:
        found = and_(*(one == bindparam(f"of_{one.name}") for one in primary))
        anew = update(column.table).where(found).values({column: bindparam("anew")})
        names = ("anew", *(f"of_{one.name}" for one in primary))
        transaction.execute(
            anew,
            [dict(zip(names, (transaction.rows.reseal(row[0], row.appid), *row[1:]), strict=True)) for row in rows],
        )
    return [tuple(row[1:]) for row in rows]
