"""The store on SQL: one body for every database; `dialects.py` holds what differs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Row, Select, Table, bindparam, delete, insert, select, update

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.stores.addresses import Address, FileAddress
from zhongkong.adapters.stores.dialects import Dialect, Sqlite
from zhongkong.adapters.stores.opening import is_prepared, prepare
from zhongkong.adapters.stores.place import FileSystemOf, file_system_of
from zhongkong.adapters.stores.resealing import Primary, Resealed, count_sealed, reseal_page, sealed_columns
from zhongkong.adapters.stores.rows import SIGNING_KEY, Columns, Rows, read_event, read_key, write_key
from zhongkong.adapters.stores.schema import Tables, build_tables
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.standing import judge_standing
from zhongkong.adapters.stores.worker import Worker
from zhongkong.adapters.stores.writer import Reader, Snapshot, Transaction, Writer, read_unwritten
from zhongkong.core.callbacks import Callback, KeptPush, Proof, Push, Standing, Taken, judge_push
from zhongkong.core.change import Remove, change_account, kept_of
from zhongkong.core.command import Applied, Command
from zhongkong.core.grants import Key
from zhongkong.core.model import NEVER, Account, Event, Instant, Kind, Record, Seconds, Slot
from zhongkong.core.ports import Changes, KeptEvent, Seal
from zhongkong.errors import WrongSeal

AnswerT = TypeVar("AnswerT")
ValueT = TypeVar("ValueT")

_KINDS = [kind.value for kind in Kind]
"""Records of others are a newer program's, on the same store while one takes the other's place."""
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


async def open_at(address: Address, seal: Seal, prefix: str) -> SqlStore:
    """Return the store at `address`, of whichever engine; raises as `open_sqlite`.

    Raises: SettingInvalid: the engine's driver is not installed.
    """
    if isinstance(address, FileAddress):
        return await open_sqlite(address.path, seal, prefix)
    return await open_store(dialect_of(address, prefix), seal, prefix)


async def open_store(dialect: Dialect, seal: Seal, prefix: str, boot: Callable[[], Seconds] | None = None) -> SqlStore:
    """Return the store behind `dialect`; raises as `open_sqlite`. `boot` is what tries are limited by."""
    tables, rows, boot = build_tables(prefix), Rows(seal), boot or MachineClock().boot
    writing, reading = Writer(dialect, tables, rows, boot), Reader(dialect, boot)
    writer = Worker("zhongkong-store-writer", writing.perform, writing.close)
    reader = Worker("zhongkong-store-reader", reading.perform, reading.close)
    preparing = Writer(dialect, tables, rows, boot, alone=True)
    preparer = Worker("zhongkong-store-preparer", preparing.perform, preparing.close)
    try:
        if not await reader.ask(lambda snapshot: is_prepared(snapshot, tables, seal)):
            await preparer.ask(lambda transaction: prepare(transaction, prefix, seal))
    except BaseException:
        await writer.close()
        await reader.close()
        raise
    finally:
        await preparer.close()
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
        self._sealed_signing_key = select(tables.meta.c.signing_key)
        self._tell_of_write: Callable[[], None] = _tell_nobody

    def tell_of_writes(self, tell: Callable[[], None]) -> None:
        """Have `tell` called after each commit that other replicas want to hear of: of records and accounts."""
        self._tell_of_write = tell

    # --- records

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record, in one commit with whatever else is waiting."""
        slots = [command.slot for command in commands]
        done = await self._writer.ask(lambda transaction: [transaction.run(command) for command in commands], slots)
        if any(one.record.changed_at == one.now for one in done):
            self._tell_of_write()
        return done

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record as last committed."""
        records = self._tables.records
        wanted = select(records).where(records.c.appid == slot.appid, records.c.kind == slot.kind.value)

        def read(snapshot: Snapshot) -> Record:
            judge_standing(snapshot.connection, self._tables)  # what a closed store holds is the past
            row = snapshot.connection.execute(wanted).one_or_none()
            return (
                read_unwritten(snapshot.connection, self._tables, slot) if row is None else self._rows.read_record(row)
            )

        return await self._reader.ask(read)

    async def changes(self, after: Instant) -> Changes:
        """Return every record and account written at or after `after`, of one committed state.

        Whose rows cannot be unsealed is named, and keeps nobody else from being read.
        """
        records, accounts = self._tables.records, self._tables.accounts
        changed_records, changed_accounts = select(records).where(records.c.kind.in_(_KINDS)), select(accounts)
        if after != NEVER:
            changed_records = changed_records.where(records.c.changed_at >= after)
            changed_accounts = changed_accounts.where(accounts.c.changed_at >= after)

        def read(snapshot: Snapshot) -> _Changed:
            incarnation, execute = judge_standing(snapshot.connection, self._tables), snapshot.connection.execute
            rows = execute(changed_records).all(), execute(changed_accounts).all()
            return _Changed(snapshot.now, incarnation, *rows)

        def unseal(changed: _Changed) -> Changes:
            records, sealed_records = _read_rows(changed.records, self._rows.read_record)
            accounts, sealed_accounts = _read_rows(changed.accounts, self._rows.read_account)
            return Changes(
                now=changed.now,
                incarnation=changed.incarnation,
                records=tuple(records),
                accounts=tuple(accounts),
                unreadable_records=tuple(Slot(row.appid, Kind(row.kind)) for row in sealed_records),
                unreadable_accounts=tuple(row.appid for row in sealed_accounts),
            )

        return await self._reader.read(read, unseal)

    # --- accounts

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account and bring its records along, in one transaction."""
        slots = [Slot(account.appid, kind) for kind in Kind]

        def put(transaction: Transaction) -> Account:
            old = self._account_in(transaction, account.appid)
            new, changes = change_account(account, old, map(transaction.record, slots))
            row = self._rows.write_account(new, transaction.now())
            if old is None:
                transaction.execute(
                    insert(self._tables.accounts), [row]
                )  # and no upsert: another may just have made it
            else:
                transaction.put(self._tables.accounts, row)
            for change in changes:
                transaction.run(change)
            return new

        kept = await self._writer.ask(put, slots)
        self._tell_of_write()
        return kept

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave tombstones, in one transaction."""
        slots = [Slot(appid, kind) for kind in Kind]

        def remove(transaction: Transaction) -> bool:
            accounts = self._tables.accounts
            gone = transaction.execute(delete(accounts).where(accounts.c.appid == appid)) == 1
            if gone:
                for slot in slots:
                    transaction.give_up_value(slot)
                for record in kept_of(map(transaction.record, slots)):
                    transaction.run(Remove(record.slot))
                for table in (self._tables.callbacks, self._tables.proofs):
                    transaction.execute(delete(table).where(table.c.appid == appid))
            return gone

        was_there = await self._writer.ask(remove, slots)
        self._tell_of_write()
        return was_there

    async def account(self, appid: str) -> Account | None:
        """Return the account as last committed, or None."""
        return await self._reader.ask(lambda snapshot: self._account_in(snapshot, appid))

    def _account_in(self, ground: Snapshot | Transaction, appid: str) -> Account | None:
        accounts = self._tables.accounts
        row = ground.connection.execute(select(accounts).where(accounts.c.appid == appid)).one_or_none()
        return None if row is None else self._rows.read_account(row)

    async def accounts(self) -> list[Account]:
        """Return all accounts that can be unsealed, by appid."""
        wanted = select(self._tables.accounts).order_by(self._tables.accounts.c.appid)

        def read(snapshot: Snapshot) -> list[Account]:
            return _read_rows(snapshot.connection.execute(wanted), self._rows.read_account)[0]

        return await self._reader.ask(read)

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

    async def signing_key(self) -> bytes:
        """Return the key that virtual tokens are signed with."""

        def read(snapshot: Snapshot) -> bytes:
            return self._rows.read_signing_key(snapshot.connection.execute(self._sealed_signing_key).scalar_one())

        return await self._reader.ask(read)

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

    # --- callbacks and pushes

    async def put_callback(self, callback: Callback) -> bool:
        """Add or replace an account's callback; say whether there is such an account."""
        row = self._rows.write_callback(callback)
        return await self._put_for(callback.appid, self._tables.callbacks, row)

    async def put_proof(self, proof: Proof) -> bool:
        """Add or replace a file; say whether there is such an account."""
        return await self._put_for(proof.appid, self._tables.proofs, proof._asdict())

    async def _put_for(self, appid: str, table: Table, row: Columns) -> bool:
        accounts = self._tables.accounts
        known = select(accounts.c.appid).where(accounts.c.appid == appid)

        def put(transaction: Transaction) -> bool:
            is_known = transaction.connection.execute(known).scalar_one_or_none() is not None
            if is_known:
                transaction.put(table, row)
            return is_known

        return await self._writer.ask(put, [Slot(appid)])  # the account is not removed meanwhile

    async def callback(self, appid: str) -> Callback | None:
        """Return the callback as last committed, or None."""
        callbacks = self._tables.callbacks
        found = await self._read_all(select(callbacks).where(callbacks.c.appid == appid), self._rows.read_callback)
        return found[0] if found else None

    async def proof(self, name: str) -> Proof | None:
        """Return the file of that name, or None."""
        proofs = self._tables.proofs
        found = await self._read_all(select(proofs).where(proofs.c.name == name), _read_proof)
        return found[0] if found else None

    async def proofs(self, appid: str) -> list[Proof]:
        """Return an account's files, by name."""
        proofs = self._tables.proofs
        return await self._read_all(select(proofs).where(proofs.c.appid == appid).order_by(proofs.c.name), _read_proof)

    async def take_push(self, push: Push, fence: str) -> Taken:
        """Say what the push is, and note that it came."""
        pushes = self._tables.pushes
        wanted = select(pushes).where(pushes.c.id.in_([push.row, push.stamp_row]))

        def take(transaction: Transaction) -> Taken:
            found = {row.id: row for row in transaction.connection.execute(wanted)}
            stamp, kept, now = found.get(push.stamp_row), found.get(push.row), transaction.now()
            stamped = None if stamp is None else stamp.holder
            taken = judge_push(push, stamped, None if kept is None else self._read_push(kept), now)
            if stamp is None:
                transaction.put(pushes, _push_row(push.stamp_row, now, push.appid, push.identity))
            if taken.standing is Standing.FIRST:
                transaction.put(pushes, _push_row(push.row, now, push.appid, fence))
            return taken

        return await self._writer.ask(take, [Slot(push.appid)])  # nobody else takes one of this account's meanwhile

    def _read_push(self, row: Row[Any]) -> KeptPush:
        answer = None if row.answer is None else self._rows.read_answer(row.answer, row.appid)
        return KeptPush(row.at, row.holder, answer)

    async def answer_push(self, push: Push, fence: str, answer: str) -> bool:
        """Keep what was answered; say whether it was the fence's to give."""
        pushes = self._tables.pushes
        mine = update(pushes).where(pushes.c.id == push.row, pushes.c.holder == fence)
        note = mine.values(answer=self._rows.seal_answer(answer, push.appid))
        return await self._writer.ask(lambda transaction: transaction.execute(note) == 1, [Slot(push.appid)])

    async def sweep_pushes(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` pushes and stamps from before `before`."""
        pushes = self._tables.pushes
        old = select(pushes.c.id).where(pushes.c.at < before).order_by(pushes.c.at).limit(limit)

        def sweep(transaction: Transaction) -> int:
            ids = transaction.connection.execute(old).scalars().all()
            return transaction.execute(delete(pushes).where(pushes.c.id.in_(ids)))

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

        def end(transaction: Transaction) -> None:
            sealed = transaction.connection.execute(self._sealed_signing_key).scalar_one()
            anew = {"seal_check": newest, "signing_key": self._rows.reseal(sealed, SIGNING_KEY)}
            transaction.execute(update(self._tables.meta).values(anew))

        await self._writer.ask(end)

    async def close(self) -> None:
        """Let go of file, threads and connections, after what was accepted is durable."""
        await self._writer.close()
        await self._reader.close()

    async def _read_all(self, wanted: Select[Any], read: Callable[[Row[Any]], ValueT]) -> list[ValueT]:
        return await self._reader.ask(lambda snapshot: [read(row) for row in snapshot.connection.execute(wanted)])


def _tell_nobody() -> None:
    """Say nothing: other replicas find out by themselves."""


def _read_proof(row: Row[Any]) -> Proof:
    return Proof(row.name, row.appid, row.body)


def _push_row(row: str, now: Instant, appid: str, holder: str) -> Columns:
    """Return the columns of a push, held by whoever answers it, or of a stamp, held by what it came with."""
    return {"id": row, "at": now, "appid": appid, "holder": holder, "answer": None}


class _Changed(NamedTuple):
    """What a poll found, as it lies in the store."""

    now: Instant
    incarnation: str
    records: Sequence[Row[Any]]
    accounts: Sequence[Row[Any]]


def _read_rows(rows: Iterable[Row[Any]], read: Callable[[Row[Any]], ValueT]) -> tuple[list[ValueT], list[Row[Any]]]:
    """Return what can be read of `rows`, and those that cannot be unsealed."""
    values, sealed = [], []
    for row in rows:
        try:
            values.append(read(row))
        except WrongSeal:
            sealed.append(row)
    return values, sealed
