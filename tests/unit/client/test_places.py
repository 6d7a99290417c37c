"""Where a token goes, how it stands in a URL, and that no log has it."""

from __future__ import annotations

import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.client.places import keep_tokens_out_of_logs, takes_token, token_in, with_token
from zhongkong.errors import RequestRefused

TOKEN = "83_abc-DEF"


@pytest.mark.parametrize(
    "host", ["api.weixin.qq.com", "API2.weixin.qq.com", "qyapi.weixin.qq.com", "mp.weixin.qq.com", "api.weixin.qq.com."]
)
def test_the_platforms_hosts_get_it(host: str) -> None:
    """All of them, however they are written."""
    assert takes_token("https", host, None, "/cgi-bin/user/get")


@pytest.mark.parametrize(
    "host", ["weixin.qq.com.evil.test", "evil-weixin.qq.com", "evil.test", "mmbiz.qpic.cn", "", "10.0.0.1", "[::]"]
)
def test_other_hosts_do_not(host: str) -> None:
    """A picture's host, a redirect, a name that only looks alike."""
    assert not takes_token("https", host, 443, "/cgi-bin/user/get")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_does_also_in_clear(host: str) -> None:
    """A sandbox."""
    assert takes_token("http", host, 8601, "/cgi-bin/user/get")


def test_hosts_that_were_named_do() -> None:
    """A proxy of the team's own, with or without its port."""
    assert takes_token("http", "Wx.internal", 80, "/", {"wx.internal"})
    assert takes_token("http", "wx.internal", 8080, "/", {"wx.internal:8080"})
    assert not takes_token("http", "wx.internal", 8081, "/", {"wx.internal:8080"})


def test_the_platform_in_clear_is_refused() -> None:
    """Not sent without it: that would be refused by the platform, and nobody would know why."""
    with pytest.raises(RequestRefused) as caught:
        takes_token("http", "api.weixin.qq.com", 80, "/cgi-bin/user/get")
    assert caught.value.code == "token_needs_https"


@pytest.mark.parametrize("path", ["/sns/userinfo", "/sns/auth", "/cgi-bin/token", "/cgi-bin/stable_token"])
def test_calls_with_a_persons_token_or_none_are_left_alone(path: str) -> None:
    """A person's token has the same name, and must not be replaced."""
    assert not takes_token("https", "api.weixin.qq.com", None, path)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", f"access_token={TOKEN}"),
        ("a=1", f"a=1&access_token={TOKEN}"),
        ("access_token=old&a=%E5%BC%A0+x&b", f"a=%E5%BC%A0+x&b&access_token={TOKEN}"),
        ("a=1&access%5Ftoken=old&access_token=older", f"a=1&access_token={TOKEN}"),
        ("my_access_token=1&&", f"my_access_token=1&access_token={TOKEN}"),
    ],
)
def test_the_token_takes_the_place_of_any_other(query: str, expected: str) -> None:
    """And nothing else of the query is touched."""
    assert with_token(query, TOKEN) == expected


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.text("ab=&%+", max_size=20))
def test_what_is_put_in_is_found_again(token: str, query: str) -> None:
    """Whatever characters the platform puts into tokens some day."""
    assert token_in(with_token(query, token)) == token
    assert with_token(with_token(query, "x"), token) == with_token(query, token)


def test_the_http_clients_logs_have_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """One logs every URL at INFO, the other at DEBUG, and retries as warnings."""
    keep_tokens_out_of_logs()
    keep_tokens_out_of_logs()
    url = httpx.URL(f"https://api.weixin.qq.com/cgi-bin/user/get?access_token={TOKEN}&next_openid=o1")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("httpx").info('HTTP Request: %s %s "%s %d %s"', "GET", url, "HTTP/1.1", 200, "OK")
        logging.getLogger("urllib3.connectionpool").debug('%s "%s" %s', "https", f"GET {url.raw_path!r}", None)
        logging.getLogger("urllib3.connectionpool").warning(f"Retrying after {url}")  # noqa: G004 (others do so)
    assert TOKEN not in caplog.text
    assert caplog.text.count("access_token=***") == 3
    assert "next_openid=o1" in caplog.text
    assert "200 OK" in caplog.text
