"""PostgreSQL, MySQL and MariaDB, as the one SQL body needs them; transactions are begun by statements of our own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from hashlib import sha256
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Insert, NullPool, Table, create_engine, func, select
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.exc import DBAPIError

from zhongkong.adapters.stores.addresses import ServerAddress
from zhongkong.adapters.stores.dialects import Dialect
from zhongkong.adapters.stores.rows import RowUnreadable
from zhongkong.adapters.stores.server_errors import Meaning, judge_mysql, judge_postgresql, name_of_failure
from zhongkong.adapters.stores.tls_files import check_tls_files, is_tls_trouble
from zhongkong.core.model import Instant, Seconds
from zhongkong.errors import SettingInvalid, StoreError, StoreRefused, StoreUnavailable

Correct: TypeAlias = Callable[[Instant], Instant]
"""What is made of the time that a server tells: nothing, but in tests, which turn clocks."""

CONNECT_WITHIN = 3
"""Seconds."""
TRANSACTIONS_LIVE: Seconds = 5.0
"""The server ends a longer one: its holder was stopped, and others wait for what it locked."""
CLIENT_SIDE = 2000
"""From here on an error of MySQL is the driver's own."""
TLS_FAILED = 2026
"""MySQL's number for what went wrong with TLS on the client's side."""
MIGRATIONS_WAIT = 60
"""Seconds. How long one replica waits for another one's migrations."""
LONGEST_MIGRATION = 300
"""Seconds. How long a step of one may take."""


def _as_told(told: Instant) -> Instant:
    return told


class _Server(ABC):
    """What databases on servers have in common: rows are locked, and the server's clock is the store's."""

    locks_rows = True
    _driver = ""
    _clock = ""

    def __init__(self, address: ServerAddress, prefix: str, correct: Correct = _as_told) -> None:
        """Take where it is; nothing is connected to yet.

        Raises: SettingInvalid: the driver is not installed, or a file for TLS cannot be used.
        """
        self._address = address
        self._prefix = prefix
        self._correct = correct
        try:
            self._module = self._import_driver()
        except ModuleNotFoundError as missing:
            package = (missing.name or "?").partition(".")[0]
            raise SettingInvalid("store_extra_missing", module=package, extra=address.engine) from missing
        how: dict[str, Any] = {
            "poolclass": NullPool,
            "hide_parameters": True,
            "isolation_level": "AUTOCOMMIT",
        }  # we begin by ourselves
        self._writing = create_engine(self._driver, creator=self._open, **how)
        self._reading = create_engine(self._driver, creator=self._open_reading, **how)
        self._preparing = create_engine(self._driver, creator=self._open_alone, **how)

    @abstractmethod
    def _import_driver(self) -> Any:  # noqa: ANN401 (whichever it is)
        """Return the driver's module."""

    @abstractmethod
    def _open(self) -> Any:  # noqa: ANN401 (the driver's)
        """Return a connection of the driver's, with our limits set."""

    def _open_reading(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open()

    def _open_alone(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open()

    @abstractmethod
    def _judge(self, cause: BaseException | None) -> Meaning:
        """Return what a failure means."""

    @abstractmethod
    def _name(self, cause: BaseException | None) -> str:
        """Return the server's own name for a failure."""

    def connect(self) -> Connection:
        """Return a connection of its own, on which no statement and no transaction lasts long."""
        return self._writing.connect()

    def connect_reading(self) -> Connection:
        """Return one whose transactions see one state."""
        return self._reading.connect()

    def end_read(self, connection: Connection) -> bool:
        """End a reading transaction."""
        connection.commit()
        return True

    def connect_alone(self) -> Connection:
        """Return one for `begin_alone`, on which statements may last."""
        return self._preparing.connect()

    def now(self, connection: Connection) -> Instant:
        """Return the server's clock at this moment."""
        return self._correct(float(connection.exec_driver_sql(self._clock).scalar_one()))

    def passes(self, error: Exception) -> bool:
        """Say whether another try may succeed at once."""
        return isinstance(error, DBAPIError) and self._judge(error.orig).value.again

    def translate(self, error: Exception) -> Exception:
        """Return the error of the tree, with the one that it came from as its cause."""
        place = str(self._address)
        if isinstance(error, RowUnreadable):
            told: StoreError = StoreRefused(Meaning.DAMAGED.value.code, place=place)
        elif isinstance(error, DBAPIError):
            verdict, why = self._judge(error.orig).value, self._name(error.orig)
            tell = StoreRefused if verdict.is_refusal else StoreUnavailable
            told = tell(verdict.code, place=place, user=self._address.user or "?", why=why)
        else:
            return error
        told.__cause__ = error
        return told


class Postgresql(_Server):
    """PostgreSQL, by psycopg. Schema changes are part of their transaction."""

    _driver = "postgresql+psycopg://"
    _clock = "SELECT extract(epoch FROM clock_timestamp())::float8"

    def _import_driver(self) -> Any:  # noqa: ANN401 (a module)
        import psycopg  # noqa: PLC0415 (an extra)

        return psycopg

    def _open(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open_for(TRANSACTIONS_LIVE)

    def _open_alone(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open_for(LONGEST_MIGRATION)

    def _open_for(self, lasts: Seconds) -> Any:  # noqa: ANN401 (the driver's)
        """Return a connection on which nothing is waited for much longer than a statement may last.

        A server that was lost with its machine, or hangs, ends nothing and says nothing.
        """
        opened = self._module.connect(**postgresql_options(self._address))
        opened.wait = partial(opened.wait, timeout=2 * lasts)
        limit = round(TRANSACTIONS_LIVE * 1000)
        with _whole(opened):
            opened.execute(
                f"SET statement_timeout = {limit}; SET lock_timeout = {limit};"
                f" SET idle_in_transaction_session_timeout = {limit}; SET timezone = 'UTC';"
                " SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        return opened

    def begin_write(self, connection: Connection) -> None:
        """Begin; each statement sees what was committed before it."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")

    def begin_alone(self, connection: Connection) -> None:
        """Begin, once nobody else holds the lock of this prefix in this database."""
        key = int.from_bytes(sha256(self._prefix.encode()).digest()[:8], signed=True)
        connection.exec_driver_sql(
            f"SET statement_timeout = '{LONGEST_MIGRATION}s'; SET idle_in_transaction_session_timeout = 0;"
            f" SET lock_timeout = '{MIGRATIONS_WAIT}s'"
        )
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({key})")
        self.begin_write(connection)

    def begin_last(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Begin, with locks that also a reader's stands against."""
        self.begin_write(connection)
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(table.name for table in tables)} IN ACCESS EXCLUSIVE MODE")

    def begin_read(self, connection: Connection) -> None:
        """Begin; the first read decides which state is seen."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @staticmethod
    @cache
    def upsert(table: Table) -> Insert:
        """Return INSERT … ON CONFLICT DO UPDATE."""
        statement = postgresql_insert(table)
        columns = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=columns)

    def count_on(self, connection: Connection, column: Column[int]) -> None:
        """Set the sequence behind the column: it does not look at what was put there."""
        sequence = func.pg_get_serial_sequence(column.table.name, column.name)
        newest = select(func.max(column)).scalar_subquery()
        connection.execute(select(func.setval(sequence, newest)).where(newest.is_not(None)))

    def _judge(self, cause: BaseException | None) -> Meaning:
        return judge_postgresql(getattr(cause, "sqlstate", None) or "", str(cause))

    def _name(self, cause: BaseException | None) -> str:
        return getattr(cause, "sqlstate", None) or name_of_failure(str(cause)) or type(cause).__name__


class Mysql(_Server):
    """MySQL and MariaDB, by PyMySQL. Each change of the schema is a transaction of its own."""

    _driver = "mysql+pymysql://"
    _clock = "SELECT UNIX_TIMESTAMP(SYSDATE(6))"

    def _import_driver(self) -> Any:  # noqa: ANN401 (a module)
        import pymysql  # noqa: PLC0415 (an extra)

        check_tls_files(self._address.options)
        return pymysql

    def _open(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open_at("READ COMMITTED", round(TRANSACTIONS_LIVE))

    def _open_reading(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open_at("REPEATABLE READ", round(TRANSACTIONS_LIVE))

    def _open_alone(self) -> Any:  # noqa: ANN401 (the driver's)
        return self._open_at("READ COMMITTED", LONGEST_MIGRATION)

    def _open_at(self, isolation: str, limit: int) -> Any:  # noqa: ANN401 (the driver's)
        address = self._address
        options: dict[str, Any] = dict(address.options)
        if options.keys() & {"ssl_ca", "ssl_cert"}:
            options |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
        elif "ssl_disabled" in options:
            options["ssl_disabled"] = options["ssl_disabled"] == "true"
        for host, port in address.hosts:
            options |= {"host": host, "port": port}
        opened = self._connect(
            database=address.database,
            user=address.user or None,
            password=address.password.reveal(),
            charset="utf8mb4",
            binary_prefix=True,
            connect_timeout=CONNECT_WITHIN,
            read_timeout=2 * limit,
            write_timeout=2 * limit,
            autocommit=True,
            client_flag=self._module.constants.CLIENT.FOUND_ROWS,
            **options,
        )
        ends = (
            f"max_statement_time = {limit}, idle_transaction_timeout = {limit}"
            if "MariaDB" in opened.get_server_info()
            else f"max_execution_time = {limit * 1000}, wait_timeout = {limit * 2}"  # it knows no idle transactions
        )
        with _whole(opened), opened.cursor() as cursor:
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}")
            cursor.execute(
                "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
                f" innodb_lock_wait_timeout = {limit}, lock_wait_timeout = {limit}, {ends}"
            )
        return opened

    def _connect(self, **options: Any) -> Any:  # noqa: ANN401 (the driver's)
        """Return a connection; a file for TLS that went away since the start is the driver's error, too."""
        try:
            return self._module.connect(**options)
        except OSError as unread:
            raise self._module.OperationalError(TLS_FAILED, "TLS") from unread

    def begin_write(self, connection: Connection) -> None:
        """Begin; each statement sees what was committed before it, and no lock reaches beyond a row."""
        connection.exec_driver_sql("START TRANSACTION")

    def begin_alone(self, connection: Connection) -> None:
        """Begin, once nobody else holds the lock of this prefix in this database."""
        place = sha256(f"{self._address.database}.{self._prefix}".encode()).hexdigest()[:32]
        if connection.exec_driver_sql(f"SELECT GET_LOCK('zhongkong.{place}', {MIGRATIONS_WAIT})").scalar() != 1:
            raise StoreUnavailable(Meaning.LOCKED.value.code, place=str(self._address), user="", why="GET_LOCK")
        self.begin_write(connection)

    def begin_last(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Begin, with locks that also a reader's stands against; a begin by statement would give them up again."""
        connection.exec_driver_sql("SET autocommit = 0")
        connection.exec_driver_sql(f"LOCK TABLES {', '.join(f'{table.name} WRITE' for table in tables)}")

    def begin_read(self, connection: Connection) -> None:
        """Begin; this very moment's state is seen."""
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    @staticmethod
    @cache
    def upsert(table: Table) -> Insert:
        """Return INSERT … ON DUPLICATE KEY UPDATE."""
        statement = mysql_insert(table)
        columns = {column.name: statement.inserted[column.name] for column in table.columns if not column.primary_key}
        return statement.on_duplicate_key_update(columns)

    def count_on(self, connection: Connection, column: Column[int]) -> None:
        """Do nothing: InnoDB counts on from what was put there."""

    def _judge(self, cause: BaseException | None) -> Meaning:
        return Meaning.TLS if is_tls_trouble(cause) else judge_mysql(self._number(cause))

    def _name(self, cause: BaseException | None) -> str:
        number = self._number(cause)
        return name_of_failure(str(cause)) or str(number) if number >= CLIENT_SIDE else str(number)

    @staticmethod
    def _number(cause: BaseException | None) -> int:
        first = cause.args[0] if cause is not None and cause.args else 0
        return first if isinstance(first, int) else 0


@contextmanager
def _whole(opened: Any) -> Iterator[None]:  # noqa: ANN401 (the driver's connection)
    """Close a connection that could not be set up."""
    try:
        yield
    except BaseException:
        opened.close()
        raise


def postgresql_options(address: ServerAddress) -> dict[str, Any]:
    """Return what psycopg connects by."""
    return {
        "autocommit": True,
        "dbname": address.database,
        "connect_timeout": CONNECT_WITHIN,
        "application_name": "zhongkong",
        "client_encoding": "utf-8",
        "keepalives_idle": 10,
        "tcp_user_timeout": round(TRANSACTIONS_LIVE * 2000),
        **_given(
            host=",".join(host for host, _ in address.hosts),
            port=",".join(str(port) for _, port in address.hosts),
            user=address.user,
            password=address.password.reveal(),
            target_session_attrs="read-write" if len(address.hosts) > 1 else "",
        ),
        **address.options,
    }


def _given(**options: str) -> dict[str, str]:
    """Return the options that say something: the driver has its own ways to find the others."""
    return {name: value for name, value in options.items() if value}


def dialect_of(address: ServerAddress, prefix: str, correct: Correct = _as_told) -> Dialect:
    """Return the dialect of the server at `address`.

    Raises: SettingInvalid: its driver is not installed, or a file for TLS cannot be used.
    """
    return (Postgresql if address.engine == "postgresql" else Mysql)(address, prefix, correct)
