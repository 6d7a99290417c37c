"""What the tests of stores on database servers share: a harness, and an empty store for each test."""

from __future__ import annotations

from tests.contract.stores.sqlite import FakeWall
from tests.databases import connected, execute
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.addresses import ServerAddress, parse_address
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.sql import SqlStore, open_store
from zhongkong.core.ports import Seal

TABLES = ("meta", "accounts", "records", "keys", "events", "callbacks", "proofs", "pushes")


class ServerHarness:
    """One store on a server, emptied before each test. Every opening has connections of its own, as a process has."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self.seal: Seal = RingSeal(b"k" * 32)
        self._wall = FakeWall()
        self.advance = self._wall.advance
        address = parse_address(url)
        assert isinstance(address, ServerAddress)
        self.address = address
        self.dialect = dialect_of(address, prefix, lambda _: self._wall.now)

    async def open(self) -> SqlStore:
        """Return a replica. The server is asked for its time, and a clock that stands still is believed."""
        return await open_store(self.dialect, self.seal, self.prefix)

    def empty(self) -> None:
        """Take everything out but what makes it this store."""
        with connected(self.url) as connection, connection.cursor() as cursor:
            for table in TABLES[1:]:
                cursor.execute(f"DELETE FROM {self.prefix}{table}")  # noqa: S608 (our own names)

    def spoil(self, appid: str) -> bool:
        """Seal its secret and its token with a key that nobody has."""
        lost = RingSeal(b"lost" * 8).close("x", appid)
        with connected(self.url) as connection, connection.cursor() as cursor:
            for table, column in (("records", "value"), ("accounts", "secret")):
                cursor.execute(f"UPDATE {self.prefix}{table} SET {column} = %s WHERE appid = %s", [lost, appid])  # noqa: S608
            return bool(cursor.rowcount == 1)

    def stored_bytes(self) -> bytes:
        """Return what whoever may read the tables finds in them."""
        found = (execute(self.url, f"SELECT * FROM {self.prefix}{table}") for table in TABLES)  # noqa: S608 (as above)
        cells = (cell for rows in found for row in rows for cell in row)
        return b"\n".join(bytes(cell) if isinstance(cell, bytes) else str(cell).encode() for cell in cells)
