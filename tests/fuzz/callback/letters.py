"""Pushes as they go on the wire, by the platform's documents and none of our code: signed, encrypted, or neither."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from random import Random
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.fuzz.callback.parties import Party

BLOCK = 32
CONTENTS = ("你好", "hello", "]]>", "<b>&amp;</b>", "😀" * 20, "a" * 2000, "'\"\\ \t", "success", "0")
EVENTS = ("subscribe", "unsubscribe", "CLICK", "SCAN", "TEMPLATESENDJOBFINISH", "user_enter_tempsession")
Message = dict[str, Any]


@dataclass(slots=True)
class Letter:
    """One push. Changed in place by who means no good."""

    party: Party
    message: Message
    words: dict[str, str]
    body: bytes
    content_type: str

    @property
    def stamp(self) -> tuple[str, str]:
        """Return what its signature covers besides the Token."""
        return self.words["timestamp"], self.words["nonce"]

    @property
    def query(self) -> bytes:
        """Return its query. A name that begins with NUL is there a second time."""
        return urlencode([(name.removeprefix("\0"), value) for name, value in self.words.items()]).encode()

    def sign(self, token: str | None = None) -> None:
        """Sign its stamp anew, and the ciphertext if it has one."""
        token = token or self.party.token
        if "signature" in self.words:
            self.words["signature"] = sign(token, *self.stamp)
        if "msg_signature" in self.words:
            self.words["msg_signature"] = sign(token, *self.stamp, self.encrypted)

    @property
    def encrypted(self) -> str:
        """Return its ciphertext as it stands in the body."""
        text = self.body.decode("utf-8", "replace")
        if self.party.shape == "json":
            return str(json.loads(text)["Encrypt"])
        return text.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]

    def enclose(self, encrypted: str) -> None:
        """Put a ciphertext into it, and sign that."""
        shown = self.message if self.party.mode == "compatible" else {"ToUserName": self.message["ToUserName"]}
        more = {"AgentID": "1000002"} if self.party.is_wecom else {}
        self.body = write({**shown, **more, "Encrypt": encrypted}, self.party.shape)
        self.words["msg_signature"] = sign(self.party.token, *self.stamp, encrypted)


def sign(*words: str) -> str:
    """Return the platform's signature."""
    return sha1("".join(sorted(words)).encode(), usedforsecurity=False).hexdigest()


def seal(key: str, whole: bytes, pad: bytes | None = None) -> str:
    """Return `whole` encrypted; `pad` takes the place of the padding."""
    raw, missing = b64decode(key + "="), BLOCK - len(whole) % BLOCK
    encryptor = Cipher(AES(raw), CBC(raw[:16])).encryptor()
    padded = whole + (bytes([missing]) * missing if pad is None else pad)
    return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def pack(random: Random, inner: bytes, receiver: str, length: int | None = None) -> bytes:
    """Return what is encrypted: 16 random bytes, the length, the message, whom it is for."""
    announced = (len(inner) if length is None else length).to_bytes(4, "big")
    return random.randbytes(16) + announced + inner + receiver.encode()


def write(message: Mapping[str, Any], shape: str) -> bytes:
    """Return a message in XML or JSON."""
    if shape == "json":
        return json.dumps(message, ensure_ascii=False).encode()
    return f"<xml>{''.join(_element(*one) for one in message.items())}</xml>".encode()


def _element(name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(*one) for one in value.items())}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    text = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"


def draw_message(random: Random, number: int, now: float) -> Message:
    """Return a message or an event that no other number has."""
    message: Message = {"ToUserName": "gh_1", "FromUserName": f"o{number}", "CreateTime": int(now)}
    if random.random() < 0.6:
        msgid: int | str = random.choice((2**63 - 1 - number, f"{number}_1", str(number)))
        return {**message, "MsgType": "text", "Content": random.choice(CONTENTS), "MsgId": msgid}
    message |= {"MsgType": "event", "Event": random.choice(EVENTS), "EventKey": random.choice(("", "k", "qrscene_1"))}
    if random.random() < 0.3:
        message["ScanCodeInfo"] = {"ScanType": "qrcode", "List": {"item": {"Text": "x"}}}
    return message


def write_letter(random: Random, party: Party, message: Message, stamp: tuple[str, str]) -> Letter:
    """Return a push as the party is pushed to, with nothing wrong in it."""
    timestamp, nonce = stamp
    words = {"timestamp": timestamp, "nonce": nonce}
    if not party.is_wecom:
        words |= {"signature": sign(party.token, *stamp), "openid": str(message["FromUserName"])}
    inner = write(message, party.shape)
    kind = "text/xml" if party.shape == "xml" else "application/json"
    letter = Letter(party, message, words, inner, kind)
    if party.is_sealed:
        if not party.is_wecom:
            words["encrypt_type"] = "aes"
        letter.enclose(seal(party.key, pack(random, inner, party.receiver)))
    return letter
