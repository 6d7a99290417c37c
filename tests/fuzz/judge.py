"""What a try proved: nothing leaked, nobody else was asked, no SDK would loop, and honest calls are served."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from tests.fuzz.clients import Got
from tests.fuzz.scene import HEART, SECRET_HEART, SIGNING_KEY
from tests.fuzz.tries import BREAKAGES, Answer, Try
from zhongkong.wechat.endpoints import PLATFORM_HOSTS
from zhongkong.wechat.errcodes import REFUSED_TOKEN

ELSEWHERE = "mp.weixin.qq.com"
"""The platform's other host, which answers `showqrcode`."""
JUDGED_MOST = 60_000


def spell(secret: str) -> Iterator[bytes]:
    """Yield how a secret may be written; of base64 what is in it whatever stands before."""
    raw = secret.encode()
    yield from (raw, raw[::-1], raw.hex().encode(), quote(secret, safe="").encode())
    yield b"".join(b"%%%02x" % char for char in raw)
    yield b"".join(b"\\u%04x" % char for char in raw)
    for before in range(3):
        packed = b64encode(b"\0" * before + raw)[4 if before else 0 : -4]
        yield from (packed, packed.replace(b"+", b"-").replace(b"/", b"_"))


_HEARTS = (HEART, SECRET_HEART, SIGNING_KEY.decode())
_SECRETS = sorted({one.lower() for heart in _HEARTS for one in spell(heart)})


def judge(one: Try, got: Got) -> Iterator[str]:
    """Yield what is wrong."""
    if got.wrong:
        yield got.wrong
    received = b"\r\n".join((*(b"%s: %s" % header for header in got.headers), got.body)).lower()
    if (found := [secret for secret in _SECRETS if secret in received]) and not _is_streamed(one.answered):
        at = received.index(found[0])
        yield f"a secret reached the client: …{received[max(0, at - 40) : at + 40]!r}"
    yield from _judge_sent(one)
    if one.client not in ("leaves", "cut") and not one.seen and not got.status and not got.is_garbled:
        yield "no answer"
    if one.is_plain and one.client in ("stays", "slow"):
        yield from _judge_plain(one, got)


def _judge_sent(one: Try) -> Iterator[str]:
    """Judge what the platform saw."""
    for seen in one.seen:
        host = urlsplit(seen.base_url).hostname or ""
        is_ours = seen.base_url == one.account.base_url or (
            host in (*PLATFORM_HOSTS, ELSEWHERE) and "weixin" in one.account.base_url
        )
        if not is_ours and not _is_anybodys(one):
            yield f"{seen.base_url} was asked for a client of {one.account.base_url}"
        if re.fullmatch(r"/[!-~]*", seen.target) is None or seen.target.startswith("//"):
            yield f"a target that may be read as something else: {seen.target[:100]!r}"
        names = [name.lower() for name, _ in seen.headers]
        if any(char in name + value for name, value in seen.headers for char in "\r\n\0"):
            yield "a header with a line's end in it"
        if names.count("host") > 1 or names.count("content-length") > 1 or "transfer-encoding" in names:
            yield f"headers that may be read in two ways: {names}"
        shown = seen.target + "".join(value for name, value in seen.headers)
        if one.is_plain and ("zkt_" in shown or "zk_" in shown):
            yield "a virtual token or a key of ours reached the platform"
    if len(one.seen) > 2 or (len(one.seen) == 2 and not one.seen[0].refused):
        yield f"sent {len(one.seen)} times, although it was not refused"


def _judge_plain(one: Try, got: Got) -> Iterator[str]:
    """Judge the answer to a call of an honest SDK with a good token."""
    if not got.status:
        if not (one.breakage in BREAKAGES and one.seen):
            yield "a good call got no answer"
        return
    members = _read(got.body)
    errcode = members.get("errcode") if isinstance(members, dict) else None
    if _number(errcode) in REFUSED_TOKEN and (one.answered is None or one.answered.status == 200):
        yield f"an SDK would loop: {got.body[:200]!r}"
    if _number(errcode) in (40066, 48001, 41001, 45011):
        yield f"a good call was refused: {got.body[:200]!r}"
    said = one.answered
    if one.breakage or said is None or one.seen[-1].refused or one.answer in ("echo", "redirect"):
        return
    if b"zhongkong" in got.body:
        yield f"a good call failed: {got.body[:200]!r}"
    elif got.status != said.status or (one.method != "HEAD" and got.body != said.body):
        yield f"not what the platform said: {got.status} {got.body[:100]!r}, {said.status} {said.body[:100]!r}"


def _is_anybodys(one: Try) -> bool:
    """Say whether the call shows no account: then any account's platform may be asked."""
    return b"showqrcode" in one.path or b"/sns/" in one.path


def _is_streamed(said: Answer | None) -> bool:
    """Say whether an answer is passed on as it comes, unseen: its body is the platform's own affair."""
    return said is not None and len(said.body) > JUDGED_MOST


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _number(errcode: object) -> int:
    try:
        return int(errcode)  # type: ignore[call-overload, no-any-return]  # as SDKs do, whatever it is
    except (TypeError, ValueError):
        return 0
