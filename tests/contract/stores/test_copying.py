"""Moving a store to another database: between every two engines, cut off anywhere, beside those who write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from sqlalchemy import Connection

from tests.contract.stores.sqlite import run
from tests.databases import Databases, execute
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores import copying, writer
from zhongkong.adapters.stores.addresses import Address, parse_address
from zhongkong.adapters.stores.copying import CLOSING, COMPARING, FILLING, Copying
from zhongkong.adapters.stores.renewing import renew_restored, reopen
from zhongkong.adapters.stores.sides import Side
from zhongkong.adapters.stores.sql import SqlStore, open_at
from zhongkong.adapters.stores.standing import judge_standing
from zhongkong.core.callbacks import Callback, Proof, Push
from zhongkong.core.change import UNKNOWN_FENCES
from zhongkong.core.claim import Claim
from zhongkong.core.command import Step
from zhongkong.core.freshness import Freshness, judge_freshness
from zhongkong.core.grants import Grant, Key
from zhongkong.core.model import NEVER, Kind, Mode, Record, Secret, Slot
from zhongkong.core.ports import Changes
from zhongkong.core.save import Save
from zhongkong.errors import StoreRefused, WrongSeal
from zhongkong.testing.store_contract.stories import ACCOUNT, APPID, SECRET, SLOT, TOKEN, Count, minted, told
from zhongkong.wechat.answers import Granted

SEAL = RingSeal(b"k" * 32)
PAIRS = [("sqlite", "postgresql"), ("postgresql", "mysql"), ("mysql", "sqlite")]
ACCOUNTS = 5
numbers = count()


class Places:
    """Two databases, neither with a store yet."""

    def __init__(self, old: str, new: str, databases: Databases, directory: Path) -> None:
        self.prefix = f"copy{next(numbers)}_"
        self.engine = old
        self.url = "" if old == "sqlite" else databases.url(old)
        self.old, self.new = (
            parse_address(f"sqlite:///{directory / name}.db" if engine == "sqlite" else databases.url(engine))
            for name, engine in (("old", old), ("new", new))
        )

    async def open(self, address: Address, seal: RingSeal = SEAL) -> SqlStore:
        """Open the store of one of them."""
        return await open_at(address, seal, self.prefix)

    def copying(self, seal: RingSeal = SEAL) -> Copying:
        """Return a copy to run."""
        return Copying(self.old, self.new, self.prefix, seal)

    def side(self, address: Address) -> Side:
        """Return one of them for what no running store does."""
        return Side(address, self.prefix)


@pytest.fixture(params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def places(databases: Databases, tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    """Return two places of every kind."""
    old, new = request.param
    return Places(old, new, databases, tmp_path)


@pytest.fixture
def files(databases: Databases, tmp_path: Path) -> Places:
    """Return two files, for what is the same everywhere."""
    return Places("sqlite", "sqlite", databases, tmp_path)


@pytest.fixture
def small_pages() -> Iterator[None]:
    """Have a few rows be many pages."""
    with mock.patch.object(copying, "PAGE", 6):
        yield


async def filled(store: SqlStore) -> None:
    """Put something into every table."""
    for number in range(ACCOUNTS):
        account = await store.put_account(replace(ACCOUNT, appid=f"wx{number}", name="公众号 🙂"))
        await minted(store, account, f"{TOKEN}{number}")
    await store.put_account(ACCOUNT)
    await store.apply([Count(Slot(APPID, Kind.JSAPI_TICKET)), Count(SLOT)])
    await store.remove_account("wx0")
    await store.put_key(Key("id1", "sha", "app", frozenset({Grant.READ}), frozenset({"*"}), 0.0))
    await store.used_keys({"id1": 1_795_240_000.125})
    await store.put_callback(Callback(APPID, Secret("token"), handler=Secret("http://handler")))
    await store.put_proof(Proof("MP_verify_1.txt", APPID, "1"))
    push = Push(APPID, "ab" * 32, "1795240000 1234567890")
    await store.take_push(push, "fence")
    await store.answer_push(push, "fence", "<xml>你好</xml>")
    await store.tell([told("wx1", words="'; DROP TABLE x; -- \\ % 🙂", number=0.1)])


async def contents(store: SqlStore) -> list[Any]:
    """Return all that callers can read, unsealed."""
    changes: Changes = await store.changes(NEVER)
    read = [sorted(changes.records, key=lambda one: one.slot), sorted(changes.accounts, key=lambda one: one.appid)]
    push = Push(APPID, "ab" * 32, "1795240000 1234567890")
    pushed = await store.take_push(push, "again")
    more = [await store.callback(APPID), await store.proofs(APPID), pushed, await store.signing_key()]
    return [*read, await store.keys(), await store.events(limit=1000), *more]


@pytest.mark.usefixtures("small_pages")
@run
async def test_what_is_copied_is_the_same_for_every_caller(places: Places) -> None:
    """Every table, every sealed value under the same seal; the store is another one, and events are counted on."""
    old = await places.open(places.old)
    await filled(old)
    before = await contents(old)
    incarnation = (await old.changes(NEVER)).incarnation
    await old.close()
    job = places.copying()
    steps = list(job.run())
    assert [step.step for step in steps] == sorted((step.step for step in steps), key="filling closing comparing".find)
    assert all(step.done <= step.total for step in steps)
    new = await places.open(places.new)
    after = await contents(new)
    *_, copied = after[3]
    assert (copied.event.code, copied.event.values) == ("store_copied", {"place": places.side(places.old).url})
    after[3] = after[3][:-1]
    assert after == before
    assert after[5][0].name == "MP_verify_1.txt"
    assert (await new.changes(NEVER)).incarnation != incarnation
    await new.tell([told()])
    assert (await new.last_events(1))[0].id == copied.id + 1
    await new.close()
    assert (sum(job.copied.rows.values()), job.copied.unreadable) == (steps[-1].total, 0)
    assert len(job.copied.rows) == 7


@run
async def test_the_old_store_says_where_the_new_one_is_and_takes_nothing(files: Places) -> None:
    """Of those who had it open: a mint that landed there would be a second one. No password is in what it says."""
    running = await files.open(files.old)
    account = await running.put_account(ACCOUNT)
    list(files.copying().run())
    calls = [
        running.apply([Claim(SLOT, account, "f" * 32, beyond=0)]),
        running.changes(NEVER),
        running.put_account(replace(account, name="other")),
        running.remove_account(APPID),
        running.tell([told()]),
        running.used_keys({"id1": 1.0}),
        files.open(files.old),
    ]
    for call in calls:
        with pytest.raises(StoreRefused) as caught:
            await call
        assert (caught.value.code, caught.value.values) == ("store_moved", {"place": files.side(files.new).url})
    assert (await running.last_events(1))[0].event.code == "store_moved"  # whose log tells people
    await running.close()


@pytest.mark.usefixtures("small_pages")
@run
async def test_a_copy_that_is_cut_off_anywhere_goes_on(files: Places) -> None:
    """Whatever had been done: what is there is found, and never are both open, nor is the new one open half full."""
    old = await files.open(files.old)
    await filled(old)
    before = await contents(old)
    await old.close()
    total = None
    for step in count(1):
        run_ = files.copying().run()
        cut = len(list(islice(run_, step)))
        run_.close()
        standing = [await is_open(files, files.old), await is_open(files, files.new)]
        assert sum(standing) <= 1
        if cut < step:
            total = step
            break
        assert not standing[1]
    assert total is not None
    assert total > 20
    new = await files.open(files.new)
    after = await contents(new)
    after[3] = [one for one in after[3] if one.event.code != "store_copied"]
    assert after == before
    await new.close()


async def is_open(places: Places, address: Address) -> bool:
    """Say whether a program may use the store there."""
    told = ""
    try:
        await (await places.open(address)).close()
    except StoreRefused as error:
        told = error.code
    assert told in ("", "store_moved", "store_unfinished")
    return not told


@run
async def test_what_is_written_beside_a_copy_is_in_it_or_was_refused(places: Places) -> None:
    """Commands that were acknowledged are counted: each is in the new store, whichever side of the closing it met."""
    running = await places.open(places.old)
    for number in range(ACCOUNTS):
        await running.put_account(replace(ACCOUNT, appid=f"wx{number}"))
    acknowledged = dict.fromkeys(range(ACCOUNTS), 0)

    async def write(number: int) -> None:
        while True:
            _ = await running.apply([Count(Slot(f"wx{number}"))])
            acknowledged[number] += 1
            begun.set()

    begun = asyncio.Event()
    writing = asyncio.gather(*map(write, acknowledged), return_exceptions=True)
    await begun.wait()
    await asyncio.to_thread(lambda: list(places.copying().run()))
    refusals = await asyncio.wait_for(writing, 60)
    assert {getattr(one, "code", one) for one in refusals} == {"store_moved"}
    new = await places.open(places.new)
    for number, times in acknowledged.items():
        assert (await new.load(Slot(f"wx{number}"))).asks == times
    assert len(await new.events(limit=10_000)) == sum(acknowledged.values()) + 1
    await new.close()
    await running.close()


@dataclass(frozen=True)
class Slow:
    """A command that stands still within its transaction, until it may go on."""

    slot: Slot
    begun: threading.Event
    may_go_on: threading.Event

    def apply(self, record: Record, now: float) -> Step[int]:
        """Count, late."""
        self.begun.set()
        assert self.may_go_on.wait(60)
        return Count(self.slot).apply(record, now)


WAITS = {
    "postgresql": "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '{prefix}meta'::regclass",
    "mysql": "SELECT 1 FROM information_schema.processlist"
    " WHERE state = 'Waiting for table metadata lock' AND info LIKE 'LOCK TABLES {prefix}%'",
}


@pytest.mark.parametrize("places", PAIRS[1:], indirect=True, ids=["postgresql-mysql", "mysql-sqlite"])
@run
async def test_closing_waits_for_who_writes(places: Places) -> None:
    """He looked before the mark was set: what is acknowledged to him must be copied."""
    running = await places.open(places.old)
    await running.put_account(ACCOUNT)
    slow = Slow(SLOT, threading.Event(), threading.Event())
    writing = asyncio.ensure_future(running.apply([slow]))
    await asyncio.to_thread(slow.begun.wait, 60)
    closing = threading.Event()

    def copy() -> None:
        for step in places.copying().run():
            if step.step == CLOSING:
                closing.set()

    def wait() -> None:
        waiting = WAITS[places.engine].format(prefix=places.prefix)
        patient = Retry(ConstantBackoff(0.02), 3000, (LookupError,))
        patient.call_with_retry(lambda: closing.is_set() or execute(places.url, waiting)[0], lambda _: None)

    copied = asyncio.ensure_future(asyncio.to_thread(copy))
    await asyncio.to_thread(wait)
    assert not closing.is_set()
    slow.may_go_on.set()
    (outcome,) = await asyncio.gather(writing, return_exceptions=True)
    await copied
    is_refused = isinstance(outcome, StoreRefused)  # MySQL ends it, as one that crossed, and it meets the mark then
    assert is_refused or isinstance(outcome, list)
    new = await places.open(places.new)
    assert (await new.load(SLOT)).asks == (0 if is_refused else 1)
    await new.close()
    await running.close()


@run
async def test_an_answer_on_its_way_is_waited_for(files: Places) -> None:
    """Closed meanwhile, the old store would refuse it, and the new one would have an attempt that nobody closes."""
    running = await files.open(files.old)
    account = await running.put_account(ACCOUNT)
    await running.apply([Claim(SLOT, account, "f" * 32, beyond=0)])
    loop = asyncio.get_running_loop()

    def answer(_seconds: float) -> None:
        save = Save(SLOT, account, "f" * 32, Granted(TOKEN, 7200))
        asyncio.run_coroutine_threadsafe(running.apply([save]), loop).result(60)

    job = Copying(files.old, files.new, files.prefix, SEAL, pause=answer)
    await asyncio.to_thread(lambda: list(job.run()))
    new = await files.open(files.new)
    record = await new.load(SLOT)
    assert (record.attempts, record.generation) == ((), 1)
    await new.close()
    await running.close()


@run
async def test_an_answer_that_never_comes_is_not_waited_for_longer_than_a_lease(
    files: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder was killed. The attempt goes along, as after any crash."""
    running = await files.open(files.old)
    account = await running.put_account(ACCOUNT)
    await running.apply([Claim(SLOT, account, "f" * 32, beyond=0)])
    await running.close()
    boot, waits = MachineClock().boot(), iter(range(1000))
    monkeypatch.setattr(MachineClock, "boot", lambda _: boot + next(waits))
    list(Copying(files.old, files.new, files.prefix, SEAL, pause=lambda _: None).run())
    monkeypatch.undo()
    assert 15 < next(waits) < 30
    new = await files.open(files.new)
    assert [one.fence for one in (await new.load(SLOT)).attempts] == ["f" * 32]
    await new.close()


@pytest.mark.usefixtures("small_pages")
@run
async def test_rows_that_are_not_in_the_old_store_go(files: Places) -> None:
    """An account that was removed while the copy was cut off must not come back."""
    old = await files.open(files.old)
    await filled(old)
    begun = files.copying().run()
    assert list(islice(begun, 2))[-1].step == FILLING
    begun.close()
    assert await old.remove_account("wx3")
    list(files.copying().run())
    new = await files.open(files.new)
    assert "wx3" not in {account.appid for account in await new.accounts()}
    await new.close()
    await old.close()


@pytest.mark.usefixtures("small_pages")
@run
async def test_of_two_copies_at_once_the_later_one_fills_the_new_store(files: Places) -> None:
    """The other one stops: what it read is older than what hubs may have written by now."""
    old = await files.open(files.old)
    await filled(old)
    await old.close()
    first = files.copying().run()
    next(first)
    list(files.copying().run())
    new = await files.open(files.new)
    await new.remove_account("wx1")
    with pytest.raises(StoreRefused) as caught:
        list(first)
    assert caught.value.code == "copy_overtaken"
    assert "wx1" not in {account.appid for account in await new.accounts()}
    await new.close()


@run
async def test_a_store_that_is_there_is_never_written_over(files: Places) -> None:
    """Nor is the old one closed."""
    for address in (files.old, files.new):
        store = await files.open(address)
        await store.put_account(ACCOUNT)
        await store.close()
    for copy_, code in (
        (files.copying(), "copy_not_empty"),
        (Copying(files.old, files.old, files.prefix, SEAL), "copy_onto_itself"),
    ):
        with pytest.raises(StoreRefused) as caught:
            list(copy_.run())
        assert caught.value.code == code
    assert await is_open(files, files.old)
    assert await is_open(files, files.new)


@run
async def test_a_database_that_was_only_upgraded_is_empty(files: Places) -> None:
    """Whoever made the database runs `db upgrade` there first, to see that it works."""
    for address in (files.old, files.new):
        await (await files.open(address)).close()
    list(files.copying().run())
    assert await is_open(files, files.new)
    with pytest.raises(StoreRefused) as caught:
        list(files.copying().run())
    assert caught.value.code == "copy_done"


@run
async def test_a_store_that_was_moved_on_itself_is_not_said_to_be_in_use(files: Places) -> None:
    """Nothing is copied into it, and the error says where it went."""
    await (await files.open(files.old)).close()
    third = parse_address(f"{files.side(files.new).url}.third")
    list(files.copying().run())
    list(Copying(files.new, third, files.prefix, SEAL).run())
    for old in (files.old, third):
        with pytest.raises(StoreRefused) as caught:
            list(Copying(old, files.new, files.prefix, SEAL).run())
        assert (caught.value.code, caught.value.values["moved_to"]) == ("copy_onto_moved", files.side(third).url)


@run
async def test_clocks_that_differ_are_refused(files: Places) -> None:
    """Deadlines go along as they are: by a clock that is behind, dead tokens would live."""
    await (await files.open(files.old)).close()
    job = files.copying()
    there = job._new.dialect  # noqa: SLF001 (no clock but the machine's is to be had)
    wall = there.now
    with mock.patch.object(there, "now", lambda connection: wall(connection) - 60):  # noqa: SIM117 (too long for one)
        with pytest.raises(StoreRefused) as caught:
            list(job.run())
    assert (caught.value.code, caught.value.values["seconds"]) == ("copy_clocks_apart", -60.0)
    assert await is_open(files, files.old)


@run
async def test_only_who_holds_the_seal_copies(files: Places) -> None:
    """He could not see whether what he copied can be read; the old store stays as it was."""
    await (await files.open(files.old)).close()
    with pytest.raises(WrongSeal):
        list(files.copying(RingSeal(b"o" * 32)).run())
    assert await is_open(files, files.old)


@pytest.mark.parametrize("places", PAIRS[1:], indirect=True, ids=["postgresql-mysql", "mysql-sqlite"])
@run
async def test_a_move_that_is_undone_goes_on_in_doubt(places: Places) -> None:
    """Hubs may have minted in the new store. A copy under way does not open it then, and may be made anew."""
    old = await places.open(places.old)
    account = await old.put_account(replace(ACCOUNT, mode=Mode.CLASSIC))
    record = await minted(old, account)
    stable = await old.put_account(replace(ACCOUNT, appid="wx-stable", mode=Mode.STABLE))
    unhurt = await minted(old, stable)
    incarnation = (await old.changes(NEVER)).incarnation
    with pytest.raises(StoreRefused) as caught:
        reopen(places.side(places.old))
    assert caught.value.code == "store_not_moved"
    late = places.copying().run()
    for step in late:
        if step.step == COMPARING and step.done == step.total:
            break
    assert reopen(places.side(places.old)) == places.side(places.new).url
    with pytest.raises(StoreRefused) as caught:
        list(late)
    assert caught.value.code == "copy_reopened"
    changes = await old.changes(NEVER)
    assert changes.incarnation != incarnation
    doubted = await old.load(record.slot)
    assert [one.fence for one in doubted.attempts] == list(UNKNOWN_FENCES)
    assert judge_freshness(doubted, changes.now) is Freshness.DOUBTFUL
    assert doubted.credential == record.credential
    assert await old.load(unhurt.slot) == unhurt
    assert not await is_open(places, places.new)
    list(places.copying().run())
    assert await is_open(places, places.new)
    await old.close()


@run
async def test_what_a_restored_store_holds_is_doubted_once(files: Places) -> None:
    """Restored by the database's own tools: to say it twice changes nothing more."""
    store = await files.open(files.new)
    record = await minted(store, await store.put_account(ACCOUNT))
    for _ in range(2):
        before = (await store.changes(NEVER)).incarnation
        renew_restored(files.side(files.new))
        assert (await store.changes(NEVER)).incarnation != before
        after = await store.load(record.slot)
        assert (len(after.attempts), after.credential) == (2, record.credential)
    assert (await store.last_events(1))[0].event.code == "store_restored"
    assert (await store.accounts())[0].secret.reveal() == SECRET
    await store.close()


def test_pages_are_the_same_as_one_reading(files: Places) -> None:
    """A row that falls between two pages would be lost, and compared by nobody."""
    asyncio.run(_fill(files))
    table = files.side(files.old).tables.records
    with files.side(files.old).reading() as connection:
        every = [tuple(row) for row in connection.execute(copying._page_of(table, ()))]  # noqa: SLF001
        keys = [copying._primary_of(table, row) for row in every]  # noqa: SLF001
        for first, after in enumerate(keys):
            for last, upto in enumerate(keys):
                page = [tuple(row) for row in connection.execute(copying._page_of(table, after, upto))]  # noqa: SLF001
                assert page == every[first + 1 : last + 1]
    assert len(every) > 5


async def _fill(places: Places) -> None:
    store = await places.open(places.old)
    await filled(store)
    await store.close()


@run
async def test_a_closed_store_tells_nothing_of_the_past(places: Places) -> None:
    """Whoever loaded a record from it would hand out, and write to sinks, what was replaced in the new one since."""
    store = await places.open(places.old)
    await filled(store)
    list(places.copying().run())
    with pytest.raises(StoreRefused, match="store_moved"):
        await store.load(SLOT)
    await store.close()


@run
async def test_what_a_closed_store_refuses_all_are_told_at_once(files: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred that wait are not tried one by one, each on a connection of its own."""
    store = await files.open(files.old)
    await filled(store)
    list(files.copying().run())
    judged: list[Connection] = []

    def judge(connection: Connection, *given: Any) -> str:
        judged.append(connection)
        return judge_standing(connection, *given)

    monkeypatch.setattr(writer, "judge_standing", judge)
    told = await asyncio.gather(*(store.apply([Count(SLOT)]) for _ in range(100)), return_exceptions=True)
    assert {type(one) for one in told} == {StoreRefused}
    assert len(judged) <= 4
    await store.close()
