"""Tickets through the adapter: asked once, with the parent's token, and told as the outcome it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.platform.calls import ACCOUNT, VALUE, platform
from tests.contract.platform.conftest import Run
from tests.contract.platform.test_sandbox import SOON, scene
from tests.contract.platform.wire import Wire, answer, sends
from zhongkong.core.model import Ambiguous, Kind, Mode, Outcome, Secret
from zhongkong.core.ports import Order
from zhongkong.sandbox.switches import Switches
from zhongkong.wechat.answers import Granted, Refused

PATH = "/cgi-bin/ticket/getticket"
KINDS = (Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET)
GRANT = b'{"errcode":0,"errmsg":"ok","ticket":"kgt8ON7yVITDhtdwci0qeQ-_","expires_in":7200}'


async def mint(url: str, kind: Kind, token: str = VALUE) -> Outcome:
    """Ask for a ticket once."""
    account = replace(ACCOUNT, base_url=url)
    return await platform(SOON).mint(Order(account, Mode.TICKET, force=False, kind=kind, parent=Secret(token)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_is_asked_for_once_with_the_token_encoded(run: Run[Any], kind: Kind) -> None:
    """What is in a token must not break the query apart."""

    async def story() -> None:
        async with Wire(sends(answer(GRANT))) as wire:
            assert await mint(wire.url, kind, "83_+/=&") == Granted("kgt8ON7yVITDhtdwci0qeQ-_", 7200)
        (request,) = wire.requests
        named = {Kind.JSAPI_TICKET: b"jsapi", Kind.WX_CARD_TICKET: b"wx_card"}[kind]
        assert request.startswith(
            b"GET " + PATH.encode() + b"?access_token=83_%2B%2F%3D%26&type=" + named + b" HTTP/1.1"
        )

    run(story())


@pytest.mark.parametrize(
    "body",
    [
        b'{"errcode":0,"errmsg":"ok","ticket":"","expires_in":7200}',
        b'{"errcode":0,"errmsg":"ok","expires_in":7200}',
        b'{"access_token":"83_x","expires_in":7200}',
        b"<html>",
        b"",
    ],
)
def test_an_answer_without_a_ticket_is_ambiguous(run: Run[Any], body: bytes) -> None:
    """Never an empty one."""

    async def story() -> None:
        async with Wire(sends(answer(body))) as wire:
            assert isinstance(await mint(wire.url, Kind.JSAPI_TICKET), Ambiguous)

    run(story())


@pytest.mark.parametrize("repeated", ["same", "new"])
def test_the_sandbox_issues_tickets_for_its_own_tokens(run: Run[Any], repeated: Any) -> None:
    """The same with the rest of its life or another one, by the switch; each kind is its own."""

    async def story() -> None:
        async with scene(switches=Switches(repeated_ticket=repeated)) as stage:
            token = await stage.token(Mode.STABLE)
            url = stage.account.base_url
            first, again, card = [await mint(url, kind, token) for kind in (KINDS[0], *KINDS)]
            assert isinstance(first, Granted)
            assert isinstance(again, Granted)
            assert isinstance(card, Granted)
            assert (first.value == again.value) is (repeated == "same")
            assert card.value not in (first.value, again.value)
            assert 7100 < again.expires_in <= 7200
            assert len(stage.calls(PATH)) == 3

    run(story())


def test_a_dead_token_is_refused_with_its_code(run: Run[Any]) -> None:
    """Which is the proof that the parent is dead."""

    async def story() -> None:
        async with scene() as stage:
            token = await stage.token(Mode.STABLE)
            stage.sandbox.world.revoke(token, stage.now())
            outcome = await mint(stage.account.base_url, Kind.JSAPI_TICKET, token)
            assert isinstance(outcome, Refused)
            assert outcome.errcode in (40001, 42001)

    run(story())


def test_without_a_token_nothing_is_sent(run: Run[Any]) -> None:
    """That would be a bug of ours, and a call that is counted."""

    async def story() -> None:
        async with Wire(sends(answer(GRANT))) as wire:
            order = Order(replace(ACCOUNT, base_url=wire.url), Mode.TICKET, force=False, kind=Kind.JSAPI_TICKET)
            with pytest.raises(ValueError, match="ticket"):
                await platform(SOON).mint(order)
        assert wire.requests == []

    run(story())
