"""An application of WeCom at the hub's own interface: added, read, signed for, and told of when it is not well."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha1
from typing import Any

import pytest

from tests.scenario.hub.house import APPID, HUB_IP, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Kind, Slot

CORP = "ww0123456789abcdef"
CRM = f"{CORP}:crm"
ONES = (f"/v1/accounts/{CRM}", f"/v1/accounts/{CORP}%3Acrm")
PAGE = "https://crm.example.com/?a=1"


@pytest.fixture
def house() -> Iterator[House]:
    """A hub without accounts, and a corp with one application on the platform."""
    house = House()
    house.open()
    house.world.add_account(CRM, kind="wecom")
    yield house
    house.close()


@pytest.fixture
def admin(house: House) -> str:
    """A key that may everything."""
    return house.add_key(*Grant)


def new(house: House, **changed: Any) -> dict[str, Any]:
    """Return what to add it with."""
    secret = house.world.account(CRM).secret
    return {"appid": CRM, "kind": "wecom", "secret": secret, "base_url": "http://sandbox.test", **changed}


def add(house: House, admin: str, **changed: Any) -> Any:
    """Add it and return the answer."""
    return house.call("POST", "/v1/accounts", admin, json=new(house, **changed))


@pytest.mark.parametrize("one", ONES)
def test_it_is_added_read_shown_and_removed_by_its_appid_however_its_colon_is_written(
    house: House, admin: str, one: str
) -> None:
    """In a path a colon may stand as it is, and clients encode it."""
    added = add(house, admin)
    assert added.status_code == 201
    assert (added.json()["kind"], added.json()["mode"]) == ("wecom", "wecom")
    assert added.json()["credentials"]["access_token"]["state"] == "well"
    token = house.call("GET", f"{one}/access_token", admin).json()
    assert (token["appid"], token["kind"], token["expires_in"] > 7000) == (CRM, "access_token", True)
    again = house.call("GET", f"{one}/access_token", admin).json()
    assert again["access_token"] == token["access_token"]
    rejected = house.call("POST", f"{one}/access_token/reject", admin, json={"rejected": token["access_token"]})
    assert rejected.json()["outcome"] == "still_valid"
    assert house.call("GET", one, admin).json()["appid"] == CRM
    assert house.call("DELETE", one, admin).status_code == 204
    assert house.call("GET", f"{one}/access_token", admin).status_code == 404


def test_its_own_host_is_the_default(house: House, admin: str) -> None:
    """And its one mode."""
    asked = new(house)
    del asked["base_url"]
    assert house.call("POST", "/v1/accounts", admin, json=asked).json()["base_url"] == "https://qyapi.weixin.qq.com"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"appid": CORP}, "appid"),
        ({"appid": f"{CORP}:CRM"}, "appid"),
        ({"appid": f"{CORP}:"}, "appid"),
        ({"appid": f"{CORP}:a:b"}, "appid"),
        ({"appid": f"{CORP}:{'a' * 33}"}, "appid"),
        ({"kind": "official"}, "appid"),
        ({"mode": "stable"}, "mode"),
        ({"mode": "wecom_ticket"}, "mode"),
    ],
)
def test_appid_kind_and_mode_go_together(house: House, admin: str, changed: dict[str, str], field: str) -> None:
    """Told by the field; nothing is asked for."""
    answer = add(house, admin, **changed)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert house.platform.mints == []


def test_a_kind_cannot_be_changed_into_it(house: House, admin: str) -> None:
    """The appid says what it is."""
    house.add_account()
    answer = house.call("PATCH", f"/v1/accounts/{APPID}", admin, json={"kind": "wecom", "mode": "wecom"})
    assert (answer.status_code, answer.json()["field"]) == (400, "appid")


def test_a_wrong_secret_or_corp_is_not_added_and_said_in_wecoms_words(house: House, admin: str) -> None:
    """Not those of an official account's console."""
    for changed, errcode in (({"secret": "x" * 43}, 40001), ({"appid": "wwother:crm"}, 40013)):
        answer = add(house, admin, **changed)
        assert (answer.status_code, answer.json()["errcode"], answer.json()["action"]) == (422, errcode, "fix_config")
        assert "work.weixin.qq.com" in answer.json()["detail"]
    assert house.clock.run(house.store.accounts()) == []


def test_behind_the_trusted_addresses_it_says_which_one_to_add(house: House, admin: str) -> None:
    """It is added all the same, and is well once a person has done so."""
    house.world.account(CRM).set_allow_list(["192.0.2.1"])
    told = add(house, admin).json()["credentials"]["access_token"]
    assert (told["state"], told["errcode"]) == ("blocked", 60020)
    assert HUB_IP in told["detail"]
    house.world.account(CRM).set_allow_list([HUB_IP])
    assert house.call("PATCH", ONES[0], admin).json()["credentials"]["access_token"]["state"] == "well"


def test_a_new_secret_is_tried_by_gettoken(house: House, admin: str) -> None:
    """A mistyped one changes nothing."""
    add(house, admin)
    refused = house.call("PATCH", ONES[0], admin, json={"secret": "x" * 43})
    assert (refused.status_code, refused.json()["errcode"]) == (422, 40001)
    fresh = house.world.reset_secret(CRM, house.clock.wall())
    assert house.call("PATCH", ONES[0], admin, json={"secret": fresh}).json()["changed"] == ["secret"]


def test_a_key_may_be_for_it_alone(house: House, admin: str) -> None:
    """By its whole appid."""
    add(house, admin)
    asked = {"name": "crm", "appids": [CRM], "grants": ["read"]}
    key = house.call("POST", "/v1/keys", admin, json=asked).json()["key"]
    assert house.call("GET", f"{ONES[1]}/access_token", key).status_code == 200
    assert house.call("GET", f"/v1/accounts/{CORP}:oa/access_token", key).status_code == 403


def test_its_tickets_are_read_by_their_names(house: House, admin: str) -> None:
    """That of a card there is none."""
    add(house, admin)
    for kind in ("jsapi_ticket", "agent_config_ticket"):
        body = house.call("GET", f"{ONES[0]}/{kind}", admin).json()
        assert (body["kind"], len(body[kind]) > 20) == (kind, True)
    refused = house.call("GET", f"{ONES[0]}/wx_card_ticket", admin)
    assert (refused.status_code, refused.json()["code"]) == (404, "kind_unfit")


@pytest.mark.parametrize(
    ("asked", "kind", "named"),
    [
        ({}, Kind.JSAPI_TICKET, {"appId": CORP}),
        ({"type": "agent_config"}, Kind.AGENT_CONFIG_TICKET, {"corpid": CORP}),
    ],
)
def test_a_page_is_signed_for_wx_config_and_for_wx_agent_config(
    house: House, admin: str, asked: dict[str, str], kind: Kind, named: dict[str, str]
) -> None:
    """With the ticket of each, under the names that it has in the page; our name for the application is in neither."""
    add(house, admin)
    signed = house.call("GET", f"{ONES[0]}/jsapi_config", admin, params={"url": PAGE, **asked}).json()
    handed = house.keeper.peek(Slot(CRM, kind))
    assert handed is not None
    text = f"jsapi_ticket={handed.value}&noncestr={signed['nonceStr']}&timestamp={signed['timestamp']}&url={PAGE}"
    assert signed.pop("signature") == sha1(text.encode()).hexdigest()  # noqa: S324
    assert {name: signed[name] for name in named} == named
    assert signed.keys() == {*named, "timestamp", "nonceStr"}


def test_a_type_that_is_none_was_most_likely_cut_from_the_page(house: House, admin: str) -> None:
    """Whose account it is changes nothing."""
    add(house, admin)
    house.add_account()
    for appid in (CRM, APPID):
        answer = house.call("GET", f"/v1/accounts/{appid}/jsapi_config", admin, params={"url": PAGE, "type": "shop"})
        assert (answer.status_code, answer.json()["code"]) == (400, "page_url_cut")


def test_wx_agent_config_is_of_wecom_only(house: House, admin: str) -> None:
    """Of an official account the ticket that it wants is refused by name, as where the ticket itself is asked for."""
    house.add_account()
    for asked in ("agent_config_ticket", f"jsapi_config?type=agent_config&url={PAGE}"):
        refused = house.call("GET", f"/v1/accounts/{APPID}/{asked}", admin)
        assert (refused.status_code, refused.json()["code"]) == (404, "kind_unfit")
        assert "agent_config_ticket" in refused.json()["detail"]


def test_a_repeated_dead_token_is_an_alert(house: House, admin: str) -> None:
    """A person must look: in the account's state and in the metrics."""
    house.world.switches = type(house.world.switches)(wecom_revoked="same")
    add(house, admin)
    token = house.call("GET", f"{ONES[0]}/access_token", admin).json()["access_token"]
    house.world.revoke_all(CRM, house.clock.wall())
    refused = house.call("POST", f"{ONES[0]}/access_token/reject", admin, json={"rejected": token})
    assert (refused.status_code, refused.json()["cause"]) == (503, "token_repeated")
    state = house.call("GET", ONES[0], admin).json()["credentials"]["access_token"]
    assert (state["state"], state["serving"]) == ("token_repeated", False)
    metrics = house.call("GET", "/metrics", app=house.metrics_app).text
    assert f'zhongkong_alert{{appid="{CRM}",kind="access_token",state="token_repeated"}} 1.0' in metrics
