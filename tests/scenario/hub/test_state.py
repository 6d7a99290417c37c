"""Whether the hub lives, whether it can serve, what it measures."""

from __future__ import annotations

import re

import pytest

from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Ambiguous, Mode
from zhongkong.hub.api.state import identify
from zhongkong.wechat.answers import Refused


def test_the_process_is_healthy_whatever_happens_elsewhere(house: House) -> None:
    """A store that is away must not have every replica killed."""
    house.store.is_away = True
    house.clock.turn(30.0)
    answer = house.call("GET", "/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_an_empty_hub_is_ready(house: House) -> None:
    """The first account is added over HTTP."""
    answer = house.call("GET", "/readyz")
    assert answer.status_code == 200
    body = answer.json()
    assert len(body.pop("store_id")) == 16
    assert body == {"status": "ready", "store": "ok", "slots": 0, "serving": 0, "unwell": []}


def test_stores_are_told_apart_by_an_id_that_gives_nothing_away() -> None:
    """Anybody may ask for it; who was never told of a store has none to name."""
    assert identify("") == ""
    assert identify("one") == identify("one") != identify("other")
    assert "one" not in identify("one")


def test_a_hub_that_can_serve_one_account_is_ready_and_names_the_others(house: House) -> None:
    """One team's wrong secret is not another's outage."""
    house.add_account()
    house.world.add_account(OTHER, "0" * 32)
    house.add_account(OTHER)
    answer = house.call("GET", "/readyz", headers={"Accept-Language": "en"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["slots"], body["serving"]) == (200, "ready", 2, 1)
    (unwell,) = body["unwell"]
    assert (unwell["appid"], unwell["kind"], unwell["state"], unwell["errcode"]) == (
        OTHER,
        "access_token",
        "blocked",
        40125,
    )
    assert "The secret of" in unwell["detail"]


def test_a_hub_that_can_serve_nothing_is_not_ready(house: House) -> None:
    """A rollout that would break everything stops here."""
    house.platform.fails_with = Refused(40164, "invalid ip 192.0.2.1, not in whitelist")
    house.add_account()
    answer = house.call("GET", "/readyz")
    assert (answer.status_code, answer.json()["status"], answer.json()["store"]) == (503, "not_ready", "ok")


def test_a_hub_without_its_store_stays_in_traffic_and_says_so(house: House) -> None:
    """It goes on serving from memory; were it not ready, no replica would be."""
    house.add_account()
    house.store.is_away = True
    house.clock.turn(10.0)
    answer = house.call("GET", "/readyz")
    assert (answer.status_code, answer.json()["store"], answer.json()["serving"]) == (200, "away", 1)


def test_a_trouble_is_told_while_the_old_token_is_still_served(house: House) -> None:
    """There are minutes to act in; that is what they are for."""
    house.add_account(mode=Mode.CLASSIC)
    house.platform.fails_with = Refused(40125, "invalid appsecret")
    house.clock.turn(5500.0)
    (unwell,) = house.call("GET", "/readyz").json()["unwell"]
    assert (unwell["state"], unwell["serving"]) == ("blocked", True)


def test_doubt_is_told(house: House) -> None:
    """With what it means."""
    house.add_account(mode=Mode.CLASSIC)
    house.platform.fails_with = Ambiguous("timeout")
    house.clock.turn(5750.0)
    (unwell,) = house.call("GET", "/readyz").json()["unwell"]
    assert unwell["serving"] is True
    assert unwell["state"] in ("doubtful", "unanswered")


def value(text: str, sample: str) -> float:
    """Return the value of one sample."""
    found = re.search(rf"^{re.escape(sample)} (.+)$", text, re.MULTILINE)
    assert found, f"{sample} is not in\n{text}"
    return float(found[1])


def test_measures_need_a_key_for_all_accounts(house: House) -> None:
    """They name every account."""
    assert house.call("GET", "/metrics").status_code == 401
    assert house.call("GET", "/metrics", house.add_key(Grant.READ, appids=(APPID,))).status_code == 403
    assert house.call("GET", "/metrics", house.add_key(Grant.READ)).status_code == 200


def test_measures_on_a_port_of_their_own_need_no_key(house: House) -> None:
    """Who may reach that port is decided by the network; nothing else is there."""
    assert house.call("GET", "/metrics", app=house.metrics_app).status_code == 200
    answer = house.call("GET", "/v1/accounts", app=house.metrics_app)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")


def test_what_happens_is_counted(house: House, reader: str) -> None:
    """Reads and rejects by outcome, mints by mode, probes by verdict, the store's time."""
    house.add_account()
    path = f"/v1/accounts/{APPID}/access_token"
    etag = house.call("GET", path, reader).headers["etag"]
    house.call("GET", path, reader, headers={"If-None-Match": etag})
    house.call("POST", f"{path}/reject", reader, json={"generation": 1})
    house.call("GET", f"/v1/accounts/{OTHER}/access_token", reader)
    answer = house.call("GET", "/metrics", reader)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    assert value(text, 'zhongkong_reads_total{outcome="fresh"}') == 1
    assert value(text, 'zhongkong_reads_total{outcome="not_modified"}') == 1
    assert value(text, 'zhongkong_reads_total{outcome="failed"}') == 1
    assert value(text, 'zhongkong_rejects_total{outcome="still_valid"}') == 1
    assert value(text, 'zhongkong_mints_total{mode="stable",outcome="granted"}') == 1
    assert value(text, 'zhongkong_probes_total{verdict="alive"}') == 1
    assert value(text, 'zhongkong_store_seconds_count{call="apply",outcome="ok"}') >= 2
    assert value(text, 'zhongkong_http_requests_total{status="4xx"}') == 1


def test_what_is_known_is_measured(house: House, reader: str) -> None:
    """Remaining life and generation of each slot, and how old the replica's knowledge is."""
    house.add_account()
    text = house.call("GET", "/metrics", reader).text
    labels = f'{{appid="{APPID}",kind="access_token"}}'
    record_ends = value(text, f"zhongkong_credential_left_seconds{labels}")
    assert record_ends == pytest.approx(7200, abs=3)
    assert value(text, f"zhongkong_credential_generation{labels}") == 1
    assert value(text, f'zhongkong_slot_state{{appid="{APPID}",kind="access_token",state="well"}}') == 1
    assert value(text, "zhongkong_poll_age_seconds") <= 1
    assert value(text, "zhongkong_attending") == 0
    assert "zhongkong_alert{" not in text


def test_what_wants_a_person_is_an_alert(house: House, reader: str) -> None:
    """One rule in Prometheus finds all of them."""
    house.platform.fails_with = Refused(40125, "invalid appsecret")
    house.add_account()
    text = house.call("GET", "/metrics", reader).text
    assert value(text, f'zhongkong_alert{{appid="{APPID}",kind="access_token",state="blocked"}}') == 1


def test_a_removed_account_is_measured_no_more(house: House, admin: str) -> None:
    """An alert for an account that is gone would ring for ever."""
    house.add_account()
    house.call("DELETE", f"/v1/accounts/{APPID}", admin)
    assert APPID not in house.call("GET", "/metrics", admin).text
