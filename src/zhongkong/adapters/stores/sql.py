"""The store on SQL: one body for every database; `dialects.py` holds what differs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Row, Select, bindparam, delete, select, update

from zhongkong.adapters.stores.dialects import Dialect, Sqlite
from zhongkong.adapters.stores.opening import is_prepared, prepare
from zhongkong.adapters.stores.place import FileSystemOf, file_system_of
from zhongkong.adapters.stores.resealing import Primary, Resealed, count_sealed, reseal_page, sealed_columns
from zhongkong.adapters.stores.rows import Rows, read_event, read_key, write_key
from zhongkong.adapters.stores.schema import Tables, build_tables
from zhongkong.adapters.stores.worker import Worker
from zhongkong.adapters.stores.writer import Reader, Snapshot, Transaction, Writer
from zhongkong.core.change import Remove, change_account
from zhongkong.core.command import Applied, Command
from zhongkong.core.grants import Key
from zhongkong.core.model import NEVER, Account, Event, Instant, Kind, Record, Seconds, Slot
from zhongkong.core.ports import Changes, KeptEvent, Seal

AnswerT = TypeVar("AnswerT")
ValueT = TypeVar("ValueT")

PATIENCE: Seconds = 5.0
"""How long a writer waits for another process's transaction before it says so."""


async def open_sqlite(
    path: Path,
    seal: Seal,
    prefix: str = "zhongkong_",
    *,
    wall: Callable[[], Instant] = time.time,  # noqa: TID251 (one machine, one clock: the store's is the machine's)
    patience: Seconds = PATIENCE,
    file_system_of: FileSystemOf = file_system_of,
) -> SqlStore:
    """Return the store in the file `path`, brought to this program's schema; an absent file becomes an empty store.

    Several processes on one file are replicas of each other. `wall` is the store's clock: the machine's, but for tests.
    Raises: StoreRefused: a person must act, and the error says on what. StoreUnavailable: locked, or the disk is full.
    WrongSeal: what is stored was sealed with another seal.
    """
    return await open_store(Sqlite(path, wall, patience, file_system_of), seal, prefix)


async def open_store(dialect: Dialect, seal: Seal, prefix: str) -> SqlStore:
    """Return the store behind `dialect`; raises as `open_sqlite`."""
    tables, rows = build_tables(prefix), Rows(seal)
    writing, reading = Writer(dialect, tables, rows), Reader(dialect)
    writer = Worker("zhongkong-store-writer", writing.perform, writing.close)
    reader = Worker("zhongkong-store-reader", reading.perform, reading.close)
    try:
        if not await reader.ask(lambda snapshot: is_prepared(snapshot, tables, seal)):
            await writer.ask(lambda transaction: prepare(transaction, prefix, seal))
    except BaseException:
        await writer.close()
        await reader.close()
        raise
    return SqlStore(seal, tables, rows, writer, reader)


class SqlStore:
    """A `core.ports.FullStore` in a database; `open_sqlite` makes one.

    Writes are durable when they return. Concurrent writes share a commit; a failed one leaves nothing behind, and the
    next call begins on a new connection: the store works again as soon as what was wrong is put right.
    """

    def __init__(
        self,
        seal: Seal,
        tables: Tables,
        rows: Rows,
        writer: Worker[Transaction],
        reader: Worker[Snapshot],
    ) -> None:
        self._seal = seal
        self._tables = tables
        self._rows = rows
        self._writer = writer
        self._reader = reader

    # --- records

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record, in one commit with whatever else is waiting."""
        slots = [command.slot for command in commands]
        return await self._writer.ask(lambda transaction: [transaction.run(command) for command in commands], slots)

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record as last committed."""
        records = self._tables.records
        wanted = select(records).where(records.c.appid == slot.appid, records.c.kind == slot.kind.value)

        def read(snapshot: Snapshot) -> Record:
            row = snapshot.connection.execute(wanted).one_or_none()
            return Record(slot) if row is None else self._rows.read_record(row)

        return await self._reader.ask(read)

    async def changes(self, after: Instant) -> Changes:
        """Return every record and account written at or after `after`, of one committed state."""
        records, accounts = self._tables.records, self._tables.accounts
        changed_records, changed_accounts = select(records), select(accounts)
        incarnation = select(self._tables.meta.c.incarnation)
        if after != NEVER:
            changed_records = changed_records.where(records.c.changed_at >= after)
            changed_accounts = changed_accounts.where(accounts.c.changed_at >= after)

        def read(snapshot: Snapshot) -> Changes:
            return Changes(
                now=snapshot.now,
                incarnation=snapshot.connection.execute(incarnation).scalar_one(),
                records=tuple(map(self._rows.read_record, snapshot.connection.execute(changed_records))),
                accounts=tuple(map(self._rows.read_account, snapshot.connection.execute(changed_accounts))),
            )

        return await self._reader.ask(read)

    # --- accounts

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account and bring its record along, in one transaction."""
        slot = Slot(account.appid, Kind.ACCESS_TOKEN)

        def put(transaction: Transaction) -> Account:
            new, change = change_account(
                account, self._account_in(transaction, account.appid), transaction.record(slot)
            )
            transaction.put(self._tables.accounts, self._rows.write_account(new, transaction.now()))
            transaction.run(change)
            return new

        return await self._writer.ask(put, [slot])

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave a tombstone, in one transaction."""
        slot = Slot(appid, Kind.ACCESS_TOKEN)

        def remove(transaction: Transaction) -> bool:
            accounts = self._tables.accounts
            gone = transaction.execute(delete(accounts).where(accounts.c.appid == appid)) == 1
            if gone:
                transaction.run(Remove(slot))
            return gone

        return await self._writer.ask(remove, [slot])

    async def account(self, appid: str) -> Account | None:
        """Return the account as last committed, or None."""
        return await self._reader.ask(lambda snapshot: self._account_in(snapshot, appid))

    def _account_in(self, ground: Snapshot | Transaction, appid: str) -> Account | None:
        accounts = self._tables.accounts
        row = ground.connection.execute(select(accounts).where(accounts.c.appid == appid)).one_or_none()
        return None if row is None else self._rows.read_account(row)

    async def accounts(self) -> list[Account]:
        """Return all accounts, by appid."""
        wanted = select(self._tables.accounts).order_by(self._tables.accounts.c.appid)
        return await self._read_all(wanted, self._rows.read_account)

    # --- keys

    async def put_key(self, key: Key) -> None:
        """Add the key or replace the one with its id."""
        await self._writer.ask(lambda transaction: transaction.put(self._tables.keys, write_key(key)))

    async def remove_key(self, key_id: str) -> bool:
        """Remove the key; say whether it was there."""
        keys = self._tables.keys
        gone = delete(keys).where(keys.c.id == key_id)
        return await self._writer.ask(lambda transaction: transaction.execute(gone) == 1)

    async def keys(self) -> list[Key]:
        """Return all keys, by id."""
        return await self._read_all(select(self._tables.keys).order_by(self._tables.keys.c.id), read_key)

    async def used_keys(self, last_used: dict[str, Instant]) -> None:
        """Note when keys were last used; never moves one back."""
        keys = self._tables.keys
        earlier = keys.c.last_used_at.is_(None) | (keys.c.last_used_at < bindparam("used_at"))
        note = update(keys).where(keys.c.id == bindparam("key_id"), earlier).values(last_used_at=bindparam("used_at"))
        used = [{"key_id": key_id, "used_at": at} for key_id, at in last_used.items()]
        if used:
            await self._writer.ask(lambda transaction: transaction.execute(note, used))

    # --- events

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events that are no part of a command."""
        await self._writer.ask(lambda transaction: transaction.tell(events, transaction.now()))

    async def events(self, after: int = 0, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return events with an id greater than `after`, oldest first."""
        events = self._tables.events
        wanted = self._events_of(appid).where(events.c.id > after).order_by(events.c.id).limit(limit)
        return await self._read_all(wanted, read_event)

    async def last_events(self, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return the newest events, oldest of them first."""
        wanted = self._events_of(appid).order_by(self._tables.events.c.id.desc()).limit(limit)
        return (await self._read_all(wanted, read_event))[::-1]

    def _events_of(self, appid: str) -> Select[Any]:
        events = self._tables.events
        return select(events).where(events.c.appid == appid) if appid else select(events)

    async def sweep_events(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` events older than `before`, the oldest first."""
        events = self._tables.events
        old = select(events.c.id).where(events.c.at < before).order_by(events.c.id).limit(limit)

        def sweep(transaction: Transaction) -> int:
            ids = transaction.connection.execute(old).scalars().all()
            return transaction.execute(delete(events).where(events.c.id.in_(ids)))

        return await self._writer.ask(sweep)

    # --- the seal

    async def sealed_by(self) -> str:
        """Return the check value of the seal that everything here is closed with, or was until a rotation began."""
        return await self._reader.ask(
            lambda snapshot: snapshot.connection.execute(select(self._tables.meta.c.seal_check)).scalar_one()
        )

    async def reseal(self) -> AsyncIterator[Resealed]:
        """Close everything with the newest seal, a few at a time beside other work, and tell how far it has come.

        May be begun anew after a crash. The former seal may go when it has ended, not before.
        """
        newest, done = self._seal.check, 0
        total = await self._reader.ask(lambda snapshot: count_sealed(snapshot, self._tables))
        for column in sealed_columns(self._tables):
            after: Primary = ()
            while page := await self._writer.ask(partial(reseal_page, column=column, after=after)):
                after = page[-1]
                done += len(page)
                yield Resealed(done, total)
        meta = update(self._tables.meta).values(seal_check=newest)
        await self._writer.ask(lambda transaction: transaction.execute(meta))

    async def close(self) -> None:
        """Let go of file, threads and connections, after what was accepted is durable."""
        await self._writer.close()
        await self._reader.close()

    async def _read_all(self, wanted: Select[Any], read: Callable[[Row[Any]], ValueT]) -> list[ValueT]:
        return await self._reader.ask(lambda snapshot: [read(row) for row in snapshot.connection.execute(wanted)])
