"""Seats a hub: opens what it stands on, introduces the parts to each other, and ends them in order."""

from __future__ import annotations

import asyncio
import gc
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
from ssl import SSLContext
from typing import NamedTuple

from starlette.types import ASGIApp

from zhongkong.adapters.bells.bell import Bell
from zhongkong.adapters.bells.opening import open_bell
from zhongkong.adapters.by_mode import build_platform, build_upstream
from zhongkong.adapters.certificates import TLS_FILE
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.courier import HttpCourier
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.sinks.opening import open_sink
from zhongkong.adapters.stores.addresses import Address, FileAddress, parse_address
from zhongkong.adapters.stores.examining import examine, is_there
from zhongkong.adapters.stores.sql import SqlStore, open_at
from zhongkong.adapters.stores.standing import CLOSED
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, Seconds, Secret
from zhongkong.core.ports import Clock, FullStore, Platform, Sink
from zhongkong.errors import SettingInvalid, StoreError, StoreRefused, StoreUnavailable, WrongSeal
from zhongkong.hub.admin import Admin
from zhongkong.hub.app import GatewayParts, Parts, build_app, build_metrics_app
from zhongkong.hub.callback.room import CallbackRoom
from zhongkong.hub.gateway.gateway import Limits
from zhongkong.hub.keys import Keyring
from zhongkong.hub.logs import configure_logging, log_event
from zhongkong.hub.server import address_of, bind, listen, loop_factory, serve_http, stop_on_signals
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry, TimedStore
from zhongkong.hub.tls import build_context, warn_of_end
from zhongkong.hub.workers import CANNOT_START, TRY_AGAIN, Supervisor
from zhongkong.keeper.keeper import Keeper
from zhongkong.keeper.sinks import SinkKeeper
from zhongkong.keeper.upkeep import run_for_ever, sweep_for_ever, sweep_pushes_for_ever
from zhongkong.messages import Language, choose_language, render
from zhongkong.settings import Settings, read_sinks
from zhongkong.wechat.advice import explain_error

logger = logging.getLogger("zhongkong.serving")

DRAIN: Seconds = 15.0
"""What refreshes under way get at the end: a request's deadline, and the save."""
MIB = 1_048_576
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
    bell: Bell | None
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
    tls: tuple[str, int] | None
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
    address = parse_address(settings.store_url)
    for directory in {settings.data_dir, settings.seal_file.parent}:
        _make_private(directory)
    if not is_there(settings.seal_file):
        _judge_absent_seal(address, settings)
    seal = FileSeal(settings.seal_file)
    try:
        store = await open_at(address, seal, settings.store_prefix)
    except WrongSeal as error:
        raise WrongSeal("seal_does_not_fit", path=str(settings.seal_file), store=str(address)) from error
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
        bell = seat_bell(settings, clock)
        if bell is not None:
            store.tell_of_writes(bell.ring)
        platform = build_platform(clock, proxy=settings.egress_proxy, observe=telemetry.platform_called)
        timed = TimedStore(store, clock, telemetry.store_called)
        keeper = Keeper(timed, platform, clock, poll_seconds=settings.poll_seconds)
        admin = Admin(store, platform, keeper)
        await keeper.poll()
        try:
            seal_made = settings.seal_file if seal.was_made else None
            yield Seats(clock, store, platform, keeper, admin, telemetry, bell, seal_made)
        finally:
            await keeper.drain(DRAIN)


@asynccontextmanager
async def seat_hub(
    settings: Settings, draining: asyncio.Event | None = None, *, log_events_in: Language | None = None
) -> AsyncIterator[Hub]:
    """Seat a hub and have it keep its accounts fresh; on leaving it ends: rounds, refreshes, key uses, store.

    `draining` is given by who heeds signals before there is a hub. With `log_events_in` each event of the audit log is
    logged in that language: for one worker of a machine.
    Raises: as `seat_store`.
    """
    async with seat(settings) as seats, AsyncExitStack() as running:
        keeper, store, draining = seats.keeper, seats.store, draining or asyncio.Event()
        keyring, tail = (
            Keyring(store, seats.clock, keeper.known.told_now),
            Tail(store, log_events_in or choose_language(settings.lang)),
        )
        if log_events_in is not None:
            tail.listen(partial(log_event, lang=log_events_in))
        with suppress(StoreError):
            await keyring.refresh()
        running.push_async_callback(_note_last_uses, keyring)
        limits = Limits(settings.gateway_body_limit * MIB, settings.gateway_in_flight)
        upstream = build_upstream(seats.clock, proxy=settings.egress_proxy)
        running.push_async_callback(upstream.close)
        courier = HttpCourier(seats.clock)
        room = CallbackRoom(store, keeper.known, courier, seats.clock, settings.trusted_proxies)
        running.push_async_callback(room.drain)
        sinks = _keep_sinks(settings, seats, running)
        runs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("keeper", keeper.run),
            ("keys", keyring.run),
            ("events", tail.run),
            ("sweep", partial(sweep_for_ever, store, keeper.known)),
            ("sweep of pushes", partial(sweep_pushes_for_ever, store, keeper.known)),
            *((f"sink {one.name}", one.run) for one in sinks),
        ]
        if seats.bell is not None:
            runs.append(("bell", partial(seats.bell.run, keeper.hear)))
        if settings.tls_port and log_events_in is not None:
            warn = partial(warn_of_end, settings.data_dir / TLS_FILE, seats.clock, log_events_in)
            runs.append(("certificate", warn))
        for name, run in runs:
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
            gateway=GatewayParts(upstream, await store.signing_key(), limits),
            callback=room,
            courier=courier,
            public_url=settings.public_url,
        )
        yield Hub(seats, build_app(parts), build_metrics_app(parts), draining)


def seat_sinks(settings: Settings, clock: Clock) -> list[Sink]:
    """Return the sinks that the settings declare; nothing is connected to yet.

    Raises: SettingInvalid: a secret is not where it should be, or a package is missing.
    """
    return [
        open_sink(aim, secret, settings.store_prefix, clock) for aim, secret in read_sinks(settings.sinks, os.environ)
    ]


def seat_bell(settings: Settings, clock: Clock) -> Bell | None:
    """Return the bell that the settings name; nothing is connected to yet.

    Raises: SettingInvalid: the store has none of its own, or a package is missing.
    """
    return open_bell(settings.store_bell, parse_address(settings.store_url), settings.store_prefix, clock)


def _keep_sinks(settings: Settings, seats: Seats, running: AsyncExitStack) -> list[SinkKeeper]:
    """Return what is to run for each sink; the sinks are closed with `running`."""
    store, known, observe = seats.store, seats.keeper.known, seats.telemetry.sink_written
    sinks = seat_sinks(settings, seats.clock)
    for sink in sinks:
        running.push_async_callback(sink.close)
    return [SinkKeeper(sink, store, known, seats.clock, observe=observe) for sink in sinks]


def _judge_absent_seal(address: Address, settings: Settings) -> None:
    """Return if a seal may be made: one for a store that another seal closed would open nothing.

    Raises: StoreRefused: the seal belongs here. As `open_at`.
    """
    if isinstance(address, FileAddress):
        if is_there(address.path):
            raise StoreRefused("seal_lost", path=str(settings.seal_file), store=str(address))
    elif examine(address, settings.store_prefix).seal_check:
        raise StoreRefused("seal_not_here", path=str(settings.seal_file), store=str(address))


def _make_private(directory: Path) -> None:
    """Make a directory that only its owner may enter; one that is there stays as it is."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreRefused("directory_unmakeable", path=str(directory), why=why) from error


async def _note_last_uses(keyring: Keyring) -> None:
    with suppress(StoreError):
        await keyring.note_uses()


@asynccontextmanager
async def _running(name: str, run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(run_for_ever(name, run, logger), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# --- the whole program


def serve(settings: Settings, accounts: Sequence[Account], announce: Callable[[Welcome], None], lang: Language) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP and return the exit code. For the main thread.

    `accounts` are those that the settings declare, with their secrets; `announce` is called once, when all listen.
    Raises: SettingInvalid: among others, the port is taken. StoreError.
    """
    configure_logging(settings.log_format, requests=settings.access_log)
    seat_bell(settings, MachineClock())
    seat_sinks(settings, MachineClock())  # to say what is wrong with them before anything begins
    if settings.tls_port:
        build_context(settings.data_dir / TLS_FILE, None)  # the same
    doors = _Doors(
        main=bind(settings.host, settings.port, listens=False),
        tls=bind(settings.host, settings.tls_port, listens=False, flag="--tls-port") if settings.tls_port else None,
        measures=bind(*settings.metrics_bind, listens=False, flag="--metrics-bind") if settings.metrics_bind else None,
    )
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        first_key, seal_made = runner.run(_prepare(settings, accounts, doors))
        welcome = Welcome(
            *address_of(doors.main),
            tls=address_of(doors.tls) if doors.tls else None,
            metrics=address_of(doors.measures) if doors.measures else None,
            workers=settings.workers,
            accounts=len(accounts),
            first_key=first_key,
            seal_made=seal_made,
        )
        tell = partial(announce, welcome)
        if settings.workers == 1:
            runner.run(_serve_one(settings, doors, lang, tell))
            return 0
    work = _Work(replace(settings, declarations=()), doors, lang)
    return Supervisor(work, settings.workers, MachineClock(), partial(_tell_death, lang)).run(tell)


async def _prepare(settings: Settings, accounts: Sequence[Account], doors: _Doors) -> tuple[Secret | None, Path | None]:
    """Bring the store to what the settings declare; return the first key, if the store had none, and a new seal."""
    async with seat(settings) as seats:
        await seats.admin.declare(accounts, DECLARED_BY)
        doors.open()
        first_key = None  # made last: whoever cannot start any more has nobody to show it to
        if not await seats.store.keys():
            _, first_key = await seats.admin.create_key("serve", name=FIRST_KEY, grants=[Grant.ADMIN])
        return first_key, seats.seal_made


class _Doors(NamedTuple):
    """The sockets that a hub listens on; workers share them."""

    main: socket
    tls: socket | None
    measures: socket | None

    def open(self) -> None:
        """Take connections: not before the store is ready, which may wait for another replica's migrations.

        Raises: SettingInvalid.
        """
        for door, flag in zip(self, ("--port", "--tls-port", "--metrics-bind"), strict=True):
            if door is not None:
                listen(door, flag)


async def _serve_one(
    settings: Settings, doors: _Doors, lang: Language | None, announce: Callable[[], None] | None = None
) -> None:
    """Serve until a signal comes; from before `announce` on it means an orderly end. A worker announces nothing."""
    stop, is_worker = asyncio.Event(), announce is None
    async with stop_on_signals(stop, once=not is_worker), seat_hub(settings, stop, log_events_in=lang) as hub:
        gc.freeze()  # what is here now stays: no collection needs to look through it while readers wait
        if announce is None:
            _stop_with_parent(hub.draining)
        else:
            announce()
        async with asyncio.TaskGroup() as servers:
            servers.create_task(serve_http(hub.app, [doors.main], hub.draining))
            if doors.tls is not None and (tls := _load_tls(settings, lang)) is not None:
                servers.create_task(serve_http(hub.app, [doors.tls], hub.draining, tls))
            if doors.measures is not None:
                servers.create_task(serve_http(hub.metrics_app, [doors.measures], hub.draining))


def _load_tls(settings: Settings, lang: Language | None) -> SSLContext | None:
    """Return what the TLS port speaks; without a certificate, which was there at the start, the plain port goes on."""
    try:
        return build_context(settings.data_dir / TLS_FILE, lang)
    except SettingInvalid as error:
        if lang is not None:
            logger.error("%s", explain_error(error, lang))  # noqa: TRY400 (a person reads it)
        return None


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker process does. Pickled: the sockets are the supervisor's own, shared by all."""

    settings: Settings
    doors: _Doors
    lang: Language

    def __call__(self, index: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches us too, and is the supervisor's to pass on
        configure_logging(self.settings.log_format, requests=self.settings.access_log)
        lang = self.lang if index == 0 else None
        settings = self.settings if index == 0 else replace(self.settings, sinks=())  # one process of a machine writes
        work = _serve_one(settings, self.doors, lang)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(work)
        except (SettingInvalid, StoreRefused, WrongSeal) as error:
            logger.error("%s", explain_error(error, self.lang))  # noqa: TRY400 (a person reads it)
            os._exit(TRY_AGAIN if error.code in CLOSED else CANNOT_START)  # the others serve from memory meanwhile
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
