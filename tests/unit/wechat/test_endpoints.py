"""The calls of the keeper, byte for byte, and whose host is the platform's."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.wechat.endpoints import (
    PLATFORM_HOSTS,
    PLATFORM_URL,
    Request,
    build_probe_request,
    build_stable_token_request,
    build_token_request,
    is_platform_host,
)

SECRET = "0123456789abcdef0123456789abcdef"


def test_the_classic_mint_is_a_get_with_three_arguments_in_the_query() -> None:
    """Source: 获取 Access Token."""
    assert build_token_request("wx1", SECRET) == Request(
        "GET", "/cgi-bin/token", {"grant_type": "client_credential", "appid": "wx1", "secret": SECRET}
    )


@pytest.mark.parametrize("force", [False, True])
def test_the_stable_mint_is_a_post_of_json_with_nothing_in_the_query(*, force: bool) -> None:
    """Source: 获取稳定版接口调用凭据. A secret in a query would stand in the logs of every proxy."""
    request = build_stable_token_request("wx1", SECRET, force_refresh=force)
    assert (request.method, request.path, request.query) == ("POST", "/cgi-bin/stable_token", {})
    assert json.loads(request.body) == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": SECRET,
        "force_refresh": force,
    }


def test_json_leaves_as_raw_utf8() -> None:
    r"""Some calls of the platform refuse \\u escapes (40033, 47002)."""
    body = build_stable_token_request("wx1", "秘密", force_refresh=False).body
    assert "秘密".encode() in body
    assert b"\\u" not in body


def test_the_probe_carries_the_token_in_the_query() -> None:
    """Source: 获取微信 API 服务器 IP."""
    assert build_probe_request("t0") == Request("GET", "/cgi-bin/get_api_domain_ip", {"access_token": "t0"})


@pytest.mark.parametrize(
    "request_",
    [
        build_token_request("wx1", SECRET),
        build_stable_token_request("wx1", SECRET, force_refresh=True),
        build_probe_request(SECRET),
    ],
    ids=lambda one: one.path,
)
def test_a_request_hides_its_secrets_from_repr(request_: Request) -> None:
    """Reprs end in logs and tracebacks."""
    assert SECRET not in repr(request_)


@pytest.mark.parametrize(
    ("base_url", "is_platform"),
    [
        (PLATFORM_URL, True),
        *((f"https://{host}", True) for host in PLATFORM_HOSTS),
        ("https://API.weixin.qq.com/", True),
        ("https://api.weixin.qq.com.:443", True),
        ("http://127.0.0.1:8601", False),
        ("https://api.weixin.qq.com.evil.example", False),
        ("https://evil.example/api.weixin.qq.com", False),
        ("https://api.weixin.qq.com@evil.example", False),
        ("https://xapi.weixin.qq.com", False),
        ("http://[api.weixin.qq.com", False),
        ("", False),
    ],
)
def test_only_the_platforms_own_names_are_the_platform(base_url: str, *, is_platform: bool) -> None:
    """Budgets and windows follow from it, so a look-alike must not pass."""
    assert is_platform_host(base_url) is is_platform


@given(st.text())
def test_any_base_url_can_be_judged(base_url: str) -> None:
    """Base URLs are typed by people."""
    assert is_platform_host(base_url) in {True, False}
