"""Who writes and who reads: one thread each, with a connection each.

The writer takes what is waiting into one transaction: one lock, one read, one write and one commit for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Row, Table, insert, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from zhongkong.adapters.stores.dialects import Dialect
from zhongkong.adapters.stores.rows import Columns, Rows, read_revision, write_event
from zhongkong.adapters.stores.schema import Tables
from zhongkong.adapters.stores.standing import judge_standing
from zhongkong.adapters.stores.worker import Task
from zhongkong.core.command import Applied, Command, run
from zhongkong.core.model import Event as Told
from zhongkong.core.model import Instant, Kind, Record, Seconds, Slot
from zhongkong.errors import StoreRefused, StoreUnavailable, WrongSeal

AnswerT = TypeVar("AnswerT")

SLOTS_PER_QUERY = 500
"""Old SQLite takes 999 values in a statement."""
TRY_FOR: Seconds = 2.0
"""A restart takes about so long, and who waits for a credential waits 5 s."""
FIRST_WAIT: Seconds = 0.02
_EVERYBODYS = (OperationalError, StoreRefused, StoreUnavailable)
"""What no task is to blame for: done one by one, each would meet it again."""


class Transaction:
    """A write in progress, under the lock: what it read, and what it will write before the commit."""

    def __init__(self, connection: Connection, dialect: Dialect, tables: Tables, rows: Rows) -> None:
        """Take a connection on which `dialect.begin_write` was called."""
        self.connection = connection
        self.dialect = dialect
        self.tables = tables
        self.rows = rows
        self._before: dict[Slot, tuple[Record, bytes | None]] = {}
        self._sealed: dict[Slot, tuple[Row[Any], WrongSeal]] = {}
        """What was fetched and cannot be unsealed: an error for who asks for it, and for nobody else."""
        self._after: dict[Slot, Record] = {}
        self._events: list[Columns] = []
        self._now: Instant | None = None

    def now(self) -> Instant:
        """Return the store's clock as it was when it was first asked for: under the lock, moments ago."""
        if self._now is None:
            self._now = self.dialect.now(self.connection)
        return self._now

    def fetch(self, slots: Sequence[Slot]) -> None:
        """Read the records of `slots` as they are now that nobody else writes them.

        Where rows are locked, their accounts are first, and all in one order: so no two writers wait for each other,
        and a slot without a record is nobody else's while it has an account.
        """
        pages = [sorted(slots)[start : start + SLOTS_PER_QUERY] for start in range(0, len(slots), SLOTS_PER_QUERY)]
        if self.dialect.locks_rows:
            for wanted in pages:
                self.connection.execute(self.tables.lock_accounts, {"appids": [slot.appid for slot in wanted]})
        for wanted in pages:
            values = {"appids": [slot.appid for slot in wanted], "kinds": list({slot.kind.value for slot in wanted})}
            for row in self.connection.execute(self.tables.records_of, values):
                slot = Slot(row.appid, Kind(row.kind))
                try:
                    self._before[slot] = (self.rows.read_record(row), row.value)
                except WrongSeal as error:
                    self._sealed[slot] = (row, error)

    def give_up_value(self, slot: Slot) -> None:
        """Go on without the value of a credential that cannot be unsealed, and that nobody shall need any more.

        Raises: WrongSeal: nothing of the record can be read.
        """
        if slot in self._sealed:
            row, _ = self._sealed.pop(slot)
            self._before[slot] = (self.rows.read_sealed_record(row), row.value)

    def record(self, slot: Slot) -> Record:
        """Return the record of a slot that was fetched, with what this transaction did to it.

        Raises: WrongSeal: it cannot be unsealed.
        """
        record = self._after.get(slot)
        if record is None:
            if slot in self._sealed:
                raise self._sealed[slot][1]
            before = self._before.get(slot)
            record = read_unwritten(self.connection, self.tables, slot) if before is None else before[0]
        return record

    def run(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        """Apply a command to the record of its slot."""
        record = self.record(command.slot)
        applied, events = run(command, record, self.now())
        if applied.record is not record:
            self._after[command.slot] = applied.record
        self.tell(events, applied.now)
        return applied

    def tell(self, events: Iterable[Told], now: Instant) -> None:
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
        if changed := self._rows(self._after.keys() & self._before.keys()):
            self.connection.execute(self.dialect.upsert(self.tables.records), changed)
        if new := self._rows(self._after.keys() - self._before.keys()):
            self.connection.execute(insert(self.tables.records), new)  # and no upsert: another may just have made it
        if self._events:
            if self.dialect.locks_rows:  # one writer at a time: who follows the events sees none behind a later one
                self.connection.execute(self.tables.lock_events)
            self.connection.execute(insert(self.tables.events), self._events)

    def _rows(self, slots: Iterable[Slot]) -> list[Columns]:
        return [
            self.rows.write_record(self._after[slot], *self._before.get(slot, (self._after[slot], None)))
            for slot in sorted(slots)
        ]

    def remember(self) -> None:
        """Keep what is committed now, so that nobody has to unseal it."""
        for record in self._after.values():
            self.rows.remember(record)


def read_unwritten(connection: Connection, tables: Tables, slot: Slot) -> Record:
    """Return the record of a slot that was never written: empty, and of its account's revision."""
    accounts = tables.accounts
    of_account = select(accounts.c.document).where(accounts.c.appid == slot.appid)
    document = connection.execute(of_account).scalar_one_or_none()
    return Record(slot, revision=0 if document is None else read_revision(slot.appid, document))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store as it was at one moment, `now` or a little later: whatever was committed before `now` is in it."""

    connection: Connection
    now: Instant


class Writer:
    """Does tasks on a `Transaction`, together. If one of them fails, the others are done without it."""

    def __init__(
        self, dialect: Dialect, tables: Tables, rows: Rows, boot: Callable[[], Seconds], *, alone: bool = False
    ) -> None:
        """Take the parts; the connection is made when it is needed. `alone`: beside nobody who is alone, too."""
        self._dialect = dialect
        self._tables = tables
        self._rows = rows
        self._tries = _Tries(dialect, boot)
        self._is_alone = alone
        self._begin = dialect.begin_alone if alone else dialect.begin_write
        self._line = _Line(dialect.connect_alone if alone else dialect.connect)
        self._is_committing = False

    def perform(self, tasks: Sequence[Task[Transaction]]) -> None:
        """Do the tasks and commit; when this returns, what they wrote is durable, or each holds an error.

        What a server interrupted before the commit is begun again. What it interrupted at the commit may be done.
        """
        wait_to_try_again = self._tries.begin()
        while True:
            try:
                self._commit(tasks)
            except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
                self._line.cut()
                if not self._is_committing and wait_to_try_again(error):
                    continue
                if len(tasks) > 1 and not (isinstance(error, _EVERYBODYS) or self._dialect.passes(error)):
                    for task in tasks:
                        self.perform([task])
                else:
                    _fail(tasks, error, self._dialect)
            return

    def _commit(self, tasks: Sequence[Task[Transaction]]) -> None:
        self._is_committing = False
        connection = self._line.connection()
        slots = list({slot for task in tasks for slot in task.slots})
        self._begin(connection)
        transaction = Transaction(connection, self._dialect, self._tables, self._rows)
        transaction.fetch(slots)
        if not self._is_alone:
            _ = judge_standing(connection, self._tables)
        for task in tasks:
            task.answer = task.do(transaction)
        transaction.flush()
        self._is_committing = True
        connection.commit()
        transaction.remember()

    def close(self) -> None:
        """Let go of the connection."""
        self._line.cut()


class Reader:
    """Does tasks on a `Snapshot`, which those that wait together share."""

    def __init__(self, dialect: Dialect, boot: Callable[[], Seconds]) -> None:
        """Take the parts; the connection is made when it is needed."""
        self._dialect = dialect
        self._tries = _Tries(dialect, boot)
        self._line = _Line(dialect.connect_reading)

    def perform(self, tasks: Sequence[Task[Snapshot]]) -> None:
        """Do the tasks; each holds an answer or an error."""
        wait_to_try_again = self._tries.begin()
        while True:
            try:
                connection = self._line.connection()
                now = self._dialect.now(connection)
                self._dialect.begin_read(connection)
                for task in tasks:
                    self._read(task, Snapshot(connection, now))
                if not self._dialect.end_read(connection):
                    self._line.cut()
                for task in tasks:
                    self._make(task)
            except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
                self._line.cut()
                if wait_to_try_again(error):
                    continue
                _fail(tasks, error, self._dialect)
            return

    def _read(self, task: Task[Snapshot], snapshot: Snapshot) -> None:
        task.error = None  # an earlier try may have left one
        try:
            task.answer = task.do(snapshot)
        except Exception as error:  # every failure is somebody's answer
            if isinstance(error, OperationalError) or self._dialect.passes(error):
                raise
            _fail([task], error, self._dialect)

    def _make(self, task: Task[Snapshot]) -> None:
        """Make of what was read what was asked for."""
        if task.then is None or task.error is not None:
            return
        try:
            task.answer = task.then(task.answer)
        except Exception as error:  # noqa: BLE001 (every failure is somebody's answer)
            _fail([task], error, self._dialect)

    def close(self) -> None:
        """Let go of the connection."""
        self._line.cut()


class _Tries:
    """How often a transaction is begun again that a server interrupted: at once, then ever more slowly, not for long.

    Longer outages are the callers' affair: they go on from memory, and ask again.
    """

    def __init__(self, dialect: Dialect, boot: Callable[[], Seconds]) -> None:
        self._dialect = dialect
        self._boot = boot
        self._never = Event()

    def begin(self) -> Callable[[Exception], bool]:
        """Return what waits after an error until it is worth another try, and says no where none is."""
        until, wait = self._boot() + TRY_FOR, 0.0

        def wait_to_try_again(error: Exception) -> bool:
            nonlocal wait
            if not self._dialect.passes(error) or self._boot() + wait > until:
                return False
            self._never.wait(wait)
            wait = max(2 * wait, FIRST_WAIT)
            return True

        return wait_to_try_again


class _Line:
    """A connection that is made when it is needed, and anew after a failure: nothing of a failure is carried on."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the connection."""
        if self._connection is None:
            self._connection = self._connect()
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
