"""A sandbox on a port: the application under uvicorn, with connections that a fault can close."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zhongkong.sandbox.accounts import PLATFORM_LIFE, Account
from zhongkong.sandbox.app import CLOSE_EXTENSION, build_sandbox
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.faults import Faults
from zhongkong.sandbox.journal import Journal
from zhongkong.sandbox.sandbox import furnish
from zhongkong.sandbox.saving import Saver, load_world, taking
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

HOST, PORT = "127.0.0.1", 8601
GRACE_SECONDS = 1  # at the end, for calls that a fault keeps waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A sandbox that is listening. `account` is the first one it began with; None when the kept world has none."""

    host: str
    port: int
    world: World
    clock: Clock
    faults: Faults
    journal: Journal
    account: Account | None

    @property
    def url(self) -> str:
        """What takes the place of https://api.weixin.qq.com, without a slash at its end."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


class Options(TypedDict, total=False):
    """What a sandbox may be told at its start; everything has a default."""

    expires_in: int | None
    """Life of tokens to come, in seconds, also of accounts that were kept. 7200; kept accounts: what they had."""
    speed: float
    """Seconds of the sandbox's clock in a real one. 1."""
    data: Path | None
    """The directory that keeps the world, so that it is the same tomorrow. None: it is forgotten at the end."""
    seed: int | None
    """What appids, secrets, tokens and faults are drawn from. None: never the same again."""
    switches: Switches | None
    """The readings of what nobody knows for sure."""


@contextlib.asynccontextmanager
async def open_sandbox(host: str = HOST, port: int = PORT, **options: Unpack[Options]) -> AsyncIterator[Running]:
    """Serve a sandbox while the block runs; port 0 takes a free one, which `Running` tells.

    Raises OSError when the port is taken or `data` cannot be used, DataUnreadable, DataTaken, ValueError.
    """
    expires_in, data, seed = options.get("expires_in"), options.get("data"), options.get("seed")
    taken = contextlib.nullcontext() if data is None else taking(data)
    with contextlib.closing(_bind(host, port)) as listener, taken:
        world = World(seed=secrets.randbits(62) if seed is None else seed, switches=options.get("switches"))
        kept_until = None if data is None else load_world(data, world)
        clock = Clock(speed=options.get("speed", 1.0), not_before=kept_until or 0.0)
        begin = _begin(world, clock.now(), expires_in, is_new=kept_until is None)
        running = Running(
            host=host,
            port=listener.getsockname()[1],
            world=world,
            clock=clock,
            faults=Faults(seed or 0),
            journal=Journal(),
            account=next(iter(world.accounts.values()), None),
        )
        async with _keeping(data, world, clock) as changed:
            app = build_sandbox(
                world,
                clock,
                faults=running.faults,
                journal=running.journal,
                expires_in=expires_in or PLATFORM_LIFE,
                begin=begin,
                changed=changed,
            )
            async with _listening(app, listener):
                yield running


async def serve_sandbox(
    host: str = HOST,
    port: int = PORT,
    *,
    ready: Callable[[Running], None] | None = None,
    handle_signals: bool = False,
    **options: Unpack[Options],
) -> None:
    """Serve a sandbox until cancelled or, if it is to `handle_signals`, until SIGINT, SIGTERM or SIGHUP.

    `ready` is called once it listens. Raises what `open_sandbox` raises.
    """
    stop = asyncio.Event()
    with _signals(stop) if handle_signals else contextlib.nullcontext():
        async with open_sandbox(host, port, **options) as running:
            if ready:
                ready(running)
            await stop.wait()


def _begin(world: World, now: float, expires_in: int | None, *, is_new: bool) -> Callable[[World, float], object]:
    """Furnish a new world, or give a kept one its life of tokens; return what furnishes it so again after a reset."""
    furnish_so = partial(furnish, expires_in=expires_in or PLATFORM_LIFE)
    if is_new:
        furnish_so(world, now)
    elif expires_in is not None:
        for account in world.accounts.values():
            account.set_expires_in(expires_in)
    first = next(iter(world.accounts.values()), None)
    return partial(furnish_so, appid=first.appid, secret=first.secret) if first else furnish_so


def _bind(host: str, port: int) -> socket.socket:
    """Return a bound socket. It says TCP by name: otherwise asyncio leaves Nagle on, and every answer takes 40 ms."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    if os.name == "posix":  # elsewhere it would let two programs share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def _keeping(data: Path | None, world: World, clock: Clock) -> AsyncIterator[Callable[[], None]]:
    """Keep the world in `data` while the block runs, from its first moment to its last; give what notes a change."""
    if data is None:
        yield lambda: None
        return
    saver = Saver(data, world, clock)
    saver.save()  # what cannot be kept is better known now
    saving = asyncio.create_task(saver.run())
    try:
        yield saver.note_change
    finally:
        saving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await saving
        saver.save()


@contextlib.asynccontextmanager
async def _listening(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await server.wait_until_started(serving)
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listens = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens.set()

    async def wait_until_started(self, serving: asyncio.Task[None]) -> None:
        """Return once it listens, or once `serving` failed before."""
        listens = asyncio.create_task(self._listens.wait())
        await asyncio.wait([listens, serving], return_when=asyncio.FIRST_COMPLETED)
        listens.cancel()


class _Connection(HttpToolsProtocol):
    """Gives the application a way to close the connection: ASGI itself can only answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def closable(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CLOSE_EXTENSION] = transport.close
            await app(scope, receive, send)

        self.app = closable


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Let SIGINT, SIGTERM and a closed terminal's SIGHUP, unless nohup has it ignored, set `stop` in the block."""
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
