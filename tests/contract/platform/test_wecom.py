"""WeCom through the adapter: gettoken with corpid and corpsecret, its refusals and its tickets, against the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.platform.calls import platform
from tests.contract.platform.conftest import Run
from tests.contract.platform.test_sandbox import SOON
from tests.contract.platform.wire import Wire, answer, sends
from zhongkong.core.model import Account, AccountKind, Kind, Mode, Outcome, Secret, build_account
from zhongkong.core.ports import Order
from zhongkong.sandbox.server import Running, open_sandbox
from zhongkong.sandbox.switches import Switches
from zhongkong.wechat.answers import Granted, Refused, ip_of
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = "ww0123456789abcdef:crm"


@asynccontextmanager
async def scene(prefix: str = "", **options: Any) -> AsyncIterator[tuple[Running, Account]]:
    """Open a sandbox with an application of WeCom."""
    async with open_sandbox(port=0, seed=11, **options) as sandbox:
        secret = Secret(sandbox.world.add_account(APPID, kind="wecom").secret)
        yield sandbox, build_account(APPID, AccountKind.WECOM, secret, base_url=sandbox.url + prefix)


async def mint(account: Account, token: str = "", kind: Kind = Kind.ACCESS_TOKEN) -> Outcome:
    """Ask once: for the token, or with it for a ticket."""
    if not token:
        return await platform(SOON).mint(Order(account, Mode.WECOM, force=False))
    order = Order(account, Mode.WECOM_TICKET, force=False, kind=kind, parent=Secret(token))
    return await platform(SOON).mint(order)


def test_gettoken_shows_the_corpid_without_our_name(run: Run[Any]) -> None:
    """The name is ours alone; what is in a secret must not break the query apart."""

    async def story() -> None:
        body = b'{"errcode":0,"errmsg":"ok","access_token":"tok","expires_in":7200}'
        async with Wire(sends(answer(body))) as wire:
            account = build_account(APPID, AccountKind.WECOM, Secret("s+/=&"), base_url=wire.url)
            assert await mint(account) == Granted("tok", 7200)
        (request,) = wire.requests
        asked = b"GET /cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=s%2B%2F%3D%26 HTTP/1.1"
        assert request.startswith(asked)

    run(story())


@pytest.mark.parametrize("prefix", ["", "/qyapi"])
def test_a_token_is_granted_repeated_probed_and_seen_dead(run: Run[Any], prefix: str) -> None:
    """With and without the alias in the base URL."""

    async def story() -> None:
        async with scene(prefix) as (sandbox, account):
            first, again = await mint(account), await mint(account)
            assert isinstance(first, Granted)
            assert isinstance(again, Granted)
            assert first.value == again.value
            assert await platform(SOON).probe(account, first.value) is ProbeVerdict.ALIVE
            sandbox.world.revoke(first.value, sandbox.clock.now())
            assert await platform(SOON).probe(account, first.value) is ProbeVerdict.DEAD

    run(story())


def test_both_tickets_are_granted(run: Run[Any]) -> None:
    """Each at a path of its own."""

    async def story() -> None:
        async with scene() as (_, account):
            token = await mint(account)
            assert isinstance(token, Granted)
            corp = await mint(account, token.value, Kind.JSAPI_TICKET)
            agent = await mint(account, token.value, Kind.AGENT_CONFIG_TICKET)
            assert isinstance(corp, Granted)
            assert isinstance(agent, Granted)
            assert corp.value != agent.value

    run(story())


def test_the_refusals_are_told_with_what_helps(run: Run[Any]) -> None:
    """A wrong secret, a wrong corpid, an address that is not trusted."""

    async def story() -> None:
        async with scene(switches=Switches()) as (sandbox, account):
            refused = await mint(replace(account, secret=Secret("x")))
            assert isinstance(refused, Refused)
            assert refused.errcode == 40001
            refused = await mint(replace(account, appid="wwother:crm"))
            assert isinstance(refused, Refused)
            assert refused.errcode == 40013
            sandbox.world.account(APPID).set_allow_list(["9.9.9.9"])
            refused = await mint(account)
            assert isinstance(refused, Refused)
            assert (refused.errcode, ip_of(refused.errmsg)) == (60020, "127.0.0.1")

    run(story())
