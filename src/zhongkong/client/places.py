"""Where a token belongs: which hosts and paths get it, how it stands in a URL, and how it is kept out of logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import quote, unquote_plus

from zhongkong.errors import RequestRefused

PLATFORM = ".weixin.qq.com"
"""All of the platform's interfaces are on hosts below it. Source: 接口域名说明; 企业微信 服务端 API."""
PERSONS = "/sns/"
"""Paths that take the token of a person, under the same name, or none."""
TOKENLESS = frozenset({"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/gettoken"})

_PORTS = {"http": 80, "https": 443}
_REDACTED = re.compile(r"(\baccess_token=)[^&#\s\"')]+")
_LOGGERS = ("httpx", "urllib3.connectionpool", "urllib3.util.retry")


def takes_token(scheme: str, host: str, port: int | None, path: str, also: Collection[str] = ()) -> bool:
    """Say whether a request to this place gets the account's token. `also` names further hosts (`host[:port]`).

    Raises: RequestRefused: to the platform, in clear: everybody on the way could read the token.
    """
    host, port = host.lower().rstrip("."), port or _PORTS.get(scheme)
    if path.startswith(PERSONS) or path in TOKENLESS:
        return False
    if host in also or f"{host}:{port}" in also or _is_loopback(host):
        return True
    if not host.endswith(PLATFORM):
        return False
    if scheme != "https":
        raise RequestRefused("token_needs_https", host=host)
    return True


def with_token(query: str, token: str) -> str:
    """Return the query with this token, in place of any other; the rest of it stays as it is, byte for byte."""
    kept = [pair for pair in query.split("&") if pair and not _is_token(pair)]
    return "&".join([*kept, f"access_token={quote(token, safe='')}"])


def token_in(query: str) -> str:
    """Return the token of a query, "" if it has none."""
    found = next((pair for pair in query.split("&") if _is_token(pair)), "")
    return unquote_plus(found.partition("=")[2])


def keep_tokens_out_of_logs() -> None:
    """Have the HTTP clients' loggers write `access_token=***`: they log the URLs of requests."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_hide)


def _hide(record: logging.LogRecord) -> bool:
    record.msg = _hidden(record.msg)
    if isinstance(record.args, tuple):
        record.args = tuple(map(_hidden, record.args))
    return True


def _hidden(argument: object) -> object:
    if isinstance(argument, int | float | None):
        return argument
    text = str(argument)
    return _REDACTED.sub(r"\1***", text) if "access_token=" in text else argument


def _is_token(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]) == "access_token"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
