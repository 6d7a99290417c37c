"""Who may enter, from where, how often, and for what."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_network
from random import Random

import pytest

from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.grants import Grant, create_key
from zhongkong.core.ports import Changes
from zhongkong.errors import StoreUnavailable
from zhongkong.testing.fake_clock import START

PATH = f"/v1/accounts/{APPID}/access_token"
WHOAMI = "/v1/whoami"


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "zk_abcdefgh_" + "x" * 43])
def test_without_a_key_nobody_enters(house: House, header: str | None) -> None:
    """401, and how to show one."""
    house.add_account()
    answer = house.call("GET", PATH, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("change", ["other_secret", "other_id", "cut", "longer", "no_key_at_all", "odd"])
def test_an_unknown_key_is_refused_whatever_is_wrong_with_it(house: House, reader: str, change: str) -> None:
    """The answer tells nobody which part was right."""
    key = {
        "other_secret": reader[:-1] + ("a" if reader[-1] != "a" else "b"),
        "other_id": "zk_ZZZZZZZZ" + reader[11:],
        "cut": reader[:-1],
        "longer": reader + "a",
        "no_key_at_all": "zk_",
        "odd": "zk_\u00e9" + reader[4:],
    }[change]
    answer = house.call("GET", WHOAMI, headers={"Authorization": f"Bearer {key}".encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")


def test_the_scheme_may_be_spelt_as_one_likes(house: House, reader: str) -> None:
    """Schemes are case-insensitive."""
    assert house.call("GET", WHOAMI, headers={"Authorization": f"bearer {reader}"}).status_code == 200


def test_a_revoked_key_is_dead_within_two_seconds(house: House, reader: str) -> None:
    """Also when another process revoked it."""
    house.clock.run(house.store.remove_key(reader[3:11]))
    house.clock.turn(2.0)
    assert house.call("GET", WHOAMI, reader).status_code == 401


def test_a_new_key_is_good_within_two_seconds(house: House) -> None:
    """Also when the command line made it."""
    key, text = create_key(Random(9), START, name="cli", grants=[Grant.READ])
    house.clock.run(house.store.put_key(key))
    house.clock.turn(2.0)
    assert house.call("GET", WHOAMI, text.reveal()).status_code == 200


def test_an_expired_key_says_so(house: House) -> None:
    """So that its people rotate it instead of searching for a typing error."""
    key = house.add_key(Grant.READ, expires_at=START + 60)
    assert house.call("GET", WHOAMI, key).status_code == 200
    house.clock.turn(61)
    answer = house.call("GET", WHOAMI, key)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_expired")


def test_before_the_stores_time_is_known_nobody_can_say_that_a_key_has_not_expired() -> None:
    """The keys can be read, and what takes longer cannot: an hour that is not known is no hour before its end."""
    house = House()
    key = house.add_key(Grant.ADMIN, expires_at=START - 60)
    house.store.changes = _take_too_long  # type: ignore[method-assign]
    house.open()
    answer = house.call("GET", "/v1/keys", key)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    with pytest.raises(StoreUnavailable):
        house.clock.run(house.admin.rotate_key(key[3:11], 3600.0, "cli"))
    with pytest.raises(StoreUnavailable):
        house.clock.run(house.admin.create_key("cli", name="new", grants=[Grant.READ]))
    house.close()


async def _take_too_long(after: float) -> Changes:  # noqa: ARG001 (the port's)
    await asyncio.Event().wait()
    raise AssertionError


def test_a_key_is_good_only_from_its_networks(house: House) -> None:
    """A key that leaked out of the house is worth nothing there."""
    key = house.add_key(Grant.READ, networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    assert house.call("GET", WHOAMI, key, address="10.1.2.3").json()["address"] == "10.1.2.3"
    assert house.call("GET", WHOAMI, key, address="2001:db8::1").status_code == 200
    assert house.call("GET", WHOAMI, key, address="::ffff:10.1.2.3").status_code == 200
    answer = house.call("GET", WHOAMI, key, address="192.0.2.1")
    assert (answer.status_code, answer.json()["code"], answer.json()["address"]) == (
        403,
        "key_not_from_here",
        "192.0.2.1",
    )


def test_a_client_cannot_say_where_he_comes_from(house: House) -> None:
    """X-Forwarded-For counts only from a proxy that we trust."""
    key = house.add_key(Grant.READ, networks=(ip_network("10.0.0.0/8"),))
    answer = house.call("GET", WHOAMI, key, address="192.0.2.1", headers={"X-Forwarded-For": "10.0.0.1"})
    assert answer.status_code == 403


def test_a_trusted_proxy_says_where_a_client_comes_from() -> None:
    """The client behind it, not the proxy, is who the networks are about."""
    house = House(trusted_proxies=(ip_network("192.0.2.0/24"),))
    house.open()
    key = house.add_key(Grant.READ, networks=(ip_network("10.0.0.0/8"),))
    for forwarded, status in (
        ("10.9.9.9", 200),
        ("10.9.9.9, 203.0.113.1", 403),
        ("203.0.113.1, 10.9.9.9", 200),
        ("", 403),
    ):
        answer = house.call("GET", WHOAMI, key, address="192.0.2.1", headers={"X-Forwarded-For": forwarded})
        assert answer.status_code == status, forwarded
    house.close()


def test_a_key_for_another_account_learns_nothing_of_this_one(house: House) -> None:
    """403 both for an account that is there and for one that is not."""
    house.add_account()
    key = house.add_key(Grant.READ, appids=(OTHER,))
    there = house.call("GET", PATH, key)
    absent = house.call("GET", "/v1/accounts/wxabsent/access_token", key)
    assert (there.status_code, absent.status_code) == (403, 403)
    assert there.json()["code"] == absent.json()["code"] == "account_not_granted"
    assert house.call("GET", f"/v1/accounts/{OTHER}/access_token", key).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/accounts"),
        ("POST", "/v1/accounts"),
        ("GET", f"/v1/accounts/{APPID}"),
        ("PATCH", f"/v1/accounts/{APPID}"),
        ("DELETE", f"/v1/accounts/{APPID}"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", "/v1/keys/abcdefgh"),
        ("POST", "/v1/keys/abcdefgh/rotate"),
    ],
)
def test_administration_needs_an_admins_key(house: House, method: str, path: str) -> None:
    """Every other grant together is not enough."""
    house.add_account()
    key = house.add_key(Grant.READ, Grant.GATEWAY, Grant.FORCE)
    answer = house.call(method, path, key)
    assert (answer.status_code, answer.json()["code"], answer.json()["grant"]) == (403, "grant_missing", "admin")


def test_a_gateway_key_reads_no_credential(house: House) -> None:
    """What calls through the gateway never needs to see a token."""
    house.add_account()
    answer = house.call("GET", PATH, house.add_key(Grant.GATEWAY))
    assert (answer.status_code, answer.json()["grant"]) == (403, "read")


def test_an_admin_of_one_account_makes_no_keys(house: House) -> None:
    """He could make one for every account."""
    house.add_account()
    key = house.add_key(Grant.ADMIN, appids=(APPID,))
    assert house.call("GET", f"/v1/accounts/{APPID}", key).status_code == 200
    assert house.call("POST", "/v1/keys", key, json={"name": "x", "appids": ["*"]}).status_code == 403
    assert house.call("GET", "/v1/keys", key).status_code == 403
    assert house.call("POST", "/v1/accounts", key, json={"appid": OTHER, "secret": "s"}).status_code == 403


def test_a_rate_is_kept(house: House) -> None:
    """A loop in one program does not slow down the others; it is told when to come again."""
    key, other = house.add_key(Grant.READ, rate=6), house.add_key(Grant.READ)
    statuses = [house.call("GET", WHOAMI, key).status_code for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    answer = house.call("GET", WHOAMI, key)
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("key_too_often", "10")
    assert house.call("GET", WHOAMI, other).status_code == 200
    house.clock.turn(10.0)
    assert house.call("GET", WHOAMI, key).status_code == 200
    assert house.call("GET", WHOAMI, key).status_code == 429


def test_before_the_keys_were_read_the_hub_is_not_ready() -> None:
    """A key that cannot be looked up yet is not an unknown key."""
    house = House()
    house.store.is_away = True
    house.open()
    answer = house.call("GET", WHOAMI, "zk_abcdefgh_" + "x" * 43)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    house.close()


def test_keys_go_on_while_the_store_is_away(house: House, reader: str) -> None:
    """A lost store locks nobody out."""
    house.store.is_away = True
    house.clock.turn(30.0)
    assert house.call("GET", WHOAMI, reader).status_code == 200


def test_last_use_is_noted_in_batches(house: House, reader: str) -> None:
    """A write for every read would be the end of reading."""
    house.call("GET", WHOAMI, reader)
    (key,) = house.clock.run(house.store.keys())
    assert key.last_used_at is None
    house.clock.turn(31.0)
    (key,) = house.clock.run(house.store.keys())
    assert key.last_used_at == pytest.approx(START, abs=1)


def test_whoami_tells_what_a_key_may_do(house: House) -> None:
    """And never what would let anybody in."""
    key = house.add_key(Grant.READ, Grant.FORCE, appids=(APPID,), networks=(ip_network("203.0.113.0/24"),), rate=60)
    body = house.call("GET", WHOAMI, key).json()
    assert body == {
        "id": key[3:11],
        "name": "test",
        "grants": ["force", "read"],
        "appids": [APPID],
        "networks": ["203.0.113.0/24"],
        "rate": 60,
        "paths": [],
        "created_at": int(START),
        "expires_at": None,
        "last_used_at": None,
        "address": "203.0.113.5",
    }


def test_the_log_says_whose_key_is_refused(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """By its id, so that somebody can be asked; who shows none of ours stays nobody."""
    caplog.set_level(logging.INFO, "zhongkong.access")
    expired, _ = house.make_key(Grant.READ, expires_at=START - 1)
    elsewhere, _ = house.make_key(Grant.READ, networks=(ip_network("10.0.0.0/8"),))
    often, _ = house.make_key(Grant.READ, rate=1)
    for text in [*house.texts[-3:], house.texts[-1], house.texts[-1] + "x"]:
        house.call("GET", WHOAMI, text)
    lines = [record.getMessage().split() for record in caplog.records if record.name == "zhongkong.access"]
    assert [(line[2], line[4]) for line in lines] == [
        ("401", expired.id),
        ("403", elsewhere.id),
        ("200", often.id),
        ("429", often.id),
        ("401", "-"),
    ]
    assert not any(text in caplog.text for text in house.texts)
