"""What a refresh costs, through its whole path: claim, mint over loopback from the sandbox, seal, save; and a poll.

    .bench/venv/bin/python bench/bench_store.py [--stores sqlite mysql postgresql] [--seconds 5] [--profile]

Database servers are started for it; in place of an engine's name a URL names one that is there, in which tables of the
bench's own are made and dropped. Every coroutine refreshes a slot of its own, again and again. What aiohttp alone
fetches from the same sandbox, by turns with the rest, is what a machine could give. `--profile` shows where the time of
the program's threads goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx
from measuring import end_in_order, keep, show
from servers import sandbox
from sqlalchemy import Engine, event, insert, text

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.addresses import FileAddress, parse_address
from zhongkong.adapters.stores.dialects import Dialect, Sqlite
from zhongkong.adapters.stores.place import file_system_of
from zhongkong.adapters.stores.rows import Rows
from zhongkong.adapters.stores.schema import build_tables
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.sql import PATIENCE, SqlStore, open_store
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.command import run
from zhongkong.core.model import NEVER, Account, AccountKind, Instant, Mode, Outcome, Record, Secret, Slot
from zhongkong.core.ports import Order
from zhongkong.core.save import Save, Saved
from zhongkong.hub.server import loop_factory
from zhongkong.wechat.answers import Granted

LIFE = 7200
PLENTY = 10**9
BEGAN: Instant = 1.8e9
PREFIX = "zhongkong_bench_"
SEAL = RingSeal(b"k" * 32)
PAGE = 5000
POLLS = 7
SHOWN = ("of the store alone", "bare aiohttp", "statements", "commits")


class Wall:
    """The store's clock: for refreshes every transaction is a life later than the one before, so that each is due."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.step = 0

    def __call__(self, _told: Instant = 0.0) -> Instant:
        """Tell the time."""
        self.now += self.step
        return self.now


class Counter:
    """Counts what is sent to databases."""

    def __init__(self) -> None:
        self.statements = self.commits = 0
        event.listen(Engine, "before_cursor_execute", self._note_statement)
        event.listen(Engine, "commit", self._note_commit)

    def _note_statement(self, *_: object) -> None:
        self.statements += 1

    def _note_commit(self, *_: object) -> None:
        self.commits += 1


class Cost(NamedTuple):
    """What refreshing came to, for a while."""

    a_second: float
    statements: float
    commits: float


@dataclass(frozen=True)
class Ground:
    """What is measured on: a store, its clock, and accounts that the sandbox knows."""

    store: SqlStore
    dialect: Dialect
    wall: Wall
    accounts: list[Account]


class NoPlatform:
    """Grants at once: for the store's share."""

    async def mint(self, _order: Order) -> Outcome:
        """Return a token."""
        return Granted(secrets.token_urlsafe(105), LIFE)


# --- refreshes


async def refresh(ground: Ground, platform: AiohttpPlatform | NoPlatform, number: int, until: float) -> int:
    """Refresh one slot until the time is over; return how often."""
    account, count = ground.accounts[number], 0
    slot = Slot(account.appid)
    beyond = (await ground.store.load(slot)).generation
    while time.perf_counter() < until:
        fence = secrets.token_hex(16)
        (claimed,) = await ground.store.apply([Claim(slot, account, fence, beyond)])
        if not isinstance(claimed.answer, Claimed):
            raise TypeError(claimed.answer)
        outcome = await platform.mint(Order(account, Mode.CLASSIC, force=False))
        (saved,) = await ground.store.apply([Save(slot, account, fence, outcome)])
        if not isinstance(saved.answer, Saved):
            raise TypeError(saved.answer, outcome)
        beyond = saved.record.generation
        count += 1
    return count


async def measure_refreshes(
    ground: Ground, platform: AiohttpPlatform | NoPlatform, counter: Counter, seconds: float, concurrency: int
) -> Cost:
    """Refresh so many slots at a time."""
    ground.wall.step = LIFE
    began, statements, commits = time.perf_counter(), counter.statements, counter.commits
    counts = await asyncio.gather(
        *(refresh(ground, platform, number, began + seconds) for number in range(concurrency))
    )
    took, count = time.perf_counter() - began, sum(counts)
    ground.wall.step = 0
    return Cost(count / took, (counter.statements - statements) / count, (counter.commits - commits) / count)


async def fetch(accounts: list[Account], seconds: float, concurrency: int) -> float:
    """Return how many tokens a second aiohttp fetches from the sandbox, over connections that stay."""
    until, count = time.perf_counter() + seconds, 0

    async def fetch_one(session: aiohttp.ClientSession, account: Account) -> None:
        nonlocal count
        asked = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret.reveal()}
        while time.perf_counter() < until:
            async with session.get(f"{account.base_url}/cgi-bin/token", params=asked) as answer:
                if "access_token" not in await answer.json():
                    raise ValueError(await answer.text())
            count += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(fetch_one(session, account) for account in accounts[:concurrency]))
        return count / (time.perf_counter() - began)


# --- polls


def fill(ground: Ground, first: int, slots: int) -> None:
    """Add accounts up to so many to the store, each with a token that was minted long ago."""
    rows, tables = Rows(SEAL), build_tables(PREFIX)
    account = replace(ground.accounts[0], appid="")
    claimed = run(Claim(Slot(""), account, "f", 0), Record(Slot(""), revision=account.revision), BEGAN)[0].record
    minted = run(Save(Slot(""), account, "f", Granted(secrets.token_urlsafe(105), LIFE)), claimed, BEGAN)[0].record
    with ground.dialect.connect() as connection:
        for start in range(first, slots, PAGE):
            appids = [f"wxpoll{number:010x}" for number in range(start, min(start + PAGE, slots))]
            records = [replace(minted, slot=Slot(appid)) for appid in appids]
            ground.dialect.begin_write(connection)
            accounts = [rows.write_account(replace(account, appid=appid), BEGAN) for appid in appids]
            connection.execute(insert(tables.accounts), accounts)
            connection.execute(insert(tables.records), [rows.write_record(one, one, None) for one in records])
            connection.commit()


async def measure_poll(ground: Ground, after: Instant) -> tuple[float, int]:
    """Return how many milliseconds a poll takes, and how many records it brings."""
    took, brought = [], 0
    for _ in range(POLLS):
        began = time.perf_counter()
        brought = len((await ground.store.changes(after)).records)
        took.append(1000 * (time.perf_counter() - began))
    return median(took[1:]), brought  # the first one unseals what it never saw


# --- stores


@contextmanager
def serving(name: str) -> Iterator[str]:
    """Yield the URL of a store; a server that is named by its engine runs for so long."""
    if "://" in name:
        yield name
    elif name == "sqlite":
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/bench.db"
    else:
        sys.path.append(str(Path(__file__).parents[1]))
        from tests.own_databases import OWN, own_server  # noqa: PLC0415 (only where a server is to be started)

        with own_server(OWN[name]) as server:
            yield server.url


def dialect_at(url: str, wall: Wall) -> Dialect:
    """Return what speaks to the store, whose clock is ours."""
    address = parse_address(url)
    if isinstance(address, FileAddress):
        return Sqlite(address.path, wall, PATIENCE, file_system_of)
    return dialect_of(address, PREFIX, wall)


@asynccontextmanager
async def ground_at(url: str, accounts: list[Account]) -> AsyncIterator[Ground]:
    """Open a store that is empty but for the accounts; its tables are gone afterwards."""
    wall = Wall()
    dialect = dialect_at(url, wall)
    store = await open_store(dialect, SEAL, PREFIX)
    try:
        kept = [await store.put_account(account) for account in accounts]
        yield Ground(store, dialect, wall, kept)
    finally:
        await store.close()
        with dialect.connect_alone() as connection:
            tables = build_tables(PREFIX)
            tables.metadata.drop_all(connection)
            connection.execute(text(f"DROP TABLE {tables.version}"))
            connection.commit()


def open_accounts(url: str, count: int) -> list[Account]:
    """Open classic accounts at the sandbox whose quotas end nothing."""
    quotas = {"/cgi-bin/token": {"daily": PLENTY, "per_minute": PLENTY}}
    opened = [httpx.post(f"{url}/sandbox/v1/accounts", json={"quotas": quotas}).json() for _ in range(count)]
    return [
        Account(one["appid"], AccountKind.OFFICIAL, Secret(one["secret"]), Mode.CLASSIC, base_url=url) for one in opened
    ]


# --- the bench


async def bench(
    url: str, accounts: list[Account], counter: Counter, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Return the figures of one store."""
    figures: dict[str, dict[str, float]] = {}
    platform = AiohttpPlatform(MachineClock())
    async with ground_at(url, accounts) as ground:
        for concurrency in options.concurrency:
            bare, whole, alone = [], [], []
            for _ in range(options.rounds):
                bare.append(await fetch(accounts, options.seconds, concurrency))
                whole.append(await measure_refreshes(ground, platform, counter, options.seconds, concurrency))
                alone.append(await measure_refreshes(ground, NoPlatform(), counter, options.seconds, concurrency))
            figures[f"at {concurrency}"] = {
                "refreshes": median(one.a_second for one in whole),
                "of the store alone": median(one.a_second for one in alone),
                "bare aiohttp": median(bare),
                "statements": median(one.statements for one in whole),
                "commits": median(one.commits for one in whole),
            }
        ground.wall.now += 10 * LIFE
        filled = 0
        for slots in options.slots:
            fill(ground, filled, slots)
            filled = slots
            quiet, _ = await measure_poll(ground, ground.wall.now - 10)
            whole_poll, brought = await measure_poll(ground, NEVER)
            figures[f"poll of {slots}"] = {"quiet, ms": quiet, "in full, ms": whole_poll, "records": brought}
    return figures


def print_tables(came: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print what came of each store."""
    rows, polls = [], []
    for store, figures in came.items():
        for what, one in figures.items():
            if what.startswith("poll"):
                polls.append([store, what, *one.values()])
            else:
                ratio = one["refreshes"] / one["bare aiohttp"]
                rows.append([store, what, one["refreshes"], ratio, *(one[name] for name in SHOWN)])
    show("Refreshes a second", ["store", "", "refreshes/s", "x bare aiohttp", *SHOWN], rows)
    show("A poll", ["store", "", "quiet, ms", "in full, ms", "records"], polls)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--stores", nargs="+", default=["sqlite", "mysql", "postgresql"], help="engines, or URLs")
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--concurrency", type=int, nargs="+", default=[1, 64], help="64 is what leaves in a round")
    options.add_argument("--slots", type=int, nargs="*", default=[10, 100_000], help="how many a poll looks after")
    options.add_argument("--profile", action="store_true")
    chosen = options.parse_args()
    end_in_order()
    profile = cProfile.Profile() if chosen.profile else None
    if profile:
        threading.setprofile(lambda *_: profile.enable())
    counter, came = Counter(), {}
    with tempfile.TemporaryDirectory() as home, sandbox(Path(home)) as platform:
        accounts = open_accounts(platform["sandbox_url"], max(chosen.concurrency))
        for store in chosen.stores:
            with serving(store) as url, asyncio.Runner(loop_factory=loop_factory()) as runner:
                came[urlsplit(url).scheme] = runner.run(bench(url, accounts, counter, chosen))
    print_tables(came)
    keep("store", came)
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
