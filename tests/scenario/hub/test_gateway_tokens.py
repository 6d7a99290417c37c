"""The token routes as SDKs know them: what a key gets there, and what everybody else is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from tests.scenario.hub.house import ADDRESS, APPID, SECRET
from tests.scenario.hub.through import Through
from zhongkong.core.grants import Grant

ROUTE = "/cgi-bin/token"
CALL = "/cgi-bin/user/get"


@pytest.fixture
def house() -> Iterator[Through]:
    """A hub with a gateway."""
    house = Through()
    yield house
    house.close()


def given(house: Through, **changed: str | None) -> dict[str, str]:
    """Return what the token route takes, but for what is changed."""
    asked = {"grant_type": "client_credential", "appid": APPID, "secret": house.text, **changed}
    return {name: value for name, value in asked.items() if value is not None}


def test_each_classic_token_is_another_and_the_former_ones_go_on(house: Through) -> None:
    """Whatever SDKs do with theirs, nobody's is ended by it."""
    tokens = []
    for _ in range(3):
        answer = house.fetch()
        assert answer.keys() == {"access_token", "expires_in"}
        assert answer["expires_in"] == 7200
        tokens.append(answer["access_token"])
    assert len(set(tokens)) == 3
    house.clock.turn(7199)
    assert [house.ask(CALL, token).json()["total"] for token in tokens] == [0, 0, 0]
    assert house.token() not in tokens


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("where", ["params", "data", "json"])
def test_sdks_ask_in_many_ways(house: Through, method: str, where: str) -> None:
    """By query, form or JSON."""
    asked: dict[str, Any] = {where: given(house)}
    answer = house.call(method, ROUTE, **asked)
    assert house.read(answer)["expires_in"] == 7200


def test_a_stable_token_is_repeated_with_its_rest(house: Through) -> None:
    """And is followed by another before less than 1,800 s are announced; the former one goes on for its own time."""
    first, seen = house.fetch_stable(), []
    for _ in range(9):
        answer = house.fetch_stable()
        assert 1800 < answer["expires_in"] <= 7200
        seen.append(answer["access_token"])
        house.clock.turn(600)
    assert len(set(seen)) == 2
    assert first["access_token"] == seen[0]
    assert house.ask(CALL, seen[0]).json()["total"] == 0


def test_force_refresh_without_the_grant_hurts_nobody(house: Through) -> None:
    """The real token stays, and the virtual one too: an SDK that always forces costs nothing."""
    real, before = house.token(), house.fetch_stable()["access_token"]
    assert house.fetch_stable(force_refresh=True)["access_token"] == before
    assert house.token() == real
    assert len(house.platform.mints) == 1


def test_force_refresh_with_the_grant_renews_the_real_token(house: Through) -> None:
    """Nobody holds that one, so nobody notices; too soon after another it changes nothing."""
    text = house.add_key(Grant.GATEWAY, Grant.FORCE)
    real, before = house.token(), house.fetch_stable(text)["access_token"]
    house.clock.turn(400)
    assert house.fetch_stable(text, force_refresh=True)["access_token"] == before
    forced = house.token()
    assert forced != real
    assert house.fetch_stable(text, force_refresh=True)["access_token"] == before
    assert house.token() == forced
    assert house.ask(CALL, before).json()["total"] == 0
    assert house.fetch_stable(text, force_refresh="true")["access_token"] == before


@pytest.mark.parametrize(
    ("changed", "errcode", "begins"),
    [
        ({"secret": SECRET}, 40125, "invalid appsecret, zhongkong: a hub key is wanted here, not the AppSecret"),
        ({"secret": "zk_abcdefgh_" + "x" * 43}, 40125, "invalid appsecret"),
        ({"secret": ""}, 41004, "appsecret missing"),
        ({"secret": None}, 41004, "appsecret missing"),
        ({"appid": "wxnobody"}, 40013, "invalid appid"),
        ({"appid": None}, 41002, "appid missing"),
        ({"grant_type": "password"}, 40002, "invalid grant_type"),
        ({"grant_type": None}, 40002, "invalid grant_type"),
    ],
)
@pytest.mark.parametrize("stable", [False, True])
def test_a_wrong_question_is_answered_with_a_code_that_ends_attempts(
    house: Through,
    changed: dict[str, str | None],
    errcode: int,
    begins: str,
    stable: bool,  # noqa: FBT001 (a parameter of the claim)
) -> None:
    """Never 40001 or 42001: co-wechat-api would ask for ever."""
    asked = given(house, **changed)
    answer = (
        house.call("POST", "/cgi-bin/stable_token", json=asked) if stable else house.call("GET", ROUTE, params=asked)
    )
    told = house.read(answer)
    assert told["errcode"] == errcode
    assert told["errmsg"].startswith(begins)


def test_the_stable_route_wants_a_post(house: Through) -> None:
    """As on the platform."""
    assert house.errcode(house.call("GET", "/cgi-bin/stable_token", params=given(house))) == 43002


@pytest.mark.parametrize(
    "path",
    [
        "/cgi-bin/component/api_component_token",
        "/cgi-bin/service/get_suite_token",
    ],
)
def test_other_token_routes_are_known_and_answered(house: Through, path: str) -> None:
    """No such account is here, and nothing of what was shown is sent anywhere."""
    assert (
        house.errcode(house.call("POST", path, json={"component_appid": "wx", "component_appsecret": SECRET})) == 40013
    )
    assert house.line.calls == []


def refused(house: Through, text: str, **given: Any) -> int:
    """Return the errcode of the token route for a key."""
    return int(house.fetch(text, **given)["errcode"])


def test_a_key_for_something_else_is_no_secret(house: Through) -> None:
    """Without the grant, for another account, of yesterday, from elsewhere."""
    assert refused(house, house.add_key(Grant.READ)) == 40125
    assert refused(house, house.add_key(Grant.GATEWAY, appids=("wxother",))) == 40125
    assert refused(house, house.add_key(Grant.GATEWAY, expires_at=house.clock.wall() - 1)) == 40125
    elsewhere = house.add_key(Grant.GATEWAY, networks=(ip_network("10.0.0.0/8"),))
    assert refused(house, elsewhere) == 40164
    assert ADDRESS in house.fetch(elsewhere)["errmsg"]
    assert "access_token" in house.fetch(elsewhere, address="10.1.2.3")
    assert "access_token" in house.fetch(house.add_key(Grant.ADMIN))


def test_a_key_that_asks_too_often_is_told_when_to_ask_again(house: Through) -> None:
    """45011 is what SDKs take for: slower."""
    text = house.add_key(Grant.GATEWAY, rate=2)
    answers = [house.fetch(text) for _ in range(3)]
    assert ["access_token" in answer for answer in answers] == [True, True, False]
    assert answers[2]["errcode"] == 45011


def test_a_key_that_is_bound_to_calls_gets_a_token_for_them(house: Through) -> None:
    """A token is good for nothing by itself, and without one its calls could not be made."""
    text = house.add_key(Grant.GATEWAY, paths=("/cgi-bin/user/*",))
    token = house.virtual(text)
    assert house.ask(CALL, token).json()["total"] == 0
    assert house.fetch_stable(text)["expires_in"] > 1800
    told = house.read(house.ask("/cgi-bin/menu/get", token))
    assert told["errcode"] == 48001
    assert told["errmsg"].startswith("api unauthorized")
    assert house.errcode(house.ask("/cgi-bin/user/info/batchget", token, "POST", json={})) == 48001
    assert house.errcode(house.ask("/cgi-bin/ticket/getticket", token, params={"type": "jsapi"})) == 48001
    params = {"appid": APPID, "secret": text, "js_code": "x", "grant_type": "authorization_code"}
    assert house.errcode(house.call("GET", "/sns/jscode2session", params=params)) == 48001


# --- virtual tokens on calls


def test_a_token_lives_as_long_as_was_said(house: Through) -> None:
    """Then 42001 with the words that EasyWeChat knows; and the token route gives a good one."""
    token = house.virtual()
    house.clock.turn(7195)
    assert house.ask(CALL, token).json()["total"] == 0
    house.clock.turn(10)
    told = house.read(house.ask(CALL, token))
    assert told["errcode"] == 42001
    assert told["errmsg"].startswith("access_token expired")
    assert house.ask(CALL, house.virtual()).json()["total"] == 0


@pytest.mark.parametrize("token", ["83_" + "r" * 150, "zkt_", "zkt_" + "A" * 80, "x", "zkt_" + "A" * 10_000])
def test_an_unknown_token_is_told_in_the_platforms_words(house: Through, token: str) -> None:
    """So the SDK fetches another."""
    told = house.read(house.ask(CALL, token))
    assert told["errcode"] == 40001
    said, because = told["errmsg"].split(", zhongkong: ")
    assert said == "invalid credential, access_token is invalid or not latest"
    assert "/cgi-bin/token, with a hub key" in because
    assert token not in because.split()
    assert house.line.calls == []


def test_a_call_without_a_token_is_refused(house: Through) -> None:
    """As the platform would."""
    assert house.errcode(house.call("GET", CALL)) == 41001


def test_a_revoked_key_is_dead_within_two_seconds_and_its_tokens_with_it(house: Through) -> None:
    """Its SDK then fetches another, and is told why it gets none."""
    token, other = house.virtual(), house.add_key(Grant.GATEWAY)
    kept = house.virtual(other)
    house.clock.run(house.store.remove_key(house.key.id))
    house.clock.turn(2.0)
    told = house.read(house.ask(CALL, token))
    assert (told["errcode"], f"key {house.key.id} of this token is gone" in told["errmsg"]) == (40001, True)
    assert house.fetch()["errcode"] == 40125
    assert house.ask(CALL, kept).json()["total"] == 0


def test_a_key_that_lost_the_account_lost_its_tokens(house: Through) -> None:
    """What a token says is whose it was; what its key may do is asked at every call."""
    token = house.virtual()
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"appids": frozenset({"wxother"})}, "is not for this account"),
        ({"grants": frozenset({Grant.READ})}, "lacks the grant gateway"),
    )
    for change, because in changes:
        house.clock.run(house.store.put_key(replace(house.key, **change)))
        house.clock.turn(2.0)
        told = house.read(house.ask(CALL, token))
        assert (told["errcode"], f"key {house.key.id} {because}" in told["errmsg"]) == (40001, True)


def test_an_expired_key_and_one_from_elsewhere_cannot_use_a_token(house: Through) -> None:
    """A stolen token is worth no more than the key it was made for."""
    here = house.add_key(Grant.GATEWAY, networks=(ip_network(f"{ADDRESS}/32"),), expires_at=house.clock.wall() + 100)
    token = house.virtual(here)
    assert house.errcode(house.ask(CALL, token, address="198.51.100.99")) == 40164
    assert house.ask(CALL, token).json()["total"] == 0
    house.clock.turn(101)
    told = house.read(house.ask(CALL, token))
    assert (told["errcode"], "has expired" in told["errmsg"]) == (40001, True)


def test_calls_are_counted_against_the_rate(house: Through) -> None:
    """One call, one request."""
    text = house.add_key(Grant.GATEWAY, rate=3)
    token = house.virtual(text)
    assert [house.ask(CALL, token).json().get("errcode") for _ in range(3)] == [None, None, 45011]


def test_the_account_is_gone(house: Through) -> None:
    """40001 on calls, 40013 where the next token is asked for."""
    token = house.virtual()
    house.clock.run(house.admin.remove_account(APPID, "test"))
    house.clock.turn(2.0)
    assert house.errcode(house.ask(CALL, token)) == 40001
    assert house.fetch()["errcode"] == 40013


def test_calls_of_an_account_that_follows_go_elsewhere(house: Through) -> None:
    """Through the gateway of its leader, which holds the token: a second refusal of it would be judged twice."""
    token = house.virtual(appid=house.follow_account())
    told = house.read(house.ask(CALL, token))
    assert told["errcode"] == 48001
    assert "follows another hub" in told["errmsg"]
    assert house.line.calls == []


def test_tokens_are_counted(house: Through) -> None:
    """By account, key and outcome."""
    house.fetch()
    house.fetch_stable()
    assert (
        f'zhongkong_gateway_calls_total{{appid="{APPID}",key="{house.key.id}",outcome="token"}} 2.0' in house.measures()
    )


def test_the_log_says_whose_key_is_refused(house: Through, caplog: pytest.LogCaptureFixture) -> None:
    """By its id, on the token route and on calls; and the measure has it too."""
    caplog.set_level(logging.INFO, "zhongkong.access")
    house.add_key(Grant.READ)
    house.add_key(Grant.GATEWAY, appids=("wxother",))
    house.add_key(Grant.GATEWAY, expires_at=house.clock.wall() - 1)
    house.add_key(Grant.GATEWAY, networks=(ip_network("10.0.0.0/8"),))
    unfit = house.texts[-4:]
    short = house.add_key(Grant.GATEWAY, expires_at=house.clock.wall() + 100)
    token = house.virtual(short)
    house.clock.turn(101)
    caplog.clear()
    for text in unfit:
        house.fetch(text)
    house.ask(CALL, token)
    house.fetch("zk_abcdefgh_" + "x" * 43)
    lines = [record.getMessage() for record in caplog.records if record.name == "zhongkong.access"]
    ids = [text[3:11] for text in [*unfit, short]]
    assert [line.split()[4] for line in lines] == [*ids, "-"]
    assert not any(text in caplog.text for text in [*house.texts, token])
    for key_id in ids:
        assert f'zhongkong_gateway_calls_total{{appid="",key="{key_id}",outcome="refused"}} 1.0' in house.measures()
