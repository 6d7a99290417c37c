"""What goes wrong with a database server: who must do what is said, and then it works again.

Each engine's server is the test's own: it is stopped, killed, and started anew.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from zlib import crc32

import pytest
from psycopg.errors import DeadlockDetected

from tests.contract.stores.servers import ServerHarness
from tests.contract.stores.sqlite import run
from tests.databases import ENGINES, execute
from tests.own_databases import PASSWORD, SOON, OwnServer, OwnServers, holding
from tests.wires import open_wire
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores import server_dialects, writer
from zhongkong.adapters.stores.addresses import parse_address
from zhongkong.adapters.stores.examining import examine
from zhongkong.adapters.stores.sql import SqlStore
from zhongkong.core.model import NEVER, Slot
from zhongkong.errors import StoreError, StoreRefused, StoreUnavailable
from zhongkong.testing.store_contract.stories import ACCOUNT, SLOT, Count, one
from zhongkong.wechat.advice import explain_error

OTHER = Slot("wx-other")


@pytest.fixture(params=ENGINES)
def own(own_servers: OwnServers, request: pytest.FixtureRequest) -> OwnServer:
    """Return a server; what was done to it is undone by whoever did it."""
    return own_servers.of(request.param)


@pytest.fixture
def harness(own: OwnServer, request: pytest.FixtureRequest) -> ServerHarness:
    """Return a store of the test's own on it."""
    return ServerHarness(own.url, f"t{crc32(request.node.name.encode())}_")


async def refused(call: Awaitable[Any]) -> StoreError:
    """Return the error that the call ends in; both languages name the place, and nothing shows the password."""
    with pytest.raises(StoreError) as caught:
        await call
    error = caught.value
    shown = [explain_error(error, "zh"), explain_error(error, "en"), str(error), repr(error)]
    shown += traceback.format_exception(error)
    for text in shown:
        assert "hunter2" not in text
        assert quote(PASSWORD, safe="") not in text
    assert all("127.0.0.1" in text for text in shown[:2])
    return error


async def counted(store: SqlStore, slot: Slot = SLOT) -> int:
    """Count, and return what was there."""
    return (await one(store, Count(slot))).answer


class TestPassing:
    """It passes by itself, or somebody ends what is in the way: the same store object goes on."""

    @run
    async def test_a_restart_between_two_calls_is_not_noticed(self, own: OwnServer, harness: ServerHarness) -> None:
        """Connections that were lost while nobody used them are made anew."""
        store = await harness.open()
        assert await counted(store) == 0
        own.stop()
        own.start()
        assert await counted(store) == 1
        own.stop()
        own.start()
        assert (await store.load(SLOT)).asks == 2
        await store.close()

    @run
    async def test_what_was_acknowledged_outlives_a_kill_of_the_server(
        self, own: OwnServer, harness: ServerHarness
    ) -> None:
        """And a call that comes while it starts again is answered, late."""
        store = await harness.open()
        assert await counted(store) == 0
        own.kill()
        own.begin()
        answers = await asyncio.gather(counted(store), store.load(SLOT), return_exceptions=True)
        own.start()
        asks = (await store.load(SLOT)).asks
        assert asks == (2 if answers[0] == 1 else 1)
        assert answers[0] == 1 or isinstance(answers[0], StoreUnavailable)
        await store.close()

    @run
    async def test_a_server_that_is_away_is_told_by_its_place(
        self, own: OwnServer, harness: ServerHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is half done; it works again as soon as the server does."""
        monkeypatch.setattr(writer, "TRY_FOR", 0.2)
        store = await harness.open()
        own.stop()
        calls = (counted(store), store.load(SLOT), store.changes(NEVER), store.put_account(ACCOUNT))
        errors = await asyncio.gather(*map(refused, calls))
        assert {(type(error), error.code) for error in errors} == {(StoreUnavailable, "store_server_away")}
        assert (await refused(harness.open())).code == "store_server_away"
        own.start()
        assert await counted(store) == 0
        assert await store.accounts() == []
        await store.close()

    @run
    async def test_a_session_that_an_administrator_ends_is_begun_anew(
        self, own: OwnServer, harness: ServerHarness
    ) -> None:
        """Whoever calls does not notice, though other calls were under way."""
        store = await harness.open()
        for turn in range(5):
            call = asyncio.ensure_future(asyncio.gather(*(counted(store, Slot(f"wx{number}")) for number in range(20))))
            await asyncio.sleep(0)
            own.end_sessions()
            (answers,) = await asyncio.gather(call, return_exceptions=True)
            if isinstance(answers, StoreUnavailable):  # it was at the commit: done or not, and nobody can know
                break
            assert answers == [turn] * 20
        assert await counted(store, OTHER) == 0
        await store.close()

    @run
    async def test_a_server_that_only_reads_is_told_and_read(
        self, own: OwnServer, harness: ServerHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A failover is under way, or the address names a replica."""
        monkeypatch.setattr(writer, "TRY_FOR", 0.2)
        store = await harness.open()
        assert await counted(store) == 0
        own.may_write(may=False)
        try:
            error = await refused(counted(store))
            assert (type(error), error.code) == (StoreUnavailable, "store_server_read_only")
            assert (await store.load(SLOT)).asks == 1
            another = await harness.open()
            assert (await another.load(SLOT)).asks == 1
            await another.close()
            facts = examine(parse_address(own.url), harness.prefix).server
            assert facts is not None
            assert facts.is_read_only
        finally:
            own.may_write(may=True)
        assert await counted(store) == 1
        await store.close()

    @run
    async def test_two_transactions_that_wait_for_each_other(self, own: OwnServer, harness: ServerHarness) -> None:
        """The server undoes one of them; if it is ours it is begun again, and nobody hears of it."""
        store = await harness.open()
        await asyncio.gather(counted(store), counted(store, OTHER))
        lock = f"SELECT 1 FROM {harness.prefix}records WHERE appid = '%s' FOR UPDATE"  # noqa: S608 (our own names)
        heavy = f"UPDATE {harness.prefix}meta SET created_at = created_at + 1"  # noqa: S608 (as above)
        # In order of their names SLOT comes after OTHER, which the store locks first.
        with holding(own.url, heavy, lock % SLOT.appid) as somebody:
            call = asyncio.ensure_future(store.apply([Count(SLOT), Count(OTHER)]))
            await until_it_waits(call, own)
            with suppress(DeadlockDetected):  # on a busy machine PostgreSQL may have looked at us too soon to see it
                await asyncio.to_thread(somebody.execute, lock % OTHER.appid)
            somebody.execute("ROLLBACK")
            assert [applied.answer for applied in await call] == [1, 1]
        await store.close()

    @run
    async def test_a_row_that_somebody_keeps_locked(
        self, own: OwnServer, harness: ServerHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Waiting ends before those lose patience who wait for us; others' rows are free."""
        monkeypatch.setattr(server_dialects, "TRANSACTIONS_LIVE", 3.0)
        store = await harness.open()
        await asyncio.gather(counted(store), counted(store, OTHER))
        lock = f"SELECT 1 FROM {harness.prefix}records WHERE appid = '{SLOT.appid}' FOR UPDATE"  # noqa: S608 (our own)
        with holding(own.url, lock):
            assert await counted(store, OTHER) == 1
            error = await refused(counted(store))
            assert (type(error), error.code) == (StoreUnavailable, "store_server_locked")
        assert await counted(store) == 1
        await store.close()

    @run
    async def test_a_holder_that_stands_still_is_ended_by_the_server(
        self, harness: ServerHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that was stopped in the middle of a transaction must not keep a slot from the others."""
        store = await harness.open()
        await counted(store)
        monkeypatch.setattr(server_dialects, "TRANSACTIONS_LIVE", 1.0)
        with harness.dialect.connect() as stopped:
            harness.dialect.begin_write(stopped)
            lock = f"SELECT 1 FROM {harness.prefix}records WHERE appid = '{SLOT.appid}' FOR UPDATE"  # noqa: S608
            stopped.exec_driver_sql(lock)
            assert await counted(store) == 1
            stopped.invalidate()
        await store.close()

    @run
    async def test_a_connection_that_the_other_side_forgot_is_given_up(
        self, own: OwnServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that was lost with its machine says nothing any more, and who writes and who reads wait for it."""
        monkeypatch.setattr(server_dialects, "TRANSACTIONS_LIVE", 1.0)
        async with open_wire(own.port) as wire:
            url = own.url.replace(f":{own.port}/", f":{wire.port}/")
            store = await ServerHarness(url, f"t{crc32(request.node.name.encode())}_").open()
            assert await counted(store) == 0
            assert (await store.load(SLOT)).asks == 1
            await wire.turn("half_open")
            async with asyncio.timeout(SOON):
                await asyncio.gather(counted(store), store.load(SLOT), return_exceptions=True)
                assert (await store.load(SLOT)).asks == await counted(store)
            await store.close()

    @run
    async def test_what_many_records_take_to_unseal_keeps_no_transaction_open(
        self, own: OwnServer, harness: ServerHarness
    ) -> None:
        """The server ends a transaction that is idle for 5 s, and a hundred thousand records take longer."""
        store = await harness.open()
        await store.put_account(ACCOUNT)
        await store.close()
        seal = WatchedSeal(own)
        harness.seal = seal
        another = await harness.open()
        seal.open_meanwhile.clear()
        assert len((await another.changes(NEVER)).accounts) == 1
        assert seal.open_meanwhile == [0]
        await another.close()


class WatchedSeal(RingSeal):
    """Notes how many transactions are open at the server while it unseals."""

    def __init__(self, own: OwnServer) -> None:
        super().__init__(b"k" * 32)
        self._own = own
        self.open_meanwhile: list[int] = []

    def open(self, sealed: bytes, appid: str) -> str:
        """Unseal."""
        asks = {
            "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'",
            "mysql": "SELECT count(*) FROM information_schema.processlist AS one"
            " JOIN information_schema.innodb_trx AS two ON one.id = two.trx_mysql_thread_id WHERE one.user = 'hub'",
        }
        ((count,),) = execute(self._own.root_url, asks[self._own.engine])
        self.open_meanwhile.append(count)
        return super().open(sealed, appid)


class TestAPersonMustAct:
    """Nothing is tried again, and what to do is said."""

    @run
    async def test_a_wrong_password(self, own: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
        """The user is named, the password is not, in no log either."""
        caplog.set_level(logging.DEBUG)
        url = own.url.replace(quote(PASSWORD, safe=""), "hunter2wrong")
        error = await refused(ServerHarness(url, "login_").open())
        assert (type(error), error.code) == (StoreRefused, "store_login_refused")
        assert "hub" in explain_error(error, "en")
        assert "hunter2" not in caplog.text

    @run
    async def test_a_database_that_is_not_there(self, own: OwnServer) -> None:
        """Nobody makes one by mistyping its name."""
        if own.engine == "mysql":
            execute(own.root_url, "GRANT ALL PRIVILEGES ON `hup`.* TO hub@'127.0.0.1'")
        error = await refused(ServerHarness(own.url_of("hup"), "none_").open())
        assert (type(error), error.code) == (StoreRefused, "store_database_missing")
        assert "/hup" in explain_error(error, "zh")

    @run
    async def test_rights_that_are_missing(self, own: OwnServer) -> None:
        """Which ones the doctor finds beforehand."""
        execute(own.root_url, "CREATE DATABASE shut")
        if own.engine == "mysql":
            execute(own.root_url, "GRANT SELECT ON shut.* TO hub@'127.0.0.1'")
        harness = ServerHarness(own.url_of("shut"), "shut_")
        error = await refused(harness.open())
        assert (type(error), error.code) == (StoreRefused, "store_right_missing")
        facts = examine(harness.address, "shut_").server
        assert facts is not None
        assert "CREATE" in facts.missing_rights
        assert "SELECT" not in facts.missing_rights

    @run
    async def test_tables_that_were_dropped(self, own: OwnServer, harness: ServerHarness) -> None:
        """It is no outage, and not an empty store."""
        store = await harness.open()
        execute(own.url, f"DROP TABLE {harness.prefix}records")
        for call in (counted(store), store.load(SLOT)):
            error = await refused(call)
            assert (type(error), error.code) == (StoreRefused, "store_tables_missing")
        await store.close()


async def until_it_waits(call: asyncio.Future[Any], own: OwnServer) -> None:
    """Return when a session waits for a lock."""
    waits = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
        "mysql": "SELECT CAST(variable_value AS INTEGER) FROM information_schema.global_status"
        " WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'",
    }
    while execute(own.root_url, waits[own.engine]) == [(0,)]:
        assert not call.done()
        await asyncio.sleep(0)
