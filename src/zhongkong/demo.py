"""The demo: a sandbox, a hub, accounts and keys in one process, whose tokens live a minute; nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from socket import socket
from tempfile import TemporaryDirectory
from typing import Protocol

from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, AccountKind, Credential, Seconds, Secret, Slot, build_account
from zhongkong.core.ports import KeptEvent
from zhongkong.errors import SettingInvalid, StoreError
from zhongkong.hub.admin import Admin
from zhongkong.hub.server import address_of, bind, serve_http, stop_on_signals
from zhongkong.sandbox.server import Running, open_sandbox
from zhongkong.serving import Hub, Seats, seat, seat_hub
from zhongkong.settings import load_settings

HOST = "127.0.0.1"
LOOK_EVERY: Seconds = 0.25
BY = "demo"
GRANTS = (Grant.READ, Grant.GATEWAY, Grant.ADMIN)
CORPID = "ww0000000000000000"
APPLICATION = "demo"
CORP_GRANTS = (Grant.READ, Grant.GATEWAY)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is. Secrets and keys are good for this demo and die with it."""

    hub_url: str
    sandbox_url: str
    appid: str
    secret: str = field(repr=False)
    key: str = field(repr=False)
    corpid: str
    """Of WeCom; the account is its application `APPLICATION`."""
    corpsecret: str = field(repr=False)
    corpkey: str = field(repr=False)
    """A key for that account alone, so that it may stand in the corpsecret's place."""


class Show(Protocol):
    """How a demo is told to whoever watches."""

    def open(self, stage: Stage) -> None:
        """Tell where everything is and what to try."""

    def happened(self, event: KeptEvent) -> None:
        """Tell what happened."""

    def look(self, credential: Credential | None, left: Seconds) -> None:
        """Tell how the token is at this moment: for how long it lives still."""

    def close(self) -> None:
        """End the telling."""


async def run(
    show: Show, *, hub_port: int, sandbox_port: int, expires_in: int, duration: Seconds | None = None
) -> None:
    """Run the demo until SIGINT, SIGTERM or SIGHUP, or for `duration` seconds; what it made is gone afterwards.

    Raises: SettingInvalid: a port cannot be had.
    """
    stop = asyncio.Event()
    async with stop_on_signals(stop), _set_up(hub_port, sandbox_port, expires_in) as (hub, stage, listening):
        serving = asyncio.create_task(serve_http(hub.app, [listening], stop))
        show.open(stage)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(duration):
                    await _watch(show, hub.seats, Slot(stage.appid), stop)
        finally:
            stop.set()
            hub.draining.set()
            try:
                show.close()  # which nobody may be there to see any more
            finally:
                await serving


@asynccontextmanager
async def _set_up(hub_port: int, sandbox_port: int, expires_in: int) -> AsyncIterator[tuple[Hub, Stage, socket]]:
    """Begin everything, with the account and the key there before anybody can ask."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(TemporaryDirectory(prefix="zhongkong-demo-"))
        with _naming("--sandbox-port", sandbox_port):
            sandbox = await stack.enter_async_context(open_sandbox(HOST, sandbox_port, expires_in=expires_in))
        with _naming("--hub-port", hub_port):
            listening = stack.enter_context(bind(HOST, hub_port))
        settings = load_settings(flags={"data_dir": directory})
        async with seat(settings) as seats:
            stage = await _furnish(seats.admin, sandbox, f"http://{HOST}:{address_of(listening)[1]}")
        yield await stack.enter_async_context(seat_hub(settings)), stage, listening


@contextmanager
def _naming(flag: str, port: int) -> Iterator[None]:
    """Have a port that cannot be had told by the flag that chooses another."""
    try:
        yield
    except (OSError, SettingInvalid) as error:
        raise SettingInvalid("demo_port_taken", flag=flag, port=port) from error


async def _furnish(admin: Admin, sandbox: Running, hub_url: str) -> Stage:
    account = sandbox.account
    assert account is not None  # noqa: S101 (narrows a type: a sandbox that keeps nothing begins with one)
    kept = Account(account.appid, AccountKind.OFFICIAL, Secret(account.secret), base_url=sandbox.url, is_test=True)
    await admin.add_account(kept, BY)
    await admin.settle(Slot(account.appid))
    _, key = await admin.create_key(BY, name=BY, grants=GRANTS)
    corpsecret, corpkey = await _furnish_corp(admin, sandbox, account.expires_in)
    return Stage(
        hub_url, sandbox.url, account.appid, account.secret, key.reveal(), CORPID, corpsecret, corpkey.reveal()
    )


async def _furnish_corp(admin: Admin, sandbox: Running, expires_in: int) -> tuple[str, Secret]:
    """Have an application of WeCom on both sides; return its secret, and a key for it alone."""
    appid = f"{CORPID}:{APPLICATION}"
    there = sandbox.world.add_account(appid, kind="wecom", expires_in=expires_in)
    sandbox.world.add_follower(appid, "小明", sandbox.clock.now(), openid="xiaoming")
    kept = build_account(appid, AccountKind.WECOM, Secret(there.secret), base_url=f"{sandbox.url}/qyapi")
    await admin.add_account(kept, BY)
    await admin.settle(Slot(appid))
    _, key = await admin.create_key(BY, name=f"{BY}-wecom", grants=CORP_GRANTS, appids=(appid,))
    return there.secret, key


async def _watch(show: Show, seats: Seats, slot: Slot, stop: asyncio.Event) -> None:
    """Tell what happens until `stop` is set."""
    told = 0
    while not stop.is_set():
        with suppress(StoreError):
            for event in await seats.store.events(told):
                told = event.id
                show.happened(event)
        record = seats.keeper.known.record(slot)
        credential = record.credential if record is not None else None
        left = credential.expires_at - seats.keeper.known.now() if credential is not None else 0.0
        show.look(credential, max(0.0, left))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)
