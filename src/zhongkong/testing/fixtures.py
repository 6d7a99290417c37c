"""A WeChat, and a hub, for your own tests: pytest fixtures that serve them on free ports of this machine.

    from zhongkong.testing.fixtures import wechat_sandbox, zhongkong_hub   # in conftest.py

    def test_my_shop(zhongkong_hub):
        shop = Shop(host=zhongkong_hub.url, appid=zhongkong_hub.appid, key=zhongkong_hub.key)

They need the extra `[hub]`; `examples/shop` tests itself with them. Both are gone after each
test, with all that was in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest

from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, AccountKind, Secret, Slot
from zhongkong.hub.server import address_of, bind, serve_http
from zhongkong.sandbox.server import open_sandbox
from zhongkong.serving import seat, seat_hub
from zhongkong.settings import load_settings

HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds in which they begin and end, however busy the machine."""
BY = "test"
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class WechatSandbox:
    """A WeChat platform at `url`, with one test account."""

    url: str
    """What takes the place of https://api.weixin.qq.com."""
    appid: str
    secret: str = field(repr=False)

    def control(self, method: str, route: str, json: object = None) -> Any:  # noqa: ANN401 (JSON)
        """Return what the control API answers (docs/sandbox.md), None where it says nothing.

        Raises: httpx.HTTPStatusError: it refused; the error says what it said.
        """
        answer = httpx.request(method, f"{self.url}/sandbox/v1{route}", json=json, timeout=PATIENCE, trust_env=False)
        if not answer.is_success:
            said = f"{method} {route}: {answer.status_code} {answer.text}"
            raise httpx.HTTPStatusError(said, request=answer.request, response=answer)
        return answer.json() if answer.content else None

    def turn(self, seconds: float) -> None:
        """Turn the platform's clock forward; a hub's own goes on as it was."""
        self.control("PATCH", "/clock", {"forward": seconds})

    def revoke(self) -> None:
        """End every token of the account, as when another program fetched one."""
        self.control("POST", f"/accounts/{self.appid}/revoke", {})


@dataclass(frozen=True, slots=True)
class ZhongkongHub:
    """A hub at `url` that keeps the sandbox's account; `key` may read, reject, force and use the gateway."""

    url: str
    appid: str
    key: str = field(repr=False)


@pytest.fixture
def wechat_sandbox() -> Iterator[WechatSandbox]:
    """A WeChat platform of its own for each test."""
    with _running(_serve_sandbox()) as sandbox:
        yield sandbox


@pytest.fixture
def zhongkong_hub(wechat_sandbox: WechatSandbox, tmp_path: Path) -> Iterator[ZhongkongHub]:
    """A hub over that platform, whose account has its token already."""
    with _running(_serve_hub(wechat_sandbox, tmp_path / "zhongkong")) as hub:
        yield hub


@asynccontextmanager
async def _serve_sandbox() -> AsyncIterator[WechatSandbox]:
    async with open_sandbox(HOST, 0) as running:
        assert running.account is not None  # narrows a type: a sandbox that keeps nothing begins with one
        yield WechatSandbox(running.url, running.account.appid, running.account.secret)


@asynccontextmanager
async def _serve_hub(sandbox: WechatSandbox, directory: Path) -> AsyncIterator[ZhongkongHub]:
    settings = load_settings(flags={"data_dir": str(directory)})
    account = Account(sandbox.appid, AccountKind.OFFICIAL, Secret(sandbox.secret), base_url=sandbox.url, is_test=True)
    async with seat(settings) as seats:
        await seats.admin.add_account(account, BY)
        await seats.admin.settle(Slot(account.appid))
        _, key = await seats.admin.create_key(BY, name=BY, grants=[Grant.READ, Grant.FORCE, Grant.GATEWAY])
    stop = asyncio.Event()
    async with seat_hub(settings, stop) as hub:
        with bind(HOST, 0) as listening:
            serving = asyncio.create_task(serve_http(hub.app, [listening], stop))
            try:
                yield ZhongkongHub(f"http://{HOST}:{address_of(listening)[1]}", account.appid, key.reveal())
            finally:
                stop.set()
                await serving


@contextmanager
def _running(serving: AbstractAsyncContextManager[ValueT]) -> Iterator[ValueT]:
    """Serve in a thread with a loop of its own while the block runs: tests may block, and may have loops themselves."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="zhongkong-testing", daemon=True)
    thread.start()
    leave = asyncio.Event()
    served: asyncio.Future[ValueT] = loop.create_future()

    async def serve() -> None:
        try:
            async with serving as value:
                served.set_result(value)
                await leave.wait()
        except BaseException as error:
            if not served.done():
                served.set_exception(error)
            raise

    task = asyncio.run_coroutine_threadsafe(serve(), loop)
    try:
        yield asyncio.run_coroutine_threadsafe(_wait(served), loop).result(PATIENCE)
        loop.call_soon_threadsafe(leave.set)
        task.result(PATIENCE)
    finally:
        task.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


async def _wait(future: asyncio.Future[ValueT]) -> ValueT:
    return await future
