"""What a hub answered: read without trust, and every refusal of it can be told in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.client.answers import Given, Question, Refused, Troubled, Unchanged, read_answer
from zhongkong.client.source import Credential
from zhongkong.errors import CredentialUnavailable, Value
from zhongkong.messages import LANGUAGES, render
from zhongkong.wechat.advice import explain_error

ASKED = Question("https://hub.test", "wx1", "access_token")
BODY = {
    "appid": "wx1",
    "kind": "access_token",
    "access_token": "83_abc",
    "expires_in": 5400,
    "expires_at": 1_800_005_400,
    "refresh_in": 57,
    "generation": 17,
}
PROBLEM = {"content-type": "application/problem+json"}
VALUES: dict[str, Value] = {"hub": "https://hub.test", "why": "?", "said": "?", "to": "?"}

members = st.dictionaries(
    st.sampled_from([*BODY, "code", "cause", "errcode", "errmsg", "rid", "outcome", "stale", "doubtful", "address"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers())),
)


def read(body: object, status: int = 200, headers: dict[str, str] | None = None) -> object:
    """Return what an answer with this JSON means."""
    return read_answer(ASKED, status, headers or {}, json.dumps(body).encode())


def test_a_credential_is_read_with_its_marks() -> None:
    """Everything that a program is promised comes from here."""
    answer = read({**BODY, "stale": True}, headers={"etag": 'W/"17.5c1d9ab3"'})
    expected = Credential("wx1", "access_token", "83_abc", 17, 5400, 57, stale=True)
    assert answer == Given(expected, 'W/"17.5c1d9ab3"')


@pytest.mark.parametrize(
    "wrong",
    [
        {"appid": "wx2"},
        {"access_token": ""},
        {"access_token": "83_\nSet-Cookie: x"},
        {"access_token": "x" * 2049},
        {"access_token": None},
        {"generation": "17"},
        {"generation": True},
        {"expires_in": 5400.5},
        {"refresh_in": None},
        {"outcome": "perhaps"},
        {"generation": 0},
        {"generation": 10**30},
        {"expires_in": 10**400},
        {"refresh_in": 10**9},
    ],
)
def test_what_is_not_whole_is_no_credential(wrong: dict[str, Any]) -> None:
    """Half an answer is another program's, or a proxy's."""
    assert read({**BODY, **wrong}) == Troubled("hub_not_understood", {"hub": ASKED.hub, "said": "HTTP 200"})


def test_an_etag_that_could_carry_a_header_is_not_kept() -> None:
    """It is sent back as it came."""
    answer = read(BODY, headers={"etag": '"a\r\nX: 1"'})
    assert isinstance(answer, Given)
    assert answer.etag == ""


@pytest.mark.parametrize(("header", "seconds"), [("private, max-age=42", 42), ("no-store", None), ("", None)])
def test_no_news_says_when_to_ask_again(header: str, seconds: int | None) -> None:
    """The rhythm is the hub's to set, also while nothing changes."""
    asked = Question("https://hub.test", "wx1", "access_token", 'W/"17.5c1d9ab3"')
    assert read_answer(asked, 304, {"cache-control": header}, b"") == Unchanged(seconds)


def test_a_redirect_is_told_without_what_its_address_holds() -> None:
    """A login page's address may hold the whole request."""
    answer = read({}, 302, {"location": "https://user:word@sso.test:8443/login?token=secret#x"})
    assert answer == Troubled("hub_redirects", {"hub": ASKED.hub, "to": "https://sso.test"})


@given(st.integers(200, 599), st.sampled_from([{}, PROBLEM]), st.one_of(st.binary(), members.map(json.dumps)))
def test_no_answer_whatever_is_in_it_raises(status: int, headers: dict[str, str], body: bytes | str) -> None:
    """It comes from a network."""
    raw = body if isinstance(body, bytes) else body.encode()
    assert isinstance(read_answer(ASKED, status, headers, raw), Given | Refused | Troubled)


@given(st.sampled_from([400, 401, 403, 404, 409, 429, 500, 503]), members)
def test_every_refusal_can_be_told(status: int, problem: dict[str, Any]) -> None:
    """A text with a hole in it, on the day when it is needed, is a second failure."""
    answer = read({**problem, "code": problem.get("code") or "credential_unavailable"}, status, PROBLEM)
    if isinstance(answer, Refused):
        assert all(explain_error(answer.error, lang) for lang in LANGUAGES)


@pytest.mark.parametrize(
    "code",
    ["key_missing", "key_unknown", "key_expired", "key_not_from_here", "grant_missing", "account_not_granted"],
)
def test_each_denial_of_a_hub_has_its_text_even_without_its_values(code: str) -> None:
    """A proxy may have taken them out."""
    answer = read({"code": code}, 403, PROBLEM)
    assert isinstance(answer, Refused)
    assert answer.error.code == code
    assert all(explain_error(answer.error, lang) for lang in LANGUAGES)


@pytest.mark.parametrize("cause", ["unreachable", "tls", "redirects", "not_understood", "troubled", "slow", "says"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_trouble_with_a_hub_is_told_with_its_url(cause: str, lang: Any) -> None:
    """Who must act finds where."""
    error = CredentialUnavailable("wx1", "access_token", f"hub_{cause}", retry_after=1.0, **dict[str, Any](VALUES))
    assert "https://hub.test" in explain_error(error, lang)
    assert render(f"trouble_hub_{cause}", lang, **VALUES)


def test_what_looks_like_a_secret_is_not_repeated() -> None:
    """A hub cleans what the platform says; what stands in between may not."""
    said = {"code": "credential_unavailable", "cause": "blocked", "errcode": 40125, "errmsg": "bad " + "s3cr3t" * 8}
    answer = read(said, 503, PROBLEM)
    assert isinstance(answer, Refused)
    assert "s3cr3t" not in str(answer.error)
