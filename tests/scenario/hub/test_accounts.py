"""Accounts over HTTP: added, tried, changed, removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.hub.house import APPID, HUB_IP, SECRET, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Ambiguous, Mode, NotSent, Outcome
from zhongkong.wechat.answers import Refused

ONE = f"/v1/accounts/{APPID}"
PATH = f"{ONE}/access_token"
NEW: dict[str, Any] = {"appid": APPID, "secret": SECRET, "base_url": "http://sandbox.test"}
NEW_SECRET = "c4ca4238a0b923820dcc509a6f75849b"


def state(body: dict[str, Any]) -> dict[str, Any]:
    """Return how the account's access_token is."""
    return dict(body["credentials"]["access_token"])


def test_an_account_is_added_and_mints_at_once(house: House, admin: str) -> None:
    """The answer says that it works, not only that it was written down."""
    house.world.add_account(APPID, SECRET)
    answer = house.call("POST", "/v1/accounts", admin, json={**NEW, "name": "服务号"})
    assert (answer.status_code, answer.headers["location"]) == (201, ONE)
    body = answer.json()
    assert (body["appid"], body["kind"], body["mode"], body["name"]) == (APPID, "official", "stable", "服务号")
    assert (state(body)["state"], state(body)["serving"], state(body)["generation"]) == ("well", True, 1)
    assert house.call("GET", PATH, admin).status_code == 200


@pytest.mark.parametrize("path", ["/v1/accounts", ONE])
def test_a_secret_never_comes_out(house: House, admin: str, path: str) -> None:
    """Not in the answer to the one who wrote it, either."""
    house.world.add_account(APPID, SECRET)
    added = house.call("POST", "/v1/accounts", admin, json=NEW)
    assert SECRET not in added.text
    assert "secret" not in added.text
    assert SECRET not in house.call("GET", path, admin).text


def test_a_wrong_secret_is_told_and_nothing_is_added(house: House, admin: str) -> None:
    """The person still has the right one at hand."""
    house.world.add_account(APPID, "0" * 32)
    answer = house.call("POST", "/v1/accounts", admin, json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (422, "account_not_added")
    assert (answer.json()["errcode"], answer.json()["action"], answer.json()["appid"]) == (40125, "fix_config", APPID)
    assert answer.json()["rid"]
    assert house.call("GET", ONE, admin).status_code == 404


def test_a_wrong_appid_is_told_and_nothing_is_added(house: House, admin: str) -> None:
    """A mistyped appid would stay behind as an account that never works."""
    answer = house.call("POST", "/v1/accounts", admin, json=NEW, headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.json()["code"]) == (422, "account_not_added")
    assert "was not added" in answer.json()["detail"]
    assert house.clock.run(house.store.accounts()) == []


def test_an_account_behind_an_allow_list_is_added_and_says_which_address_to_allow(house: House, admin: str) -> None:
    """The commonest first hour: the hub recovers by itself once the address is on the list."""
    account = house.world.add_account(APPID, SECRET)
    account.set_allow_list(["192.0.2.1"])
    answer = house.call("POST", "/v1/accounts", admin, json=NEW)
    assert answer.status_code == 201
    told = state(answer.json())
    assert (told["state"], told["serving"], told["errcode"]) == ("blocked", False, 40164)
    assert HUB_IP in told["detail"]
    assert told["next_try_at"] == pytest.approx(house.clock.wall() + 300, abs=5)
    account.set_allow_list(None)
    assert state(house.call("PATCH", ONE, admin).json())["state"] == "well"


def test_an_account_is_added_while_the_platform_is_away(house: House, admin: str) -> None:
    """It is tried again by itself; the person need not stay."""
    house.world.add_account(APPID, SECRET)
    house.platform.fails_with = NotSent("connection_refused")
    answer = house.call("POST", "/v1/accounts", admin, json=NEW)
    assert (answer.status_code, state(answer.json())["state"]) == (201, "unreachable")
    house.platform.fails_with = None
    house.clock.turn(90.0)
    assert state(house.call("GET", ONE, admin).json())["state"] == "well"


def test_an_account_is_added_once(house: House, admin: str) -> None:
    """A second POST does not replace a secret unseen."""
    house.add_account()
    answer = house.call("POST", "/v1/accounts", admin, json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (409, "account_exists")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"appid": None}, "appid"),
        ({"appid": "wx/../1"}, "appid"),
        ({"appid": "gh"}, "appid"),
        ({"secret": None}, "secret"),
        ({"secret": "with space"}, "secret"),
        ({"secret": 5}, "secret"),
        ({"kind": "suite"}, "kind"),
        ({"mode": "fast"}, "mode"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "https://user:pw@x"}, "base_url"),
        ({"is_test": "yes"}, "is_test"),
        ({"name": "a\x00"}, "name"),
        ({"Secret": "x"}, "Secret"),
    ],
)
def test_an_account_that_cannot_be_is_not_added(house: House, admin: str, change: dict[str, Any], field: str) -> None:
    """The field is named, its value is not repeated: it may be the secret."""
    asked = {name: value for name, value in {**NEW, **change}.items() if value is not None}
    answer = house.call("POST", "/v1/accounts", admin, json=asked)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert SECRET not in answer.text
    assert house.platform.mints == []


def test_a_new_secret_is_tried_before_it_replaces_the_old_one(house: House, admin: str) -> None:
    """A typing error must not take a working account down."""
    house.add_account()
    answer = house.call("PATCH", ONE, admin, json={"secret": NEW_SECRET})
    assert (answer.status_code, answer.json()["errcode"]) == (422, 40125)
    account = house.clock.run(house.store.account(APPID))
    assert account is not None
    assert (account.secret.reveal(), account.revision) == (SECRET, 1)
    tried = house.platform.mints[-1]
    assert (tried.account.secret.reveal(), tried.mode, tried.force) == (NEW_SECRET, Mode.STABLE, False)


def test_a_new_secret_is_tried_by_a_call_that_ends_no_token_also_in_classic_mode(house: House, admin: str) -> None:
    """The token in use goes on whatever becomes of the trial."""
    house.add_account(mode=Mode.CLASSIC)
    token = house.token()
    house.world.reset_secret(APPID, house.clock.wall(), NEW_SECRET)
    answer = house.call("PATCH", ONE, admin, json={"secret": NEW_SECRET})
    assert answer.status_code == 200
    assert house.platform.mints[1].mode is Mode.STABLE
    assert token  # it died by the reset, not by the trial
    assert state(answer.json())["state"] == "well"


@pytest.mark.parametrize("outcome", [NotSent("dns"), Ambiguous("timeout")])
def test_a_new_secret_that_cannot_be_tried_replaces_nothing(house: House, admin: str, outcome: Outcome) -> None:
    """The old one may be the right one."""
    house.add_account()
    house.platform.fails_with = outcome
    answer = house.call("PATCH", ONE, admin, json={"secret": NEW_SECRET})
    assert (answer.status_code, answer.json()["code"]) == (503, "secret_not_tried")
    assert "retry-after" in answer.headers
    account = house.clock.run(house.store.account(APPID))
    assert account is not None
    assert account.secret.reveal() == SECRET


def test_blocked_then_fixed_then_well(house: House, admin: str) -> None:
    """A secret was reset; the new one is brought; nobody waits for the next round."""
    house.add_account()
    now = house.clock.wall()
    house.world.reset_secret(APPID, now, NEW_SECRET)
    house.world.revoke_all(APPID, now)
    house.call("POST", f"{PATH}/reject", admin, json={"generation": 1})
    assert state(house.call("GET", ONE, admin).json())["state"] == "blocked"
    answer = house.call("PATCH", ONE, admin, json={"secret": NEW_SECRET})
    assert (answer.status_code, state(answer.json())["state"]) == (200, "well")
    assert house.call("GET", PATH, admin).json()["generation"] == 2


def test_an_empty_change_tries_now(house: House, admin: str) -> None:
    """A person who has put things right does not wait five minutes to see it."""
    house.platform.fails_with = Refused(40164, f"invalid ip {HUB_IP}, not in whitelist")
    house.add_account()
    assert state(house.call("GET", ONE, admin).json())["state"] == "blocked"
    house.platform.fails_with = None
    began = house.clock.boot()
    assert state(house.call("PATCH", ONE, admin).json())["state"] == "well"
    assert house.clock.boot() - began < 1


def test_an_empty_change_that_fails_again_says_so(house: House, admin: str) -> None:
    """Not the state of before, but of this try."""
    house.platform.fails_with = Refused(40164, f"invalid ip {HUB_IP}, not in whitelist")
    house.add_account()
    house.platform.fails_with = Refused(45009, "reach max api daily quota limit")
    told = state(house.call("PATCH", ONE, admin, json={}).json())
    assert (told["state"], told["errcode"]) == ("quota", 45009)


def test_a_change_of_mode_is_done_at_once(house: House, admin: str) -> None:
    """The answer shows the credential of the new mode, once the rhythm of mints allows one."""
    house.add_account()
    house.clock.turn(100.0)
    body = house.call("PATCH", ONE, admin, json={"mode": "classic"}).json()
    assert (body["mode"], body["revision"], state(body)["mode"]) == ("classic", 2, "classic")


def test_a_name_is_changed_without_a_mint(house: House, admin: str) -> None:
    """It is no matter of minting."""
    house.add_account()
    mints = len(house.platform.mints)
    body = house.call("PATCH", ONE, admin, json={"name": "新名字"}).json()
    assert (body["name"], body["revision"], len(house.platform.mints)) == ("新名字", 1, mints)


def test_a_declared_account_is_changed_where_it_is_declared(house: House, admin: str) -> None:
    """Else the next start would undo the change in silence; trying now is no change."""
    house.add_account(declared=True)
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = house.call(method, ONE, admin, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "account_declared")
    assert house.call("PATCH", ONE, admin).status_code == 200


def test_a_removed_account_is_served_no_more(house: House, admin: str) -> None:
    """At once where it was removed, elsewhere with the next poll."""
    house.add_account()
    assert house.call("DELETE", ONE, admin).status_code == 204
    assert house.call("GET", PATH, admin).status_code == 404
    assert house.call("GET", ONE, admin).status_code == 404
    assert house.call("DELETE", ONE, admin).status_code == 404
    assert house.call("PATCH", ONE, admin).status_code == 404


def test_generations_go_on_after_a_removal(house: House, admin: str) -> None:
    """A client that was there before is never taken back."""
    house.add_account()
    house.call("DELETE", ONE, admin)
    house.call("POST", "/v1/accounts", admin, json=NEW)
    assert house.call("GET", PATH, admin).json()["generation"] == 2


@pytest.mark.parametrize("body", [{}, {"secret": SECRET}])
def test_an_account_that_is_well_is_tried_all_the_same(house: House, admin: str, body: dict[str, str]) -> None:
    """Where nothing changes the platform is asked: it may refuse, or be away, while the token at hand is good."""
    house.add_account()
    before = house.world.accounts[APPID].stable.current
    mints = len(house.platform.mints)
    assert house.call("PATCH", ONE, admin, json=body).status_code == 200
    assert len(house.platform.mints) == mints + 1
    assert house.world.accounts[APPID].stable.current is before  # and nobody's token was ended
    house.platform.fails_with = NotSent("connect_failed")
    answer = house.call("PATCH", ONE, admin, json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "account_not_tried")
    house.platform.fails_with = Refused(40125, "invalid appsecret")
    assert house.call("PATCH", ONE, admin, json=body).status_code == 422
    events = [kept.event.code for kept in house.clock.run(house.store.events())]
    assert events.count("account_tried") == 1
    assert house.call("GET", PATH, admin).status_code == 200


def test_an_admin_sees_the_accounts_that_his_key_covers(house: House) -> None:
    """One team, one key."""
    house.add_account()
    house.add_account("wxother")
    key = house.add_key(Grant.ADMIN, appids=("wxother",))
    assert [one["appid"] for one in house.call("GET", "/v1/accounts", key).json()["accounts"]] == ["wxother"]


def test_every_act_is_in_the_audit_log(house: House, admin: str) -> None:
    """Who did it, and to which fields; not what they hold."""
    house.world.add_account(APPID, SECRET)
    house.call("POST", "/v1/accounts", admin, json=NEW)
    fresh = house.world.reset_secret(APPID, house.clock.wall())
    house.call("PATCH", ONE, admin, json={"secret": fresh, "name": "x"})
    house.call("PATCH", ONE, admin)
    house.call("DELETE", ONE, admin)
    events = [kept.event for kept in house.clock.run(house.store.events())]
    acts = [(one.code, one.values) for one in events if one.code.startswith("account_")]
    by = admin[3:11]
    assert acts == [
        ("account_added", {"by": by, "mode": "stable"}),
        ("account_changed", {"by": by, "fields": "name, secret"}),
        ("account_tried", {"by": by}),
        ("account_removed", {"by": by}),
    ]
