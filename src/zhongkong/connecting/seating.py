"""Opens what a keeper in a program's own process works with: a SQLite file, its seal, and the way to the platform."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from zhongkong.adapters.by_mode import build_platform
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.forks import at_work
from zhongkong.adapters.stores.place import file_system_of, judge_place, owner_of
from zhongkong.adapters.stores.schema import build_tables
from zhongkong.adapters.stores.sql import open_sqlite
from zhongkong.client.explaining import speaking
from zhongkong.connecting.keeping import KeeperEngine, Seats
from zhongkong.core.model import Account, Seconds
from zhongkong.core.ports import Clock
from zhongkong.errors import StoreRefused
from zhongkong.messages import render
from zhongkong.settings.declared import declare_in_program
from zhongkong.settings.reading import check_promise
from zhongkong.settings.values import Read, read_path, read_proxy, read_seconds
from zhongkong.settings.written import read_value

logger = logging.getLogger("zhongkong.library")

WHERE = "zhongkong.connect"
PREFIX = "zhongkong_"
LONGEST_CALL: Seconds = 60.0
"""What a business call may take, as in the hub's settings: a token that is used as promised does not die during one."""
CLOSE: Seconds = 1.0
"""What the store gets to end what it is doing; its threads end with the process at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSeat:
    """Where a program keeps its credentials itself, and how it reaches the platform."""

    store: Path
    seal: Path
    proxy: str = field(repr=False)
    accounts: tuple[Account, ...]
    poll_seconds: Seconds

    def make_engine(self) -> KeeperEngine:
        """Return an engine for this process; nothing is opened before it runs."""
        clock = MachineClock()
        return KeeperEngine(partial(self.open, clock), clock, accounts=self.accounts, poll_seconds=self.poll_seconds)

    @asynccontextmanager
    async def open(self, clock: Clock) -> AsyncIterator[Seats]:
        """Open the store and its seal; both are made where there are none, and the seal is said aloud.

        Raises: StoreRefused. StoreUnavailable. WrongSeal.
        """
        with at_work():
            _judge(self.store, self.seal)
        seal = FileSeal(self.seal)
        if seal.was_made:
            logger.warning("%s", render("library_seal_made", speaking(), path=self.seal))
        store = await open_sqlite(self.store, seal, PREFIX)
        try:
            yield Seats(store, build_platform(clock, proxy=self.proxy))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE):
                    await store.close()


def find_seat(
    path: Path,
    *,
    accounts: Mapping[str, object] | None = None,
    seal_file: str | Path | None = None,
    poll_seconds: float = 1.0,
    proxy: str = "",
) -> FileSeat:
    """Return the seat at a store in `path`; what is given is read, and nothing opened. Relative paths begin here.

    Raises: SettingInvalid.
    """

    def read(how: Read, setting: str, given: object) -> Any:  # noqa: ANN401 (as read_value)
        return read_value(how, setting, given, WHERE, Path.cwd())

    store = read(read_path, "url", path)
    seat = FileSeat(
        store=store,
        seal=read(read_path, "seal_file", seal_file or store.with_suffix(".seal")),
        proxy=read(read_proxy, "proxy", proxy),
        accounts=declare_in_program(accounts or {}, WHERE),
        poll_seconds=read(read_seconds, "poll_seconds", poll_seconds),
    )
    check_promise(seat.poll_seconds, LONGEST_CALL)
    return seat


def _judge(store: Path, seal: Path) -> None:
    """Return if the file is a store of ours with its seal, or there is nothing yet.

    Raises: StoreRefused: what to do stands in the error.
    """
    judge_place(store, file_system_of)
    if not store.exists() or not store.stat().st_size:
        return
    tables = _tables_in(store)
    is_ours = build_tables(PREFIX).meta.name in tables
    if tables and not is_ours:
        raise StoreRefused("store_foreign", path=str(store))
    if not seal.exists():
        if is_ours:
            raise StoreRefused("seal_lost", path=str(seal), store=str(store))
        raise StoreRefused("store_damaged", path=str(store), owner=owner_of(store))


def _tables_in(path: Path) -> set[str]:
    """Return the names of the tables in a database; none if it cannot be read: why not, the store itself will say."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as opened:
            return {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return set()
