"""What the platform pushes: how it is written, signed and encrypted, and how replies are read. Pure.

Sources: 接入概述; 接收普通消息; 接收事件推送; 被动回复用户消息; 消息加解密说明; 企业微信 回调和回复.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit
from xml.parsers import expat

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

PushMode = Literal["plaintext", "compatible", "safe"]
DataFormat = Literal["xml", "json"]
Message = dict[str, Any]

NOTICE = "该公众号暂时无法提供服务，请稍后再试"
"""What a person reads when the account's server gave no answer that can be used. Source: 被动回复用户消息."""
URL_TIMEOUT = "请求URL超时"
TOKEN_FAILED = "token验证失败"
"""What the console says when a URL is saved that does not answer, or answers something else than echostr."""
_BLOCK_BITS = 32 * 8
_NUMBERS = frozenset({"CreateTime", "MsgId"})
_TOKEN = re.compile(r"[A-Za-z0-9]{3,32}")
_KEY = re.compile(r"[A-Za-z0-9+/]{43}")


@dataclass(slots=True)
class Callback:
    """接口配置信息 and what goes with it (服务器配置)."""

    url: str
    token: str = field(repr=False)
    encoding_aes_key: str = field(default="", repr=False)
    mode: PushMode = "plaintext"
    data_format: DataFormat = "xml"

    def __post_init__(self) -> None:
        """Raise ValueError for what the console would not take."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must begin with http:// or https:// and name a host")
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("token must be 3 to 32 letters or digits")
        if self.encoding_aes_key and not _KEY.fullmatch(self.encoding_aes_key):
            raise ValueError("encoding_aes_key must be 43 characters of base64")
        if self.mode != "plaintext" and not self.encoding_aes_key:
            raise ValueError(f"mode {self.mode} needs an encoding_aes_key")


@dataclass(frozen=True, slots=True)
class Letter:
    """A push as it goes on the wire."""

    url: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Addressee:
    """How an account stands in what is pushed to it."""

    receiver: str
    """What stands at the end of what is encrypted: the appid, at WeCom the corpid."""
    user_name: str
    """ToUserName: the 原始ID, at WeCom the corpid."""
    agentid: int | None = None
    """Of an application of WeCom, and of nothing else."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes two letters of one message differ: time, nonce, and 16 bytes before what is encrypted."""

    timestamp: int
    nonce: str
    random: bytes


def original_id(appid: str) -> str:
    """Return the account's 原始ID, which messages are addressed to."""
    return "gh_" + sha1(appid.encode(), usedforsecurity=False).hexdigest()[:12]


def build_check(callback: Callback, to: Addressee, stamp: Stamp, echostr: str) -> str:
    """Return the URL that is asked for when the configuration is saved. At WeCom echostr is encrypted.

    Sources: 接入概述; 企业微信 验证URL有效性.
    """
    if to.agentid is not None:
        encrypt = _encrypt(callback, to.receiver, echostr.encode(), stamp.random)
        return _with_query(callback.url, {**_signed_by_wecom(callback, stamp, encrypt), "echostr": encrypt})
    return _with_query(callback.url, {**_signed(callback, stamp), "echostr": echostr})


def build_letter(callback: Callback, to: Addressee, message: Message, stamp: Stamp) -> Letter:
    """Return the push of `message` in the callback's mode and format."""
    if to.agentid is not None:
        return _build_wecom_letter(callback, to, message, stamp)
    query = {**_signed(callback, stamp), "openid": str(message.get("FromUserName", ""))}
    shown = dict(message)
    if callback.mode != "plaintext":
        encrypt = _encrypt(callback, to.receiver, _write(message, callback.data_format), stamp.random)
        query |= {"encrypt_type": "aes", "msg_signature": _sign(callback, stamp, encrypt)}
        shown = {
            **(shown if callback.mode == "compatible" else {"ToUserName": message["ToUserName"]}),
            "Encrypt": encrypt,
        }
    body = _write(shown, callback.data_format)
    content_type = "text/xml" if callback.data_format == "xml" else "application/json"
    return Letter(_with_query(callback.url, query), content_type, body)


def _build_wecom_letter(callback: Callback, to: Addressee, message: Message, stamp: Stamp) -> Letter:
    encrypt = _encrypt(callback, to.receiver, _write(message, "xml"), stamp.random)
    body = _write({"ToUserName": to.user_name, "Encrypt": encrypt, "AgentID": str(to.agentid)}, "xml")
    return Letter(_with_query(callback.url, _signed_by_wecom(callback, stamp, encrypt)), "text/xml", body)


def read_reply(callback: Callback, receiver: str, body: bytes) -> Message | None:
    """Return the passive reply in an answer; None for `success` or nothing, which is no reply.

    Raises ValueError, saying what the platform cannot use: the person is shown the notice.
    """
    if body.strip() in (b"", b"success"):
        return None
    reply = _read(body)
    if "Encrypt" not in reply:
        if callback.mode == "safe":
            raise ValueError("in safe mode a reply must be encrypted")
        if callback.data_format == "xml" and not body.lstrip().startswith(b"<"):
            raise ValueError("a passive reply must be XML")
        return reply
    if not callback.encoding_aes_key:
        raise ValueError("an encrypted reply, and no EncodingAESKey is set")
    signed = sorted([callback.token, str(reply.get("TimeStamp")), str(reply.get("Nonce")), str(reply["Encrypt"])])
    if sha1("".join(signed).encode(), usedforsecurity=False).hexdigest() != reply.get("MsgSignature"):
        raise ValueError("the reply's MsgSignature is wrong")
    return _read(_decrypt(callback, receiver, str(reply["Encrypt"])))


def _signed(callback: Callback, stamp: Stamp) -> dict[str, str]:
    return {"signature": _sign(callback, stamp), "timestamp": str(stamp.timestamp), "nonce": stamp.nonce}


def _signed_by_wecom(callback: Callback, stamp: Stamp, encrypt: str) -> dict[str, str]:
    signature = _sign(callback, stamp, encrypt)
    return {"msg_signature": signature, "timestamp": str(stamp.timestamp), "nonce": stamp.nonce}


def _sign(callback: Callback, stamp: Stamp, *more: str) -> str:
    words = sorted([callback.token, str(stamp.timestamp), stamp.nonce, *more])
    return sha1("".join(words).encode(), usedforsecurity=False).hexdigest()


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _write(message: Mapping[str, Any], data_format: DataFormat) -> bytes:
    if data_format == "json":
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return f"<xml>{''.join(_element(name, value) for name, value in message.items())}</xml>".encode()


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_element(inner, one) for inner, one in value.items())}</{name}>"
    if name in _NUMBERS or isinstance(value, int | float):
        return f"<{name}>{value}</{name}>"
    text = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"


def _read(body: bytes) -> Message:
    """Return the top fields of a body in XML, or all of one in JSON. Raises ValueError."""
    if body.lstrip().startswith(b"{"):
        return dict(json.loads(body))
    fields: Message = {}
    path: list[str] = []
    parser = expat.ParserCreate("utf-8")

    def start(name: str, _attributes: object) -> None:
        path.append(name)

    def say(text: str) -> None:
        if len(path) > 1 and path[0] == "xml":
            fields[path[1]] = fields.get(path[1], "") + text

    parser.StartElementHandler, parser.CharacterDataHandler = start, say
    parser.EndElementHandler = lambda _name: path.pop()
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes it by place
    except expat.ExpatError as error:
        raise ValueError(f"the answer is neither success nor a reply: {error}") from None
    if not fields:
        raise ValueError("the answer is neither success nor a reply")
    return fields


def _cipher(callback: Callback) -> Cipher[CBC]:
    key = b64decode(callback.encoding_aes_key + "=")
    return Cipher(AES(key), CBC(key[:16]))


def _encrypt(callback: Callback, receiver: str, message: bytes, random: bytes) -> str:
    padder, encryptor = PKCS7(_BLOCK_BITS).padder(), _cipher(callback).encryptor()
    whole = random + len(message).to_bytes(4, "big") + message + receiver.encode()
    return b64encode(encryptor.update(padder.update(whole) + padder.finalize()) + encryptor.finalize()).decode()


def _decrypt(callback: Callback, receiver: str, encrypted: str) -> bytes:
    decryptor, unpadder = _cipher(callback).decryptor(), PKCS7(_BLOCK_BITS).unpadder()
    try:
        whole = unpadder.update(decryptor.update(b64decode(encrypted)) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise ValueError("the reply cannot be decrypted") from None
    end = 20 + int.from_bytes(whole[16:20], "big")
    if whole[end:] != receiver.encode():
        raise ValueError("the reply is encrypted for another appid")
    return whole[20:end]
