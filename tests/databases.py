"""Databases on real servers for tests: each run has one of its own in each engine, and drops it at the end.

The servers are those of `TEST_POSTGRESQL_URL` and `TEST_MYSQL_URL`, by default the ones on this machine's usual ports,
else ones started for this run. Where their programs are not installed tests are skipped aloud; in CI they fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql

from zhongkong.adapters.stores.addresses import ServerAddress, parse_address

ENGINES = ("postgresql", "mysql")
DEFAULTS = {
    "postgresql": "postgresql://postgres@127.0.0.1:5432/postgres",
    "mysql": "mysql://root@127.0.0.1:3306/mysql?ssl_disabled=true",
}


class Databases:
    """One database in each engine, made when a test first needs it."""

    def __init__(self, start: Callable[[str], str]) -> None:
        """Take what starts a server of an engine and returns its URL."""
        self._start = start
        self._urls: dict[str, str] = {}
        self._ends = ExitStack()

    def url(self, engine: str) -> str:
        """Return the URL of this run's database; the test is skipped if there is no such server, and fails in CI."""
        if engine not in self._urls:
            given = os.environ.get(f"TEST_{engine.upper()}_URL")
            try:
                self._urls[engine] = self._ends.enter_context(_database_at(given or DEFAULTS[engine]))
            except (psycopg.OperationalError, pymysql.OperationalError):
                if given:
                    raise
                self._urls[engine] = self._ends.enter_context(_database_at(self._start(engine)))
        return self._urls[engine]

    def close(self) -> None:
        """Drop what was made."""
        self._ends.close()


@contextmanager
def _database_at(server: str) -> Iterator[str]:
    """Make a database with a name that nobody has, and drop it at the end."""
    name = f"zhongkong_test_{os.getpid()}_{token_hex(3)}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        execute(server, f"DROP DATABASE {name}{' WITH (FORCE)' if server.startswith('postgres') else ''}")


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Hand out a plain connection to a database, as a person's tool has one: every statement is committed."""
    address = parse_address(url)
    assert isinstance(address, ServerAddress)
    ((host, port),) = address.hosts
    who: dict[str, Any] = {"host": host, "port": port, "user": address.user, "password": address.password.reveal()}
    connection: Any = (
        psycopg.connect(**who, dbname=address.database, autocommit=True)
        if address.engine == "postgresql"
        else pymysql.connect(**who, database=address.database, autocommit=True, ssl_disabled=True)
    )
    try:
        yield connection
    finally:
        connection.close()


def execute(url: str, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Execute a statement in a database; return the rows that it brought."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []
