"""Opening a store on a server: its schema, its seal, its names."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.contract.stores.servers import ServerHarness
from tests.contract.stores.sqlite import run
from tests.databases import ENGINES, Databases, execute
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores import server_dialects
from zhongkong.adapters.stores.addresses import ServerAddress, parse_address
from zhongkong.adapters.stores.examining import examine
from zhongkong.adapters.stores.schema import SCHEMA, build_tables
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.core.model import NEVER, Event, Record, Slot
from zhongkong.errors import StoreRefused, WrongSeal
from zhongkong.testing.store_contract.stories import ACCOUNT, SLOT, Count, minted, one

MOVES = ("moved_to", "filled_by")
STEPS = {"0001": ("signing_key", "program", *MOVES), "0002": ("program", *MOVES), "0003": MOVES, "0004": MOVES}
"""What later migrations added to the table of the store's own facts, by schema."""


@pytest.fixture(params=ENGINES)
def url(databases: Databases, request: pytest.FixtureRequest) -> str:
    """Return a database; tests there keep apart by their prefixes."""
    return databases.url(request.param)


@run
async def test_the_migrations_make_the_tables_of_the_schema(url: str) -> None:
    """The migrations and `schema.py` say the same twice, for every engine."""
    await (await ServerHarness(url, "made_").open()).close()
    address = parse_address(url)
    assert isinstance(address, ServerAddress)
    tables = build_tables("made_")
    ours = {table.name for table in tables.metadata.tables.values()}

    def is_ours(_one: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in ours

    with dialect_of(address, "made_").connect() as connection:
        opts = {"version_table": "made_schema", "compare_type": True, "include_object": is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=opts), tables.metadata) == []


@pytest.mark.parametrize("schema", STEPS)
@run
async def test_a_store_of_every_earlier_schema_is_brought_along_with_what_it_holds(url: str, schema: str) -> None:
    """Made as its program made it: today's store without what later migrations added. Others wait meanwhile."""
    harness = ServerHarness(url, f"from{schema}_")
    store = await harness.open()
    account = await store.put_account(ACCOUNT)
    record = await minted(store, account)
    await store.close()
    for column in STEPS[schema]:
        execute(url, f"ALTER TABLE {harness.prefix}meta DROP COLUMN {column}")
    execute(url, f"UPDATE {harness.prefix}schema SET version_num = '{schema}'")  # noqa: S608 (our own)
    stores = await asyncio.gather(*(harness.open() for _ in range(4)))
    for store in stores:
        assert (await store.account(account.appid), await store.load(record.slot)) == (account, record)
        assert len(await store.signing_key()) == 32
        await store.close()
    assert execute(url, f"SELECT version_num FROM {harness.prefix}schema") == [(SCHEMA,)]  # noqa: S608 (our own)


@run
async def test_a_migration_that_was_cut_short_is_taken_up_again(url: str) -> None:
    """MySQL commits each table by itself: whoever comes next finds some of them, and no number."""
    harness = ServerHarness(url, "cut_")
    await (await harness.open()).close()
    execute(url, f"DROP INDEX cut_events_at{' ON cut_events' if url.startswith('mysql') else ''}")
    execute(url, "DROP TABLE cut_keys")
    execute(url, "DELETE FROM cut_schema")
    execute(url, "DELETE FROM cut_meta")
    store = await harness.open()
    assert (await one(store, Count(SLOT))).answer == 0
    assert await store.keys() == []
    await store.close()


@run
async def test_others_wait_for_a_migration_longer_than_for_anything_else(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large table takes its time; what ends other statements must not end those that wait for it."""
    monkeypatch.setattr(server_dialects, "TRANSACTIONS_LIVE", 1.0)
    harness = ServerHarness(url, "wait_")
    with harness.dialect.connect_alone() as migrating:
        harness.dialect.begin_alone(migrating)
        opening = asyncio.ensure_future(harness.open())
        await asyncio.to_thread(execute, url, f"SELECT {'SLEEP' if url.startswith('mysql') else 'pg_sleep'}(1.5)")
        assert not opening.done()
        migrating.invalidate()
    await (await opening).close()


@run
async def test_many_who_open_a_new_store_at_once_make_one(url: str) -> None:
    """Replicas on many machines start together; one of them migrates under the lock."""
    harness = ServerHarness(url, "many_")
    stores = await asyncio.gather(*(harness.open() for _ in range(6)))
    assert len({(await store.changes(NEVER)).incarnation for store in stores}) == 1
    for store in stores:
        await store.close()


@run
async def test_a_newer_schema_is_refused_with_what_to_install(url: str) -> None:
    """An older program would drop what it does not know."""
    harness = ServerHarness(url, "newer_")
    await (await harness.open()).close()
    execute(url, "UPDATE newer_schema SET version_num = '9999'")
    execute(url, "UPDATE newer_meta SET program = '47.11'")
    with pytest.raises(StoreRefused) as caught:
        await harness.open()
    assert caught.value.code == "store_newer"
    assert caught.value.values == {"found": "9999", "known": SCHEMA, "version": "47.11"}
    facts = examine(parse_address(url), "newer_")
    assert (facts.schema, facts.program) == ("9999", "47.11")


@run
async def test_a_wrong_seal_does_not_start(url: str) -> None:
    """It could neither read what is there nor write what others read. The store is left as it was."""
    harness = ServerHarness(url, "seal_")
    store = await harness.open()
    await store.put_account(ACCOUNT)
    await store.close()
    before, right = harness.stored_bytes(), harness.seal
    harness.seal = RingSeal(b"o" * 32)
    with pytest.raises(WrongSeal):
        await harness.open()
    assert harness.stored_bytes() == before
    harness.seal = right
    store = await harness.open()
    assert await store.account(ACCOUNT.appid) == ACCOUNT
    await store.close()


@run
async def test_two_prefixes_in_one_database_are_two_stores(url: str) -> None:
    """Hubs of two environments may share a database."""
    first, second = await ServerHarness(url, "one_").open(), await ServerHarness(url, "two_").open()
    await first.apply([Count(SLOT)])
    assert await second.load(SLOT) == Record(SLOT)
    assert (await first.changes(NEVER)).incarnation != (await second.changes(NEVER)).incarnation
    await first.close()
    await second.close()


@run
async def test_names_that_differ_differ(url: str) -> None:
    """MySQL takes wxA and wxa for one unless it is told; PostgreSQL sorts by the rules of some language."""
    store = await ServerHarness(url, "names_").open()
    names = ["wxB", "wxa", "wxA", "wx_", "wx-"]
    for name in names:
        await store.put_account(replace(ACCOUNT, appid=name))
    assert [account.appid for account in await store.accounts()] == sorted(names)
    await store.close()


@run
async def test_who_follows_the_events_misses_none(url: str) -> None:
    """Numbers are given before commits: without a lock a follower would see 8 before 7, and never 7."""
    harness = ServerHarness(url, "follow_")
    replicas = [await harness.open() for _ in range(4)]
    reader = replicas.pop()
    seen: list[float] = []

    async def write(number: int) -> None:
        for turn in range(25):
            await replicas[number % 3].apply([Count(Slot(f"wx{number}"))] * (turn % 3 + 1))
            await replicas[number % 3].tell([Event("told", "", {"number": number})])

    async def follow(after: int) -> int:
        while page := await reader.events(after, limit=1000):
            after = page[-1].id
            seen.extend(one.id for one in page)
        return after

    writing, after = asyncio.gather(*map(write, range(6))), 0
    while not writing.done():
        after = await follow(after)
        await asyncio.sleep(0)
    await writing
    await follow(after)
    assert seen == [row[0] for row in execute(url, "SELECT id FROM follow_events ORDER BY id")]
    assert len(seen) == 6 * (49 + 25)
    for replica in (reader, *replicas):
        await replica.close()
