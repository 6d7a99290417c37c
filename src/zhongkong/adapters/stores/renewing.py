"""A store of the past is made the present one: another incarnation, and doubt of what may have ended meanwhile."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import bindparam, func, insert, select, update

from zhongkong.adapters.stores.resealing import PAGE
from zhongkong.adapters.stores.rows import Columns, Rows, write_event
from zhongkong.adapters.stores.sides import Side
from zhongkong.core.change import Doubt
from zhongkong.core.command import run
from zhongkong.core.model import Event, Kind, Slot
from zhongkong.errors import StoreRefused, WrongSeal


def renew_restored(side: Side, beyond: int = 0) -> None:
    """Have hubs know a store that was restored for another one than before. May be done again after a crash.

    `beyond` is an event's number that was given before: those who follow the events wait for later ones.
    Raises: StoreRefused: as `Side.read_facts_in_use`.
    """
    _ = side.read_facts_in_use()
    _renew(side, Event("store_restored", "", {}), beyond)


def reopen(side: Side) -> str:
    """Undo a move: have the store be used again, which was copied elsewhere; return where that is.

    Raises: StoreRefused: there is no store, or it was not moved.
    """
    place = side.read_facts().moved_to
    if place is None:
        raise StoreRefused("store_not_moved", path=side.place)
    _renew(side, Event("store_reopened", "", {"place": place}))
    return str(place)


def _renew(side: Side, told: Event, beyond: int = 0) -> None:
    after: tuple[str, ...] | None = ()
    while after is not None:
        after = _doubt_page(side, after)
    meta, events = side.tables.meta, side.tables.events
    with side.writing() as connection:
        connection.execute(update(meta).values(incarnation=uuid4().hex, moved_to=None))
        row = write_event(told, side.dialect.now(connection))
        newest = connection.execute(select(func.max(events.c.id))).scalar_one() or 0
        connection.execute(insert(events), [{**row, "id": beyond + 1} if beyond > newest else row])


def _doubt_page(side: Side, after: tuple[str, ...]) -> tuple[str, ...] | None:
    """Doubt the records of the accounts that follow `after`; return the last, None at the end."""
    records = side.tables.records
    appids = select(records.c.appid).distinct().order_by(records.c.appid).limit(PAGE)
    if after:
        appids = appids.where(records.c.appid > after[0])
    with side.writing() as connection:
        page = connection.execute(appids).scalars().all()
        if not page:
            return None
        now = side.dialect.now(connection)
        changed: list[Columns] = []
        found = {"appids": page, "kinds": [kind.value for kind in Kind]}
        for row in connection.execute(side.tables.records_of, found):
            try:
                before = Rows.read_sealed_record(row)
            except WrongSeal:
                continue  # a damaged row is named by who reads it
            applied, _ = run(Doubt(Slot(row.appid, Kind(row.kind))), before, now)
            if applied.record is not before:
                key = {"of_appid": row.appid, "of_kind": row.kind}
                changed.append({**key, **Rows.write_sealed_record(applied.record)})
        if changed:
            written = changed[0].keys() - {"of_appid", "of_kind"}
            mine = (records.c.appid == bindparam("of_appid")) & (records.c.kind == bindparam("of_kind"))
            anew = update(records).where(mine)
            connection.execute(anew.values({name: bindparam(name) for name in written}), changed)
    return (page[-1],)
