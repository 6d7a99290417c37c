"""WeCom: several applications of one corp, each with its token; the words of its refusals; its switches."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, SECRET, START
from zhongkong.sandbox.multipart import Part
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.wecom import agentid_of
from zhongkong.sandbox.world import World

CORP = "ww0123456789abcdef"
CRM, OA = f"{CORP}:crm", f"{CORP}:oa"
IP = "1.2.3.4"


def build_world(**switches: Any) -> World:
    """Return a world with two applications of one corp, and an official account."""
    world = World(switches=Switches(**switches))
    world.add_account(CRM, "c" * 43, kind="wecom")
    world.add_account(OA, "o" * 43, kind="wecom")
    world.add_account(APPID, SECRET)
    world.add_follower(CRM, "张三", START, openid="zhangsan")
    return world


def ask(
    world: World, now: float = START, corpid: str | None = CORP, secret: str | None = "c" * 43, ip: str = IP
) -> Any:
    """Return the body of gettoken."""
    return world.gettoken(corpid=corpid, corpsecret=secret, ip=ip, now=now)


def call(world: World, path: str, token: str | None, now: float = START, ip: str = IP, **params: Any) -> Any:
    """Return the body of a call."""
    return world.wecom_call(f"/cgi-bin/{path}", access_token=token, params=params, ip=ip, now=now)


def probe(world: World, token: str | None, now: float = START, ip: str = IP) -> int:
    """Return the errcode of a harmless call."""
    return int(call(world, "get_api_domain_ip", token, now, ip)["errcode"])


def test_a_token_is_repeated_with_the_rest_of_its_life_until_it_ends() -> None:
    """However late it is asked: there is no window in which another one comes."""
    world = build_world()
    first = ask(world)
    assert (first["errcode"], first["errmsg"], first["expires_in"]) == (0, "ok", 7200)
    late = ask(world, START + 7199)
    assert (late["access_token"], late["expires_in"]) == (first["access_token"], 1)
    after = ask(world, START + 7200)
    assert after["access_token"] != first["access_token"]
    assert probe(world, first["access_token"], START + 7200) == 42001


def test_it_is_never_announced_to_live_for_nothing() -> None:
    """In its last second another one comes; the former lives on to its end."""
    world = build_world()
    first, last = ask(world), ask(world, START + 7199.5)
    assert last["expires_in"] == 7200
    assert probe(world, first["access_token"], START + 7199.6) == 0


def test_the_applications_of_a_corp_stand_apart() -> None:
    """A secret of its own, a token of its own, an agentid of its own."""
    world = build_world()
    crm, oa = ask(world)["access_token"], ask(world, secret="o" * 43)["access_token"]
    assert crm != oa
    world.revoke(crm, START + 1)
    assert [probe(world, crm, START + 2), probe(world, oa, START + 2)] == [40014, 0]
    assert agentid_of(world.account(CRM)) != agentid_of(world.account(OA))


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"corpid": None}, 41002),
        ({"secret": None}, 41004),
        ({"corpid": "wwother"}, 40013),
        ({"corpid": APPID}, 40013),
        ({"secret": "x"}, 40001),
        ({"secret": SECRET}, 40001),
    ],
)
def test_who_is_not_known_is_refused(changed: dict[str, Any], errcode: int) -> None:
    """40001 is the secret's here."""
    assert ask(build_world(), **changed)["errcode"] == errcode


def test_a_refusal_names_where_it_came_from_and_where_to_look_it_up() -> None:
    """In the words of the recorded answers; the hint begins with the time."""
    world = build_world()
    world.account(CRM).set_allow_list(["9.9.9.9"])
    said = ask(world)["errmsg"]
    assert re.fullmatch(
        r"not allow to access from your ip, hint: \[1700000000\d{15}\], from ip: 1\.2\.3\.4, "
        r"more info at https://open\.work\.weixin\.qq\.com/devtool/query\?e=60020",
        said,
    ), said
    assert ask(world, ip="9.9.9.9")["errcode"] == 0


def test_the_trusted_address_by_its_switch() -> None:
    """Calls look at it in either reading."""
    world = build_world(wecom_trusted_ip="calls")
    world.account(CRM).set_allow_list(["9.9.9.9"])
    token = ask(world)["access_token"]
    assert [probe(world, token), probe(world, token, ip="9.9.9.9")] == [60020, 0]


def test_a_revoked_token_by_its_switch() -> None:
    """A platform that repeats a dead one repeats it to its announced end."""
    for reading, is_same in (("new", False), ("same", True)):
        world = build_world(wecom_revoked=reading)
        token = ask(world)["access_token"]
        world.revoke(token, START + 10)
        assert probe(world, token, START + 10) == 40014
        assert (ask(world, START + 20)["access_token"] == token) is is_same
        assert ask(world, START + 7200)["access_token"] != token


def test_a_platform_that_repeats_nothing_by_its_switch() -> None:
    """Every token lives to its own end all the same."""
    world = build_world(wecom_repeat="new")
    tokens = [ask(world, START + i)["access_token"] for i in range(3)]
    assert len(set(tokens)) == 3
    assert [probe(world, token, START + 7199.0) for token in tokens] == [0, 0, 0]


def test_a_token_past_its_life_by_its_switch() -> None:
    """By the book or as in the field."""
    for reading in ("42001", "40014"):
        world = build_world(wecom_expired=reading)
        token = ask(world)["access_token"]
        assert probe(world, token, START + 7200) == int(reading)


def test_tokens_of_one_platform_are_unknown_to_the_other() -> None:
    """Whatever else their paths have in common."""
    world = build_world()
    wecoms = ask(world)["access_token"]
    official = world.token(appid=APPID, secret=SECRET, grant_type="client_credential", ip=IP, now=START)
    assert probe(world, official["access_token"]) == 40014
    assert world.call("/cgi-bin/user/get", access_token=wecoms, now=START)["errcode"] == 40001
    assert probe(world, None) == 41001
    assert probe(world, "nobody's") == 40014


def test_what_a_flow_of_an_sdk_needs() -> None:
    """Members, departments, the application, messages, files."""
    world = build_world()
    token, agentid = ask(world)["access_token"], agentid_of(world.account(CRM))
    assert call(world, "user/get", token, userid="zhangsan")["name"] == "张三"
    assert call(world, "user/get", token, userid="nobody")["errcode"] == 60111
    assert [one["userid"] for one in call(world, "user/simplelist", token, department_id=1)["userlist"]] == ["zhangsan"]
    assert call(world, "department/list", token)["department"][0]["id"] == 1
    assert call(world, "agent/get", token, agentid=str(agentid))["name"] == "crm"
    assert call(world, "agent/get", token, agentid="1")["errcode"] == 40056
    message: dict[str, Any] = {"agentid": agentid, "msgtype": "text", "text": {"content": "hi"}}
    sent = call(world, "message/send", token, touser="zhangsan|nobody", **message)
    assert (sent["errcode"], sent["invaliduser"]) == (0, "nobody")
    assert call(world, "message/send", token, touser="nobody", **message)["errcode"] == 81013
    assert call(world, "message/send", token, touser="@all", **message)["errcode"] == 0
    assert [one.text for one in world.account(CRM).sent] == ["hi", "hi"]
    assert call(world, "message/send", token, touser="zhangsan", **message | {"agentid": 1})["errcode"] == 40056
    assert call(world, "message/send", token, touser="zhangsan", **message | {"text": "hi"})["errcode"] == 47001
    assert call(world, "message/send", token, touser="zhangsan", agentid=agentid, msgtype="x")["errcode"] == 40008
    media = call(world, "media/upload", token, type="image", media=Part("media", "a", b"\x89PNG"))
    assert isinstance(media["created_at"], str)
    found = world.wecom_media(access_token=token, params=media, ip=IP, now=START)
    assert getattr(found, "content", None) == b"\x89PNG"
    assert world.wecom_media(access_token=token, params={}, ip=IP, now=START)["errcode"] == 40007  # type: ignore[index]
    assert call(world, "no/such", token)["errcode"] == 40066


def test_the_tickets_are_two_and_none_of_the_official_accounts() -> None:
    """One for the page, one for the application; each repeated while it lives."""
    world = build_world()
    token = ask(world)["access_token"]
    corp, agent = call(world, "get_jsapi_ticket", token), call(world, "ticket/get", token, type="agent_config")
    assert corp["ticket"] != agent["ticket"]
    assert call(world, "get_jsapi_ticket", token, START + 60) == corp | {"expires_in": 7140}
    assert call(world, "ticket/get", token, type="jsapi")["errcode"] == 40097
    official = world.token(appid=APPID, secret=SECRET, grant_type="client_credential", ip=IP, now=START)
    asked = {"access_token": official["access_token"], "params": {"type": "agent_config"}, "now": START}
    assert world.call("/cgi-bin/ticket/getticket", **asked)["errcode"] == 40097


def test_a_right_that_is_off_and_a_rate_that_is_spent() -> None:
    """48002 and 45009, for a minute's rule too."""
    world = build_world()
    account = world.account(CRM)
    token = ask(world)["access_token"]
    account.forbidden.add("/cgi-bin/user/get")
    assert call(world, "user/get", token, userid="zhangsan")["errcode"] == 48002
    account.set_quota("/cgi-bin/gettoken", daily=100, per_minute=2)
    assert [ask(world)["errcode"] for _ in range(2)] == [0, 45009]
    assert ask(world, START + 60)["errcode"] == 0


def test_an_account_has_a_corpid_and_a_name() -> None:
    """Drawn where they are not given; without the name it is none."""
    account = World().add_account(kind="wecom")
    assert re.fullmatch(r"ww[0-9a-f]{16}:app", account.appid)
    assert len(account.secret) == 43
    with pytest.raises(ValueError, match="corpid:name"):
        World().add_account("ww1", kind="wecom")


def test_a_world_with_wecom_comes_back_as_it_was() -> None:
    """Also through JSON, and one that was kept before there was any."""
    world = build_world()
    token = ask(world)["access_token"]
    kept = json.loads(json.dumps(world.snapshot()))
    again = World()
    again.restore(kept)
    assert ask(again, START + 5)["access_token"] == token
    for account in kept["accounts"]:
        del account["wecom"]
    again.restore(kept)
    assert ask(again, START + 5)["access_token"] != token
