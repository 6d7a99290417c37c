"""Seats a hub: opens what it stands on, introduces the parts to each other, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from socket import socket

from starlette.types import ASGIApp

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import Way
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.examining import is_there
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.core.grants import Grant
from zhongkong.core.model import NEVER, Account, Seconds, Secret
from zhongkong.core.ports import Clock, FullStore, Platform
from zhongkong.errors import SettingInvalid, StoreError, StoreRefused, StoreUnavailable, WrongSeal, ZhongkongError
from zhongkong.hub.admin import Admin
from zhongkong.hub.app import Parts, build_app, build_metrics_app
from zhongkong.hub.keys import Keyring
from zhongkong.hub.logs import configure_logging, describe_bug, log_event
from zhongkong.hub.server import address_of, bind, loop_factory, serve_http, stop_on_signals
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry, TimedStore
from zhongkong.hub.workers import CANNOT_START, TRY_AGAIN, Supervisor
from zhongkong.keeper.keeper import Keeper
from zhongkong.messages import Language, render
from zhongkong.settings import Settings
from zhongkong.wechat.advice import explain_error

logger = logging.getLogger("zhongkong.serving")

DRAIN: Seconds = 15.0
"""What refreshes under way get at the end: a request's deadline, and the save."""
SWEEP_EVERY: Seconds = 3600.0
EVENTS_KEPT: Seconds = 90 * 86_400.0
SQLITE = "sqlite:///"
DECLARED_BY = "settings"
FIRST_KEY = "first admin key"


@dataclass(frozen=True, slots=True)
class Seats:
    """What accounts and keys are worked on with. Nothing runs by itself here."""

    clock: Clock
    store: FullStore
    platform: Platform
    keeper: Keeper
    admin: Admin
    telemetry: Telemetry
    seal_made: Path | None
    """The seal's file, if it was made just now: say so aloud."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub that keeps its accounts fresh. `app` answers; `draining` is set when it is to end."""

    seats: Seats
    app: ASGIApp
    metrics_app: ASGIApp
    draining: asyncio.Event


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the person who starts a hub is told once it listens."""

    host: str
    port: int
    metrics: tuple[str, int] | None
    workers: int
    accounts: int
    first_key: Secret | None
    """The first admin key of an empty store: shown now and never again."""
    seal_made: Path | None


# --- seats


@asynccontextmanager
async def seat_store(settings: Settings) -> AsyncIterator[tuple[SqlStore, FileSeal]]:
    """Open the store that the settings name, and its seal; both are made where there are none.

    Raises: SettingInvalid. StoreRefused. StoreUnavailable. WrongSeal.
    """
    path = store_path(settings.store_url)
    for directory in {settings.data_dir, settings.seal_file.parent}:
        _make_private(directory)
    if is_there(path) and not is_there(settings.seal_file):
        raise StoreRefused("seal_lost", path=str(settings.seal_file), store=str(path))
    seal = FileSeal(settings.seal_file)
    store = await open_sqlite(path, seal, settings.store_prefix)
    try:
        yield store, seal
    finally:
        await store.close()


@asynccontextmanager
async def seat(settings: Settings) -> AsyncIterator[Seats]:
    """Seat everything but the server; on leaving, what is under way is saved, then the store is closed.

    Raises: as `seat_store`.
    """
    async with seat_store(settings) as (store, seal):
        clock, telemetry = MachineClock(), Telemetry()
        platform = AiohttpPlatform(clock, way=Way(proxy=settings.egress_proxy), observe=telemetry.platform_called)
        timed = TimedStore(store, clock, telemetry.store_called)
        keeper = Keeper(timed, platform, clock, poll_seconds=settings.poll_seconds)
        admin = Admin(store, platform, keeper)
        await keeper.poll()
        try:
            yield Seats(clock, store, platform, keeper, admin, telemetry, settings.seal_file if seal.was_made else None)
        finally:
            await keeper.drain(DRAIN)


@asynccontextmanager
async def seat_hub(settings: Settings, *, log_events_in: Language | None = None) -> AsyncIterator[Hub]:
    """Seat a hub and have it keep its accounts fresh; on leaving it ends: rounds, refreshes, key uses, store.

    With `log_events_in` each event of the audit log is logged in that language: for one worker of a machine.
    Raises: as `seat_store`.
    """
    async with seat(settings) as seats, AsyncExitStack() as running:
        keeper, store, draining = seats.keeper, seats.store, asyncio.Event()
        keyring, tail = Keyring(store, seats.clock, keeper.known.now), Tail(store)
        if log_events_in is not None:
            tail.listen(partial(log_event, lang=log_events_in))
        with suppress(StoreError):
            await keyring.refresh()
        running.push_async_callback(_note_last_uses, keyring)
        for name, run in (
            ("keeper", keeper.run),
            ("keys", keyring.run),
            ("events", tail.run),
            ("sweep", partial(sweep_for_ever, store, keeper)),
        ):
            await running.enter_async_context(_running(name, run))
        parts = Parts(
            clock=seats.clock,
            store=store,
            keeper=keeper,
            keyring=keyring,
            admin=seats.admin,
            tail=tail,
            telemetry=seats.telemetry,
            draining=draining,
            trusted_proxies=settings.trusted_proxies,
        )
        yield Hub(seats, build_app(parts), build_metrics_app(parts), draining)


def store_path(url: str) -> Path:
    """Return the file that a store's URL names.

    Raises: SettingInvalid: it names something else.
    """
    if not url.startswith(SQLITE) or url == SQLITE:
        raise SettingInvalid("store_kind_unknown", url=url.partition("@")[2] or url)
    return Path(url.removeprefix(SQLITE))


def _make_private(directory: Path) -> None:
    """Make a directory that only its owner may enter; one that is there stays as it is."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreRefused("seal_unwritable", path=str(directory), why=why) from error


async def _note_last_uses(keyring: Keyring) -> None:
    with suppress(StoreError):
        await keyring.note_uses()


async def sweep_for_ever(store: FullStore, keeper: Keeper) -> None:
    """Delete old events again and again, in small batches."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        deleted = 1 if keeper.known.seen > NEVER else 0
        while deleted:
            deleted = await store.sweep_events(keeper.known.now() - EVENTS_KEPT)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _running(name: str, run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Have `run` run, and run again when it fails: nothing that goes wrong with the store may end a hub that serves."""

    async def go_on() -> None:
        said = ""
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 (whatever it was: it is in the log, and tried again)
                why = str(error) if isinstance(error, ZhongkongError) else describe_bug(error)
                if why != said:
                    logger.error("%s: %s", name, why)  # noqa: TRY400 (in our own words)
                said = why
            await asyncio.sleep(1.0)

    task = asyncio.create_task(go_on(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# --- the whole program


def serve(settings: Settings, accounts: Sequence[Account], announce: Callable[[Welcome], None], lang: Language) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code. For the main thread.

    `accounts` are those that the settings declare, with their secrets; `announce` is called once, when all listen.
    Raises: SettingInvalid: among others, the port is taken. StoreError.
    """
    configure_logging(settings.log_format)
    main = bind(settings.host, settings.port)
    measures = bind(*settings.metrics_bind) if settings.metrics_bind else None
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        first_key, seal_made = runner.run(_prepare(settings, accounts))
        welcome = Welcome(
            *address_of(main),
            metrics=address_of(measures) if measures else None,
            workers=settings.workers,
            accounts=len(accounts),
            first_key=first_key,
            seal_made=seal_made,
        )
        announce(welcome)
        if settings.workers == 1:
            runner.run(_serve_one(settings, main, measures, lang))
            return 0
    work = _Work(replace(settings, declarations=()), main, measures, lang)
    return Supervisor(work, settings.workers, MachineClock(), partial(_tell_death, lang)).run()


async def _prepare(settings: Settings, accounts: Sequence[Account]) -> tuple[Secret | None, Path | None]:
    """Bring the store to what the settings declare; return the first key, if the store had none, and a new seal."""
    async with seat(settings) as seats:
        await seats.admin.declare(accounts, DECLARED_BY)
        first_key = None
        if not await seats.store.keys():
            _, first_key = await seats.admin.create_key("serve", name=FIRST_KEY, grants=[Grant.ADMIN])
        return first_key, seats.seal_made


async def _serve_one(
    settings: Settings, main: socket, measures: socket | None, lang: Language | None, *, as_worker: bool = False
) -> None:
    async with seat_hub(settings, log_events_in=lang) as hub, stop_on_signals(hub.draining, once=not as_worker):
        if as_worker:
            _stop_with_parent(hub.draining)
        async with asyncio.TaskGroup() as servers:
            servers.create_task(serve_http(hub.app, [main], hub.draining))
            if measures is not None:
                servers.create_task(serve_http(hub.metrics_app, [measures], hub.draining))


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker process does. Pickled: the sockets are the supervisor's own, shared by all."""

    settings: Settings
    main: socket
    measures: socket | None
    lang: Language

    def __call__(self, index: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches us too, and is the supervisor's to pass on
        configure_logging(self.settings.log_format)
        lang = self.lang if index == 0 else None
        work = _serve_one(self.settings, self.main, self.measures, lang, as_worker=True)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(work)
        except (SettingInvalid, StoreRefused, WrongSeal) as error:
            logger.error("%s", explain_error(error, self.lang))  # noqa: TRY400 (a person reads it)
            os._exit(CANNOT_START)
        except StoreUnavailable as error:
            logger.error("%s", explain_error(error, self.lang))  # noqa: TRY400 (a person reads it)
            os._exit(TRY_AGAIN)


def _stop_with_parent(draining: asyncio.Event) -> None:
    """Drain when the supervisor is gone, however it ended: nobody else would ever stop us."""
    parent = parent_process()
    if parent is not None:
        asyncio.get_running_loop().add_reader(parent.sentinel, draining.set)


def _tell_death(lang: Language, why: str) -> None:
    logger.warning(render("worker_died", lang, why=why))
