"""What people let an account know: codes, consents and their tokens."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, SECRET, START, Caller, build_caller
from zhongkong.sandbox.accounts import Follower
from zhongkong.sandbox.holdings import KEPT, REFRESH_SECONDS, Scope
from zhongkong.sandbox.sns import SNS
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World


@pytest.fixture
def person(world: World) -> Follower:
    """Return somebody whom the account knows."""
    return world.add_follower(APPID, "小明", START, unionid="oU")


def ask(world: World, path: str, now: float = START, **values: str) -> dict[str, Any]:
    """Return the answer of /sns."""
    return world.sns(f"/sns/{path}", values, ip="1.2.3.4", now=now)


def exchange(world: World, code: str, now: float = START, /, **changed: str) -> dict[str, Any]:
    """Return what a web page's code is exchanged for."""
    right = {"appid": APPID, "secret": SECRET, "code": code, "grant_type": "authorization_code"}
    return ask(world, "oauth2/access_token", now, **right | changed)


def consent(world: World, person: Follower, scope: Scope = "snsapi_userinfo", now: float = START) -> dict[str, Any]:
    """Return the token of a person's consent."""
    return exchange(world, world.agree(APPID, person.openid, scope, now).value, now)


def refresh(world: World, refresh_token: str, now: float, /, **changed: str) -> dict[str, Any]:
    """Return the renewed consent."""
    right = {"appid": APPID, "refresh_token": refresh_token, "grant_type": "refresh_token"}
    return ask(world, "oauth2/refresh_token", now, **right | changed)


def test_a_consent_tells_who_the_person_is(world: World, person: Follower) -> None:
    """The whole flow, and the shapes that SDKs read."""
    body = consent(world, person)
    assert body.keys() == {"access_token", "expires_in", "refresh_token", "openid", "scope", "unionid"}
    assert (body["openid"], body["expires_in"], body["scope"]) == (person.openid, 7200, "snsapi_userinfo")
    told = ask(world, "userinfo", access_token=body["access_token"], openid=person.openid)
    assert (told["nickname"], told["unionid"], told["privilege"]) == ("小明", "oU", [])
    assert ask(world, "auth", access_token=body["access_token"], openid=person.openid) == {"errcode": 0, "errmsg": "ok"}


def test_a_consent_to_the_openid_alone_tells_no_more(world: World, person: Follower) -> None:
    """48001, with the comma of /sns before the rid."""
    body = consent(world, person, "snsapi_base")
    told = ask(world, "userinfo", access_token=body["access_token"], openid=person.openid)
    assert told["errmsg"].startswith("api unauthorized, rid: ")


def test_a_code_is_good_once(world: World, person: Follower) -> None:
    """Whoever presses reload meets 40163."""
    code = world.agree(APPID, person.openid, "snsapi_base", START).value
    assert "errcode" not in exchange(world, code)
    assert exchange(world, code)["errmsg"].startswith("code been used, rid: ")


@pytest.mark.parametrize("reading", ["40029", "42003"])
def test_a_code_is_good_for_five_minutes(reading: Any) -> None:
    """What it is then called is a switch."""
    world = build_caller(switches=Switches(expired_code=reading)).world
    person = world.add_follower(APPID, "x", START)
    codes = [world.agree(APPID, person.openid, "snsapi_base", START).value for _ in range(2)]
    assert "errcode" not in exchange(world, codes[0], START + 299)
    assert exchange(world, codes[1], START + 300)["errcode"] == int(reading)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
        ({"grant_type": "client_credential"}, 40002),
        ({"appid": "wxnobody"}, 40013),
        ({"secret": "wrong"}, 40125),
        ({"code": ""}, 41008),
        ({"code": "never made"}, 40029),
    ],
)
def test_an_exchange_that_cannot_be_is_refused_and_costs_no_code(
    world: World, person: Follower, changed: dict[str, str], expected: int
) -> None:
    """From the plainest fault to the code itself."""
    code = world.agree(APPID, person.openid, "snsapi_base", START).value
    body = exchange(world, code, **changed)
    assert (body["errcode"], ", rid: " in body["errmsg"]) == (expected, True)
    assert "errcode" not in exchange(world, code)


def test_the_allow_list_covers_logins_of_mini_programs_and_no_web_pages() -> None:
    """An official account's list is for the token calls, a mini program's for whatever takes the secret."""
    official = build_caller(allow_list=["9.9.9.9"]).world
    assert "errcode" not in consent(official, official.add_follower(APPID, "x", START))
    mini = build_caller(allow_list=["9.9.9.9"], kind="miniprogram").world
    assert login(mini, "any")["errcode"] == 40164


def test_a_token_in_life_stays_and_its_life_is_renewed(world: World, person: Follower) -> None:
    """One that is over is followed by another; the refresh token stays, for 30 days."""
    body = consent(world, person)
    renewed = refresh(world, body["refresh_token"], START + 7000)
    assert renewed == body
    whose = {"access_token": body["access_token"], "openid": person.openid}
    assert "nickname" in ask(world, "userinfo", START + 7000 + 7199, **whose)
    assert ask(world, "userinfo", START + 7000 + 7200, **whose)["errmsg"].startswith("access_token expired, rid: ")
    another = refresh(world, body["refresh_token"], START + REFRESH_SECONDS - 1)
    assert another["access_token"] != body["access_token"]
    assert another["refresh_token"] == body["refresh_token"]
    late = START + REFRESH_SECONDS
    assert refresh(world, body["refresh_token"], late)["errcode"] == 42002


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"appid": ""}, 41002),
        ({"grant_type": ""}, 40002),
        ({"refresh_token": ""}, 41003),
        ({"appid": "wxnobody"}, 40013),
        ({"refresh_token": "x"}, 40030),
    ],
)
def test_a_refresh_that_cannot_be_is_refused(
    world: World, person: Follower, changed: dict[str, str], expected: int
) -> None:
    """It takes no secret."""
    body = consent(world, person)
    assert refresh(world, body["refresh_token"], START, **changed)["errcode"] == expected


def test_a_persons_token_and_the_accounts_open_nothing_of_each_other(
    caller: Caller, world: World, person: Follower
) -> None:
    """They share a name and nothing else."""
    own, personal = caller.classic(START)["access_token"], consent(world, person)["access_token"]
    assert caller.probe(personal, START) == 40001
    for path in ("userinfo", "auth"):
        told = ask(world, path, access_token=own, openid=person.openid)
        assert told["errmsg"].startswith("invalid credential, access_token is invalid or not latest, rid: ")
    assert world.account_of(personal) is world.account(APPID)


@pytest.mark.parametrize(
    ("changed", "expected"), [({"access_token": ""}, 41001), ({"openid": ""}, 41009), ({"openid": "other"}, 40003)]
)
def test_a_token_is_good_with_its_own_openid_only(
    world: World, person: Follower, changed: dict[str, str], expected: int
) -> None:
    """Both have to be named."""
    whose = {"access_token": consent(world, person)["access_token"], "openid": person.openid}
    assert ask(world, "userinfo", START, **whose | changed)["errcode"] == expected
    assert ask(world, "auth", START, **whose | changed)["errcode"] == expected


def login(world: World, code: str) -> dict[str, Any]:
    """Return what a mini program's code is exchanged for."""
    values = {"appid": APPID, "secret": SECRET, "js_code": code, "grant_type": "authorization_code"}
    return ask(world, "jscode2session", START, **values)


def test_a_mini_programs_login_gives_a_session_key_once() -> None:
    """16 bytes of AES key in base64; no errcode in a success."""
    world = build_caller(kind="miniprogram").world
    person = world.add_follower(APPID, "x", START)
    code = world.agree(APPID, person.openid, "snsapi_base", START).value
    body = login(world, code)
    assert body.keys() == {"session_key", "openid"}
    assert (body["openid"], len(base64.b64decode(body["session_key"], validate=True))) == (person.openid, 16)
    assert login(world, code)["errcode"] == 40163


def test_each_kind_of_account_has_its_own_exchange(world: World, person: Follower) -> None:
    """A web page's code opens no mini program."""
    code = world.agree(APPID, person.openid, "snsapi_base", START).value
    assert login(world, code)["errcode"] == 48001
    mini = build_caller(kind="miniprogram").world
    assert exchange(mini, "any")["errcode"] == 48001


def test_only_somebody_known_can_agree(world: World) -> None:
    """A tester's slip is an error and no code."""
    with pytest.raises(LookupError, match="no follower nobody"):
        world.agree(APPID, "nobody", "snsapi_base", START)


def test_codes_and_consents_are_bounded(world: World, person: Follower) -> None:
    """A login test that runs all night must not fill the memory."""
    for _ in range(KEPT + 1):
        consent(world, person)
    account = world.account(APPID)
    assert (len(account.codes), len(account.grants)) == (KEPT, KEPT)


def test_every_call_answers_without_values_in_the_platforms_shape(world: World) -> None:
    """Whatever a client forgets."""
    for path in SNS:
        assert ", rid: " in world.sns(path, {}, ip="1.2.3.4", now=START)["errmsg"]
