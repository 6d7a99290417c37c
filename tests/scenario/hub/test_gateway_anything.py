"""Whatever is asked: an answer comes, nothing of the account's is in it, and only its platform is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.scenario.hub.house import APPID, SECRET
from tests.scenario.hub.through import Answer, Raw, Through

PARTS = ("cgi-bin", "user", "get", "token", "stable_token", "sns", "jscode2session", "userinfo", "showqrcode", "ticket")
ODD = (
    "..",
    ".",
    "",
    "%2e%2e",
    "\\",
    "@evil.example",
    "http:",
    "a b",
    "中",
    "x;y",
    "\0",
    "qyapi",
    "component",
    "clear_quota",
)
paths = st.lists(st.sampled_from((*PARTS, *PARTS, *ODD, "getticket", "v2", "oauth2", "access_token")), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
NAMES = (
    b"access_token",
    b"%61ccess_token",
    b"Access_Token",
    b"appid",
    b"secret",
    b"appsecret",
    b"grant_type",
    b"x",
    b"",
)
VALUES = (
    b"VIRTUAL",
    b"VIRTUAL",
    b"KEY",
    b"APPID",
    b"client_credential",
    b"zkt_",
    b"83_x",
    b"\xe4\xb8\xad",
    b"#",
    b"",
    b"a=b",
)
pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5).map(
    lambda found: b"&".join(b"=".join(pair) for pair in found)
)
HEADERS = (
    (b"authorization", b"Bearer KEY"),
    (b"authorization", b"Basic x"),
    (b"host", b"evil.example"),
    (b"connection", b"x-a, close"),
    (b"x-a", b"\xff\xfe"),
    (b"x-forwarded-for", b"10.0.0.1, nonsense"),
    (b"transfer-encoding", b"chunked"),
    (b"content-length", b"5"),
    (b"content-length", b"\xb2"),
    (b"content-type", b"application/json"),
)
answers = st.sampled_from(
    (
        Answer([b'{"errcode":0}']),
        Answer([b"\xff\xd8", b"x" * 70_000], 200, [(b"content-type", b"image/jpeg")]),
        Answer([b'{"access', b'_token":"REAL","u":"access_token=REAL"}'], 200, []),
        Answer([b""], 302, [(b"Location", b"http://evil.example/?access_token=REAL")]),
        Answer([b"{"] * 9, 500),
    )
)


@pytest.fixture(scope="module")
def house() -> Iterator[Through]:
    """One hub for all that is tried."""
    house = Through()
    yield house
    house.close()


def fill(text: bytes, house: Through, virtual: str) -> bytes:
    """Return the text with what this hub and this key know."""
    for name, value in ((b"VIRTUAL", virtual), (b"KEY", house.text), (b"APPID", APPID)):
        text = text.replace(name, value.encode())
    return text


@settings(max_examples=500)
@example("GET", "/cgi-bin/showqrcode", b"access_token=VIRTUAL&x=", [], b"", Answer([b"x"]))
@example("GET", "/sns/userinfo", b"access_token=VIRTUAL", [(b"authorization", b"Bearer KEY")], b"", Answer([b"{}"]))
@given(
    st.sampled_from(("GET", "POST", "HEAD", "DELETE")),
    paths,
    pairs,
    st.lists(st.sampled_from(HEADERS), max_size=4),
    pairs,
    answers,
)
def test_whatever_is_asked(
    house: Through,
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    answer: Answer,
) -> None:
    """By whoever, in whatever shape."""
    virtual, real = house.virtual(), house.token()
    house.line.calls.clear()
    pieces = [
        piece.replace(b"REAL", real.encode())
        for piece in answer.pieces
        if isinstance(piece, bytes) and method != "HEAD"
    ]
    back = [(name, value.replace(b"REAL", real.encode())) for name, value in answer.headers]
    house.line.answers = [Answer(pieces, answer.status, back)]
    headers = [(name, fill(value, house, virtual)) for name, value in headers]
    target = path + "?" + fill(query, house, virtual).decode("latin-1")
    raw = Raw(house, method, target, headers)
    raw.sends(fill(body, house, virtual))
    house.clock.turn(1)
    assert raw.task.done()
    assert raw.task.exception() is None
    assert raw.is_whole
    assert raw.status
    told = raw.body + repr(raw.headers).encode()
    assert SECRET.encode() not in told
    if any(real in call.target for call in house.line.calls):  # a platform that was not shown it cannot tell it
        assert real.encode() not in told
    else:
        assert (real.encode() in told) <= (real.encode() in b"".join(pieces) + repr(back).encode())
    assert b"internal error" not in told
    for call in house.line.calls:
        assert call.base_url == "http://sandbox.test"
        assert call.target.isascii()
        assert not set(call.target) & set(" #\r\n\0")
        assert house.text not in str(call.headers)
        assert f"ccess_token={virtual}" not in call.target.replace("Access", "")
        assert (real in call.target) <= (virtual.encode() in target.encode())
