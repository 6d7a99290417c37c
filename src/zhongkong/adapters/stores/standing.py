"""Whether a store may be used: not after it was moved, and not before all of it is there."""

from __future__ import annotations

from sqlalchemy import Connection, select

from zhongkong.adapters.stores.schema import Tables
from zhongkong.errors import StoreRefused, StoreUnavailable

CLOSED = ("store_moved", "store_unfinished")
"""Codes of what `judge_standing` refuses: who has served from the store goes on from memory."""


def judge_standing(connection: Connection, tables: Tables, *, may_be_new: bool = False) -> str:
    """Return the store's incarnation if it may be used; empty where it has none, and may be a new one.

    Whoever writes asks in his transaction, and a move waits for all transactions in which somebody asked: what was
    written is moved along, and what would come too late is refused.
    Raises: StoreRefused: the store was moved, and the error says where to; or not all of it is there yet.
    StoreUnavailable: it has no incarnation at this moment.
    """
    meta = tables.meta.c
    standing = connection.execute(select(meta.incarnation, meta.moved_to, meta.filled_by)).one_or_none()
    if standing is None:
        if not may_be_new:  # somebody drops it, or puts it back, at this moment
            raise StoreUnavailable("store_unavailable", retry_after=1.0)
        return ""
    if standing.moved_to is not None:
        raise StoreRefused("store_moved", place=standing.moved_to)
    if standing.filled_by is not None:
        raise StoreRefused("store_unfinished")
    return str(standing.incarnation)
