"""The platform's hosts, and the calls that the keeper makes: which path, and where each argument goes."""

from __future__ import annotations

import json
import re
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
WECOM_HOST = "qyapi.weixin.qq.com"
WECOM_URL = f"https://{WECOM_HOST}"
"""WeCom has one host. Source: 获取access_token (企业微信)."""

APPID_PATTERN = r"[A-Za-z0-9_-]{3,64}(?::[a-z0-9-]{1,32})?"
"""Of an account of WeCom it is `corpid:name`; the name is ours."""
_APPID = re.compile(APPID_PATTERN)


def is_appid(text: str) -> bool:
    """Say whether this can be an account's appid."""
    return _APPID.fullmatch(text) is not None


def corpid_of(appid: str) -> str | None:
    """Return the corpid in the appid of an account of WeCom; None of any other account."""
    corpid, colon, _name = appid.partition(":")
    return corpid if colon else None


def domain_of(appid: str) -> Domain:
    """Return in whose words the platform speaks to this account."""
    return "mp" if corpid_of(appid) is None else "wecom"


@lru_cache(maxsize=1024)
def stand_ins_of(base_url: str) -> tuple[str, ...]:
    """Return the platform's hosts that answer in each other's place, this URL's among them; none of WeCom's."""
    return PLATFORM_HOSTS if _host_of(base_url) in PLATFORM_HOSTS else ()


@lru_cache(maxsize=1024)
def is_platform_host(base_url: str) -> bool:
    """Say whether `base_url` (`https://host[:port]`) leads to the platform itself, not to a sandbox or another hub."""
    return _host_of(base_url) in (*PLATFORM_HOSTS, WECOM_HOST)


def _host_of(base_url: str) -> str:
    try:
        host = urlsplit(base_url).hostname
    except ValueError:
        return ""
    return (host or "").removesuffix(".")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the platform. `name` is the last part of its path, as the errcode table spells it."""

    domain: Domain
    name: str
    method: Literal["GET", "POST"]
    path: str


TOKEN = Endpoint("mp", "token", "GET", "/cgi-bin/token")
STABLE_TOKEN = Endpoint("mp", "stable_token", "POST", "/cgi-bin/stable_token")
TICKET = Endpoint("mp", "getticket", "GET", "/cgi-bin/ticket/getticket")
PROBE = Endpoint("mp", "get_api_domain_ip", "GET", "/cgi-bin/get_api_domain_ip")
"""WeCom has the same call. Source: 获取微信 API 服务器 IP; 获取企业微信接口IP段."""
GETTOKEN = Endpoint("wecom", "gettoken", "GET", "/cgi-bin/gettoken")
WECOM_TICKET = Endpoint("wecom", "get_jsapi_ticket", "GET", "/cgi-bin/get_jsapi_ticket")
AGENT_TICKET = Endpoint("wecom", "get", "GET", "/cgi-bin/ticket/get")

_TICKETS: dict[tuple[Domain, str], tuple[Endpoint, dict[str, str]]] = {
    ("mp", "jsapi_ticket"): (TICKET, {"type": "jsapi"}),
    ("mp", "wx_card_ticket"): (TICKET, {"type": "wx_card"}),
    ("wecom", "jsapi_ticket"): (WECOM_TICKET, {}),
    ("wecom", "agent_config_ticket"): (AGENT_TICKET, {"type": "agent_config"}),
}
"""By our names of the kinds. Source: 获取 ticket; JS-SDK 使用权限签名算法 (企业微信)."""


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


def build_gettoken_request(appid: str, corpsecret: str) -> Request:
    """Return the mint of WeCom: it repeats the token while it lives, and ends none. Source: 获取access_token."""
    corpid = corpid_of(appid)
    if corpid is None:
        raise ValueError(appid)
    return Request(GETTOKEN.method, GETTOKEN.path, {"corpid": corpid, "corpsecret": corpsecret})


def ticket_kind(domain: Domain, path: str, name: str) -> str | None:
    """Return the kind of ticket that a call to `path` asks for as `type`; None for none that there is."""
    return next(
        (
            kind
            for (of, kind), (endpoint, asked) in _TICKETS.items()
            if of == domain and endpoint.path == path and asked.get("type", name) == name
        ),
        None,
    )


def build_ticket_request(domain: Domain, access_token: str, kind: str) -> Request:
    """Return the call for a ticket; it ends no other one. Raises KeyError: there is no such ticket there."""
    endpoint, asked = _TICKETS[domain, kind]
    return Request(endpoint.method, endpoint.path, {"access_token": access_token, **asked})


def build_probe_request(access_token: str) -> Request:
    """Return a call that changes nothing and needs a living token. Source: 获取微信 API 服务器 IP."""
    return Request(PROBE.method, PROBE.path, {"access_token": access_token})
