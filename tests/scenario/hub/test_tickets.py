"""Tickets over HTTP: read, waited for, reported, listed; and pages signed with them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.scenario.hub.house import APPID, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import KINDS_OF, AccountKind, Kind, Mode, Slot
from zhongkong.keeper import knowledge
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.jsapi import sign_page

KINDS = sorted(KINDS_OF[AccountKind.OFFICIAL] - {Kind.ACCESS_TOKEN})
TICKET = Slot(APPID, Kind.JSAPI_TICKET)
CONFIG = f"/v1/accounts/{APPID}/jsapi_config"
PAGE = "https://shop.example.com/a?b=1&c=%E4%BD%A0#/there"


def path_of(kind: str) -> str:
    """Return where it is read."""
    return f"/v1/accounts/{APPID}/{kind}"


@pytest.fixture(name="desk")
def _desk(house: House) -> House:
    """A hub with one account."""
    house.add_account()
    return house


def asked(house: House, kind: str = "jsapi_ticket") -> int:
    """Return how often the platform was asked for a ticket."""
    return sum(order.kind == kind for order in house.platform.mints)


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_is_read_like_the_token_under_its_own_name(desk: House, kind: str) -> None:
    """Same members, same ETag, same conditions."""
    key = desk.add_key(Grant.READ)
    answer = desk.call("GET", path_of(kind), key)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["appid"], body["kind"], body["generation"], "access_token" in body) == (APPID, kind, 1, False)
    assert 7190 < body["expires_in"] <= 7200
    etag = answer.headers["etag"]
    assert desk.call("GET", path_of(kind), key, headers={"If-None-Match": etag}).status_code == 304
    text = desk.call("GET", path_of(kind), key, headers={"Accept": "text/plain"})
    assert text.text == body[kind]
    assert asked(desk, kind) == 1


def test_the_kinds_are_apart(desk: House) -> None:
    """A page's ticket is no card's, and the token is neither."""
    key = desk.add_key(Grant.READ)
    values = {desk.call("GET", path_of(kind), key).json()[kind] for kind in (*KINDS, "access_token")}
    assert len(values) == 3


def test_a_kind_that_the_account_cannot_have_is_refused_in_words(desk: House) -> None:
    """Also for a key that may do everything; and nothing is asked for."""
    key = desk.add_key(*Grant)
    for method, path in (("GET", ""), ("POST", "/reject")):
        given = {"json": {"generation": 1}} if path else {}
        answer = desk.call(method, path_of("agent_config_ticket") + path, key, **given)
        assert (answer.status_code, answer.json()["code"]) == (404, "kind_unfit")
        assert "official" in answer.json()["detail"]
    answer = desk.call("GET", path_of("component_access_token"), key)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")
    assert asked(desk) == 0


@pytest.mark.parametrize("path", [*map(path_of, KINDS), CONFIG + "?url=https://a.example.com/"])
def test_who_may_not_read_the_account_reads_no_ticket_of_it(desk: House, path: str) -> None:
    """Before anything is asked for."""
    assert desk.call("GET", path).status_code == 401
    assert desk.call("GET", path, desk.add_key(Grant.READ, appids=("wxother",))).status_code == 403
    assert desk.call("GET", path, desk.add_key(Grant.GATEWAY)).status_code == 403
    assert asked(desk) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_hot_read_of_a_ticket_is_answered_as_any_read(desk: House, kind: str) -> None:
    """Ahead of the routes and behind them, to the last header."""
    key = desk.add_key(Grant.READ)
    desk.call("GET", path_of(kind), key)
    behind = desk.call("GET", path_of(kind), key, app=desk.app.app)
    ahead = desk.call("GET", path_of(kind), key)
    assert (ahead.content, ahead.headers) == (behind.content, behind.headers)


def test_a_ticket_that_is_only_read_hot_is_kept(desk: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those reads are reads too: it does not lapse under a page that uses it all day."""
    monkeypatch.setattr(knowledge, "KEPT_UNREAD", 3700.0)
    key = desk.add_key(Grant.READ)
    for _ in range(5):
        body = desk.call("GET", path_of("jsapi_ticket"), key).json()
        assert body["expires_in"] > 0
        desk.clock.turn(3600)
    assert desk.keeper.known.is_wanted(TICKET)


def test_a_reported_ticket_is_asked_for_again_once_a_minute(desk: House) -> None:
    """The same came: still valid, for whoever reports it."""
    first, second = desk.add_key(Grant.READ), desk.add_key(Grant.READ)
    ticket = desk.call("GET", path_of("jsapi_ticket"), first).json()["jsapi_ticket"]
    desk.clock.turn(100)
    for key in (first, second, first):
        answer = desk.call("POST", path_of("jsapi_ticket") + "/reject", key, json={"rejected": ticket})
        assert (answer.status_code, answer.json()["outcome"]) == (200, "still_valid")
        assert answer.json()["jsapi_ticket"] == ticket
    assert asked(desk) == 2
    assert desk.platform.probes == 0


def test_a_reject_of_a_ticket_names_it_in_any_of_the_ways(desk: House) -> None:
    """By value, digest or generation; another one is an older one."""
    key = desk.add_key(Grant.READ)
    desk.call("GET", path_of("jsapi_ticket"), key)
    answer = desk.call("POST", path_of("jsapi_ticket") + "/reject", key, json={"rejected": "another"})
    assert answer.json()["outcome"] == "already_newer"
    answer = desk.call("POST", path_of("jsapi_ticket") + "/reject", key, json={"generation": 1})
    assert answer.json()["outcome"] == "still_valid"


def test_what_the_account_may_not_have_is_told_in_words(desk: House) -> None:
    """With the platform's code, and what a person does; the token is as well as ever."""
    key = desk.add_key(Grant.READ)
    desk.call("GET", path_of("access_token"), key)
    desk.platform.fails_with = Refused(48001, "api unauthorized", "")
    answer = desk.call("GET", path_of("jsapi_ticket"), key)
    body = answer.json()
    assert (answer.status_code, body["code"], body["kind"], body["errcode"]) == (
        503,
        "credential_unavailable",
        "jsapi_ticket",
        48001,
    )
    assert desk.call("GET", path_of("access_token"), key).status_code == 200


def test_tickets_are_shown_with_their_account_once_somebody_asked(desk: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """And are no reason to call the hub unwell when nobody reads them any more."""
    monkeypatch.setattr(knowledge, "KEPT_UNREAD", 600.0)
    admin, key = desk.add_key(Grant.ADMIN), desk.add_key(Grant.READ)
    desk.call("GET", path_of("access_token"), key)
    account = f"/v1/accounts/{APPID}"
    assert set(desk.call("GET", account, admin).json()["credentials"]) == {"access_token"}
    desk.call("GET", path_of("jsapi_ticket"), key)
    shown = desk.call("GET", account, admin).json()["credentials"]
    assert set(shown) == {"access_token", "jsapi_ticket"}
    assert (shown["jsapi_ticket"]["state"], shown["jsapi_ticket"]["mode"]) == ("well", "ticket")
    desk.clock.turn(7500)
    shown = desk.call("GET", account, admin).json()["credentials"]
    assert (shown["jsapi_ticket"]["state"], shown["jsapi_ticket"]["serving"]) == ("resting", False)
    assert shown["jsapi_ticket"]["detail"]
    ready = desk.call("GET", "/readyz").json()
    assert (ready["status"], ready["unwell"]) == ("ready", [])


def test_a_removed_accounts_ticket_is_gone_at_once(desk: House) -> None:
    """As its token is."""
    admin, key = desk.add_key(Grant.ADMIN), desk.add_key(Grant.READ)
    desk.call("GET", path_of("jsapi_ticket"), key)
    assert desk.call("DELETE", f"/v1/accounts/{APPID}", admin).status_code == 204
    assert desk.call("GET", path_of("jsapi_ticket"), key).status_code == 404


def test_no_account_has_the_mode_of_tickets(desk: House) -> None:
    """It is how they are issued, whatever the account's own mode."""
    admin = desk.add_key(Grant.ADMIN)
    for field in ("mode", "on_contest"):
        answer = desk.call("PATCH", f"/v1/accounts/{APPID}", admin, json={field: Mode.TICKET.value})
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert "ticket" not in answer.json()["wanted"]


# --- pages


def test_a_page_is_signed_with_the_ticket_that_is_handed_out(desk: House) -> None:
    """What `wx.config` takes, and nothing else; what follows the # is not signed."""
    key = desk.add_key(Grant.READ)
    answer = desk.call("GET", CONFIG, key, params={"url": PAGE})
    body = answer.json()
    assert (answer.status_code, set(body)) == (200, {"appId", "timestamp", "nonceStr", "signature"})
    assert answer.headers["cache-control"] == "no-store"
    ticket = desk.call("GET", path_of("jsapi_ticket"), key).json()["jsapi_ticket"]
    page = PAGE.partition("#")[0]
    assert body["signature"] == sign_page(ticket, body["nonceStr"], body["timestamp"], page)
    assert (body["appId"], abs(body["timestamp"] - desk.clock.wall()) < 2) == (APPID, True)
    assert re.fullmatch(r"[A-Za-z0-9]{16}", body["nonceStr"])
    assert ticket not in answer.text


def test_every_signature_has_a_nonce_of_its_own(desk: House) -> None:
    """And costs no request."""
    key = desk.add_key(Grant.READ)
    nonces = {desk.call("GET", CONFIG, key, params={"url": PAGE}).json()["nonceStr"] for _ in range(20)}
    assert (len(nonces), asked(desk)) == (20, 1)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "page_url_invalid"),
        ("?url=", "page_url_invalid"),
        ("?url=shop.example.com/a", "page_url_invalid"),
        ("?url=https://shop.example.com/?q=a+b", "page_url_invalid"),
        ("?url=https://shop.example.com/?q=%E4%BD%A0", "page_url_invalid"),
        ("?url=https://shop.example.com/?a=1&b=2", "page_url_cut"),
        ("?url=https://shop.example.com/?a=1&url=2", "page_url_cut"),
        ("?page=https://shop.example.com/", "page_url_cut"),
    ],
)
def test_a_url_that_was_not_encoded_is_refused_with_what_to_do(desk: House, query: str, code: str) -> None:
    """Signed as it came, the page would only learn `invalid signature`."""
    answer = desk.call("GET", CONFIG + query, desk.add_key(Grant.READ))
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (400, code)
    assert "encodeURIComponent" in body["detail"]
    assert asked(desk) == 0


def test_a_page_of_an_account_that_is_not_there_is_not_signed(desk: House) -> None:
    """404, as for its token."""
    answer = desk.call("GET", "/v1/accounts/wxnone/jsapi_config", desk.add_key(Grant.READ), params={"url": PAGE})
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")
