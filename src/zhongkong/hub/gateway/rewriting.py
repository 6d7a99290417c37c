"""What of a call is changed on its way, and what is not. Pure.

A credential in the query is replaced where it stands and everything else stays byte for byte. Headers that belong to
one connection, or tell of our own house, stay here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_from_bytes, unquote_plus

from zhongkong.hub.gateway.virtual import PREFIX
from zhongkong.wechat.answers import Unreadable, parse_object

Headers = Sequence[tuple[bytes, bytes]]

_OF_ONE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
_OURS = frozenset(
    {
        *(b"host", b"content-length", b"expect", b"accept-encoding", b"cookie"),
        *(b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
        *(b"x-forwarded-port", b"x-forwarded-prefix"),
    }
)
"""Not sent on: written anew, or nobody's business beyond this house. Cookies are the console's."""
_URL = bytes(char for char in range(0x21, 0x7F) if char != ord("#"))
"""What may stand in a URL's query as it is; the rest is percent-encoded, as the client should have done."""
_IS_URL = re.compile(b"[%s]*" % re.escape(_URL))
_IS_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What URLs write as it is, whoever writes it."""
_QUOTED = re.compile(rb"""(?<=access_token=)[^&\\\s"'<>]+""")
_HUB_KEY = re.compile(rb"zk_[A-Za-z0-9]{8}_")
_STAYS_HERE = _OF_ONE_CONNECTION | _OURS
_STAYS_THERE = _OF_ONE_CONNECTION | {b"date"}  # our server writes its own


class Query:
    """A query string as it came, its parameters found by name."""

    def __init__(self, raw: bytes) -> None:
        split = [part.partition(b"=") for part in raw.split(b"&")] if raw else []
        self._parts = [(_decode(name), name, sign, value) for name, sign, value in split]

    def values(self, names: Collection[str]) -> list[str]:
        """Return the values of all parameters of these names, in their order."""
        return [_decode(value) for decoded, _, _, value in self._parts if decoded in names]

    def with_value(self, names: Collection[str], value: str) -> bytes:
        """Return the query with `value` in every parameter of these names."""
        written = value.encode() if _IS_PLAIN.fullmatch(value) else quote(value, safe="-._~").encode()
        return b"&".join(
            name + b"=" + written if decoded in names else name + sign + held
            for decoded, name, sign, held in self._parts
        )

    def without_virtual(self) -> bytes:
        """Return the query without the parameters that hold a virtual token: it is worth nothing there."""
        return b"&".join(
            name + sign + held for _, name, sign, held in self._parts if not _decode(held).startswith(PREFIX)
        )


def build_target(path: str, query: bytes) -> str:
    """Return what the request line names."""
    if not query:
        return path
    written = query.decode("ascii") if _IS_URL.fullmatch(query) else quote_from_bytes(query, safe=_URL)
    return f"{path}?{written}"


def _decode(raw: bytes) -> str:
    text = raw.decode("latin-1")
    return unquote_plus(text) if "%" in text or "+" in text else text


def headers_to_platform(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that go on to the platform, in their order; none that shows a hub key.

    The answer is asked for as it is, unpacked.
    """
    dropped = _with_named(_STAYS_HERE, headers)
    kept = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if (lower := name.lower()) not in dropped and not (lower == b"authorization" and _HUB_KEY.search(value))
    ]
    return [*kept, ("Accept-Encoding", "identity")]


def headers_to_client(headers: Headers, real: str, virtual: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that go back, in their order; a redirect that names the real token names the virtual one.

    One is added: what an account holds may be a page, and must not run at the address where the console lives.
    """
    dropped = _with_named(_STAYS_THERE, headers)
    kept = [(lower, value) for name, value in headers if (lower := name.lower()) not in dropped]
    kept.append((b"content-security-policy", b"sandbox"))
    spelled, values = _spell(real), b"\n".join([value for _, value in kept])
    if not any(written in values for written in spelled):
        return kept
    return [(name, _replace(value, spelled, virtual)) for name, value in kept]


def without(text: bytes, real: str, virtual: str) -> bytes:
    """Return the text with `virtual` where it names the real token, as it is or as URLs write it.

    Where it quotes a query, whatever token stands there: the former one may be alive too. Source: 查询rid信息.
    """
    text = _replace(text, _spell(real), virtual)
    is_token = virtual.startswith(PREFIX) and b"access_token=" in text
    return _QUOTED.sub(virtual.encode(), text) if is_token else text


@lru_cache(maxsize=1024)
def _spell(real: str) -> list[bytes]:
    if not real:
        return []
    if _IS_PLAIN.fullmatch(real):
        return [real.encode()]
    once = quote(real, safe="")
    return [real.encode(), once.encode(), quote(once, safe="").encode()]  # in a URL, and in one that is within another


def _replace(text: bytes, spelled: Iterable[bytes], virtual: str) -> bytes:
    for written in spelled:
        if written in text:
            text = text.replace(written, virtual.encode())
    return text


def _with_named(dropped: frozenset[bytes], headers: Headers) -> frozenset[bytes]:
    """Return `dropped` and what the headers themselves name as their connection's."""
    named = b",".join([value for name, value in headers if name.lower() == b"connection"])
    return dropped.union(one.strip().lower() for one in named.split(b",")) if named else dropped


def read_members(body: bytes) -> dict[str, str]:
    """Return the texts that a JSON object or a form holds, by name; nothing of what is neither.

    What it is called in the headers is not asked: SDKs and people label JSON as a form.
    """
    if not _is_json(body):
        parts = (part.partition(b"=") for part in body.split(b"&") if part)
        return {_decode(name): _decode(value) for name, _, value in parts}
    members = parse_object(body)
    if isinstance(members, Unreadable):
        return {}
    return {name: value for name, value in members.items() if isinstance(value, str)}


def with_member(body: bytes, names: Collection[str], value: str) -> bytes:
    """Return the JSON object or form with `value` for those of its members that have one of these names."""
    if not _is_json(body):
        return Query(body).with_value(names, value)
    members = parse_object(body)
    if isinstance(members, Unreadable):
        return body
    changed = {name: value if name in names else held for name, held in members.items()}
    return json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode()


def _is_json(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
