"""The platform's hosts, and the calls that the keeper makes: which path, and where each argument goes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Domain: TypeAlias = Literal["mp", "sns", "component", "wecom"]
"""Whose words an answer is in: one errcode means different things in different domains."""

PLATFORM_HOSTS = (
    "api.weixin.qq.com",
    "api2.weixin.qq.com",
    "sh.api.weixin.qq.com",
    "sz.api.weixin.qq.com",
    "hk.api.weixin.qq.com",
)
"""The nearest host, the standby, and the regional ones, in the order to try them. Source: 接口域名说明."""
PLATFORM_URL = f"https://{PLATFORM_HOSTS[0]}"


@lru_cache(maxsize=1024)
def is_platform_host(base_url: str) -> bool:
    """Say whether `base_url` (`https://host[:port]`) leads to the platform itself, not to a sandbox or another hub."""
    try:
        host = urlsplit(base_url).hostname
    except ValueError:
        return False
    return (host or "").removesuffix(".") in PLATFORM_HOSTS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the platform. `name` is the last part of its path, as the errcode table spells it."""

    domain: Domain
    name: str
    method: Literal["GET", "POST"]
    path: str


TOKEN = Endpoint("mp", "token", "GET", "/cgi-bin/token")
STABLE_TOKEN = Endpoint("mp", "stable_token", "POST", "/cgi-bin/stable_token")
PROBE = Endpoint("mp", "get_api_domain_ip", "GET", "/cgi-bin/get_api_domain_ip")


@dataclass(frozen=True, slots=True)
class Request:
    """One call, ready to be sent to whichever host. Query and body hold secrets, so `repr` shows neither."""

    method: Literal["GET", "POST"]
    path: str
    query: dict[str, str] = field(default_factory=dict, repr=False)
    """Names and values as they are, not yet percent-encoded, in the order to send them."""
    body: bytes = field(default=b"", repr=False)
    """Raw UTF-8 JSON, or empty: the platform refuses some escaped texts."""


def build_token_request(appid: str, secret: str) -> Request:
    """Return the classic mint: every call makes a new token and ends the former one. Source: 获取 Access Token."""
    query = {"grant_type": "client_credential", "appid": appid, "secret": secret}
    return Request(TOKEN.method, TOKEN.path, query)


def build_stable_token_request(appid: str, secret: str, *, force_refresh: bool) -> Request:
    """Return the stable mint; only `force_refresh` ends the token that is in use. Source: 获取稳定版接口调用凭据."""
    asked = {"grant_type": "client_credential", "appid": appid, "secret": secret, "force_refresh": force_refresh}
    body = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
    return Request(STABLE_TOKEN.method, STABLE_TOKEN.path, body=body)


def build_probe_request(access_token: str) -> Request:
    """Return a call that changes nothing and needs a living token. Source: 获取微信 API 服务器 IP."""
    return Request(PROBE.method, PROBE.path, {"access_token": access_token})
