"""Several accounts before one hub: trouble with one leaves the others alone; what is not followed is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.scenario.client.desk import URL, Program, problem
from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.client.hub_engine import LET_GO_AFTER, LOOK
from zhongkong.core.grants import Grant
from zhongkong.core.model import Slot
from zhongkong.errors import AccountUnknown, CredentialUnavailable


@pytest.fixture(autouse=True)
def _other(house: House) -> None:
    """There are two accounts."""
    house.add_account(OTHER)


def replace_token(house: House, appid: str) -> None:
    """Have the hub replace the token of an account: another program was refused with it."""
    handed = house.keeper.peek(Slot(appid))
    assert handed is not None
    house.world.revoke_all(appid, house.clock.wall())
    path = f"/v1/accounts/{appid}/access_token/reject"
    answer = house.call("POST", path, house.add_key(Grant.READ), json={"rejected": handed.value})
    assert answer.json()["outcome"] == "refreshed"


def is_alive(house: House, token: str) -> bool:
    """Say whether the platform takes it."""
    return house.world.is_alive(token, house.clock.wall())


def trouble(house: House, appid: str, code: str) -> Any:
    """Return a hub that is well, but for one account."""
    sick = problem(503, 1, code=code, appid=appid)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if appid not in scope["path"]:
            await house.app(scope, receive, send)
            return
        answer = sick(httpx.Request("GET", URL))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
        await send({"type": "http.response.body", "body": answer.content})

    return app


def let_go(program: Program) -> None:
    """Have OTHER not be asked for until it is let go; APPID is."""
    for _ in range(int(LET_GO_AFTER / 60) + 3):
        program.clock.turn(60)
        program.token()


def fork(program: Program) -> None:
    """Go on as a forked child does, which never asked for anything."""
    program.end()
    program.begin()


# --- one account in trouble


@pytest.mark.parametrize("code", ["wrong_seal", "store_behind"])
def test_an_account_in_trouble_leaves_the_others_alone(house: House, program: Program, code: str) -> None:
    """It cannot be unsealed, say. The hub is there: the others are read, rejected and renewed as ever."""
    program.token()
    program.network.app = trouble(house, OTHER, code)
    begun = program.clock.boot()
    for _ in range(120):
        with pytest.raises(CredentialUnavailable) as caught:
            program.token(OTHER)
        assert (caught.value.cause, caught.value.values["said"]) == ("hub_troubled", f"HTTP 503 {code}")
        assert not program.credential().stale
        program.clock.turn(1)
    spent = program.clock.boot() - begun
    assert len([one for one in program.network.since(begun) if OTHER in one.path]) <= spent + 1
    token = program.token()
    house.world.revoke_all(APPID, house.clock.wall())
    assert program.reject(token).outcome == "refreshed"


def test_an_account_in_trouble_goes_on_with_what_was_promised(house: House, program: Program) -> None:
    """And is followed again as soon as the hub can."""
    token = program.token(OTHER)
    program.network.app = trouble(house, OTHER, "wrong_seal")
    program.clock.turn(600)
    assert program.at_once(OTHER) == token
    assert program.credential(OTHER).stale
    assert not program.credential().stale
    program.network.app = house.app
    program.clock.turn(10)
    assert not program.credential(OTHER).stale


def test_an_account_in_trouble_gets_no_report(house: House, program: Program) -> None:
    """Its caller is told why, and at once."""
    token = program.token(OTHER)
    program.network.app = trouble(house, OTHER, "wrong_seal")
    with pytest.raises(CredentialUnavailable) as caught:
        program.reject(token, OTHER)
    assert caught.value.cause == "hub_troubled"


# --- what is not followed


def test_what_was_let_go_is_looked_at_before_it_is_handed_out(house: House, program: Program) -> None:
    """Nobody told us meanwhile that the token is dead."""
    program.token()
    let_go(program)
    replace_token(house, OTHER)
    program.clock.turn(600)
    assert is_alive(house, program.token(OTHER))


def test_a_child_looks_before_it_hands_out_what_its_parent_knew(house: House, program: Program) -> None:
    """It is not followed there, until it is asked for."""
    program.token(OTHER)
    fork(program)
    program.clock.turn(120)
    replace_token(house, OTHER)
    program.clock.turn(10)
    assert is_alive(house, program.token(OTHER))


@pytest.mark.parametrize("leave", [let_go, fork])
def test_an_outage_prolongs_nothing_that_is_not_followed(house: House, program: Program, leave: Any) -> None:
    """Nobody would take it back when the hub is there again."""
    program.token()
    program.token(OTHER)
    leave(program)
    program.token()
    program.network.broken = lambda: httpx.ConnectError("planted")
    program.clock.turn(60)
    program.network.broken = None
    program.clock.turn(30)
    replace_token(house, OTHER)
    program.clock.turn(10)
    assert is_alive(house, program.token(OTHER))
    assert not program.credential(OTHER).stale


def test_a_look_keeps_nobody_for_long(program: Program) -> None:
    """Before a hub that says nothing, what was promised is handed out after a moment, and by then to all at once."""
    token = program.token(OTHER)
    fork(program)
    program.clock.turn(120)
    program.network.delay = 3600

    async def all_at_once() -> set[str]:
        return set(await asyncio.gather(*(program.source.access_token(OTHER) for _ in range(100))))

    begun = program.clock.boot()
    assert program.clock.run(all_at_once()) == {token}
    assert program.clock.boot() - begun == pytest.approx(LOOK, abs=0.1)
    for _ in range(60):
        program.clock.turn(1)
        assert program.at_once(OTHER) == token
    assert program.credential(OTHER).stale


def test_a_hub_that_is_known_to_be_away_is_not_waited_for(program: Program) -> None:
    """What is remembered of an account that nobody asked for is there at once."""
    token = program.token(OTHER)
    program.token()
    let_go(program)
    program.network.broken = lambda: httpx.ConnectError("planted")
    program.clock.turn(60)
    assert program.at_once(OTHER) == token
    assert program.credential(OTHER).stale


def test_a_look_that_is_refused_hands_nothing_out(house: House, program: Program) -> None:
    """The account was removed in the night."""
    program.token()
    program.token(OTHER)
    let_go(program)
    house.call("DELETE", f"/v1/accounts/{OTHER}", house.add_key(Grant.ADMIN))
    program.clock.turn(5)
    with pytest.raises(AccountUnknown):
        program.token(OTHER)


def test_what_is_read_all_the_time_is_followed_all_the_time(program: Program) -> None:
    """Whoever reads what is fresh leaves no trace; that must not cost the news of a minute in every hour."""
    program.token()
    while program.clock.boot() < LET_GO_AFTER * 1.2:
        program.clock.turn(1)
        program.at_once()
        if program.clock.boot() > LET_GO_AFTER * 0.9:
            assert program.network.since(program.clock.boot() - 40)
    assert program.network.waiting == 1
