"""Bodies of pushes and of replies to them, in XML and JSON. Sources: 消息推送; 被动回复用户消息; 加解密技术方案."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from typing import NamedTuple, NoReturn, TypeAlias
from xml.parsers import expat

from zhongkong.wechat.signature import sign_push

LONGEST = 262_144
"""Bytes of a body. The platform's own are far shorter: a text message has 2,048 bytes of text."""
DEEPEST = 12
MOST_ELEMENTS = 2_000
Fields: TypeAlias = Mapping[str, str]
"""What stands at the top of a message, by name. What is nested deeper counts for nothing here."""


class Shape(Enum):
    """What a body is written in."""

    XML = "xml"
    JSON = "json"


class BodyUnreadable(ValueError):
    """A body is no message: neither XML nor JSON, too long or too deep, with a DTD or an entity."""


class Body(NamedTuple):
    """A body that was read."""

    shape: Shape
    fields: Fields
    digest: str
    """64 characters of hex, the same for all bodies that say the same, however they are laid out."""

    def get(self, name: str) -> str:
        """Return a field, or the empty text."""
        return self.fields.get(name, "")


def parse_body(body: bytes) -> Body:
    """Return what a message says.

    Raises: BodyUnreadable.
    """
    if len(body) > LONGEST:
        raise BodyUnreadable
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        return _Reading().read(body)
    if start == b"{":
        return _read_json(body)
    raise BodyUnreadable


class _Reading:
    """One body of XML on its way through the parser. There is no document type, no entity, no other encoding."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []
        self._elements = 0
        self._said = sha256()

    def read(self, body: bytes) -> Body:
        """Return the body, whose root is named `xml`; its fields are what stands right below."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ProcessingInstructionHandler = _refuse
        try:
            parser.Parse(body, True)  # noqa: FBT003 (expat takes it by place: this is all of it)
        except (expat.ExpatError, ValueError) as error:
            raise BodyUnreadable from error
        return Body(Shape.XML, self._fields, self._said.hexdigest())

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if (not self._path and name != "xml") or len(self._path) >= DEEPEST or self._elements > MOST_ELEMENTS:
            raise BodyUnreadable
        self._path.append(name)
        self._note("".join(self._text))
        self._note(f"<{name}")
        self._text.clear()

    def _say(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        self._note("".join(self._text))
        self._note(">")
        if len(self._path) == 2:  # noqa: PLR2004 (right below the root)
            if name in self._fields:
                raise BodyUnreadable  # of two, one program would heed the first and another the second
            self._fields[name] = "".join(self._text)
        self._path.pop()
        self._text.clear()

    def _note(self, text: str) -> None:
        """Add to the digest, but for blanks between elements."""
        if text.strip():
            self._said.update(f"{text}\0".encode())  # NUL is in no XML


def _refuse(*_said: object) -> NoReturn:
    raise BodyUnreadable


def _read_json(body: bytes) -> Body:
    try:
        read = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BodyUnreadable from error
    fields = {name: str(value) for name, value in read.items() if _is_flat(value)}
    try:
        "".join(fields.values()).encode()
    except UnicodeEncodeError as error:  # half a character, which JSON can write and nothing else can
        raise BodyUnreadable from error
    said = json.dumps(read, sort_keys=True).encode()
    return Body(Shape.JSON, fields, sha256(said).hexdigest())


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BodyUnreadable
    return members


def _is_flat(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


# --- which message it is


def identify_push(body: Body) -> str:
    """Return what is the same for a message and for the platform's repetitions of it: 64 characters of hex.

    A message is known by its MsgId, an event by all that it says. The platform's pages say FromUserName and CreateTime;
    but two template messages may be delivered to one person in one second, and at WeCom many events are from `sys`.
    Source: 接收普通消息, 接收事件推送 (关于重试的消息排重).
    """
    msgid = body.get("MsgId")
    return sha256(f"message {msgid}".encode()).hexdigest() if msgid else body.digest


# --- replies

_NO_REPLY = re.compile(rb"\s*(?:success)?\s*")
SUCCESS = b"success"
"""The answer to a push to which there is no reply. Source: 被动回复用户消息."""


class Answer(Enum):
    """What the body of a handler's answer is to the platform."""

    NOTHING = "nothing"
    """`success` or empty: it was received, and there is no reply."""
    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    UNFIT = "unfit"
    """Neither: the platform would tell the person that the account is out of order."""


def judge_answer(answer: bytes) -> Answer:
    """Return what a handler's answer is; a reply is a message like any other, in XML or JSON."""
    if _NO_REPLY.fullmatch(answer):
        return Answer.NOTHING
    try:
        body = parse_body(answer)
    except BodyUnreadable:
        return Answer.UNFIT
    return Answer.ENCRYPTED if "Encrypt" in body.fields else Answer.PLAIN


def build_encrypted(shape: Shape, token: str, encrypt: str, timestamp: int, nonce: str) -> bytes:
    """Return an encrypted reply around the ciphertext `encrypt`, signed with the account's Token."""
    signature = sign_push(token, str(timestamp), nonce, encrypt)
    if shape is Shape.JSON:
        members = {"Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": timestamp, "Nonce": nonce}
        return json.dumps(members, separators=(",", ":")).encode()
    if not nonce.isalnum():
        raise ValueError("a nonce has letters and digits only")
    return (
        f"<xml><Encrypt><![CDATA[{encrypt}]]></Encrypt><MsgSignature><![CDATA[{signature}]]></MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
    ).encode()
