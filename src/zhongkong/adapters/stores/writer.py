"""Who writes and who reads: one thread each, with a connection each.

The writer takes what is waiting into one transaction: one lock, one read, one write and one commit for all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Executable, Table, insert
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from zhongkong.adapters.stores.dialects import Dialect
from zhongkong.adapters.stores.rows import Columns, Rows, write_event
from zhongkong.adapters.stores.schema import Tables
from zhongkong.adapters.stores.worker import Task
from zhongkong.core.command import Applied, Command, run
from zhongkong.core.model import Event, Instant, Record, Slot

AnswerT = TypeVar("AnswerT")

SLOTS_PER_QUERY = 500
"""Old SQLite takes 999 values in a statement."""


class Transaction:
    """A write in progress, under the lock: what it read, and what it will write before the commit."""

    def __init__(self, connection: Connection, dialect: Dialect, tables: Tables, rows: Rows) -> None:
        """Take a connection on which `dialect.begin_write` was called."""
        self.connection = connection
        self.dialect = dialect
        self.tables = tables
        self.rows = rows
        self._before: dict[Slot, tuple[Record, bytes | None]] = {}
        self._after: dict[Slot, Record] = {}
        self._events: list[Columns] = []

    def now(self) -> Instant:
        """Return the store's clock."""
        return self.dialect.now(self.connection)

    def fetch(self, slots: Sequence[Slot]) -> None:
        """Read the records of `slots` as they are now that nobody else writes them."""
        for start in range(0, len(slots), SLOTS_PER_QUERY):
            wanted = slots[start : start + SLOTS_PER_QUERY]
            values = {"appids": [slot.appid for slot in wanted], "kinds": list({slot.kind.value for slot in wanted})}
            for row in self.connection.execute(self.tables.records_of, values):
                record = self.rows.read_record(row)
                self._before[record.slot] = (record, row.value)

    def record(self, slot: Slot) -> Record:
        """Return the record of a slot that was fetched, with what this transaction did to it."""
        record = self._after.get(slot)
        if record is None:
            before = self._before.get(slot)
            record = Record(slot) if before is None else before[0]
        return record

    def run(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        """Apply a command to the record of its slot."""
        record = self.record(command.slot)
        applied, events = run(command, record, self.now())
        if applied.record is not record:
            self._after[command.slot] = applied.record
        self.tell(events, applied.now)
        return applied

    def tell(self, events: Iterable[Event], now: Instant) -> None:
        """Append events."""
        self._events.extend(write_event(event, now) for event in events)

    def execute(self, statement: Executable, values: Sequence[Columns] | None = None) -> int:
        """Execute a statement now, for each of `values` if there are any; return how many rows it found."""
        return self.connection.execute(statement, values).rowcount

    def put(self, table: Table, row: Columns) -> None:
        """Put a row now, in place of the one with its primary key."""
        self.connection.execute(self.dialect.upsert(table), row)

    def flush(self) -> None:
        """Write what was changed and told."""
        if self._after:
            changed = [
                self.rows.write_record(record, *self._before.get(slot, (record, None)))
                for slot, record in self._after.items()
            ]
            self.connection.execute(self.dialect.upsert(self.tables.records), changed)
        if self._events:
            self.connection.execute(insert(self.tables.events), self._events)

    def remember(self) -> None:
        """Keep what is committed now, so that nobody has to unseal it."""
        for record in self._after.values():
            self.rows.remember(record)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store as it was at one moment, `now` or a little later: whatever was committed before `now` is in it."""

    connection: Connection
    now: Instant


class Writer:
    """Does tasks on a `Transaction`, together. If one of them fails, the others are done without it."""

    def __init__(self, dialect: Dialect, tables: Tables, rows: Rows) -> None:
        """Take the parts; the connection is made when it is needed."""
        self._dialect = dialect
        self._tables = tables
        self._rows = rows
        self._line = _Line(dialect)

    def perform(self, tasks: Sequence[Task[Transaction]]) -> None:
        """Do the tasks and commit; when this returns, what they wrote is durable, or each holds an error."""
        try:
            self._commit(tasks)
        except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
            self._line.cut()
            if len(tasks) > 1 and not isinstance(error, OperationalError):
                for task in tasks:
                    self.perform([task])
            else:
                _fail(tasks, error, self._dialect)

    def _commit(self, tasks: Sequence[Task[Transaction]]) -> None:
        connection = self._line.connection()
        slots = list({slot for task in tasks for slot in task.slots})
        self._dialect.begin_write(connection, slots)
        transaction = Transaction(connection, self._dialect, self._tables, self._rows)
        transaction.fetch(slots)
        for task in tasks:
            task.answer = task.do(transaction)
        transaction.flush()
        connection.commit()
        transaction.remember()

    def close(self) -> None:
        """Let go of the connection."""
        self._line.cut()


class Reader:
    """Does tasks on a `Snapshot`, which those that wait together share."""

    def __init__(self, dialect: Dialect) -> None:
        """Take the dialect; the connection is made when it is needed."""
        self._dialect = dialect
        self._line = _Line(dialect)

    def perform(self, tasks: Sequence[Task[Snapshot]]) -> None:
        """Do the tasks; each holds an answer or an error."""
        try:
            connection = self._line.connection()
            now = self._dialect.now(connection)
            self._dialect.begin_read(connection)
            for task in tasks:
                self._read(task, Snapshot(connection, now))
            connection.rollback()
        except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
            self._line.cut()
            _fail(tasks, error, self._dialect)

    def _read(self, task: Task[Snapshot], snapshot: Snapshot) -> None:
        try:
            task.answer = task.do(snapshot)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
            _fail([task], error, self._dialect)

    def close(self) -> None:
        """Let go of the connection."""
        self._line.cut()


class _Line:
    """A connection that is made when it is needed, and anew after a failure: nothing of a failure is carried on."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the connection."""
        if self._connection is None:
            self._connection = self._dialect.connect()
        return self._connection

    def cut(self) -> None:
        """Close the connection; what it had not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()


def _fail(tasks: Sequence[Task[AnswerT]], error: Exception, dialect: Dialect) -> None:
    """Give each task an error of its own: raised in many coroutines, one would gather all their tracebacks."""
    for task in tasks:
        task.error = dialect.translate(error)
