"""Keys over HTTP: made, listed, rotated, revoked."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from tests.scenario.hub.house import APPID, House
from zhongkong.core.grants import Grant
from zhongkong.testing.fake_clock import START

WHOAMI = "/v1/whoami"


def test_a_key_is_shown_once_and_works_at_once(house: House, admin: str) -> None:
    """What is stored is its hash alone."""
    answer = house.call("POST", "/v1/keys", admin, json={"name": "商城", "appids": [APPID]})
    assert answer.status_code == 201
    body = answer.json()
    assert re.fullmatch(r"zk_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}", body["key"])
    assert (body["id"], body["grants"], body["appids"]) == (body["key"][3:11], ["read"], [APPID])
    assert house.call("GET", WHOAMI, body["key"]).json()["name"] == "商城"
    stored = {key.id: key for key in house.clock.run(house.store.keys())}
    assert stored[body["id"]].sha256 == sha256(body["key"].encode()).hexdigest()
    listed = house.call("GET", "/v1/keys", admin)
    assert body["key"] not in listed.text
    assert stored[body["id"]].sha256 not in listed.text
    assert {one["id"] for one in listed.json()["keys"]} == set(stored)


def test_a_key_holds_what_was_asked_for(house: House, admin: str) -> None:
    """Each restriction arrives where it is enforced."""
    asked = {
        "name": "job",
        "appids": ["*"],
        "grants": ["read", "force"],
        "networks": ["10.0.0.0/8"],
        "rate": 120,
        "expires_in": 3600,
    }
    body = house.call("POST", "/v1/keys", admin, json=asked).json()
    assert (body["grants"], body["appids"], body["networks"], body["rate"]) == (
        ["force", "read"],
        ["*"],
        ["10.0.0.0/8"],
        120,
    )
    assert body["expires_at"] == pytest.approx(START + 3600, abs=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"appids": None}, "appids"),
        ({"appids": []}, "appids"),
        ({"appids": ["*", "wx1"]}, "appids"),
        ({"appids": ["wx 1"]}, "appids"),
        ({"appids": "wx1"}, "appids"),
        ({"grants": []}, "grants"),
        ({"grants": ["root"]}, "grants"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
        ({"networks": "10.0.0.0/8"}, "networks"),
        ({"rate": -1}, "rate"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires": 5}, "expires"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(house: House, admin: str, change: dict[str, object], field: str) -> None:
    """A restriction that is misunderstood would be no restriction."""
    asked = {"name": "x", "appids": ["*"], **change}
    answer = house.call(
        "POST", "/v1/keys", admin, json={name: value for name, value in asked.items() if value is not None}
    )
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert len(house.clock.run(house.store.keys())) == 1


def test_a_rotated_key_has_a_twin_and_ends_later(house: House, admin: str) -> None:
    """Every server gets the new one before the old one stops."""
    key, text = house.make_key(Grant.READ, appids=(APPID,), rate=60, name="shop")
    answer = house.call("POST", f"/v1/keys/{key.id}/rotate", admin, json={"overlap": 600})
    assert answer.status_code == 201
    twin = answer.json()
    assert (twin["name"], twin["appids"], twin["rate"], twin["expires_at"]) == ("shop", [APPID], 60, None)
    assert twin["id"] != key.id
    assert house.call("GET", WHOAMI, text).json()["expires_at"] == pytest.approx(START + 600, abs=1)
    house.clock.turn(601)
    assert house.call("GET", WHOAMI, text).json()["code"] == "key_expired"
    assert house.call("GET", WHOAMI, twin["key"]).status_code == 200


def test_a_rotation_gives_no_key_a_longer_life(house: House, admin: str) -> None:
    """The old one ends when it would have, or sooner."""
    key, text = house.make_key(Grant.READ, expires_at=START + 100)
    house.call("POST", f"/v1/keys/{key.id}/rotate", admin)
    assert house.call("GET", WHOAMI, text).json()["expires_at"] == START + 100


def test_the_successor_of_a_key_that_ends_is_given_as_long_again(house: House, admin: str) -> None:
    """Whoever follows the advice to rotate, before the end or after it, has a key that works."""
    key, text = house.make_key(Grant.READ, expires_at=house.clock.wall() + 100)
    house.clock.turn(60)
    twin = house.call("POST", f"/v1/keys/{key.id}/rotate", admin).json()
    assert twin["expires_at"] == pytest.approx(START + 160, abs=1)
    house.clock.turn(60)
    assert house.call("GET", WHOAMI, text).json()["code"] == "key_expired"
    late = house.call("POST", f"/v1/keys/{key.id}/rotate", admin).json()
    assert late["expires_at"] == pytest.approx(START + 220, abs=1)
    assert house.call("GET", WHOAMI, late["key"]).status_code == 200


def test_a_rotation_without_overlap_ends_the_old_key_now(house: House, admin: str) -> None:
    """For the key that leaked."""
    key, text = house.make_key(Grant.READ)
    house.call("POST", f"/v1/keys/{key.id}/rotate", admin, json={"overlap": 0})
    assert house.call("GET", WHOAMI, text).status_code == 401


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(house: House, admin: str, reader: str) -> None:
    """Elsewhere within two seconds."""
    assert house.call("DELETE", f"/v1/keys/{reader[3:11]}", admin).status_code == 204
    assert house.call("GET", WHOAMI, reader).status_code == 401


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/keys/abcdefgh"), ("POST", "/v1/keys/abcdefgh/rotate")])
def test_a_key_that_is_not_there_is_not_found(house: House, admin: str, method: str, path: str) -> None:
    """And nothing is made in its place."""
    answer = house.call(method, path, admin)
    assert (answer.status_code, answer.json()["code"], answer.json()["key"]) == (404, "key_not_found", "abcdefgh")


def test_every_act_is_in_the_audit_log(house: House, admin: str) -> None:
    """Who made which key, and who took it away."""
    made = house.call("POST", "/v1/keys", admin, json={"name": "x", "appids": ["*"]}).json()
    twin = house.call("POST", f"/v1/keys/{made['id']}/rotate", admin).json()
    house.call("DELETE", f"/v1/keys/{twin['id']}", admin)
    events = [kept.event for kept in house.clock.run(house.store.events())]
    assert [one.code for one in events] == ["key_created", "key_rotated", "key_revoked"]
    assert {one.values["by"] for one in events} == {admin[3:11]}
    assert (events[1].values["former"], events[1].values["key"]) == (made["id"], twin["id"])
