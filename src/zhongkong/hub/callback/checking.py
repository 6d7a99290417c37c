"""Whether a push is the platform's, and what it says: pure, and each refusal names the step at which it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from zhongkong.core.callbacks import DEBUG_EVENT, VERIFIER, WINDOW, Callback, receiver_of
from zhongkong.core.model import Instant
from zhongkong.wechat.cipher import PushCipher, Undecipherable
from zhongkong.wechat.pushes import Body, BodyUnreadable, Shape, identify_push, parse_body
from zhongkong.wechat.signature import is_signed

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_NONCE = re.compile(r"[\x21-\x7e]{1,128}")
_SIGNATURE = re.compile(r"[0-9a-f]{40}")
_ECHOSTR = re.compile(r"[\x20-\x7e]{1,1024}")


class Step(StrEnum):
    """Where a push was refused, in the order in which it is looked at."""

    APPID = "appid"
    """Nobody is kept here under it; or the message was encrypted for another one."""
    TOKEN = "token"
    """The account has none here; or it was signed with another one."""
    TIMESTAMP = "timestamp"
    SIGNATURE = "signature"
    """There is none; or what it covers was changed on the way."""
    NONCE = "nonce"
    """It was used with another message."""
    KEY = "key"
    """It is encrypted, and there is no EncodingAESKey here; or it is another one."""
    BODY = "body"
    """It is empty, too long, or no message."""


class Refusal(Exception):
    """A push was refused."""

    def __init__(self, step: Step) -> None:
        """Name the step."""
        super().__init__(step.value)
        self.step = step


class Words(NamedTuple):
    """What stands in the query."""

    timestamp: str
    nonce: str
    signature: str
    msg_signature: str
    echostr: str

    @property
    def stamp(self) -> str:
        """Return what every signature covers."""
        return f"{self.timestamp} {self.nonce}"


@dataclass(frozen=True, slots=True)
class Message:
    """A push that is the platform's."""

    identity: str
    shape: Shape
    is_encrypted: bool
    body: Body = field(repr=False)
    """What it says: of an encrypted one what was inside."""

    @property
    def is_our_own(self) -> bool:
        """Say whether it only tries the way here."""
        return self.body.get("FromUserName") == VERIFIER and self.body.get("Event") == DEBUG_EVENT


def read_words(query: Sequence[tuple[str, str]], now: Instant) -> Words:
    """Return what a push is signed with. A word may stand there once: of two, the hub and a handler may heed either.

    Raises: Refusal: TIMESTAMP, SIGNATURE.
    """
    said = [(name, value) for name, value in query if name in Words._fields]
    if len(dict(said)) != len(said):
        raise Refusal(Step.SIGNATURE)
    words = Words(*(dict(said).get(name, "") for name in Words._fields))
    if not _TIMESTAMP.fullmatch(words.timestamp) or abs(int(words.timestamp) - now) > WINDOW:
        raise Refusal(Step.TIMESTAMP)
    if not _NONCE.fullmatch(words.nonce):
        raise Refusal(Step.SIGNATURE)
    return words


def judge_echo(callback: Callback, words: Words) -> tuple[str, bytes]:
    """Return what identifies a check of the URL, and its answer: echostr, decrypted where it came encrypted.

    Source: 接入指南 (验证消息来自微信服务器); 企业微信 验证URL有效性.
    Raises: Refusal.
    """
    if not _ECHOSTR.fullmatch(words.echostr):
        raise Refusal(Step.BODY)
    identity = sha256(b"echostr " + words.echostr.encode()).hexdigest()
    if words.signature:
        _judge_signature(callback, words)
        return identity, words.echostr.encode()
    _judge_msg_signature(callback, words, words.echostr)
    return identity, _decrypt(callback, words.echostr)


def judge_push(callback: Callback, words: Words, raw: bytes) -> Message:
    """Return what the platform pushed, in whichever of its three modes.

    Raises: Refusal.
    """
    if not raw.strip():
        raise Refusal(Step.BODY)
    is_encrypted = bool(words.msg_signature)
    if not is_encrypted:
        _judge_signature(callback, words)
    outer = _parse(raw)
    encrypted = outer.get("Encrypt")
    if not is_encrypted:
        if encrypted:
            raise Refusal(Step.SIGNATURE)  # what is said inside is not signed
        return Message(identify_push(outer), outer.shape, is_encrypted, outer)
    if not encrypted:
        raise Refusal(Step.BODY)
    _judge_msg_signature(callback, words, encrypted)
    inner = _decrypt(callback, encrypted)
    body = _parse(inner)
    return Message(identify_push(body), outer.shape, is_encrypted, body)


def _parse(raw: bytes) -> Body:
    try:
        return parse_body(raw)
    except BodyUnreadable:
        raise Refusal(Step.BODY) from None


def _judge_signature(callback: Callback, words: Words) -> None:
    """Refuse what is not signed. A signature that is none of ours was most likely made with another Token."""
    if not _SIGNATURE.fullmatch(words.signature):
        raise Refusal(Step.SIGNATURE)
    if not is_signed(words.signature, callback.token.reveal(), words.timestamp, words.nonce):
        raise Refusal(Step.TOKEN)


def _judge_msg_signature(callback: Callback, words: Words, encrypted: str) -> None:
    """Refuse a ciphertext that is not signed; where `signature` is right and this one is not, it was changed."""
    if not _SIGNATURE.fullmatch(words.msg_signature):
        raise Refusal(Step.SIGNATURE)
    token, stamp = callback.token.reveal(), (words.timestamp, words.nonce)
    if not is_signed(words.msg_signature, token, *stamp, encrypted):
        raise Refusal(Step.SIGNATURE if is_signed(words.signature, token, *stamp) else Step.TOKEN)


def _decrypt(callback: Callback, encrypted: str) -> bytes:
    if not callback.encoding_aes_key:
        raise Refusal(Step.KEY)
    try:
        return PushCipher(callback.encoding_aes_key.reveal(), receiver_of(callback.appid)).decrypt(encrypted)
    except Undecipherable as error:
        raise Refusal(Step.APPID if error.is_for_another else Step.KEY) from None
