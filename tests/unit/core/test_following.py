"""What another hub answers, read without trust; and which fields of an account go with its mode."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import SANDBOX, SLOT, build_account
from zhongkong.core.following import (
    CALLER_LONGEST,
    GENERATION_HIGHEST,
    build_etag,
    build_reject,
    find_unfit,
    parse_read,
    parse_rejected,
    path_of,
)
from zhongkong.core.model import Ambiguous, HandedOn, Kind, Mode, Secret, Trouble, Withheld
from zhongkong.hub.api.credentials import is_held, latest_generation
from zhongkong.wechat.answers import BODY_LONGEST
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = SLOT.appid
KEY = Secret("zk_abcdefgh_" + "0" * 43)
HUB = "https://hub.internal:8600"
GOOD: dict[str, Any] = {
    "appid": APPID,
    "kind": "access_token",
    "access_token": "83_token",
    "expires_in": 5399,
    "expires_at": 1_800_005_400,
    "refresh_in": 57,
    "generation": 17,
}
PROBLEM: dict[str, Any] = {"type": "/docs", "title": "t", "detail": "d", "code": "credential_unavailable"}


def read(status: int = 200, retry_after: str = "", **changed: Any) -> HandedOn | Withheld | Ambiguous:
    """Return what an answer means: a good one, changed."""
    body = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return parse_read(APPID, Kind.ACCESS_TOKEN, status, json.dumps(body).encode(), retry_after)


def refused(status: int = 503, retry_after: str = "", **members: Any) -> HandedOn | Withheld | Ambiguous:
    """Return what a problem document means."""
    return parse_read(APPID, Kind.ACCESS_TOKEN, status, json.dumps({**PROBLEM, **members}).encode(), retry_after)


# --- read


def test_a_credential_comes_with_its_promise_and_when_to_ask_again() -> None:
    """The leader's own spans: what is told of its clock is not looked at."""
    assert read() == HandedOn("83_token", 5399, 57, 17)
    assert read(later="a member that a newer hub adds") == read()
    assert read(expires_at="never") == read()


def test_marks_come_along_and_nothing_is_promised_of_a_doubtful_one() -> None:
    """Only true is a mark."""
    assert read(stale=True) == HandedOn("83_token", 5399, 57, 17, stale=True)
    assert read(doubtful=True, expires_in=0) == HandedOn("83_token", 0, 57, 17, doubtful=True)
    assert read(doubtful=True) == HandedOn("83_token", 0, 57, 17, doubtful=True)
    assert read(doubtful="yes", stale=1) == read()


def test_one_at_its_end_is_none() -> None:
    """The leader replaces it this very second: nothing could be done with it here."""
    assert read(expires_in=0) == Withheld(Trouble("leader_unwell", errmsg="refreshing"), 1.0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"appid": "wxfedcba9876543210"}, "another_account"),
        ({"appid": None}, "another_account"),
        ({"kind": "jsapi_ticket"}, "another_account"),
        ({"access_token": None}, "token_malformed"),
        ({"access_token": ""}, "token_malformed"),
        ({"access_token": "two words"}, "token_malformed"),
        ({"access_token": 83}, "token_malformed"),
        ({"access_token": "x" * 2049}, "token_malformed"),
        ({"expires_in": "5399"}, "promise_malformed"),
        ({"expires_in": 5399.5}, "promise_malformed"),
        ({"expires_in": True}, "promise_malformed"),
        ({"expires_in": -1}, "promise_malformed"),
        ({"expires_in": 86_401}, "promise_malformed"),
        ({"refresh_in": 0}, "promise_malformed"),
        ({"refresh_in": None}, "promise_malformed"),
        ({"generation": None}, "promise_malformed"),
        ({"generation": 0}, "promise_malformed"),
    ],
)
def test_what_is_not_wholly_a_hubs_answer_is_none(changed: dict[str, Any], why: str) -> None:
    """Half of a promise is no promise, and another account's token is worse than none."""
    assert read(**changed) == Ambiguous(why)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"<html>Welcome to the hotel</html>", "not_json"),
        (200, b"", "not_json"),
        (200, b'{"appid":"a","appid":"b"}', "not_json"),
        (200, b"[]", "not_an_object"),
        (200, b" " * (BODY_LONGEST + 1), "too_long"),
        (204, b"", "status_204"),
        (206, json.dumps(GOOD).encode(), "status_206"),
        (301, b"", "status_301"),
        (304, b"", "status_304"),
        (401, b"Unauthorized", "status_401"),
        (404, b'{"errcode":-1,"errmsg":"system error"}', "status_404"),
        (502, b"<html>Bad Gateway</html>", "status_502"),
        (503, b'{"code":503}', "status_503"),
        (503, b'{"code":"Not a code"}', "status_503"),
    ],
)
def test_what_stands_between_us_and_the_leader_is_no_answer_of_it(status: int, body: bytes, why: str) -> None:
    """A proxy's page says nothing about key, account or token."""
    assert parse_read(APPID, Kind.ACCESS_TOKEN, status, body) == Ambiguous(why)


@given(st.integers(100, 599), st.binary(max_size=300), st.text(max_size=20))
def test_no_answer_raises(status: int, body: bytes, retry_after: str) -> None:
    """Whatever is there."""
    parse_read(APPID, Kind.ACCESS_TOKEN, status, body, retry_after)
    parse_rejected(APPID, status, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]),
    st.dictionaries(st.sampled_from([*GOOD, *PROBLEM, "cause", "errcode", "errmsg", "rid", "outcome"]), json_values),
)
def test_no_members_of_an_answer_raise(status: int, members: dict[str, Any]) -> None:
    """Each may be anything."""
    for base in ({}, GOOD, PROBLEM):
        body = json.dumps({**base, **members}).encode()
        parse_read(APPID, Kind.ACCESS_TOKEN, status, body, "1")
        parse_rejected(APPID, status, body)


# --- problems


@pytest.mark.parametrize(
    ("status", "members", "state", "errmsg"),
    [
        (401, {"code": "key_unknown"}, "leader_key", "key_unknown"),
        (401, {"code": "key_expired"}, "leader_key", "key_expired"),
        (403, {"code": "grant_missing", "grant": "read"}, "leader_key", "grant_missing read"),
        (403, {"code": "account_not_granted", "appid": APPID}, "leader_key", "account_not_granted"),
        (403, {"code": "key_not_from_here", "address": "10.0.0.7"}, "leader_key", "key_not_from_here 10.0.0.7"),
        (404, {"code": "account_unknown"}, "leader_account", "account_unknown"),
        (404, {"code": "route_unknown"}, "leader_unwell", "route_unknown"),
        (429, {"code": "key_too_often"}, "leader_unwell", "key_too_often"),
        (500, {"code": "internal_error"}, "leader_unwell", "internal_error"),
        (503, {"code": "store_unavailable"}, "leader_unwell", "store_unavailable"),
        (503, {"cause": "refreshing"}, "leader_unwell", "refreshing"),
        (503, {"cause": "unreachable", "errmsg": "name_unknown"}, "leader_unwell", "unreachable name_unknown"),
        (429, {"cause": "budget"}, "leader_unwell", "budget"),
        (503, {"cause": "leader_key", "errmsg": "key_unknown"}, "leader_unwell", "leader_key key_unknown"),
        (
            503,
            {"cause": "leader_unwell", "errmsg": "leader_key key_unknown"},
            "leader_unwell",
            "leader_key key_unknown",
        ),
    ],
)
def test_a_leaders_problem_is_ours_in_its_own_words(
    status: int, members: dict[str, Any], state: str, errmsg: str
) -> None:
    """Who must act follows from the status and the code; the rest is for people."""
    problem = refused(status, **members)
    assert isinstance(problem, Withheld)
    assert problem.trouble == Trouble(state, errmsg=errmsg)


@pytest.mark.parametrize(
    ("cause", "state"), [("blocked", "blocked"), ("quota", "quota"), ("refused", "refused"), ("contested", "refused")]
)
def test_what_the_platform_said_to_the_leader_is_passed_on_whole(cause: str, state: str) -> None:
    """Code, words and rid: whoever mends it needs them."""
    spoke = {"cause": cause, "errcode": 40164, "errmsg": "invalid ip 10.1.2.3", "rid": "6720ea21-0dc53ebd-5bdb45c7"}
    trouble = Trouble(state, 40164, "invalid ip 10.1.2.3", "6720ea21-0dc53ebd-5bdb45c7")
    assert refused(503, "299", **spoke) == Withheld(trouble, 299.0)


@pytest.mark.parametrize(
    ("header", "wait"),
    [("1", 1.0), ("299", 299.0), ("", None), ("soon", None), ("-1", None), ("1.5", None), ("9999999", None)],
)
def test_how_long_to_wait_is_the_leaders_to_say(header: str, wait: float | None) -> None:
    """In whole seconds, as hubs say it; a date or a joke is as if nothing was said."""
    problem = refused(503, header, cause="refreshing")
    assert isinstance(problem, Withheld)
    assert problem.retry_after == wait


def test_no_secret_comes_in_by_a_problem() -> None:
    """A leader that repeats a key or a token in its words is not repeated."""
    problem = refused(503, cause="refreshing", errmsg=f"what about {KEY.reveal()} and {'t' * 140}?")
    assert isinstance(problem, Withheld)
    assert KEY.reveal() not in problem.trouble.errmsg
    assert "ttt" not in problem.trouble.errmsg


# --- what is sent


@given(st.integers(1, GENERATION_HIGHEST))
def test_the_etag_that_is_sent_names_a_generation_and_fits_none_that_is_kept(generation: int) -> None:
    """So the leader hands out nothing earlier, and never says 304: its promise is wanted anew."""
    etag = build_etag(generation)
    assert latest_generation(etag) == generation
    assert not is_held(f'W/"{generation}.5c1d9ab3"', etag)


def test_a_reject_names_the_hash_and_the_caller() -> None:
    """Never the token; and a caller of a caller of a caller is cut, not refused."""
    assert json.loads(build_reject("ab" * 32, "")) == {"rejected_sha256": "ab" * 32}
    told = json.loads(build_reject("ab" * 32, "key " * 100))
    assert told["caller"] == ("key " * 100)[:CALLER_LONGEST]


def test_an_appid_stays_in_its_place_in_the_path() -> None:
    """Whatever somebody declared as one."""
    path = path_of("/v1/accounts/{appid}/{kind}", "a/../b?c", Kind.JSAPI_TICKET)
    assert path == "/v1/accounts/a%2F..%2Fb%3Fc/jsapi_ticket"


# --- rejected


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("still_valid", ProbeVerdict.ALIVE),
        ("refreshed", ProbeVerdict.DEAD),
        ("already_newer", ProbeVerdict.DEAD),
        ("perhaps", ProbeVerdict.UNKNOWN),
        (None, ProbeVerdict.UNKNOWN),
    ],
)
def test_the_leaders_outcome_is_the_verdict(outcome: str | None, verdict: ProbeVerdict) -> None:
    """With the generation that it has now."""
    body = json.dumps({**GOOD, "outcome": outcome}).encode()
    assert parse_rejected(APPID, 200, body) == (verdict, 17)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, json.dumps({**PROBLEM, "outcome": "refreshed", "appid": APPID}).encode()),
        (200, json.dumps({**GOOD, "appid": "wxfedcba9876543210", "outcome": "refreshed"}).encode()),
        (200, b"<html></html>"),
        (401, b""),
    ],
)
def test_who_cannot_say_proves_nothing(status: int, body: bytes) -> None:
    """Nothing is condemned on a proxy's word, or on another account's."""
    assert parse_rejected(APPID, status, body) == (ProbeVerdict.UNKNOWN, 0)


# --- accounts


@pytest.mark.parametrize(
    ("account", "field"),
    [
        (build_account(Mode.STABLE), ""),
        (build_account(Mode.CLASSIC, base_url=SANDBOX), ""),
        (replace(build_account(Mode.FOLLOW, base_url=HUB), secret=KEY), ""),
        (replace(build_account(Mode.FOLLOW), secret=KEY), "base_url"),
        (build_account(Mode.FOLLOW), "base_url"),
        (build_account(Mode.FOLLOW, base_url=HUB), "secret"),
        (replace(build_account(Mode.STABLE), secret=KEY), "secret"),
        (replace(build_account(Mode.STABLE, base_url=HUB), secret=KEY), ""),
        (build_account(Mode.CLASSIC, on_contest=Mode.FOLLOW), "on_contest"),
    ],
)
def test_which_field_does_not_go_with_the_mode(account: Any, field: str) -> None:
    """A hub that stands where the platform does may be asked with a key by the platform's own calls."""
    assert find_unfit(account) == field
