"""An account begins to follow and stops again, while business servers read it."""

from __future__ import annotations

import pytest

from tests.scenario.follow.estate import READ, Estate, Hub, following
from tests.scenario.hub.house import APPID, SECRET
from zhongkong.core.grants import Grant
from zhongkong.core.model import Mode

ONE = f"/v1/accounts/{APPID}"


def switch(hub: Hub, **fields: str) -> int:
    """Change the account as an administrator would; return the status."""
    return hub.call("PATCH", ONE, hub.add_key(Grant.ADMIN), json=fields).status_code


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_an_account_that_minted_follows_and_mints_again_and_no_reader_is_refused(estate: Estate, mode: Mode) -> None:
    """Each time what it held is withheld until the new place has spoken: a round trip, in which readers wait."""
    leader, hub = estate.add_leader(mode=mode), estate.add_hub("hub")
    hub.add_account()
    reader = estate.seat_reader(hub, hub.add_key(Grant.READ), every=0.5)
    estate.turn(120.0)
    own = hub.token()
    key = leader.add_key(Grant.READ)
    assert switch(hub, mode="follow", base_url=leader.url, secret=key) == 200
    assert hub.token() == leader.token()
    estate.turn(300.0)
    mints = len(hub.platform.mints)
    estate.turn(300.0)
    assert len(hub.platform.mints) == mints
    assert switch(hub, mode="stable", secret=SECRET) == 200
    shown = hub.call("GET", ONE, hub.add_key(Grant.ADMIN)).json()
    assert (shown["mode"], shown["base_url"]) == ("stable", "https://api.weixin.qq.com")
    assert hub.token() == own
    estate.turn(300.0)
    assert (reader.refused, reader.failed) == ([], [])
    assert reader.generations == sorted(reader.generations)


def test_the_same_token_from_the_new_place_is_the_same_generation(estate: Estate) -> None:
    """A stable token is one for all who share the secret, leader or not."""
    leader, hub = estate.add_leader(), estate.add_hub("hub")
    hub.add_account()
    generation = hub.record.generation
    assert hub.token() == leader.token()
    assert switch(hub, mode="follow", base_url=leader.url, secret=leader.add_key(Grant.READ)) == 200
    assert hub.record.generation == generation
    assert hub.record.condemned == ""
    credential = hub.record.credential
    assert credential is not None
    assert credential.mode is Mode.FOLLOW
    assert hub.record.refresh_at < estate.clock.wall() + 61.0
    assert switch(hub, mode="stable", secret=SECRET) == 200
    assert hub.record.generation == generation
    assert hub.record.refresh_at > estate.clock.wall() + 6000.0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"mode": "follow"}, "base_url"),
        ({"mode": "follow", "base_url": "https://leader.test"}, "secret"),
        ({"mode": "follow", "secret": "zk_abcdefgh_0123456789012345678901234567890123456789012"}, "base_url"),
        ({"secret": "zk_abcdefgh_0123456789012345678901234567890123456789012"}, "secret"),
        ({"on_contest": "follow"}, "on_contest"),
    ],
)
def test_an_appsecret_never_leaves_for_a_hub_nor_a_key_for_the_platform(
    estate: Estate, fields: dict[str, str], field: str
) -> None:
    """What is forgotten in a switch is asked for, before anything is sent anywhere."""
    estate.add_leader()
    hub = estate.add_hub("hub")
    hub.call("POST", "/v1/accounts", hub.add_key(Grant.ADMIN), json={"appid": APPID, "secret": SECRET})
    asks, mints = len(estate.asks), len(hub.platform.mints)
    answer = hub.call("PATCH", ONE, hub.add_key(Grant.ADMIN), json=fields)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "request_invalid", field)
    assert (len(estate.asks), len(hub.platform.mints)) == (asks, mints)


def test_who_stops_to_follow_must_bring_the_appsecret(estate: Estate) -> None:
    """The key that is kept would otherwise be sent to the platform in its place."""
    leader = estate.add_leader()
    hub = estate.add_follower(leader)
    answer = hub.call("PATCH", ONE, hub.add_key(Grant.ADMIN), json={"mode": "stable"})
    assert (answer.status_code, answer.json()["field"], answer.json()["wanted"]) == (400, "secret", "AppSecret")
    assert hub.platform.mints == []
    assert hub.token() == leader.token()


def test_a_leader_that_cannot_be_tried_changes_nothing(estate: Estate) -> None:
    """A mistyped address would otherwise cost every reader his token."""
    leader = estate.add_leader()
    hub = estate.add_follower(leader)
    answer = hub.call("PATCH", ONE, hub.add_key(Grant.ADMIN), json={"base_url": "https://laeder.test"})
    assert (answer.status_code, answer.json()["code"]) == (503, "leader_not_tried")
    assert "connect_failed" in answer.json()["detail"]
    assert hub.call("GET", READ, hub.add_key(Grant.READ)).json()["access_token"] == leader.token()


def test_a_leader_that_moved_is_followed_to_its_new_address(estate: Estate) -> None:
    """The key goes along; the same value is the same generation."""
    leader = estate.add_leader("former")
    hub = estate.add_follower(leader)
    generation = hub.record.generation
    estate.hubs["moved"] = leader
    assert switch(hub, base_url="https://moved.test") == 200
    assert hub.record.generation == generation
    assert hub.token() == leader.token()


def test_an_account_can_be_added_while_its_leader_is_away(estate: Estate) -> None:
    """It is kept, its state says why, and it is well as soon as the leader is."""
    leader, hub = estate.add_leader(), estate.add_hub("hub")
    key = leader.add_key(Grant.READ)
    leader.is_gone = True
    added = hub.call("POST", "/v1/accounts", hub.add_key(Grant.ADMIN), json=following(leader, key))
    assert (added.status_code, added.json()["credentials"]["access_token"]["state"]) == (201, "leader_away")
    leader.is_gone = False
    estate.turn(61.0)
    assert hub.token() == leader.token()


def test_a_key_of_another_hub_is_told_nowhere(estate: Estate) -> None:
    """Not by the interface, not in events, not in the store's own document of the account."""
    leader = estate.add_leader()
    key = leader.add_key(Grant.READ)
    hub = estate.add_follower(leader, key=key)
    admin = hub.add_key(Grant.ADMIN)
    leader.is_gone = True
    estate.turn(90.0)
    told = [hub.call("GET", path, admin).text for path in ("/v1/accounts", ONE, "/v1/events", "/metrics", "/readyz")]
    assert all(key not in text and key[12:] not in text for text in told)
    assert all(leader.token() not in text for text in told)
