"""Asks our own public address as the platform would, and names the step at which it fails."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random, SystemRandom
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from zhongkong.core.callbacks import DEBUG_EVENT, VERIFIER, Callback, receiver_of
from zhongkong.core.model import Instant, Seconds, Secret
from zhongkong.core.ports import Clock, Courier, Delivered, Undelivered
from zhongkong.wechat.cipher import RANDOM_LENGTH, PushCipher, is_encoding_aes_key
from zhongkong.wechat.signature import sign_push

PATIENCE: Seconds = 10.0
SLOW: Seconds = 4.0
"""The platform waits 5 s, and it is further away than we are."""
STEPS = ("appid", "token", "timestamp", "signature", "nonce", "key", "body")
_PORTS = (None, 80, 443)
_BOM = b"\xef\xbb\xbf"
_WHYS = {
    "name_unknown": "dns",
    "certificate_invalid": "certificate",
    "tls_failed": "tls",
    "not_tls": "tls",
    "connect_timeout": "closed",
    "connect_failed": "closed",
    "timeout": "silent",
}


class Finding(NamedTuple):
    """What was found: `well`, or the step that fails. Its text is `verify_<step>`."""

    step: str
    said: str = ""
    """A status, or why it was not reached: safe to show."""


class Verifier:
    """Knocks at an account's callback from outside."""

    def __init__(self, courier: Courier, clock: Clock, random: Random | None = None) -> None:
        self._courier = courier
        self._clock = clock
        self._random = random or SystemRandom()

    async def verify(self, callback: Callback, url: str, now: Instant) -> Finding:
        """Return what is found at `url`, the callback's address outside; `now` is the store's time."""
        bad = judge_url(url) or judge_key(callback)
        if bad is not None:
            return bad
        echostr = f"{self._random.randrange(10**18, 10**19)}"
        began = self._clock.boot()
        target = self._sign(callback, url, now, echostr=echostr)
        found = judge_echo(await self._courier.look(target, began + PATIENCE), echostr, self._clock.boot() - began)
        if found is not None:
            return found
        for words, body in self._pushes(callback, now):
            began = self._clock.boot()
            target = Secret(f"{url}?{urlencode(words)}")
            said = await self._courier.bring(target, "text/xml", body, began + PATIENCE)
            found = judge_push(said, self._clock.boot() - began)
            if found is not None:
                return found
        return Finding("well")

    def _words(self, callback: Callback, now: Instant) -> dict[str, str]:
        timestamp, nonce = str(int(now)), str(self._random.randrange(10**8, 10**10))
        return {
            "signature": sign_push(callback.token.reveal(), timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
        }

    def _sign(self, callback: Callback, url: str, now: Instant, **more: str) -> Secret:
        return Secret(f"{url}?{urlencode({**self._words(callback, now), **more})}")

    def _pushes(self, callback: Callback, now: Instant) -> list[tuple[dict[str, str], bytes]]:
        """Return a push in plaintext, and one in safe mode where there is a key: an event that only tries."""
        inner = (
            f"<xml><ToUserName>gh_zhongkong</ToUserName><FromUserName>{VERIFIER}</FromUserName>"
            f"<CreateTime>{int(now)}</CreateTime><MsgType>event</MsgType><Event>{DEBUG_EVENT}</Event></xml>"
        ).encode()
        pushes = [(self._words(callback, now), inner)]
        if callback.encoding_aes_key:
            cipher = PushCipher(callback.encoding_aes_key.reveal(), receiver_of(callback.appid))
            encrypt = cipher.encrypt(inner, self._random.randbytes(RANDOM_LENGTH))
            words = self._words(callback, now)
            signed = sign_push(callback.token.reveal(), words["timestamp"], words["nonce"], encrypt)
            body = f"<xml><ToUserName>gh_zhongkong</ToUserName><Encrypt>{encrypt}</Encrypt></xml>".encode()
            pushes.append(({**words, "encrypt_type": "aes", "msg_signature": signed}, body))
        return pushes


def url_of(public_url: str, appid: str) -> str:
    """Return the callback's address outside; the empty text where nobody said how the hub is found."""
    return f"{public_url}/callback/{quote(appid, safe='')}" if public_url else ""


def judge_url(url: str) -> Finding | None:
    """Return what is wrong with an address before anything is asked; None if nothing is."""
    if not url:
        return Finding("unknown")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return Finding("url")
    if parts.scheme not in ("http", "https") or not host:
        return Finding("url")
    if port not in _PORTS:
        return Finding("port", str(port))
    try:
        is_inside = not ip_address(host).is_global
    except ValueError:
        is_inside = "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return Finding("inside", host) if is_inside else None


def judge_key(callback: Callback) -> Finding | None:
    """Return whether the EncodingAESKey here is none."""
    key = callback.encoding_aes_key
    return Finding("key_length", str(len(key.reveal()))) if key and not is_encoding_aes_key(key.reveal()) else None


def judge_echo(said: Delivered | Undelivered, echostr: str, took: Seconds) -> Finding | None:
    """Return what is wrong with the answer to a check of the URL; None if nothing is."""
    if (bad := _judge_arrival(said)) is not None:
        return bad
    assert isinstance(said, Delivered)  # noqa: S101 (narrows a type: judged just now)
    body, right = said.body, echostr.encode()
    if body == right:
        return Finding("slow", f"{took:.1f}") if took > SLOW else None
    if body.removeprefix(_BOM) == right:
        return Finding("bom")
    if body.strip() == right:
        return Finding("blanks")
    if body.strip().strip(b"\"'") == right:
        return Finding("quotes")
    return Finding("page") if body.lstrip()[:1] == b"<" else Finding("echo")


def judge_push(said: Delivered | Undelivered, took: Seconds) -> Finding | None:
    """Return what is wrong with the answer to a push; None if nothing is."""
    if isinstance(said, Delivered) and said.refused_step == "body":
        return Finding("body_eaten")
    if isinstance(said, Delivered) and not said.refused_step and said.status in (405, 411, 413, 415):
        return Finding("post_barred", str(said.status))
    if (bad := _judge_arrival(said)) is not None:
        return bad
    assert isinstance(said, Delivered)  # noqa: S101 (narrows a type: judged just now)
    if said.body != b"success":
        return Finding("page")
    return Finding("slow", f"{took:.1f}") if took > SLOW else None


def _judge_arrival(said: Delivered | Undelivered) -> Finding | None:
    """Return why no answer of ours came; None if one did."""
    if isinstance(said, Undelivered):
        return Finding(_WHYS.get(said.why, "cut"), said.why)
    if said.refused_step:
        return Finding(f"refused_{said.refused_step}" if said.refused_step in STEPS else "page")
    if 300 <= said.status < 400:  # noqa: PLR2004 (what leads elsewhere)
        return Finding("redirect", str(said.status))
    if said.status == 404:  # noqa: PLR2004
        return Finding("path")
    return None if said.status == 200 else Finding("status", str(said.status))  # noqa: PLR2004
