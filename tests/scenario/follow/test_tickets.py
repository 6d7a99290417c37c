"""Tickets through a hub that follows: asked of the leader like everything else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.follow.estate import Estate, Hub
from tests.scenario.hub.house import APPID
from zhongkong.core.grants import Grant
from zhongkong.core.model import KINDS_OF, TICKETS, AccountKind
from zhongkong.keeper import knowledge
from zhongkong.wechat.jsapi import sign_page

READ = f"/v1/accounts/{APPID}/jsapi_ticket"
PAGE = "https://shop.example.com/a"


def read(hub: Hub, path: str = READ) -> dict[str, Any]:
    """Return what a hub hands out."""
    body: dict[str, Any] = hub.call("GET", path, hub.add_key(Grant.READ)).json()
    return body


def asked(hub: Hub) -> int:
    """Return how often a hub asked the platform for tickets."""
    return sum(order.kind in TICKETS for order in hub.platform.mints)


@pytest.mark.parametrize("kind", sorted(TICKETS & KINDS_OF[AccountKind.OFFICIAL]))
def test_a_follower_hands_on_its_leaders_ticket(estate: Estate, kind: str) -> None:
    """One fetch at the platform for both, and none before somebody read."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    assert asked(leader) == 0
    path = f"/v1/accounts/{APPID}/{kind}"
    here, there = read(follower, path), read(leader, path)
    assert here[kind] == there[kind]
    assert there["expires_in"] - 2 <= here["expires_in"] <= there["expires_in"]
    assert (asked(leader), asked(follower)) == (1, 0)


def test_an_application_of_wecom_is_followed_like_any_account(estate: Estate) -> None:
    """Its colon in the path, its tickets, and the leader's blocked state in WeCom's words."""
    crm = "ww0123456789abcdef:crm"
    leader = estate.add_leader()
    leader.add_application(crm)
    follower = estate.add_hub("follower")
    key = leader.add_key(Grant.READ, appids=(crm,))
    asked = {"appid": crm, "kind": "wecom", "mode": "follow", "base_url": leader.url, "secret": key}
    added = follower.call("POST", "/v1/accounts", follower.add_key(Grant.ADMIN), json=asked)
    assert (added.status_code, added.json()["kind"], added.json()["mode"]) == (201, "wecom", "follow")
    for kind in ("access_token", "agent_config_ticket"):
        path = f"/v1/accounts/{crm}/{kind}"
        assert read(follower, path)[kind] == read(leader, path)[kind]
    estate.world.reset_secret(crm, estate.clock.wall())
    estate.world.revoke_all(crm, estate.clock.wall())
    leader.call("POST", f"/v1/accounts/{crm}/access_token/reject", key, json={"generation": 1})
    late = estate.add_hub("late")
    told = late.call("POST", "/v1/accounts", late.add_key(Grant.ADMIN), json=asked).json()["credentials"]
    assert (told["access_token"]["state"], told["access_token"]["errcode"]) == ("blocked", 40001)
    assert "work.weixin.qq.com" in told["access_token"]["detail"]


def test_what_is_read_at_the_follower_keeps_the_leaders_ticket(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when nobody reads it there, it lapses on both."""
    monkeypatch.setattr(knowledge, "KEPT_UNREAD", 3700.0)
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    for _ in range(5):
        handed = read(follower)
        if "expires_in" not in handed:  # at the very end of one that the platform repeats, its leader has none either
            assert (handed["cause"], handed["errmsg"]) == ("leader_unwell", "refreshing")
            estate.turn(3)
            handed = read(follower)
        assert handed["expires_in"] > 0
        estate.turn(3600)
    estate.turn(7500 + 3700)
    before = asked(leader)
    estate.turn(7500)
    assert asked(leader) == before
    assert read(follower)["expires_in"] > 7000


def test_a_reject_is_decided_by_the_leader(estate: Estate) -> None:
    """Who has no probe asks again, once a minute; the follower hears what came of it."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    ticket = read(follower)["jsapi_ticket"]
    estate.turn(100)
    key = follower.add_key(Grant.READ)
    for _ in range(3):
        answer = follower.call("POST", READ + "/reject", key, json={"rejected": ticket})
        assert (answer.status_code, answer.json()["outcome"]) == (200, "still_valid")
        estate.turn(6)
    assert asked(leader) == 2


def test_a_follower_signs_pages_with_its_leaders_ticket(estate: Estate) -> None:
    """No secret and no ticket is needed where the page is."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    answer = follower.call(
        "GET", f"/v1/accounts/{APPID}/jsapi_config", follower.add_key(Grant.READ), params={"url": PAGE}
    )
    signed = answer.json()
    ticket = read(leader)["jsapi_ticket"]
    assert signed["signature"] == sign_page(ticket, signed["nonceStr"], signed["timestamp"], PAGE)


def test_a_parent_that_died_is_healed_at_the_leader_while_the_follower_waits(estate: Estate) -> None:
    """The follower never had it."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    estate.turn(60)
    estate.revoke()
    assert read(follower)["generation"] == 1
    assert estate.is_alive(leader.token())
