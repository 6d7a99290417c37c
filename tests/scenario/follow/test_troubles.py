"""What a follower does and says when its leader is away, refuses its key, or is itself not well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.follow.estate import READ, Estate, Hub, following
from tests.scenario.hub.house import APPID
from zhongkong.core.grants import Grant
from zhongkong.core.issuing import ISSUING
from zhongkong.core.model import Mode
from zhongkong.wechat.answers import Refused

NOT_LISTED = Refused(40164, "invalid ip 198.51.100.7, not in whitelist", "6720ea21-0dc53ebd-5bdb45c7")


def health(hub: Hub, lang: str = "en") -> dict[str, Any]:
    """Return how the account's token is, as an administrator of the hub sees it."""
    shown = hub.call("GET", f"/v1/accounts/{APPID}?lang={lang}", hub.add_key(Grant.ADMIN))
    credential: dict[str, Any] = shown.json()["credentials"]["access_token"]
    return credential


# --- the leader is away


@pytest.mark.parametrize("how", ["is_gone", "is_silent"])
@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_the_token_is_served_to_the_end_of_what_was_promised_while_the_leader_is_away(
    estate: Estate, mode: Mode, how: str
) -> None:
    """Then comes an error that names the cause; back again, it is well within a minute and the deadline."""
    leader = estate.add_leader(mode=mode)
    follower = estate.add_follower(leader)
    reader = estate.seat_reader(follower, follower.add_key(Grant.READ))
    estate.turn(600.0)
    setattr(leader, how, True)
    credential = follower.record.credential
    assert credential is not None
    until = credential.expires_at
    assert until - estate.clock.wall() > 4000.0
    estate.turn(until - estate.clock.wall() - 3.0)
    assert (reader.refused, reader.failed) == ([], [])
    assert health(follower)["state"] == "leader_away"
    assert health(follower)["serving"] is True
    estate.turn(900.0)
    answer = follower.call("GET", READ, follower.add_key(Grant.READ))
    assert (answer.status_code, answer.json()["cause"]) == (503, "leader_away")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert reader.failed
    setattr(leader, how, False)
    estate.turn(75.0)
    assert follower.token() == leader.token()
    assert health(follower)["state"] == "well"
    assert reader.refused == []


def test_a_leader_that_is_away_for_hours_costs_no_more_than_their_part_of_the_budget(estate: Estate) -> None:
    """So that there are calls left when it is back, however long that takes."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    leader.is_silent = True
    estate.turn(6 * 3600.0)
    assert 300 < len(estate.asked(leader)) < ISSUING[Mode.FOLLOW].daily_budget / 4
    leader.is_silent = False
    estate.turn(75.0)
    assert follower.token() == leader.token()


def test_a_rotation_at_the_leader_between_two_questions_and_its_end_ends_no_promise(estate: Estate) -> None:
    """The leader rotates and goes away before the follower has asked again: what it promised still holds."""
    leader = estate.add_leader(mode=Mode.CLASSIC)
    follower = estate.add_follower(leader)
    reader = estate.seat_reader(follower, follower.add_key(Grant.READ), every=1.0)
    estate.turn(600.0)
    former = leader.record.generation
    while leader.record.generation == former:
        estate.turn(0.5)
    leader.is_gone = True
    estate.turn(400.0)
    assert reader.refused == []
    assert reader.failed
    assert reader.failed[0][1]["cause"] == "leader_away"


def test_a_hub_whose_store_is_away_too_goes_on_asking(estate: Estate) -> None:
    """To ask a leader ends nothing: what comes is served from memory and saved later."""
    leader = estate.add_leader(mode=Mode.CLASSIC)
    follower = estate.add_follower(leader)
    estate.turn(130.0)
    follower.store.is_away = True
    former = leader.record.generation
    while leader.record.generation == former:
        estate.turn(1.0)
    estate.turn(70.0)
    assert follower.token() == leader.token()
    follower.store.is_away = False
    estate.turn(5.0)
    credential = follower.record.credential
    assert credential is not None
    assert credential.value == leader.token()


# --- marks


def test_what_the_leader_doubts_is_doubtful_here(estate: Estate) -> None:
    """It is handed out all the same, at once, with nothing promised; and well again with the leader."""
    leader = estate.add_leader(mode=Mode.CLASSIC)
    follower = estate.add_follower(leader)
    reader = estate.seat_reader(follower, follower.add_key(Grant.READ), every=5.0)
    estate.turn(leader.record.refresh_at - estate.clock.wall() - 5.0)
    leader.platform.is_lost = True
    estate.turn(500.0)
    answer = follower.call("GET", READ, follower.add_key(Grant.READ))
    assert (answer.status_code, answer.json()["doubtful"], answer.json()["expires_in"]) == (200, True, 0)
    began = estate.clock.boot()
    follower.call("GET", READ, follower.add_key(Grant.READ))
    assert estate.clock.boot() - began < 0.1
    leader.platform.is_lost = False
    estate.turn(180.0)
    answer = follower.call("GET", READ, follower.add_key(Grant.READ))
    assert "doubtful" not in answer.json()
    assert estate.is_alive(answer.json()["access_token"])
    assert reader.failed == []


def test_what_the_leader_has_from_memory_is_marked_stale_here(estate: Estate) -> None:
    """A reader is told as much as he would be over there."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    estate.turn(130.0)
    leader.store.is_away = True
    estate.turn(130.0)
    answer = follower.call("GET", READ, follower.add_key(Grant.READ))
    assert (answer.status_code, answer.json()["stale"]) == (200, True)
    assert answer.json()["expires_in"] > 5000
    leader.store.is_away = False
    estate.turn(130.0)
    assert "stale" not in follower.call("GET", READ, follower.add_key(Grant.READ)).json()


# --- the key


def test_a_key_is_rotated_at_the_leader_with_an_overlap(estate: Estate) -> None:
    """Old and new both work for that long: time to bring the new one here, and no reader notices."""
    leader = estate.add_leader()
    key, text = leader.make_key(Grant.READ, name="follower", appids=(APPID,))
    follower = estate.add_follower(leader, key=text)
    reader = estate.seat_reader(follower, follower.add_key(Grant.READ))
    boss = leader.add_key(Grant.ADMIN)
    twin = leader.call("POST", f"/v1/keys/{key.id}/rotate", boss, json={"overlap": 600}).json()
    estate.turn(500.0)
    assert {ask.status for ask in estate.asked(leader)} == {200}
    changed = follower.call(
        "PATCH", f"/v1/accounts/{APPID}", follower.add_key(Grant.ADMIN), json={"secret": twin["key"]}
    )
    assert changed.status_code == 200
    assert changed.json()["credentials"]["access_token"]["state"] == "well"
    estate.turn(900.0)
    assert {ask.status for ask in estate.asked(leader)} == {200}
    assert (reader.refused, reader.failed) == ([], [])
    assert reader.generations == sorted(reader.generations)
    used = {one["id"]: one["last_used_at"] for one in leader.call("GET", "/v1/keys", boss).json()["keys"]}
    assert used[twin["id"]] - used[key.id] > 500


def test_a_revoked_key_is_told_in_words_and_withholds_no_living_token(estate: Estate) -> None:
    """A person must act, and learns where and how; with a new key it is well at once."""
    leader = estate.add_leader()
    key, text = leader.make_key(Grant.READ, name="follower", appids=(APPID,))
    follower = estate.add_follower(leader, key=text)
    assert leader.call("DELETE", f"/v1/keys/{key.id}", leader.add_key(Grant.ADMIN)).status_code == 204
    estate.turn(130.0)
    unwell = health(follower)
    assert (unwell["state"], unwell["serving"]) == ("leader_key", True)
    assert "does not accept our key" in unwell["detail"]
    assert "[key_unknown]" in unwell["detail"]
    assert "不接受这里的 key" in health(follower, "zh")["detail"]
    assert text not in unwell["detail"]
    assert follower.call("GET", READ, follower.add_key(Grant.READ)).json()["access_token"] == leader.token()
    assert 'state="leader_key"' in follower.call("GET", "/metrics", follower.add_key(Grant.READ)).text
    assert follower.codes.count("mint_failed") == 1
    asked = len(estate.asked(leader))
    estate.turn(3000.0)
    assert len(estate.asked(leader)) - asked <= 11
    estate.turn(6000.0)
    answer = follower.call("GET", READ, follower.add_key(Grant.READ))
    assert (answer.status_code, answer.json()["cause"]) == (503, "leader_key")
    admin = follower.add_key(Grant.ADMIN)
    wrong = follower.call("PATCH", f"/v1/accounts/{APPID}", admin, json={"secret": leader.add_key(appids=(APPID,))})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "leader_refused")
    right = {"secret": leader.add_key(Grant.READ, appids=(APPID,))}
    assert follower.call("PATCH", f"/v1/accounts/{APPID}", admin, json=right).status_code == 200
    assert follower.call("GET", READ, follower.add_key(Grant.READ)).json()["access_token"] == leader.token()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"grants": (Grant.GATEWAY,)}, "grant_missing read"),
        ({"appids": ("wxfedcba9876543210",)}, "account_not_granted"),
        ({"expires_at": 1_700_000_000.0}, "key_expired"),
    ],
)
def test_a_key_that_will_not_do_is_refused_when_it_is_given(estate: Estate, given: dict[str, Any], said: str) -> None:
    """Nothing is added, and the leader's own word is in the answer."""
    leader, hub = estate.add_leader(), estate.add_hub("follower")
    key = leader.add_key(*given.pop("grants", (Grant.READ,)), **given)
    answer = hub.call("POST", "/v1/accounts?lang=en", hub.add_key(Grant.ADMIN), json=following(leader, key))
    assert (answer.status_code, answer.json()["code"]) == (422, "leader_refused")
    assert f"({said})" in answer.json()["detail"]
    assert hub.call("GET", f"/v1/accounts/{APPID}", hub.add_key(Grant.ADMIN)).status_code == 404


def test_a_network_that_the_key_is_not_for_is_named(estate: Estate) -> None:
    """As the leader saw us: proxies and NAT make that the one address that counts."""
    leader, hub = estate.add_leader(), estate.add_hub("follower")
    boss = leader.add_key(Grant.ADMIN)
    wanted = {"name": "env", "appids": [APPID], "networks": ["192.0.2.0/24"]}
    key = leader.call("POST", "/v1/keys", boss, json=wanted).json()["key"]
    answer = hub.call("POST", "/v1/accounts", hub.add_key(Grant.ADMIN), json=following(leader, key))
    assert f"key_not_from_here {hub.address}" in answer.json()["detail"]


def test_an_account_that_the_leader_does_not_keep_is_refused_when_it_is_given(estate: Estate) -> None:
    """And told, when it goes away over there later."""
    leader, hub = estate.add_hub("leader"), estate.add_hub("follower")
    key = leader.add_key(Grant.READ)
    refused = hub.call("POST", "/v1/accounts", hub.add_key(Grant.ADMIN), json=following(leader, key))
    assert (refused.status_code, refused.json()["code"]) == (422, "leader_refused")
    assert "account_unknown" in refused.json()["detail"]
    leader.add_account()
    estate.add_follower(leader, key=key)
    leader.call("DELETE", f"/v1/accounts/{APPID}", leader.add_key(Grant.ADMIN))
    estate.turn(130.0)
    assert health(hub)["state"] == "leader_account"
    assert "does not keep this account" in health(hub)["detail"]


# --- the leader's own troubles


def test_what_the_platform_told_the_leader_is_told_here_in_the_same_words(estate: Estate) -> None:
    """40164: the address that must go on the allow-list is the leader's, and the text says which."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    leader.platform.fails_with = NOT_LISTED
    estate.turn(7300.0)
    here = follower.call("GET", f"{READ}?lang=en", follower.add_key(Grant.READ))
    there = leader.call("GET", f"{READ}?lang=en", leader.add_key(Grant.READ))
    assert here.status_code == there.status_code == 503
    told = ("cause", "errcode", "errmsg", "rid", "action")
    assert [here.json()[name] for name in told] == [there.json()[name] for name in told]
    assert here.json()["cause"] == "blocked"
    assert "IP 198.51.100.7 is not in the allow-list" in here.json()["detail"]
    assert int(here.headers["retry-after"]) <= 60
    assert health(follower)["errcode"] == 40164
    leader.platform.fails_with = None
    leader.call("PATCH", f"/v1/accounts/{APPID}", leader.add_key(Grant.ADMIN), json={})
    estate.turn(61.0)
    assert follower.call("GET", READ, follower.add_key(Grant.READ)).json()["access_token"] == leader.token()


def test_a_chain_tells_the_words_of_its_last_link(estate: Estate) -> None:
    """However long it is, and they do not grow on the way."""
    leader = estate.add_leader()
    key, text = leader.make_key(Grant.READ, appids=(APPID,))
    middle = estate.add_follower(leader, "middle", text)
    last = estate.add_follower(middle, "last")
    far = estate.add_follower(last, "far")
    leader.call("DELETE", f"/v1/keys/{key.id}", leader.add_key(Grant.ADMIN))
    estate.turn(8000.0)
    assert [one.record.retry.trouble for one in (last, far)] == [far.record.retry.trouble] * 2
    trouble = far.record.retry.trouble
    assert trouble is not None
    assert (trouble.state, trouble.errmsg) == ("leader_unwell", "leader_key key_unknown")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_hubs_that_follow_in_a_circle_harm_nobody(estate: Estate, length: int) -> None:
    """Nobody promises more than he was promised, so what they had dies with its promise; and they ask no faster."""
    leader = estate.add_leader()
    ring = [estate.add_hub(f"ring{one}") for one in range(length)]
    keys = [hub.add_key(Grant.READ) for hub in ring]
    for at, hub in enumerate(ring):
        estate.put_follower(leader, hub.name, leader.add_key(Grant.READ))
        assert hub.token() == leader.token(), at
    ends = [hub.record.credential.expires_at for hub in ring if hub.record.credential is not None]
    for at, hub in enumerate(ring):
        estate.put_follower(ring[(at + 1) % length], hub.name, keys[(at + 1) % length])
    estate.turn(max(ends) - estate.clock.wall() + 30.0)
    asked = len(estate.asks)
    for hub in ring:
        answer = hub.call("GET", READ, hub.add_key(Grant.READ))
        assert (answer.status_code, answer.json()["cause"]) == (503, "leader_unwell")
    estate.turn(3600.0)
    assert len(estate.asks) - asked < 400 * length
    assert "refreshing" in str(ring[0].record.retry.trouble)
