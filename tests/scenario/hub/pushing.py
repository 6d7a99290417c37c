"""The platform as it knocks at a hub: it signs and encrypts by its own documents."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Any

import httpx

from tests.scenario.hub.house import APPID, House
from zhongkong.core.callbacks import Callback
from zhongkong.core.model import Event, Secret
from zhongkong.wechat.cipher import PushCipher

TOKEN = "callbackToken1"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
HANDLER, LISTENER = "http://robot.internal/wechat", "http://audit.internal/push"
TEXT = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oA]]></FromUserName>"
    "<CreateTime>1800000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{}]]></Content>"
    "<MsgId>{}</MsgId></xml>"
)
REPLY = b"<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content></xml>"


def text(content: str = "hello", msgid: int = 1) -> str:
    """Return a message of a person."""
    return TEXT.format(content, msgid)


def sign(*parts: str) -> str:
    """Return a signature by the documents' rule."""
    return sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


class Pusher:
    """Pushes to a hub, in whichever mode."""

    def __init__(self, house: House, appid: str = APPID, token: str = TOKEN, key: str = KEY) -> None:
        self.house = house
        self.appid = appid
        self.token = token
        self.cipher = PushCipher(key, appid)
        self._nonces = 1000

    def words(self, **given: str) -> dict[str, str]:
        """Return the signed query."""
        self._nonces += 1
        words = {"timestamp": str(int(self.house.clock.wall())), "nonce": str(self._nonces), **given}
        return {"signature": sign(self.token, words["timestamp"], words["nonce"]), "openid": "oA", **words}

    def encrypted(self, message: str, *, in_json: bool = False, plain: bool = False) -> tuple[dict[str, str], bytes]:
        """Return query and body of safe mode; of compatible mode with `plain`."""
        words = self.words(encrypt_type="aes")
        encrypt = self.cipher.encrypt(message.encode(), b"0123456789abcdef")
        words["msg_signature"] = sign(self.token, words["timestamp"], words["nonce"], encrypt)
        if in_json:
            return words, json.dumps({"ToUserName": "gh_1", "Encrypt": encrypt}).encode()
        shown = message.removeprefix("<xml>").removesuffix("</xml>") if plain else "<ToUserName>gh_1</ToUserName>"
        return words, f"<xml>{shown}<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>".encode()

    def push(self, body: str | bytes, words: dict[str, str] | None = None, **given: Any) -> httpx.Response:
        """Return the hub's answer to a push; what is not said otherwise comes as it should."""
        params = self.words() if words is None else words
        headers = {"content-type": "text/xml"}
        return self.house.call("POST", f"/callback/{self.appid}", params=params, content=body, headers=headers, **given)

    def check(self, echostr: str = "4375120948345356249", **given: str) -> httpx.Response:
        """Return the hub's answer to a check of the URL."""
        words = self.words(echostr=echostr, **given)
        return self.house.call("GET", f"/callback/{self.appid}", params=words)


def set_up(house: House, appid: str = APPID, **given: Any) -> Pusher:
    """Add an account with a callback, and return who pushes to it."""
    house.add_account(appid)
    callback = Callback(appid, Secret(TOKEN), Secret(KEY), **given)
    assert house.clock.run(house.store.put_callback(callback))
    return Pusher(house, appid)


def told(house: House, code: str) -> list[Event]:
    """Return the events of a code."""
    house.clock.turn(0.1)
    return [one.event for one in house.clock.run(house.store.events()) if one.event.code == code]
