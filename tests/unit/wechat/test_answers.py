"""Answers of the platform: granted, refused, or unreadable; nothing in between, and nothing raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.wechat.answers import (
    BODY_LONGEST,
    ERRMSG_LONGEST,
    LIFE_LONGEST,
    TOKEN_LONGEST,
    Granted,
    Refused,
    Unreadable,
    clean_errmsg,
    ip_of,
    parse_grant,
    parse_probe,
    parse_rid,
)

RID = "6899a148-5929c88a-767d57ca"
IP_ERRMSG = "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 61250a39-612fed42-36740516"


def _body(**members: object) -> bytes:
    return json.dumps(members).encode()


tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=TOKEN_LONGEST)
lives = st.integers(1, LIFE_LONGEST)
errcodes = st.integers(-(10**9), 10**9).filter(bool)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "t", "0", "40125"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)


@given(tokens, lives)
def test_a_well_formed_grant_is_granted_exactly(token: str, life: int) -> None:
    """The value goes into every later call, so it may not change by a character."""
    assert parse_grant(200, _body(access_token=token, expires_in=life)) == Granted(token, life)


@given(errcode=errcodes, as_text=st.booleans())
def test_any_errcode_but_zero_is_refused_with_that_errcode(*, errcode: int, as_text: bool) -> None:
    """One recorded answer has its errcode as a string, so both forms are read."""
    body = _body(errcode=str(errcode) if as_text else errcode, errmsg="no")
    assert parse_grant(200, body) == Refused(errcode, "no")


@given(st.integers(), st.binary())
def test_no_bytes_raise(status: int, body: bytes) -> None:
    """A bug here would be a lost answer: the token is granted and nobody keeps it."""
    assert isinstance(parse_grant(status, body), Granted | Refused | Unreadable)
    assert isinstance(parse_probe(status, body), int | None)


@given(
    st.dictionaries(st.sampled_from(["access_token", "expires_in", "errcode", "errmsg", "ip_list", "x"]), json_values)
)
def test_only_clean_answers_are_answers(members: dict[str, Any]) -> None:
    """Whatever stands where: a grant has token and life and no errcode, a refusal has an errcode and no token."""
    answer = parse_grant(200, json.dumps(members).encode())
    if isinstance(answer, Granted):
        assert members["access_token"] == answer.value
        assert type(members["expires_in"]) is int
        assert members.get("errcode", 0) in {0, "0"}
    if isinstance(answer, Refused):
        assert int(members["errcode"]) == answer.errcode != 0
        assert not members.get("access_token")


@pytest.mark.parametrize("status", [0, 201, 204, 301, 302, 400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_a_status_other_than_200_is_no_answer(status: int) -> None:
    """Errors of the platform come as HTTP 200; anything else is a proxy's, and what the platform did is unknown."""
    for body in (_body(access_token="t", expires_in=7200), _body(errcode=40125, errmsg="invalid appsecret")):
        assert parse_grant(status, body) == Unreadable(f"status_{status}")
        assert parse_probe(status, body) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not_json"),
        (b"<html>502 Bad Gateway</html>", "not_json"),
        (b'{"access_token":"t","expires_in":72', "not_json"),
        (b'{"access_token":"t","expires_in":7200}{', "not_json"),
        (b'{"access_token":"t","expires_in":7200,"x":NaN}', "not_json"),
        (b'{"access_token":"t","expires_in":Infinity}', "not_json"),
        (b'{"access_token":"t","access_token":"u","expires_in":7200}', "not_json"),
        (b'{"errcode":0,"errcode":40125}', "not_json"),
        (b"\xff\xfe{}", "not_json"),
        ('{"access_token":"t","expires_in":7200}'.encode("utf-16"), "not_json"),
        (b"[" * 60_000, "not_json"),
        (b'{"expires_in":' + b"9" * 60_000 + b"}", "not_json"),
        (b" " * (BODY_LONGEST + 1), "too_long"),
        (b"[]", "not_an_object"),
        (b'"t"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "token_missing"),
        (_body(errcode=0, errmsg="ok"), "token_missing"),
        (_body(access_token="", expires_in=7200), "token_missing"),
        (_body(access_token=None, expires_in=7200), "token_missing"),
        (_body(access_token=["t"], expires_in=7200), "token_malformed"),
        (_body(access_token="a b", expires_in=7200), "token_malformed"),
        (_body(access_token="a\r\nX: y", expires_in=7200), "token_malformed"),
        (_body(access_token="令牌", expires_in=7200), "token_malformed"),
        (_body(access_token="t" * (TOKEN_LONGEST + 1), expires_in=7200), "token_malformed"),
        (_body(access_token="t"), "expires_in_malformed"),
        (_body(access_token="t", expires_in=0), "expires_in_malformed"),
        (_body(access_token="t", expires_in=-1), "expires_in_malformed"),
        (_body(access_token="t", expires_in=LIFE_LONGEST + 1), "expires_in_malformed"),
        (_body(access_token="t", expires_in=True), "expires_in_malformed"),
        (_body(access_token="t", expires_in="7200"), "expires_in_malformed"),
        (_body(access_token="t", expires_in=7200.0), "expires_in_malformed"),
        (_body(access_token="t", expires_in=7200, errcode=None), "errcode_malformed"),
        (_body(access_token="t", expires_in=7200, errcode=False), "errcode_malformed"),
        (_body(errcode=40125.0), "errcode_malformed"),
        (_body(errcode="４０１２５"), "errcode_malformed"),
        (_body(errcode=""), "errcode_malformed"),
        (_body(access_token="t", expires_in=7200, errcode=40001), "token_and_errcode"),
    ],
)
def test_what_the_platform_never_says_is_unreadable(body: bytes, why: str) -> None:
    """Doubt is the default: an answer that could mean two things leaves the attempt open, and a probe settles it."""
    assert parse_grant(200, body) == Unreadable(why)


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"access_token":"t","expires_in":7200}',
        b'\r\n {"access_token" : "t", "expires_in" : 7200 }\n',
        _body(errcode=0, errmsg="ok", access_token="t", expires_in=7200),
        _body(errcode="0", access_token="t", expires_in=7200),
        _body(access_token="t", expires_in=7200, warning_msg="TLS", extra={"a": [1]}),
    ],
)
def test_a_grant_in_an_unusual_dress_is_still_a_grant(body: bytes) -> None:
    """To drop a token that was issued costs a generation and two minutes of doubt."""
    assert parse_grant(200, body) == Granted("t", 7200)


def test_a_refusal_with_an_empty_token_is_a_refusal() -> None:
    """Some proxies fill in every field of their answer type."""
    assert parse_grant(200, _body(errcode=40013, errmsg="invalid appid", access_token="", expires_in=0)) == Refused(
        40013, "invalid appid"
    )


@pytest.mark.parametrize("errmsg", [None, 5, ["x"], {"a": 1}])
def test_an_errmsg_that_is_no_text_does_not_hide_the_errcode(errmsg: object) -> None:
    """The errcode decides; the text is only shown."""
    assert parse_grant(200, _body(errcode=40125, errmsg=errmsg)) == Refused(40125)


def test_a_refusal_carries_the_platforms_words_and_the_rid() -> None:
    """Recorded on the live platform."""
    answer = parse_grant(200, _body(errcode=40164, errmsg=IP_ERRMSG))
    assert answer == Refused(40164, IP_ERRMSG, "61250a39-612fed42-36740516")


def test_the_rid_survives_an_errmsg_that_must_be_cut() -> None:
    """It stands at the end, where a long text is cut, and it is what support asks for."""
    answer = parse_grant(200, _body(errcode=1, errmsg=f"{'word ' * 100}rid: {RID}"))
    assert isinstance(answer, Refused)
    assert (len(answer.errmsg), answer.rid) == (ERRMSG_LONGEST, RID)


def test_a_grant_hides_its_value_from_repr() -> None:
    """Reprs end in logs and tracebacks."""
    assert "36_abc" not in repr(Granted("36_abc", 7200))


def test_why_an_answer_is_unreadable_tells_nothing_of_its_body() -> None:
    """A cut answer may hold the very token that was issued."""
    assert "36_abc" not in repr(parse_grant(200, b'{"access_token":"36_abc","expi'))


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        (f"invalid credential rid: {RID}", RID),
        (f"invalid code, rid: {RID}", RID),
        (f"hint: [dLTTea0566vr46!] rid: {RID}", RID),
        (f"rid: 00000000-00000000-00000000 rid: {RID}", RID),
        ("rid: 68aeabxx-21ea79xx-3a4424xx", ""),
        (f"grid: {RID}", ""),
        (f"rid: {RID}0", ""),
        ("system error", ""),
        ("", ""),
    ],
)
def test_the_rid_is_found_in_every_recorded_form(errmsg: str, rid: str) -> None:
    """Without it nobody can look the request up at the platform."""
    assert parse_rid(errmsg) == rid


@pytest.mark.parametrize(
    ("errmsg", "ip"),
    [
        (IP_ERRMSG, "1.2.3.4"),
        ("invalid ip 1.2.3.4, not in whitelist hint: [x]", "1.2.3.4"),
        ("invalid ip 1.2.3.4.", "1.2.3.4"),
        ("invalid ip 2408:4000::1 ipv6 2408:4000::1, not in whitelist", "2408:4000::1"),
        ("invalid ip ::ffff:1.2.3.4, not in whitelist", "1.2.3.4"),
        ("invalid ip unknown ipv6 2408:4000::1, not in whitelist", "2408:4000::1"),
        ("access clientip is not registered requestIP: 47.106.1.2 rid: x", "47.106.1.2"),
        ("access clientip is not registered requestIP: 47.106.*.* rid: x", ""),
        ("not allow to access from your ip, hint: [1], from ip: 5.6.7.8, more info at y", "5.6.7.8"),
        ("invalid ip 999.1.1.1, not in whitelist", ""),
        ("invalid appsecret", ""),
    ],
)
def test_the_address_that_the_platform_saw_is_found(errmsg: str, ip: str) -> None:
    """It is what a person must put on the allow-list; a wrong one sends him in circles."""
    assert ip_of(errmsg) == ip


@given(st.text())
def test_a_clean_errmsg_is_one_short_printable_line(text: str) -> None:
    """It is shown in logs, terminals and pages; control characters and overrides of direction would forge them."""
    line = clean_errmsg(text)
    assert len(line) <= ERRMSG_LONGEST
    assert line.isprintable()
    assert clean_errmsg(line) == line
    line.encode()


@pytest.mark.parametrize(
    "secret",
    [
        "0123456789abcdef0123456789abcdef",
        "36_" + "aB3-_" * 27,
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "30313233343536373839616263646566",
    ],
)
def test_an_errmsg_never_repeats_what_looks_like_a_secret(secret: str) -> None:
    """A proxy's error may quote the request; its words end in events and pages."""
    for text in (secret, f"bad secret={secret}&x", f"'{secret}'", f"invalid {secret}, rid: {RID}"):
        assert secret not in clean_errmsg(text)
        assert secret[:20] not in clean_errmsg(text)


@pytest.mark.parametrize(
    "errmsg",
    [
        IP_ERRMSG,
        f"could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r rid: {RID}",
        "hint: [1658286717354964018506079], more info at https://open.work.weixin.qq.com/devtool/query?e=60020",
        "api minute-quota reach limit, must slower, retry next minute rid: 5fb1e22f-15e0407f-00233e18",
    ],
)
def test_recorded_errmsgs_are_shown_as_they_came(errmsg: str) -> None:
    """What the platform really says must not be lost to caution."""
    assert clean_errmsg(errmsg) == errmsg


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (_body(ip_list=["101.89.47.18"]), 0),
        (_body(ip_list=[]), 0),
        (_body(errcode=0, errmsg="ok"), 0),
        (_body(errcode=40001, errmsg="invalid credential"), 40001),
        (_body(errcode="42001"), 42001),
        (_body(errcode=-1, errmsg="system error"), -1),
        (b"{}", None),
        (_body(ip_list="101.89.47.18"), None),
        (_body(errcode=None), None),
        (b"<html>", None),
        (b"[]", None),
    ],
)
def test_a_probe_proves_something_only_in_the_platforms_own_form(body: bytes, errcode: int | None) -> None:
    """A login page of some network answers 200 too; taken for alive it would keep a dead token in use."""
    assert parse_probe(200, body) == errcode
