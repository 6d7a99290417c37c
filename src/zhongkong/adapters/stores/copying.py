"""A store copied into another database, row by row, and the old one closed for good behind it.

What is sealed is copied as it lies: both stores are under one seal. A copy that was cut off anywhere is begun again and
finds what is there already: every pass compares, and writes what differs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.stores.addresses import Address
from zhongkong.adapters.stores.opening import bring_along, schema_of
from zhongkong.adapters.stores.resealing import sealed_columns
from zhongkong.adapters.stores.rows import Rows, write_event
from zhongkong.adapters.stores.schema import SCHEMA
from zhongkong.adapters.stores.sides import Side
from zhongkong.core.model import LEASE, Event, Lease, Seconds
from zhongkong.core.ports import Seal
from zhongkong.errors import StoreRefused, WrongSeal
from zhongkong.version import __version__

CLOCKS_APART: Seconds = 2.0
"""All instants are the old store's; a clock that moves by more has stepped (decision 0010)."""

Primary = tuple[Any, ...]
PAGE = 1000
"""Rows. A transaction must not live long."""
PAUSE: Seconds = 0.2
"""Between two looks whether somebody mints."""
FILLING, CLOSING, COMPARING = "filling", "closing", "comparing"
"""The steps of a copy: while the old store is in use, once nobody writes it any more, at the end."""


class Progress(NamedTuple):
    """How far a pass has come, in rows of all tables."""

    step: str
    done: int
    total: int


class Copied(NamedTuple):
    """What the new store holds at the end: as the old one, row by row."""

    rows: Mapping[str, int]
    """By table."""
    unreadable: int
    """Sealed values that this seal does not open, here as there."""


class Copying:
    """One run of a copy. `run` yields how far it has come; afterwards `copied` says what there is."""

    def __init__(
        self,
        old: Address,
        new: Address,
        prefix: str,
        seal: Seal,
        *,
        pause: Callable[[Seconds], object] | None = None,
    ) -> None:
        """Take where from and where to; nothing is connected to yet. `pause` waits, for nothing but time to pass.

        Raises: SettingInvalid: a driver is not installed.
        """
        self._old = Side(old, prefix)
        self._new = Side(new, prefix)
        self._seal = seal
        self._clock = MachineClock()
        self._pause = pause or threading.Event().wait
        self._fence = uuid4().hex
        """Whoever begins last fills the new store alone."""
        self._incarnation = ""
        self._is_resumed = False
        self.copied = Copied({}, 0)

    def run(self) -> Generator[Progress]:
        """Fill the new store, close the old one, fill in what came meanwhile, compare, open the new one.

        From the closing on nothing is written to the old store; to what runs on it that is a store that is away (rule M
        of docs/correctness.md). Whatever happens, never more than one of the two is open.
        Raises: StoreRefused: the error says which of the two cannot be used for this, and who does what. WrongSeal.
        """
        self._judge_old()
        self._begin_new()
        self._judge_clocks()
        yield from self._fill(FILLING)
        self._wait_for_saves()
        self._close_old()
        yield from self._fill(CLOSING)
        yield from self._compare()
        self._open_new()

    # --- before

    def _judge_old(self) -> None:
        try:
            facts = self._old.read_facts()
        except StoreRefused as error:
            if error.code == "store_missing":
                raise StoreRefused("copy_nothing_there", place=self._old.url, prefix=self._old.prefix) from error
            raise
        if facts.filled_by is not None:
            raise StoreRefused("store_unfinished")
        if facts.moved_to not in (None, self._new.url):
            raise StoreRefused("store_moved", place=facts.moved_to)
        if not self._seal.knows(facts.seal_check):
            raise WrongSeal("seal_of_another_store")
        self._incarnation = facts.incarnation
        self._is_resumed = facts.moved_to is not None

    def _begin_new(self) -> None:
        """Make the new store's tables, and note that we fill it: until the end nobody opens it."""
        new = self._new
        with new.translating(), new.dialect.connect_alone() as connection:
            new.dialect.begin_alone(connection)
            if schema_of(connection, new.tables) not in ("", SCHEMA):
                raise StoreRefused("copy_not_empty", place=new.url)
            bring_along(connection, new.tables, new.prefix)
            standing = connection.execute(select(new.tables.meta)).one_or_none()
            if standing is None:
                facts = {"id": 1, "incarnation": uuid4().hex, "seal_check": self._seal.check}
                made_at = {"created_at": new.dialect.now(connection)}
                connection.execute(insert(new.tables.meta).values(**facts, **made_at, filled_by=self._fence))
            elif standing.incarnation == self._incarnation:
                raise StoreRefused("copy_onto_itself", place=new.url)
            elif standing.moved_to is not None:
                raise StoreRefused("copy_onto_moved", place=new.url, moved_to=standing.moved_to)
            elif standing.filled_by is None and not self._is_empty(connection):
                raise StoreRefused("copy_done" if self._is_resumed else "copy_not_empty", place=new.url)
            else:
                connection.execute(update(new.tables.meta).values(filled_by=self._fence))
            connection.commit()

    def _is_empty(self, connection: Connection) -> bool:
        tables = self._new.contents
        return all(connection.execute(select(table).limit(1)).first() is None for table in tables)

    def _judge_clocks(self) -> None:
        """Instants go along as they are; by another clock what ended would live, or what lives would be late."""
        with self._old.reading() as old, self._new.reading() as new:
            before = self._old.dialect.now(old)
            there = self._new.dialect.now(new)
            after = self._old.dialect.now(old)
        ahead = there - (before + after) / 2
        if abs(ahead) > CLOCKS_APART + (after - before):
            raise StoreRefused("copy_clocks_apart", old=self._old.url, new=self._new.url, seconds=round(ahead, 1))

    # --- filling

    def _fill(self, step: str) -> Generator[Progress]:
        """Bring the new store to what the old one holds, page by page; what grows meanwhile, as far as it had grown."""
        done, counts = 0, self._count(self._old)
        for table in self._old.contents:
            enough, after = done + counts[table.name], Primary()
            while True:
                page = self._read_page(table, after)
                self._write_page(page)
                done += len(page.old)
                yield Progress(step, done, max(done, sum(counts.values())))
                if page.upto is None or (step == FILLING and done >= enough):
                    break
                after = page.upto

    @staticmethod
    def _count(side: Side) -> dict[str, int]:
        """Return how many rows each table has."""
        with side.reading() as connection:
            counts = ((table.name, select(func.count()).select_from(table)) for table in side.contents)
            return {name: int(connection.execute(count).scalar_one()) for name, count in counts}

    def _read_page(self, table: Table, after: Primary) -> Page:
        wanted = _page_of(table, after).limit(PAGE)
        with self._old.reading() as connection:
            old = [tuple(row) for row in connection.execute(wanted)]
        upto = _primary_of(table, old[-1]) if len(old) == PAGE else None
        there = _page_of(table, after, upto)
        with self._new.reading() as connection:
            new = [tuple(row) for row in connection.execute(there)]
        return Page(table, old, new, upto)

    def _write_page(self, page: Page) -> None:
        """Write what differs, unless somebody else fills this store by now, or it is open."""
        wanted, gone = page.differences()
        if not wanted and not gone:
            return
        with self._new.writing() as connection:
            self._hold_new(connection)
            names = [column.name for column in page.table.columns]
            for primary in gone:
                connection.execute(delete(page.table).where(_is(page.table, primary)))
            if wanted:
                rows = [dict(zip(names, row, strict=True)) for row in wanted]
                connection.execute(self._new.dialect.upsert(page.table), rows)

    def _hold_new(self, connection: Connection) -> None:
        """Keep others from filling or opening the new store until the transaction ends."""
        meta = self._new.tables.meta
        filled_by = connection.execute(select(meta.c.filled_by).with_for_update()).scalar_one_or_none()
        if filled_by != self._fence:
            raise StoreRefused("copy_overtaken", place=self._new.url)

    # --- the end

    def _wait_for_saves(self) -> None:
        """Wait for a moment in which nobody mints, a lease's time at most: else answers would be lost."""
        until = self._clock.boot() + LEASE
        while self._clock.boot() < until and self._is_minting():
            self._pause(PAUSE)

    def _is_minting(self) -> bool:
        records = self._old.tables.records
        held = select(records).where(records.c.document.contains('"lease":'))
        with self._old.reading() as connection:
            now, rows = self._old.dialect.now(connection), connection.execute(held).all()
        leases = (lease for row in rows if (lease := _lease_of(row)) is not None)
        return any(lease.holds(now) for lease in leases)

    def _close_old(self) -> None:
        """Have the old store be used no more, once everybody has ended who writes it just now."""
        old = self._old
        meta, events = old.tables.meta, old.tables.events
        with old.translating(), old.dialect.connect() as connection:
            old.dialect.begin_last(connection, [meta, events])
            moved_to = connection.execute(select(meta.c.moved_to)).scalar_one()
            if moved_to not in (None, self._new.url):
                raise StoreRefused("store_moved", place=moved_to)
            if moved_to is None:
                connection.execute(update(meta).values(moved_to=self._new.url))
                told = Event("store_moved", "", {"place": self._new.url})
                connection.execute(insert(events), [write_event(told, old.dialect.now(connection))])
            connection.commit()

    def _compare(self) -> Generator[Progress]:
        """Compare all rows of both, and see what of the sealed ones in the new store the seal opens."""
        done, unreadable, counts = 0, 0, self._count(self._old)
        for table in self._old.contents:
            after: Primary | None = ()
            while after is not None:
                page = self._read_page(table, after)
                if page.old != page.new:
                    raise StoreRefused("copy_differs", place=self._new.url, table=table.name)
                unreadable += self._count_unreadable(page)
                done, after = done + len(page.new), page.upto
                yield Progress(COMPARING, done, max(done, sum(counts.values())))
        there = self._count(self._new)
        for name, count in counts.items():
            if there[name] != count:
                raise StoreRefused("copy_differs", place=self._new.url, table=name)
        self.copied = Copied(counts, unreadable)

    def _count_unreadable(self, page: Page) -> int:
        names = [column.name for column in page.table.columns]
        sealed = [names.index(column.name) for column in sealed_columns(self._old.tables) if column.table is page.table]
        return sum(not self._opens(row[one], row[names.index("appid")]) for one in sealed for row in page.new)

    def _opens(self, sealed: bytes | None, appid: str) -> bool:
        try:
            _ = sealed is None or self._seal.open(sealed, appid)
        except WrongSeal:
            return False
        return True

    def _open_new(self) -> None:
        """Open the new store, as one of its own, while the old one is held closed."""
        old, new = self._old, self._new
        with old.writing() as closed:
            meta = old.tables.meta
            standing = closed.execute(select(meta).with_for_update()).one()
            if standing.moved_to != new.url:
                raise StoreRefused("copy_reopened", place=old.url)
            with new.writing() as connection:
                self._hold_new(connection)
                anew = {"incarnation": uuid4().hex, "created_at": new.dialect.now(connection), "program": __version__}
                same = {"seal_check": standing.seal_check, "signing_key": standing.signing_key}
                connection.execute(update(new.tables.meta).values(**anew, **same, filled_by=None))
                new.dialect.count_on(connection, new.tables.events.c.id)
                self._tell_copied(connection)

    def _tell_copied(self, connection: Connection) -> None:
        """Have the event that tells people to come here tell where all this came from: they are here."""
        events = self._new.tables.events
        moved = select(func.max(events.c.id)).where(events.c.code == "store_moved")
        told = write_event(Event("store_copied", "", {"place": self._old.url}), self._new.dialect.now(connection))
        connection.execute(update(events).where(events.c.id == connection.execute(moved).scalar_one()).values(**told))


def _lease_of(row: Row[Any]) -> Lease | None:
    try:
        return Rows.read_sealed_record(row).lease
    except WrongSeal:
        return None  # it is damaged, and nobody holds it


class Page(NamedTuple):
    """Some rows of a table in the old store, and those of the new one that lie in the same range of primary keys."""

    table: Table
    old: Sequence[tuple[Any, ...]]
    new: Sequence[tuple[Any, ...]]
    upto: Primary | None
    """The last primary key of it; None where the table ends."""

    def differences(self) -> tuple[list[tuple[Any, ...]], list[Primary]]:
        """Return the rows to put into the new store, and the primary keys of those to delete there."""
        there = {_primary_of(self.table, row): row for row in self.new}
        here = {_primary_of(self.table, row): row for row in self.old}
        return (
            [row for primary, row in here.items() if there.get(primary) != row],
            [primary for primary in there if primary not in here],
        )


def _primary_of(table: Table, row: Sequence[Any]) -> Primary:
    return tuple(value for column, value in zip(table.columns, row, strict=True) if column.primary_key)


def _page_of(table: Table, after: Primary, upto: Primary | None = None) -> Select[Any]:
    primary = list(table.primary_key)
    page = select(table).order_by(*primary)
    if after:
        page = page.where(_is_beyond(primary, after))
    if upto is not None:
        page = page.where(not_(_is_beyond(primary, upto)), primary[0] <= upto[0])
    return page


def _is(table: Table, primary: Primary) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(table.primary_key, primary, strict=True)))


def _is_beyond(columns: Sequence[Column[Any]], values: Primary) -> ColumnElement[bool]:
    """Say of a row that it follows: written out, for databases that compare pairs without an index."""
    first, *more = columns
    if not more:
        beyond: ColumnElement[bool] = first > values[0]
        return beyond
    return and_(first >= values[0], or_(first > values[0], _is_beyond(more, values[1:])))
