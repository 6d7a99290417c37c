"""What is tried: a call of a client who may be honest, careless or hostile, and what the platform answers it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple
from urllib.parse import quote

MARK = b"x-try"
"""The header that tells the platform which try a call is of."""
BODY_MOST = 131_072
"""Bytes that the hub under trial takes."""

PATHS = (
    *(b"/cgi-bin/user/get", b"/cgi-bin/message/custom/send", b"/cgi-bin/media/get", b"/cgi-bin/menu/create"),
    *(b"/wxa/getwxacodeunlimit", b"/datacube/getusersummary", b"/unheard/of/call", b"/cgi-bin/component/api_x"),
    *(b"/qyapi/cgi-bin/user/get", b"/cgi-bin/showqrcode", b"/sns/userinfo", b"/sns/auth", b"/cgi-bin/gettoken"),
    *(b"/sns/jscode2session", b"/sns/oauth2/access_token", b"/cgi-bin/clear_quota/v2", b"/cgi-bin/ticket/getticket"),
    *(b"/cgi-bin/token", b"/cgi-bin/stable_token", b"/v1/accounts", b"/metrics", b"/", b"/cgi-bin"),
)
PLAIN = PATHS[:6]
"""Paths whose calls show an account's token in the query."""
INTO_PATH = (
    *(b"..", b"/../", b"/./", b"//", b"%2e%2e/", b"..%2f", b"%00", b"%0d%0aHost:%20evil.test", b"@evil.test", b":80"),
    *(b"\\", b"#", b";", b"%", b"%zz", b"\xe4\xb8\xad", b"\xff", b"http://evil.test/", b"//evil.test/", b"?", b"*"),
    *(b"%252e%252e", b"a" * 300, b"~", b"%41"),
)
INTO_QUERY = (
    *(b"&access_token=", b"&&", b"=", b"&a=%0d%0aX:%20y", b"%", b"#x", b"&x=\xe4\xb8\xad", b"&x=\xff%ff+", b"?y=z"),
    *(
        b"&redirect_uri=http://evil.test/",
        b"&appid=wxother",
        b"&component_access_token=",
        b"&secret=",
        b"&x=" + b"y" * 4000,
    ),
)
NAMES = (b"access_token", b"access_token", b"access%5Ftoken", b"Access_Token", b"component_access_token", b"token")
HEADERS = (
    *((b"host", b"evil.test"), (b"host", b"mp.weixin.qq.com@evil.test"), (b"x-forwarded-host", b"evil.test")),
    *(
        (b"x-forwarded-for", b"10.0.0.1, evil"),
        (b"forwarded", b"for=1.2.3.4;host=evil.test"),
        (b"via", b"1.1 evil.test"),
    ),
    *((b"connection", b"close, x-secret"), (b"connection", b"upgrade"), (b"upgrade", b"websocket")),
    *(
        (b"cookie", b"zk=1"),
        (b"authorization", b"Basic abc"),
        (b"authorization", b"Bearer zk_nobody_x"),
        (b"te", b"trailers"),
    ),
    *(
        (b"expect", b"100-continue"),
        (b"range", b"bytes=0-5"),
        (b"accept-encoding", b"gzip, br"),
        (b"x-odd", b"\xe4\xb8\xad \xff"),
    ),
    *((b"proxy-authorization", b"Basic abc"), (b"x-original-url", b"/v1/keys"), (b"x-http-method-override", b"DELETE")),
    *((b"accept-language", b"zh"), (b"x-long", b"l" * 6000), (b"content-encoding", b"gzip"), (b"user-agent", b"sdk/1")),
    *((b"content-type", b"application/json"), (b"content-type", b"text/xml; charset=GBK"), (b"x-empty", b"")),
)
METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "get")
BODIES = (
    b"{}",
    b'{"a":"\xe4\xb8\xad\xe6\x96\x87"}',
    b"<xml><a>1</a></xml>",
    b"\xff\x00" * 200,
    b'{"force_refresh":true}',
    b"--x\r\nContent-Disposition: form-data; name=media\r\n\r\n\xff\xd8\xff\r\n--x--\r\n",
)
ANSWERS = (
    *(
        "fine",
        "fine",
        "fine",
        "stale",
        "stale",
        "always",
        "always",
        "text",
        "quota",
        "busy",
        "media",
        "echo",
        "redirect",
    ),
    *("status", "empty", "odd", "large", "unlabelled"),
)
BREAKAGES = ("reset", "half_head", "cut", "stall", "not_http", "huge_headers", "wrong_length", "bad_chunks", "unasked")
CLIENTS = ("stays",) * 12 + ("leaves", "cut", "slow")
SHOWN = ("good",) * 12 + (
    *("mangled", "shortened", "longer", "expired", "forged", "revoked", "ungranted", "key", "empty", "none", "two"),
    *("twice", "in_header", "in_body", "in_path"),
)


@dataclass(slots=True)
class Seen:
    """What the platform saw of a try."""

    base_url: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    refused: bool = False


class Answer(NamedTuple):
    """What the platform says."""

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: list[bytes]

    @property
    def body(self) -> bytes:
        """Return all of it."""
        return b"".join(self.pieces)


class Shown(NamedTuple):
    """What clients of one account have to show, by how good it is."""

    appid: str
    base_url: str
    tokens: dict[str, bytes]


@dataclass(slots=True)
class Try:
    """One call, and its fate."""

    number: int
    account: Shown
    shown: str
    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: list[bytes]
    framing: str
    """Of the body: none, length, chunked; on a wire also: lying, both, broken."""
    client: str
    answer: str
    breakage: str
    absolute: bytes
    """What stands before the path on a wire: another host, as a proxy would be asked."""
    is_plain: bool
    """Whether an honest SDK might send it, with a good token."""
    seen: list[Seen] = field(default_factory=list)
    answered: Answer | None = None
    """What the platform said last."""


def draw_try(random: Random, number: int, accounts: Sequence[Shown]) -> Try:
    """Return a try; every third one is a plain call, or nothing deep inside would ever be reached."""
    account, is_plain = random.choice(accounts), random.random() < 0.4
    shown = "good" if is_plain else random.choice(SHOWN)
    path = random.choice(PLAIN if is_plain else PATHS)
    name = b"access_token" if is_plain else random.choice(NAMES)
    headers = [(MARK, b"%d" % number), (b"host", b"hub.test")]
    body = [random.choice(BODIES)] if random.random() < 0.3 else []
    query, path, headers, body = _show(random, account, shown, name, path, headers, body)
    if not is_plain:
        if random.random() < 0.3:
            path = _insert(random, path, INTO_PATH)
        if random.random() < 0.3:
            query = _insert(random, query, INTO_QUERY)
        headers += random.sample(HEADERS, random.choice((0, 0, 1, 2, 5)))
        if random.random() < 0.05:
            body = [b"b" * random.choice((1000, 70_000, BODY_MOST // 2 + 1)) for _ in range(random.choice((1, 2, 3)))]
    framing = random.choice(("length", "chunked")) if body else "none"
    return Try(
        number=number,
        account=account,
        shown=shown,
        method=random.choice(("GET", "POST") if is_plain else METHODS),
        path=path,
        query=query,
        headers=headers,
        body=body,
        framing=framing if is_plain or random.random() < 0.8 else random.choice(("lying", "both", "broken")),
        client=random.choice(CLIENTS),
        answer=random.choice(ANSWERS),
        breakage=random.choice(BREAKAGES) if random.random() < 0.2 else "",
        absolute=random.choice((b"http://evil.test", b"https://evil.test:443", b"evil.test"))
        if not is_plain and random.random() < 0.1
        else b"",
        is_plain=is_plain,
    )


def _show(
    random: Random,
    account: Shown,
    shown: str,
    name: bytes,
    path: bytes,
    headers: list[tuple[bytes, bytes]],
    body: list[bytes],
) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], list[bytes]]:
    """Return query, path, headers and body with what the client shows, where he shows it."""
    token = account.tokens.get(shown, account.tokens["good"])
    if shown == "mangled":
        at = random.randrange(len(token))
        token = token[:at] + bytes([random.choice(b"Aa0_-%&=+ \xff")]) + token[at + 1 :]
    token = {"shortened": token[: random.randrange(len(token))], "longer": token + b"A", "empty": b""}.get(shown, token)
    asked = [(b"grant_type", b"client_credential"), (b"appid", account.appid.encode())]
    asked += [(random.choice((b"secret", b"appsecret")), account.tokens["key"]), (b"js_code", b"1"), (b"code", b"1")]
    where = {
        "none": b"next_openid=",
        "two": name + b"=" + token + b"&" + name + b"=" + account.tokens["other"],
        "twice": name + b"=" + token + b"&x=1&" + name + b"=" + token,
        "in_header": b"x=1",
        "in_body": b"x=1",
        "in_path": b"",
        "key": b"&".join(one + b"=" + value for one, value in asked),
    }
    query = where.get(shown, name + b"=" + token + random.choice((b"", b"&next_openid=", b"&type=image&a=%E4%B8%AD+b")))
    if shown == "in_header":
        headers = [*headers, (b"authorization", b"Bearer " + random.choice((token, account.tokens["key"])))]
    if shown == "in_body":
        members = {one.decode(): value.decode() for one, value in [*asked, (name, token)]}
        body = [json.dumps(members).encode() if random.random() < 0.5 else b"&".join(b"=".join(one) for one in asked)]
    if shown == "in_path":
        path += b"/" + token
    return query, path, headers, body


def _insert(random: Random, text: bytes, what: Sequence[bytes]) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(what) + text[at:]


def draw_answer(random: Random, one: Try, seen: Seen, *, is_current: bool) -> Answer:
    """Return what the platform answers a call: if the try says so it refuses stale tokens, or whatever it is shown."""
    typed = [(b"Content-Type", b"application/json; encoding=utf-8")]
    plenty = b'{"total":2,"data":{"openid":["%s"]},"n":%d}' % (b"o" * random.choice((1, 300)), one.number)
    if one.answer == "always" or (one.answer == "stale" and not is_current):
        seen.refused = True
        code = random.choice((b"40001", b"42001", b"40014", b'"40001"', b" 40001 "))
        refusal = b'{"errcode":%s,"errmsg":"invalid credential rid: 6720ea21-0dc53ebd-5bdb45c7"}' % code
        return Answer(200, random.choice((typed, [(b"Content-Type", b"text/plain")], [])), _cut(random, refusal))
    if one.answer == "echo":
        echo = {"target": seen.target, "again": quote(seen.target), "headers": seen.headers}
        return Answer(200, [*typed, (b"X-Echo", _safe(seen.target))], _cut(random, json.dumps(echo).encode()))
    if one.answer == "redirect":
        away = random.choice(
            (b"http://evil.test", b"//evil.test", b"http://127.0.0.1:9", b"https://mp.weixin.qq.com", b"")
        )
        moved = away + _safe(seen.target)
        return Answer(random.choice((301, 302, 303, 307, 308)), [(b"Location", moved), *typed], [b"moved to ", moved])
    if one.answer == "media":
        return Answer(200, [(b"Content-Type", b"image/jpeg")], [random.randbytes(random.choice((1, 9000, 70_000)))] * 3)
    if one.answer == "status":
        status = random.choice((201, 204, 206, 304, 400, 404, 413, 500, 502, 503))
        return Answer(status, typed, [] if status in (204, 304) else [plenty])
    told = {
        "text": b"<html>" + plenty,
        "quota": b'{"errcode":45009,"errmsg":"reach max api daily quota limit rid: 1-2-3"}',
        "busy": b'{"errcode":-1,"errmsg":"system error"}',
        "empty": b"",
        "odd": random.choice(
            (b"{", b"[40001]", b"40001", b'{"errcode":{}}', b'{"errcode":null}', b"\xff\xfe", b'{"errcode":4000')
        ),
        "large": b'{"errcode":0,"x":"' + b"x" * 300_000 + b'"}',
    }.get(one.answer, plenty)
    return Answer(200, [] if one.answer == "unlabelled" else typed, _cut(random, told))


def _cut(random: Random, body: bytes) -> list[bytes]:
    at = random.randrange(len(body) + 1)
    return [piece for piece in (body[:at], body[at:]) if piece]


def _safe(text: str) -> bytes:
    return text.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")[:4000]
