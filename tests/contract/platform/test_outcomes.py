"""Whatever a server answers is told as the one outcome that is true, after one request."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from tests.contract.platform.calls import MODES, mint
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    GRANT,
    REFUSAL,
    Script,
    Talk,
    answer,
    closes_at_once,
    resets_at_once,
    sends,
    sends_then_resets,
)
from zhongkong.core.model import Ambiguous, Mode, Outcome
from zhongkong.wechat.answers import BODY_LONGEST, Granted, Refused

GRANTED = Granted("83_vD-rZ_0kQ", 7200)
REFUSED = Refused(40125, "invalid appsecret rid: 67b81456-7702e5f9-2c9e1783", "67b81456-7702e5f9-2c9e1783")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIPPED = answer(gzip.compress(GRANT), b"200 OK", b"Content-Encoding: gzip")


def chunks(body: bytes, size: int) -> bytes:
    """Return `body` in chunks of `size`, with the one that ends them."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def location(status: bytes) -> Script:
    """Return the script that sends the caller elsewhere: back here, where a second request would be counted."""
    return sends(answer(b"", status, b"Location: /cgi-bin/token?again=1"))


async def floods(talk: Talk) -> None:
    """Answer with a body that has no end, for as long as anybody listens."""
    await talk.request()
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while not talk.gone.is_set():
        talk.send(b" " * 4096)
        await asyncio.sleep(0)


CLEAN: dict[str, tuple[Script, Outcome]] = {
    "a grant": (sends(answer()), GRANTED),
    "a refusal": (sends(answer(REFUSAL)), REFUSED),
    "a grant byte by byte": (sends(*(bytes([byte]) for byte in answer())), GRANTED),
    "a grant on a connection to be kept": (sends(answer(GRANT, b"200 OK", b"Connection: keep-alive")), GRANTED),
    "a grant that ends with the connection": (sends(b"HTTP/1.1 200 OK\r\n\r\n" + GRANT), GRANTED),
    "a grant in HTTP/1.0": (sends(b"HTTP/1.0 200 OK\r\n\r\n" + GRANT), GRANTED),
    "a grant in chunks": (sends(CHUNKED + chunks(GRANT, 7)), GRANTED),
    "a grant gzipped though not asked to": (sends(GZIPPED), GRANTED),
    "a grant called text": (sends(answer(GRANT, b"200 OK", b"Content-Type: text/plain; charset=gbk")), GRANTED),
    "a grant after 100 Continue": (sends(CONTINUE, answer()), GRANTED),
    "a grant after 100 Continue in one segment": (sends(CONTINUE + CONTINUE + answer()), GRANTED),
    "a grant with a cookie": (sends(answer(GRANT, b"200 OK", b"Set-Cookie: a=b; Path=/")), GRANTED),
    "two answers in one segment": (sends(answer() + answer(REFUSAL)), GRANTED),
}
AMBIGUOUS: dict[str, tuple[Script, str]] = {
    "no answer": (sends(), "cut"),
    "no answer, closed at once": (closes_at_once, "cut"),
    "a reset": (sends_then_resets(), "cut"),
    "a reset before the request": (resets_at_once, "cut"),
    "100 Continue and no more": (sends(CONTINUE), "cut"),
    "a body shorter than announced": (sends(answer()[:-1]), "cut"),
    "a body longer than announced": (sends(answer().replace(b"Length: 49", b"Length: 48")), "not_http"),
    "a grant and rubbish behind it": (sends(answer() + b"\x00\xffrubbish"), "not_http"),
    "two lengths": (sends(answer(GRANT, b"200 OK", b"Content-Length: 48")), "not_http"),
    "a length that is no number": (sends(answer().replace(b"Length: 49", b"Length: forty")), "not_http"),
    "chunks without an end": (sends(CHUNKED + chunks(GRANT, 7)[:-5]), "cut"),
    "a chunk of no size": (sends(CHUNKED + b"zz\r\n" + GRANT), "not_http"),
    "a chunk of too many bytes": (sends(CHUNKED + b"3\r\n" + GRANT + b"\r\n0\r\n\r\n"), "not_http"),
    "gzip that is none": (sends(answer(GRANT, b"200 OK", b"Content-Encoding: gzip")), "cut"),
    "gzip cut short": (sends(answer(gzip.compress(GRANT)[:-20], b"200 OK", b"Content-Encoding: gzip")), "not_json"),
    "gzip of a flood": (
        sends(answer(gzip.compress(b"[" * 50_000_000), b"200 OK", b"Content-Encoding: gzip")),
        "too_long",
    ),
    "an encoding nobody knows": (sends(answer(GRANT[::-1], b"200 OK", b"Content-Encoding: x-mystery")), "not_json"),
    "no HTTP at all": (sends(b"\x16\x03\x01\x00rubbish\r\n\r\n"), "not_http"),
    "another protocol": (sends(b"SSH-2.0-OpenSSH_9.9\r\n"), "not_http"),
    "HTTP/9.9": (sends(answer().replace(b"HTTP/1.1", b"HTTP/9.9")), "not_http"),
    "a header without a colon": (sends(answer(GRANT, b"200 OK", b"rubbish")), "not_http"),
    "a header without an end": (sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), "not_http"),
    "a thousand headers": (sends(answer(GRANT, b"200 OK", *(b"X-%d: x" % n for n in range(1000)))), "not_http"),
    "a body too long": (sends(answer(GRANT + b" " * BODY_LONGEST)), "too_long"),
    "a body without an end": (floods, "too_long"),
    "no body": (sends(answer(b"")), "not_json"),
    "a page": (sends(answer(b"<html>Welcome to the hotel</html>")), "not_json"),
    "204": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "status_204"),
    "206": (sends(answer(GRANT, b"206 Partial Content")), "status_206"),
    "101": (sends(answer(GRANT, b"101 Switching Protocols", b"Upgrade: x", b"Connection: upgrade")), "status_101"),
    "301": (location(b"301 Moved Permanently"), "status_301"),
    "302": (location(b"302 Found"), "status_302"),
    "303": (location(b"303 See Other"), "status_303"),
    "307": (location(b"307 Temporary Redirect"), "status_307"),
    "308": (location(b"308 Permanent Redirect"), "status_308"),
    "401": (
        sends(answer(REFUSAL, b"401 Unauthorized", b'WWW-Authenticate: Digest realm="x", nonce="y"')),
        "status_401",
    ),
    "404 with a refusal": (sends(answer(REFUSAL, b"404 Not Found")), "status_404"),
    "408, closing": (sends(answer(b"", b"408 Request Timeout", b"Connection: close")), "status_408"),
    "500 with a grant": (sends(answer(GRANT, b"500 Internal Server Error")), "status_500"),
    "502 with a refusal": (sends(answer(REFUSAL, b"502 Bad Gateway")), "status_502"),
    "503 that says when": (sends(answer(b"", b"503 Service Unavailable", b"Retry-After: 1")), "status_503"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_answer_is_told_as_it_is(run: Run[Any], name: str, mode: Mode) -> None:
    """A server may say the same thing in many ways that HTTP allows."""
    script, outcome = CLEAN[name]
    seen = run(mint(script, mode))
    assert seen.told == outcome
    assert seen.requests == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_whatever_is_not_clean_is_ambiguous_and_sent_once(run: Run[Any], name: str, mode: Mode) -> None:
    """The platform may have acted before the answer went wrong, so another request would end what it gave."""
    script, why = AMBIGUOUS[name]
    seen = run(mint(script, mode))
    assert seen.told == Ambiguous(why)
    assert seen.requests <= 1
    assert seen.connections == 1
