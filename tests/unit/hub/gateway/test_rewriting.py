"""What is changed on a call's way, and that nothing else is."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.hub.gateway.rewriting import (
    Query,
    build_target,
    headers_to_client,
    headers_to_platform,
    read_members,
    with_member,
    without,
)

TOKEN = ("access_token",)
REAL = "83_real-Token_0123"
VIRTUAL = "zkt_virtual"
SANDBOXED = (b"content-security-policy", b"sandbox")
URL_CHARACTERS = b"abcXYZ019-._~:/?[]@!$&'()*+,;=%\"<>\\^`{|}"

raw_queries = st.one_of(
    st.binary(),
    st.text("abc=&%+;?/._-~0123456789access_token").map(str.encode),
    st.lists(
        st.sampled_from(
            [
                b"access_token=zkt_1",
                b"%61ccess_token=zkt_1",
                b"access%5Ftoken",
                b"a=b",
                b"",
                b"=",
                b"access_token=%zz",
                b"x",
            ]
        )
    ).map(b"&".join),
)


def names_of(raw: bytes) -> list[str]:
    """Return the decoded name of each part, by another library than the code's."""
    return [
        unquote_to_bytes(part.split(b"=")[0].replace(b"+", b" ")).decode("utf-8", "replace") for part in raw.split(b"&")
    ]


# --- the query


@given(raw_queries, st.text(max_size=20))
def test_only_the_credential_changes(raw: bytes, value: str) -> None:
    """Every other byte stays: what was signed, or is read in an odd way, is the caller's affair."""
    before, after = raw.split(b"&"), Query(raw).with_value(TOKEN, value).split(b"&")
    assert len(before) == len(after)
    for part, new in zip(before, after, strict=True):
        name = part.partition(b"=")[0]
        if names_of(name) == list(TOKEN):
            assert new.partition(b"=")[0] == name
            assert unquote_to_bytes(new.partition(b"=")[2]).decode() == value
        else:
            assert new == part


@given(raw_queries)
def test_what_is_shown_is_what_the_platform_would_read(raw: bytes) -> None:
    """A credential under a name in disguise is found as well, so that two never travel as one."""
    assert len(Query(raw).values(TOKEN)) == (names_of(raw).count("access_token") if raw else 0)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"", []),
        (b"access_token=a", ["a"]),
        (b"access_token=a&b=c&access_token=d", ["a", "d"]),
        (b"%61ccess_token=a&access%5ftoken=b", ["a", "b"]),
        (b"access_token=a%2Bb+c", ["a+b c"]),
        (b"access_token", [""]),
        (b"access_token=a=b", ["a=b"]),
        (b"Access_Token=a&access_token[]=b&x_access_token=c&access_token%00=d", []),
    ],
)
def test_credentials_are_found_by_their_decoded_name(raw: bytes, values: list[str]) -> None:
    """As often as they are there, in their order."""
    assert Query(raw).values(TOKEN) == values


@given(st.text("ab&=+ %中\r\n#?/", max_size=12))
def test_what_is_put_in_cannot_break_out(value: str) -> None:
    """A token of odd characters stays one parameter's value."""
    written = Query(b"a=1&access_token=x&b=2").with_value(TOKEN, value)
    assert parse_qsl(written.decode(), keep_blank_values=True, strict_parsing=True) == [
        ("a", "1"),
        ("access_token", value),
        ("b", "2"),
    ]


@given(st.binary(min_size=1))
def test_a_target_is_one_word_of_ascii(query: bytes) -> None:
    """No byte of it ends the request line, or is taken for a fragment and lost; what a URL may hold stays as it is."""
    path, _, written = build_target("/cgi-bin/x", query).partition("?")
    assert path == "/cgi-bin/x"
    assert written.isascii()
    assert written.isprintable()
    assert not set(written) & set(" #")
    assert unquote_to_bytes(written) == unquote_to_bytes(query)
    if set(query) <= set(URL_CHARACTERS):
        assert written == query.decode()


def test_a_target_without_a_query_has_no_question_mark() -> None:
    """As it came."""
    assert build_target("/cgi-bin/x", b"") == "/cgi-bin/x"


# --- headers


def test_headers_go_on_as_they_are_in_their_order() -> None:
    """Also those that stand twice."""
    headers = [(b"x-a", b"1"), (b"user-agent", b"sdk/1"), (b"x-a", b"2"), (b"content-type", b"text/xml; charset=GBK")]
    assert headers_to_platform(headers) == [
        *((name.decode(), value.decode()) for name, value in headers),
        ("Accept-Encoding", "identity"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-authorization"),
        *(b"host", b"content-length", b"expect", b"accept-encoding", b"Cookie", b"cookie"),
        *(b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"X-Forwarded-Host", b"x-forwarded-proto"),
    ],
)
def test_some_headers_stay_here(name: bytes) -> None:
    """Of one connection, written anew, or about our own house: the console's cookies among them."""
    assert headers_to_platform([(name, b"x")]) == [("Accept-Encoding", "identity")]


def test_what_connection_names_is_of_this_connection() -> None:
    """By the standard, and in both directions."""
    headers = [(b"connection", b"X-One, close"), (b"x-one", b"1"), (b"x-two", b"2"), (b"connection", b" x-three ")]
    assert headers_to_platform([*headers, (b"x-three", b"3")])[:-1] == [("x-two", "2")]
    assert headers_to_client([*headers, (b"X-One", b"1")], REAL, VIRTUAL) == [(b"x-two", b"2"), SANDBOXED]


@pytest.mark.parametrize(
    "value", [b"Bearer zk_abcdefgh_x", b"bearer  zk_abcdefgh_x", b"zk_abcdefgh_x", b"Basic zk_abcdefgh_"]
)
def test_a_hub_key_stays_here(value: bytes) -> None:
    """However it is shown; another key in such a header goes on."""
    other = (b"Authorization", b"WECHATPAY2-SHA256-RSA2048 mchid=1")
    assert headers_to_platform([other, (b"Authorization", value)])[:-1] == [("Authorization", other[1].decode())]


@given(st.binary(max_size=8))
def test_a_headers_text_stands_for_the_bytes_that_came(value: bytes) -> None:
    """A character each."""
    ((_, text), _) = headers_to_platform([(b"x-name", value)])
    assert text.encode("latin-1") == value


def test_a_redirect_names_the_token_that_the_client_knows() -> None:
    """As it is, and as it is written into a URL."""
    odd = "83_a+b/c="
    headers = [
        (b"Location", b"https://mp.weixin.qq.com/x?access_token=83_a%2Bb%2Fc%3D&y=1"),
        (b"X-Also", b"83_a+b/c="),
        (b"Date", b"now"),
        (b"Set-Cookie", b"a=b"),
    ]
    assert headers_to_client(headers, odd, VIRTUAL) == [
        (b"location", b"https://mp.weixin.qq.com/x?access_token=zkt_virtual&y=1"),
        (b"x-also", b"zkt_virtual"),
        (b"set-cookie", b"a=b"),
        SANDBOXED,
    ]


def test_without_a_token_nothing_is_replaced() -> None:
    """An empty text is in every text."""
    assert headers_to_client([(b"x-a", b"abc")], "", "") == [(b"x-a", b"abc"), SANDBOXED]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"url":"83_real-Token_0123"}', b'{"url":"zkt_virtual"}'),
        (b'{"request_url":"access_token=82_former&x=1"}', b'{"request_url":"access_token=zkt_virtual&x=1"}'),
        (
            b'{"request_url":"x=1&access_token=82_former\\u0026x=1"}',
            b'{"request_url":"x=1&access_token=zkt_virtual\\u0026x=1"}',
        ),
        (b'{"access_token":"x","a":"access_token="}', b'{"access_token":"x","a":"access_token="}'),
        (b"82_former", b"82_former"),
    ],
)
def test_an_answer_names_no_token_of_the_hubs(text: bytes, told: bytes) -> None:
    """Not the present one anywhere, nor a former one where a query is quoted: for minutes both are alive."""
    assert without(text, REAL, VIRTUAL) == told


@pytest.mark.parametrize("names", [("", ""), ("s3cret", "zk_abcdefgh_x")])
def test_a_persons_token_in_an_answer_is_his(names: tuple[str, str]) -> None:
    """Calls that show no token of the account's are answered as they are."""
    text = b'{"url":"access_token=persons"}'
    assert without(text, *names) == text


# --- bodies


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"", {}),
        (b"appid=a&secret=b%2Bc+d", {"appid": "a", "secret": "b+c d"}),
        (b'{"appid":"a","secret":"b","n":1,"o":{"secret":"c"}}', {"appid": "a", "secret": "b"}),
        (b'\xef\xbb\xbf {"appid":"\\u0061"}', {"appid": "a"}),
        (b'{"secret":"a","secret":"b"}', {}),
        (b"{", {}),
        (b"\xff\xfe=\x00", {"ÿþ": "\x00"}),
    ],
)
def test_members_are_read_from_json_and_from_forms(body: bytes, members: dict[str, str]) -> None:
    """Whatever the label says; what could mean either means neither."""
    assert read_members(body) == members


@given(st.binary())
def test_no_body_raises(body: bytes) -> None:
    """They are anybody's."""
    assert isinstance(read_members(body), dict)
    assert isinstance(with_member(body, ("secret",), "x"), bytes)


@given(
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5))), st.text(max_size=9)
)
def test_in_json_only_the_secret_changes(members: dict[str, object], secret: str) -> None:
    """And what is not there is not added."""
    changed = with_member(json.dumps(members).encode(), ("secret", "appsecret"), secret)
    assert json.loads(changed) == {
        name: secret if name in ("secret", "appsecret") else value for name, value in members.items()
    }


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_in_a_form_only_the_secret_changes(before: bytes, after: bytes) -> None:
    """Byte for byte."""
    one, other = quote_from_bytes(before).encode(), quote_from_bytes(after).encode()
    body = b"a=" + one + b"&secret=zk_x&b=" + other
    assert with_member(body, ("secret",), "r&l") == b"a=" + one + b"&secret=r%26l&b=" + other
