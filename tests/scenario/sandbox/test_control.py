"""The control API: what a tester turns, breaks and reads."""

from typing import Any

import pytest

from tests.scenario.sandbox.desk import START, Desk

PROBE = "/cgi-bin/get_api_domain_ip"


# Accounts.


def test_an_account_is_opened_read_changed_and_removed(desk: Desk) -> None:
    """The whole life of an account, without a console of the platform."""
    made = desk.control("POST", "/accounts", {"kind": "miniprogram", "expires_in": 60, "allow_list": ["127.0.0.1"]})
    route = f"/accounts/{made['appid']}"
    assert len(made["secret"]) == 32
    assert desk.control("GET", route) == made
    assert len(desk.control("GET", "/accounts")["accounts"]) == 2
    changed = desk.control("PATCH", route, {"expires_in": 120, "allow_list": None, "forbidden": [PROBE]})
    assert changed == made | {"expires_in": 120, "allow_list": None, "forbidden": [PROBE]}
    desk.control("DELETE", route)
    assert desk.refused("GET", route)[0] == 404


def test_an_account_may_have_the_appid_and_secret_one_wants(desk: Desk) -> None:
    """A program under test may have them written down."""
    made = desk.control(
        "POST", "/accounts", {"appid": "wx1", "secret": "s", "profile": "verified", "token_length": 512}
    )
    assert (made["appid"], made["secret"], made["profile"]) == ("wx1", "s", "verified")
    assert desk.refused("POST", "/accounts", {"appid": "wx1"})[0] == 400
    asked = {"grant_type": "client_credential", "appid": "wx1", "secret": "s"}
    assert len(desk.get("/cgi-bin/token", **asked)["access_token"]) == 512


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"expires_in": 1}, "from 2 to 86400"),
        ({"expires_in": "60"}, 'expires_in must be a whole number, not "60"'),
        ({"expires_in": True}, "expires_in must be a whole number, not true"),
        ({"token_length": 5, "expires_in": 60}, "from 32 to 2048"),
        ({"allow_list": ["1.2.3"]}, "1.2.3"),
        ({"allow_list": "1.2.3.4"}, "a list of"),
        ({"secret": "x"}, "unknown field 'secret'"),
        ({"quotas": {"/x": {"daily": -1}}}, "below 0"),
        ({"quotas": {"/x": {}}}, "missing: daily"),
        ({"quotas": {"/x": 5}}, "must be a JSON object"),
        ([], "must be a JSON object"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing_and_says_why(desk: Desk, body: Any, said: str) -> None:
    """Half a change would be a trap."""
    before = desk.control("GET", desk.base)
    status, error = desk.refused("PATCH", desk.base, body)
    assert (status, said in error) == (400, True), error
    assert desk.control("GET", desk.base) == before


@pytest.mark.parametrize(
    "body",
    [{"kind": "x"}, {"kind": "wecom", "appid": "ww1"}, {"profile": "x"}, {"appid": "a/b"}, {"appid": ""}, {"x": 1}],
)
def test_an_account_that_cannot_be_is_not_opened(desk: Desk, body: Any) -> None:
    """Nor is half of one."""
    assert desk.refused("POST", "/accounts", body)[0] == 400
    assert list(desk.world.accounts) == [desk.appid]


def test_a_reset_secret_makes_the_old_one_40125(desk: Desk) -> None:
    """The commonest accident of all."""
    made = desk.control("POST", f"{desk.base}/secret")
    assert desk.token()["errcode"] == 40125
    desk.secret = made["secret"]
    assert "access_token" in desk.token()
    assert desk.control("POST", f"{desk.base}/secret", {"secret": "mine"})["secret"] == "mine"


def test_a_frozen_secret_acts_after_ten_minutes_and_thaws_as_slowly(desk: Desk) -> None:
    """As on the platform; a switch makes it prompt."""
    desk.control("POST", f"{desk.base}/freeze")
    assert "access_token" in desk.token()
    desk.turn(600)
    assert desk.token()["errcode"] == 40243
    assert desk.control("GET", desk.base)["frozen"]
    desk.control("PATCH", "/switches", {"freeze_delay_seconds": 0})
    desk.control("POST", f"{desk.base}/thaw")
    assert "access_token" in desk.token()


# Tokens.


def test_tokens_are_listed_with_how_each_ended(desk: Desk) -> None:
    """An oracle needs the instant of death, a person the reason."""
    first, second = desk.token()["access_token"], desk.token()["access_token"]
    desk.turn(300)
    listed = desk.control("GET", f"{desk.base}/tokens")["tokens"]
    assert [(token["access_token"], token["alive"], token["end"]) for token in listed] == [
        (first, False, "replaced"),
        (second, True, None),
    ]
    assert (listed[0]["dies_at"], listed[0]["ended_by"]) == (START + 300, "127.0.0.1")


def test_one_token_the_current_ones_those_of_a_mode_or_all_are_revoked(desk: Desk) -> None:
    """Each is a different accident."""
    classic = [desk.token()["access_token"] for _ in range(2)]
    stable = desk.stable()["access_token"]

    def revoke(**which: Any) -> int:
        return int(desk.control("POST", f"{desk.base}/revoke", which)["revoked"])

    assert revoke(access_token=classic[0]) == 1
    assert revoke(access_token=classic[0]) == 0
    assert revoke(current=True, mode="stable") == 1
    assert desk.get(PROBE, access_token=stable)["errcode"] == 40001
    assert "ip_list" in desk.get(PROBE, access_token=classic[1])
    desk.stable()
    assert revoke() == 2
    assert desk.refused("POST", f"{desk.base}/revoke", {"access_token": "83_x"})[0] == 404


def test_a_stranger_ends_our_token_and_is_in_the_journal(desk: Desk) -> None:
    """Another program with the same secret is what the whole product is against."""
    ours = desk.token()["access_token"]
    theirs = desk.control("POST", f"{desk.base}/mint", {"mode": "classic"})["access_token"]
    desk.turn(300)
    assert desk.get(PROBE, access_token=ours)["errcode"] == 40001
    assert "ip_list" in desk.get(PROBE, access_token=theirs)
    stranger = next(iter(desk.journal.read(path="/cgi-bin/token", after=1)))
    assert (stranger.ip, stranger.issued) == ("198.51.100.7", theirs)


def test_a_stranger_of_a_stable_account_forces_unless_told_not_to(desk: Desk) -> None:
    """In normal mode he would only share the token."""
    first = desk.stable()["access_token"]
    shared = desk.control("POST", f"{desk.base}/mint", {"mode": "stable", "force_refresh": False})
    assert shared["access_token"] == first
    assert desk.control("POST", f"{desk.base}/mint", {"mode": "stable"})["access_token"] != first


def test_a_stranger_comes_from_an_address_that_is_allowed_or_said(desk: Desk) -> None:
    """He holds the secret, so his machine is on the list as a rule."""
    desk.control("PATCH", desk.base, {"allow_list": ["203.0.113.9"]})
    assert "access_token" in desk.control("POST", f"{desk.base}/mint")
    assert desk.control("POST", f"{desk.base}/mint", {"ip": "203.0.113.8"})["errcode"] == 40164


def test_a_new_address_waits_for_the_administrator(desk: Desk) -> None:
    """What he says is said here."""
    desk.control("PATCH", "/switches", {"new_ip_check": True})
    desk.control("PUT", "/client-ip", {"ip": "203.0.113.9"})
    assert [desk.token()["errcode"] for _ in range(2)] == [89503, 89501]
    asked: dict[str, Any] = {"ip": "203.0.113.9", "agreed": None, "refused_at": []}
    assert desk.control("GET", f"{desk.base}/addresses") == {"addresses": [asked]}
    desk.control("PUT", f"{desk.base}/addresses/203.0.113.9", {"agreed": False})
    assert desk.token()["errcode"] == 89507
    desk.control("PUT", f"{desk.base}/addresses/203.0.113.9", {"agreed": True})
    assert "access_token" in desk.token()
    for ip, body in (("nowhere", {"agreed": True}), ("203.0.113.9", {})):
        assert desk.refused("PUT", f"{desk.base}/addresses/{ip}", body)[0] == 400


# Followers and templates.


def test_followers_come_leave_and_come_back(desk: Desk) -> None:
    """Each change shows in the calls of the platform."""
    made = desk.control("POST", f"{desk.base}/followers", {"nickname": "阿强", "openid": "o1", "unionid": "u1"})
    assert (made["nickname"], made["subscribe_time"]) == ("阿强", int(START))
    assert desk.refused("POST", f"{desk.base}/followers", {"nickname": "阿强", "openid": "o1"})[0] == 400
    desk.control("DELETE", f"{desk.base}/followers/o1")
    token = desk.token()["access_token"]
    info = desk.get("/cgi-bin/user/info", access_token=token, openid="o1")
    assert info == {"subscribe": 0, "openid": "o1", "unionid": "u1"}
    desk.control("POST", f"{desk.base}/followers", {"nickname": "阿强", "openid": "o1"})
    assert desk.get("/cgi-bin/user/info", access_token=token, openid="o1")["subscribe"] == 1
    assert len(desk.control("GET", f"{desk.base}/followers")["followers"]) == 3
    assert desk.refused("DELETE", f"{desk.base}/followers/nobody")[0] == 404
    assert desk.refused("POST", f"{desk.base}/followers", {})[0] == 400


def test_a_test_account_has_a_hundred_followers_at_most(desk: Desk) -> None:
    """By any way in; who left makes room. The cap is a switch, and other accounts have none."""
    for number in range(98):
        desk.control("POST", f"{desk.base}/followers", {"nickname": str(number), "openid": f"o{number}"})
    for route in ("followers", "scan"):
        assert desk.refused("POST", f"{desk.base}/{route}", {"nickname": "x"})[0] == 400
    full = desk.ask("POST", f"/sandbox/q/{desk.appid}", data={"nickname": "x"}, headers={"accept-language": "en"})
    assert (full.status_code, "Nobody else may follow" in full.text) == (409, True)
    desk.control("DELETE", f"{desk.base}/followers/o1")
    desk.control("POST", f"{desk.base}/scan", {"nickname": "x"})
    assert desk.refused("POST", f"{desk.base}/scan", {"openid": "o1"})[0] == 400
    desk.control("POST", f"{desk.base}/scan", {"openid": "o2"})
    desk.control("PATCH", "/switches", {"test_account_followers": None})
    desk.control("POST", f"{desk.base}/scan", {"openid": "o1"})
    assert desk.control("GET", desk.base)["followers"] == 101


def test_templates_come_and_go(desk: Desk) -> None:
    """A program may have template ids written down too."""
    desk.control("POST", f"{desk.base}/templates", {"title": "t", "content": "{{a.DATA}}", "template_id": "T1"})
    assert [shown["template_id"] for shown in desk.control("GET", f"{desk.base}/templates")["templates"]][1:] == ["T1"]
    desk.control("DELETE", f"{desk.base}/templates/T1")
    assert desk.refused("DELETE", f"{desk.base}/templates/T1")[0] == 404


# Clock, faults, switches, journal, reset.


def test_the_clock_turns_forward_runs_faster_and_stops(desk: Desk) -> None:
    """Never back: tokens would be dated later than now."""
    assert desk.control("PATCH", "/clock", {"forward": 90, "speed": 60}) == {"now": START + 90, "speed": 60}
    desk.real += 10
    assert desk.control("GET", "/clock")["now"] == START + 690
    desk.control("PATCH", "/clock", {"speed": 0})
    desk.real += 10
    assert desk.control("GET", "/clock")["now"] == START + 690
    for body in ({"forward": -1}, {"forward": 1e300}, {"speed": -1}, {"speed": 1e9}, {"now": 5}, {"forward": "1"}):
        assert desk.refused("PATCH", "/clock", body)[0] == 400
    assert desk.control("GET", "/clock") == {"now": START + 690, "speed": 0}


def test_an_errcode_fault_is_told_instead_of_acting(desk: Desk) -> None:
    """Its text is the platform's, filled in, unless another is given."""
    desk.control("POST", "/faults", {"path": "/cgi-bin/token", "errcode": 40164, "times": 1})
    desk.control("POST", "/faults", {"path": "/cgi-bin/token", "errcode": 50007, "errmsg": "{frozen}", "times": 1})
    assert desk.token()["errmsg"].startswith("invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ")
    assert desk.token()["errmsg"].startswith("{frozen} rid: ")
    assert desk.account.classic.made == 0
    assert "access_token" in desk.token()
    assert desk.control("GET", "/faults") == {"faults": []}


def test_a_fault_meets_calls_of_its_path_and_its_account_only(desk: Desk) -> None:
    """So one broken account stands among well ones."""
    other = desk.control("POST", "/accounts")
    made = desk.control("POST", "/faults", {"path": "/cgi-bin/*token", "appid": other["appid"], "errcode": -1})
    assert "access_token" in desk.token()
    assert "access_token" in desk.stable()
    desk.appid, desk.secret = other["appid"], other["secret"]
    assert (desk.token()["errcode"], desk.stable()["errcode"]) == (-1, -1)
    desk.control("DELETE", f"/faults/{made['id']}")
    assert desk.refused("DELETE", f"/faults/{made['id']}")[0] == 404
    assert "access_token" in desk.token()


def test_faults_are_drawn_alike_from_the_same_seed(desk: Desk) -> None:
    """What fails once in ten can be replayed."""

    def story(desk: Desk) -> list[int]:
        desk.control("DELETE", "/faults")
        desk.control("POST", "/faults", {"path": "/nowhere", "errcode": -1, "probability": 0.5})
        return [desk.get("/nowhere")["errcode"] for _ in range(30)]

    first = story(desk)
    assert {-1, 40066} == set(first)
    assert story(desk) == first == story(Desk())


def test_a_page_of_a_gateway_is_no_json(desk: Desk) -> None:
    """What stands before the platform answers for it at times."""
    desk.control("POST", "/faults", {"path": "/cgi-bin/token", "status": 503, "times": 1})
    desk.control("POST", "/faults", {"path": "/cgi-bin/token", "answer": "page", "acts": True})
    answer = desk.ask("GET", "/cgi-bin/token", params=desk.credentials)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")
    assert ("503 Service Unavailable" in answer.text, desk.account.classic.made) == (True, 0)
    assert desk.ask("GET", "/cgi-bin/token", params=desk.credentials).status_code == 502
    assert desk.account.classic.made == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": "*", "answer": "x"},
        {"path": "*", "answer": "drop", "errcode": 5},
        {"path": "*", "answer": "errcode"},
        {"path": "*", "errcode": 0},
        {"path": "*", "errmsg": "x"},
        {"path": "*", "answer": "cut", "acts": False},
        {"path": "*", "latency": -1},
        {"path": "*", "latency": 1e9},
        {"path": "*", "times": 0},
        {"path": "*", "probability": 0},
        {"path": "*", "probability": 1.5},
        {"path": "*", "status": 99},
        {"path": "*", "id": 5},
    ],
)
def test_a_fault_that_cannot_be_is_refused(desk: Desk, body: Any) -> None:
    """A fault that silently did nothing would make a test pass for nothing."""
    assert desk.refused("POST", "/faults", body)[0] == 400
    assert desk.control("GET", "/faults") == {"faults": []}


def test_the_journal_tells_of_every_call_what_was_asked_done_and_told(desk: Desk) -> None:
    """A test judges by it, so it must hold the truth and not what the caller believes."""
    issued = desk.stable(force_refresh=True)["access_token"]
    desk.get(PROBE, access_token=issued)
    desk.control("POST", "/faults", {"path": PROBE, "answer": "garbage", "acts": False})
    desk.ask("GET", PROBE, params={"access_token": issued})
    minted, probed, broken = desk.control("GET", "/journal")["calls"]
    assert minted == {
        "id": 1,
        "at": START,
        "acted_at": START,
        "ip": "127.0.0.1",
        "method": "POST",
        "path": "/cgi-bin/stable_token",
        "appid": desk.appid,
        "access_token": None,
        "force_refresh": True,
        "issued": issued,
        "expires_in": 7200,
        "errcode": 0,
        "answer": "whole",
        "fault": None,
    }
    assert (probed["access_token"], probed["appid"], probed["errcode"]) == (issued, desk.appid, 0)
    assert (broken["acted_at"], broken["errcode"], broken["answer"], broken["fault"]) == (None, None, "garbage", 1)


def test_the_journal_is_read_from_where_one_left_off(desk: Desk) -> None:
    """By id, account and path; and it says what it no longer remembers."""
    for path in ("/a", "/b", "/a"):
        desk.get(path)
    desk.token()
    read = desk.control("GET", "/journal?after=1&limit=2")
    assert ([call["id"] for call in read["calls"]], read["more"], read["last"]) == ([2, 3], True, 4)
    assert [call["id"] for call in desk.control("GET", "/journal?path=/a")["calls"]] == [1, 3]
    assert [call["id"] for call in desk.control("GET", f"/journal?appid={desk.appid}")["calls"]] == [4]
    for _ in range(50):
        desk.get("/c")
    assert desk.control("GET", "/journal?after=1")["forgotten"] == 3
    desk.control("DELETE", "/journal")
    assert desk.control("GET", "/journal?after=54") == {"calls": [], "more": False, "last": 54, "forgotten": 0}
    for query in ("after=x", "limit=-1", "after=" + "9" * 99):
        assert desk.refused("GET", f"/journal?{query}")[0] == 400


def test_a_switch_changes_the_reading_of_a_doubt(desk: Desk) -> None:
    """Both readings can be tried against a program."""
    before = desk.control("GET", "/switches")
    assert desk.get(PROBE, access_token="83_nobodys")["errcode"] == 40001
    after = desk.control("PATCH", "/switches", {"unknown_token": "40014"})
    assert after == before | {"unknown_token": "40014"}
    assert desk.get(PROBE, access_token="83_nobodys")["errcode"] == 40014
    for body in ({"unknown_token": 40014}, {"no_such": 1}, {"nicknames_shown": 1}, {"minute_quota_errcode": 1}):
        assert desk.refused("PATCH", "/switches", body)[0] == 400


def test_a_reset_is_the_first_day_again(desk: Desk) -> None:
    """One sandbox serves many tests; ids of the journal go on, so that no follower of it misses a call."""
    desk.token()
    desk.turn(500)
    desk.control("POST", "/accounts")
    desk.control("POST", "/faults", {"path": "*", "errcode": -1})
    desk.control("PATCH", "/switches", {"nicknames_shown": True})
    desk.control("PUT", "/client-ip", {"ip": "1.2.3.4"})
    accounts = desk.control("POST", "/reset")["accounts"]
    assert [(account["profile"], account["followers"], account["templates"]) for account in accounts] == [
        ("test", 2, 1)
    ]
    assert desk.control("GET", "/clock") == {"now": START, "speed": 1}
    assert desk.control("GET", "/faults") == {"faults": []}
    assert desk.control("GET", "/client-ip") == {"ip": None}
    assert not desk.control("GET", "/switches")["nicknames_shown"]
    assert desk.control("GET", "/journal")["last"] == 1


@pytest.mark.parametrize(
    ("method", "route", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/clock", 405),
        ("GET", "/accounts/wxno/tokens", 404),
        ("PUT", "/client-ip", 400),
    ],
)
def test_a_control_request_that_cannot_be_is_answered_in_json(desk: Desk, method: str, route: str, status: int) -> None:
    """Programs drive this API."""
    assert desk.refused(method, route)[0] == status


def test_a_control_body_that_is_no_json_is_named_so(desk: Desk) -> None:
    """A quoting mistake in a shell is the usual cause."""
    answer = desk.ask("PATCH", "/sandbox/v1/clock", content="{forward: 5}")
    assert (answer.status_code, "not JSON" in answer.json()["error"]) == (400, True)


def test_whatever_may_have_changed_the_world_is_noted_and_a_look_is_not(desk: Desk) -> None:
    """By that the world is saved."""
    desk.control("GET", "/accounts")
    desk.ask("GET", "/sandbox/")
    assert desk.changes == 0
    desk.token()
    desk.control("POST", f"{desk.base}/freeze")
    assert desk.changes == 2
