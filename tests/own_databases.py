"""Database servers of a test's own, with a directory and a port of their own: they can be stopped, killed and started.

Each lets the user `hub` in with the password `PASSWORD`, and `root` without one; the database is `hub`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.databases import connected, execute
from tests.scenario.end_to_end.programs import find_free_port

PASSWORD = "hunter2 @/:%"
SOON = 30.0
BUFFER = 33_554_432


class OwnServer:
    """A server that runs from `start` to `stop` or `kill`."""

    engine = ""

    def __init__(self, directory: Path) -> None:
        self.port = find_free_port()
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a hub is given."""
        return self.url_of("hub")

    @property
    def root_url(self) -> str:
        """What whoever runs the server uses."""
        return f"{self.engine}://{self.superuser}@127.0.0.1:{self.port}/{self.first_database}{self.options}"

    def url_of(self, database: str) -> str:
        """Return what a hub is given for another database."""
        return f"{self.engine}://hub:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}{self.options}"

    options = ""
    superuser = "root"
    first_database = "mysql"
    stopping = signal.SIGTERM

    def command(self) -> list[str]:
        """Return what starts it."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start it, and do not wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, **as_user(self.directory))

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        patient = Retry(ConstantBackoff(0.05), int(SOON / 0.05), (psycopg.Error, pymysql.Error))
        patient.call_with_retry(self._try, lambda _: None)

    def _try(self) -> None:
        """Ask it something; one that did not start, because what was killed before it is not gone yet, starts again."""
        if self._process is None or self._process.poll() is not None:
            self.begin()
        execute(self.root_url, "SELECT 1")

    def stop(self) -> None:
        """End it in order."""
        self._end(self.stopping)

    def kill(self) -> None:
        """End it as `kill -9` does: what was acknowledged must be there when it comes back."""
        self._end(signal.SIGKILL)

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(by)
            process.wait(SOON)

    def may_write(self, *, may: bool) -> None:
        """Have it be a primary, or one that only reads."""
        raise NotImplementedError

    def end_sessions(self) -> None:
        """End every session of the hub's user, as an administrator does."""
        raise NotImplementedError


class OwnPostgresql(OwnServer):
    """PostgreSQL."""

    engine = "postgresql"
    superuser = "postgres"
    first_database = "postgres"
    stopping = signal.SIGINT  # sessions are ended, not waited for
    listens = "127.0.0.1"

    @classmethod
    def make(cls, directory: Path) -> OwnPostgresql:
        """Return a new one, running."""
        server = cls(directory)
        made = [program_of("initdb"), "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"]
        subprocess.run([*made, str(directory / "data")], check=True, stdout=subprocess.DEVNULL, **as_user(directory))
        access = directory / "data" / "pg_hba.conf"
        access.write_text(f"host all hub samenet scram-sha-256\n{access.read_text()}")
        server.start()
        execute(server.root_url, f"CREATE ROLE hub LOGIN PASSWORD '{PASSWORD}'")
        execute(server.root_url, "CREATE DATABASE hub OWNER hub")
        return server

    def command(self) -> list[str]:
        """Return what starts it."""
        where = [
            "-D",
            str(self.directory / "data"),
            "-p",
            str(self.port),
            "-h",
            self.listens,
            "-k",
            str(self.directory),
        ]
        small = ["-c", "max_connections=20", "-c", "min_wal_size=32MB", "-c", "max_wal_size=64MB"]
        return [program_of("postgres"), *where, *small]

    def may_write(self, *, may: bool) -> None:
        """Have it be a primary, or one that only reads: it is promoted, or begins as a standby."""
        if may:
            execute(self.root_url, "SELECT pg_promote()")
            return
        self.stop()
        (self.directory / "data" / "standby.signal").touch()
        self.start()

    def end_sessions(self) -> None:
        """End every session of the hub's user."""
        execute(self.root_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hub'")


class OpenPostgresql(OwnPostgresql):
    """PostgreSQL that the hosts of its net reach too."""

    listens = "0.0.0.0"  # noqa: S104 (within a network namespace of a test)


class OwnMariadb(OwnServer):
    """MariaDB."""

    engine = "mysql"
    options = "?ssl_disabled=true"

    @classmethod
    def make(cls, directory: Path) -> OwnMariadb:
        """Return a new one, running."""
        server = cls(directory)
        made = [program_of("mariadb-install-db"), "--no-defaults", f"--datadir={directory / 'data'}"]
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-log-at-trx-commit=0"]
        subprocess.run([*made, *how], check=True, stdout=subprocess.DEVNULL, **as_user(directory))
        server.start()
        execute(server.root_url, f"CREATE USER hub@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        execute(server.root_url, "CREATE DATABASE hub CHARACTER SET utf8mb4")
        execute(server.root_url, "GRANT ALL PRIVILEGES ON hub.* TO hub@'127.0.0.1'")
        return server

    def command(self) -> list[str]:
        """Return what starts it."""
        where = [f"--datadir={self.directory / 'data'}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        apart = [f"--socket={self.directory / 'socket'}", f"--pid-file={self.directory / 'pid'}"]
        small = [f"--innodb-buffer-pool-size={BUFFER}", "--performance-schema=OFF", "--skip-name-resolve"]
        return [program_of("mariadbd"), "--no-defaults", *where, *apart, *small]

    def may_write(self, *, may: bool) -> None:
        """Have it be a primary, or one that only reads."""
        execute(self.root_url, f"SET GLOBAL read_only = {int(not may)}")

    def end_sessions(self) -> None:
        """End every session of the hub's user."""
        execute(self.root_url, "KILL USER hub")


OWN: dict[str, type[OwnPostgresql | OwnMariadb]] = {"postgresql": OwnPostgresql, "mysql": OwnMariadb}


@contextmanager
def own_server(kind: type[OwnPostgresql | OwnMariadb]) -> Iterator[OwnServer]:
    """Run a server in a directory of its own, which its user can reach; both are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="zhongkong-", ignore_cleanup_errors=True) as name,
        own_server_in(Path(name), kind) as server,
    ):
        yield server


@contextmanager
def own_server_in(directory: Path, kind: type[OwnPostgresql | OwnMariadb]) -> Iterator[OwnServer]:
    """Run a server in a directory that is there and may be its user's."""
    if is_root():
        shutil.chown(directory, **_owner(kind.engine))
    server = kind.make(directory)
    try:
        yield server
    finally:
        server.stop()


class OwnServers:
    """One server of each engine, made when a test first needs it. Whoever stops one starts it again."""

    def __init__(self) -> None:
        self._servers: dict[str, OwnServer] = {}
        self._ends = ExitStack()

    def of(self, engine: str) -> OwnServer:
        """Return the server, running."""
        if engine not in self._servers:
            self._servers[engine] = self._ends.enter_context(own_server(OWN[engine]))
        self._servers[engine].start()
        return self._servers[engine]

    def close(self) -> None:
        """End them."""
        self._ends.close()


@contextmanager
def holding(url: str, *statements: str) -> Iterator[Any]:
    """Hand out a connection within a transaction in which the statements were executed; it is undone."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for statement in statements:
            cursor.execute(statement)
        try:
            yield cursor
        finally:
            cursor.execute("ROLLBACK")


def program_of(name: str) -> str:
    """Return where a server's program is; without one the test is skipped, and fails in CI."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    paths = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, reversed(debian))]
    found = shutil.which(name, path=os.pathsep.join(paths))
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed")
    return found


def is_root() -> bool:
    """Say whether this is root, as whom no database server wants to run."""
    return os.geteuid() == 0


def as_user(directory: Path) -> dict[str, Any]:
    """Return how to start a program as the owner of the directory."""
    owner = directory.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if is_root() else {}


def _owner(engine: str) -> dict[str, str]:
    name = "postgres" if engine == "postgresql" else "mysql"
    return {"user": name, "group": name}
