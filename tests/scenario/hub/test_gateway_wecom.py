"""WeCom through the gateway: a hub key in the corpsecret's place, calls to whose token it is, healed as everybody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenario.hub.house import APPID, SECRET
from tests.scenario.hub.through import Answer, Through, url_of
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, Kind, Slot

CORP = "ww0123456789abcdef"
CRM, OA = f"{CORP}:crm", f"{CORP}:oa"
ROUTES = ("/cgi-bin/gettoken", "/qyapi/cgi-bin/gettoken")
USER = "/cgi-bin/user/get"


class Corp(Through):
    """A house with an official account and two applications of one corp, and a key for the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self.crm: Account = self.add_application(CRM, "http://sandbox.test/qyapi")
        self.oa: Account = self.add_application(OA)
        self.world.add_follower(CRM, "张三", self.clock.wall(), openid="zhangsan")
        self.clock.turn(1.5)
        self.corpkey = self.add_key(Grant.GATEWAY, Grant.READ, appids=(CRM,))

    def gettoken(self, secret: str | None = None, corpid: str = CORP, route: str = ROUTES[0], **given: Any) -> Any:
        """Return what the token route answers."""
        params = {"corpid": corpid, "corpsecret": self.corpkey if secret is None else secret}
        return self.read(self.call("GET", route, params={k: v for k, v in params.items() if v}, **given))

    def user(self, token: str | None = None, path: str = USER) -> Any:
        """Return what a call with a virtual token is answered."""
        shown = token or self.gettoken()["access_token"]
        return self.call("GET", path, params={"access_token": shown, "userid": "zhangsan"}).json()


@pytest.fixture
def house() -> Iterator[Corp]:
    """A hub with a gateway, and a corp."""
    house = Corp()
    yield house
    house.close()


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_gets_a_virtual_token_in_wecoms_own_shape(house: Corp, route: str) -> None:
    """Repeated with its rest, as there; the real one is nowhere in it."""
    first = house.gettoken(route=route)
    assert list(first) == ["errcode", "errmsg", "access_token", "expires_in"]
    assert (first["errcode"], first["errmsg"]) == (0, "ok")
    assert 1800 < first["expires_in"] <= 7200
    assert len(first["access_token"]) <= 512
    house.clock.turn(1.0)
    assert house.gettoken(route=route)["access_token"] == first["access_token"]
    real = house.keeper.peek(Slot(CRM))
    assert real is not None
    assert first["access_token"] != real.value


@pytest.mark.parametrize(
    ("asked", "errcode", "said"),
    [
        ({"secret": "zk_aaaaaaaa_" + "b" * 43}, 40125, "no such key"),
        ({"secret": SECRET}, 40125, "hub key is wanted"),
        ({"corpid": "wwother"}, 40013, "no such corp"),
        ({"corpid": APPID}, 40013, "no such corp"),
        ({"corpid": CRM}, 40013, "no such corp"),
        ({"corpid": ""}, 41002, "corpid missing"),
        ({"secret": ""}, 41004, "corpsecret missing"),
    ],
)
@pytest.mark.parametrize("route", ROUTES)
def test_what_is_not_known_is_refused_and_never_by_40001(
    house: Corp, route: str, asked: dict[str, str], errcode: int, said: str
) -> None:
    """At 40001, 40014 and 42001 wechatpy's client asks for ever."""
    told = house.gettoken(route=route, **asked)
    assert told["errcode"] == errcode
    assert said in told["errmsg"]
    assert house.line.calls == []


def test_a_key_is_for_exactly_one_application_of_the_corp(house: Corp) -> None:
    """The real secret would say which; a key does by its grants, or is refused in words that help."""
    assert house.gettoken(house.add_key(Grant.GATEWAY, appids=(OA, APPID)))["errcode"] == 0
    for appids, said in (((), "for 2 accounts"), ((CRM, OA), "for 2 accounts"), ((APPID,), "no account of this corp")):
        told = house.gettoken(house.add_key(Grant.GATEWAY, appids=appids))
        assert (told["errcode"], said in told["errmsg"]) == (40125, True), told
    told = house.gettoken(house.add_key(Grant.READ, appids=(CRM,)))
    assert (told["errcode"], "lacks the grant gateway" in told["errmsg"]) == (40125, True)


def test_the_routes_of_official_accounts_take_none_of_wecom(house: Corp) -> None:
    """Nor is a secret of WeCom's ever sent there."""
    told = house.fetch(house.corpkey, CRM)
    assert told["errcode"] == 40013
    assert "gettoken" in told["errmsg"]
    params = {"appid": CRM, "secret": house.corpkey, "js_code": "c", "grant_type": "authorization_code"}
    assert house.errcode(house.call("GET", "/sns/jscode2session", params=params)) == 40013
    assert house.line.calls == []


@pytest.mark.parametrize("path", [USER, f"/qyapi{USER}"])
def test_calls_go_to_whose_token_it_is(house: Corp, path: str) -> None:
    """Both platforms have this path. The base URL's own path stays before it."""
    assert house.user(path=path)["name"] == "张三"
    assert url_of(house.line.calls[-1]).path == f"/qyapi{USER}"
    assert house.ask(path).json()["total"] == 0
    assert url_of(house.line.calls[-1]).path == USER
    oa = house.gettoken(house.add_key(Grant.GATEWAY, appids=(OA,)))["access_token"]
    assert house.user(oa)["errcode"] == 60111


@pytest.mark.parametrize("errcode", [40014, 42001])
def test_a_refused_token_is_healed_and_the_client_never_notices(house: Corp, errcode: int) -> None:
    """By either code: the real one is replaced, the call sent once more."""
    token = house.gettoken()["access_token"]
    issued = house.world.issued(CRM)[-1]
    issued.close(house.clock.wall(), "age" if errcode == 42001 else "revoked")
    assert house.user(token)["name"] == "张三"
    real = house.line.tokens()
    assert len(real) == 2
    assert real[0] != real[1]


def test_wecoms_40001_is_no_tokens_and_not_passed_on(house: Corp) -> None:
    """It means the secret there: nothing is replaced, and a client that would ask for ever is told -1."""
    house.line.answers = [Answer([b'{"errcode":40001,"errmsg":"invalid credential, hint: [1]"}'])]
    told = house.user()
    assert told["errcode"] == -1
    assert "40001" in told["errmsg"]
    assert house.platform.probes == 0
    assert len(house.line.calls) == 1


def test_other_refusals_pass_as_they_are(house: Corp) -> None:
    """60020 names an address: that of the hub, which a person adds."""
    token = house.gettoken()["access_token"]
    house.world.account(CRM).set_allow_list(["9.9.9.9"])
    told = house.user(token)
    assert told["errcode"] == 60020
    assert "from ip: " in told["errmsg"]


def test_an_unknown_token_is_told_in_the_words_of_where_it_was_shown(house: Corp) -> None:
    """By the alias, by the host's name, by what the token says; so that its SDK fetches another."""
    told = house.user("zkt_x", f"/qyapi{USER}")
    assert (told["errcode"], "/cgi-bin/gettoken, with a hub key" in told["errmsg"]) == (40014, True)
    by_host: dict[str, Any] = {"headers": {"host": "qyapi.weixin.qq.com"}, "params": {"access_token": "zkt_x"}}
    assert house.call("GET", USER, **by_host).json()["errcode"] == 40014
    assert house.user("zkt_x")["errcode"] == 40001
    token = house.gettoken()["access_token"]
    house.clock.run(house.store.remove_key(house.corpkey.split("_")[1]))
    house.clock.run(house.keyring.refresh())
    assert house.user(token)["errcode"] == 40014
    assert house.gettoken()["errcode"] == 40125


def test_a_token_past_its_time_is_42001(house: Corp) -> None:
    """And the route hands out another."""
    token = house.gettoken()["access_token"]
    house.clock.turn(2 * 7200.0 + 60.0)
    assert house.user(token)["errcode"] == 42001
    assert house.user()["name"] == "张三"


def test_tickets_are_answered_from_what_is_kept(house: Corp) -> None:
    """Both paths, asked for once however often; none of them at an official account's token."""
    token = house.gettoken()["access_token"]
    for path, params, kind in (
        ("/cgi-bin/get_jsapi_ticket", {}, Kind.JSAPI_TICKET),
        ("/qyapi/cgi-bin/ticket/get", {"type": "agent_config"}, Kind.AGENT_CONFIG_TICKET),
    ):
        told = [house.read(house.ask(path, token, params=params)) for _ in range(3)]
        handed = house.keeper.peek(Slot(CRM, kind))
        assert handed is not None
        assert [one["ticket"] for one in told] == [handed.value] * 3
        assert house.errcode(house.ask(path, params=params)) == 40097
    assert house.errcode(house.ask("/cgi-bin/ticket/get", token)) == 40097
    assert house.errcode(house.ask("/cgi-bin/ticket/getticket", token, params={"type": "jsapi"})) == 40097
    assert [order.kind for order in house.platform.mints if order.parent] == [
        Kind.JSAPI_TICKET,
        Kind.AGENT_CONFIG_TICKET,
    ]
    assert house.line.calls == []


def test_what_shows_no_account_still_goes_where_official_accounts_live(house: Corp) -> None:
    """A corp's host knows no picture of a QR code, nor anybody's OAuth."""
    house.clock.run(house.store.remove_account(APPID))
    house.clock.turn(1.5)
    house.line.answers = [Answer([b"{}"])]
    house.call("GET", "/cgi-bin/showqrcode", params={"ticket": "x"})
    assert house.line.calls[-1].base_url == "https://mp.weixin.qq.com"
