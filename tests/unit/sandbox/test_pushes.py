"""The sandbox's own writing of pushes and reading of replies, against what others published."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.wechat.push_vectors import ENCRYPTED, SIGNED, name
from zhongkong.sandbox.pushes import (
    Addressee,
    Callback,
    Message,
    Stamp,
    _decrypt,
    _encrypt,
    build_check,
    build_letter,
    original_id,
    read_reply,
)

APPID = "wx0000000000000001"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TO = Addressee(APPID, original_id(APPID))
STAMP = Stamp(1700000000, "987654321", b"0123456789abcdef")
MESSAGE: Message = {
    "ToUserName": original_id(APPID),
    "FromUserName": "oA",
    "CreateTime": 1700000000,
    "MsgType": "text",
    "Content": "你好 ]]> <b>",
    "MsgId": 24000000000000001,
}


def callback(mode: str = "plaintext", data_format: str = "xml") -> Callback:
    """Return a configuration."""
    return Callback("https://wx.example.com/a?b=1", "simToken2026", KEY, mode, data_format)  # type: ignore[arg-type]


def query(url: str) -> dict[str, str]:
    """Return the query of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("vector", SIGNED, ids=name)
def test_checks_are_signed_as_the_documents_show(vector: dict[str, str]) -> None:
    """This code shares nothing with the hub's, so it is held against the same examples."""
    told = Callback("https://wx.example.com/", "AAAAA")
    told.token = vector["token"]
    words = query(build_check(told, TO, Stamp(int(vector["timestamp"]), vector["nonce"], b""), "echo"))
    assert (words["signature"], words["echostr"]) == (vector["signature"], "echo")


@pytest.mark.parametrize("vector", ENCRYPTED, ids=name)
def test_ciphertexts_are_as_published(vector: dict[str, str]) -> None:
    """Both ways."""
    told = Callback("https://wx.example.com/", "AAAAA", vector["encoding_aes_key"])
    encrypted = _encrypt(told, vector["receiver"], vector["message"].encode(), vector["random"].encode())
    assert encrypted == vector["encrypt"]
    assert _decrypt(told, vector["receiver"], encrypted).decode() == vector["message"]


@pytest.mark.parametrize("data_format", ["xml", "json"])
def test_each_mode_shows_what_it_should(data_format: str) -> None:
    """Plaintext all, compatible both, safe the envelope alone."""
    plain, both, safe = (
        build_letter(callback(mode, data_format), TO, MESSAGE, STAMP) for mode in ("plaintext", "compatible", "safe")
    )
    assert "你好" in plain.body.decode()
    assert "你好" in both.body.decode()
    assert "你好" not in safe.body.decode()
    assert "Encrypt" not in plain.body.decode()
    for letter in (both, safe):
        assert "Encrypt" in letter.body.decode()
        assert {"msg_signature", "encrypt_type", "openid", "b"} <= set(query(letter.url))
    assert "msg_signature" not in query(plain.url)
    assert plain.content_type == {"xml": "text/xml", "json": "application/json"}[data_format]


def test_wecom_is_pushed_to_in_its_own_form() -> None:
    """No `signature`, no openid: msg_signature over what is encrypted for the corpid, and an envelope with AgentID."""
    to = Addressee("ww1", "ww1", 1000002)
    letter = build_letter(callback("safe"), to, {**MESSAGE, "ToUserName": "ww1"}, STAMP)
    assert set(query(letter.url)) == {"b", "msg_signature", "timestamp", "nonce"}
    body = letter.body.decode()
    assert body.startswith("<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt>")
    assert body.endswith("<AgentID><![CDATA[1000002]]></AgentID></xml>")
    encrypted = body.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]
    assert "你好" in _decrypt(callback("safe"), "ww1", encrypted).decode()


def test_wecoms_check_is_encrypted() -> None:
    """Its answer is what is inside."""
    words = query(build_check(callback("safe"), Addressee("ww1", "ww1", 1000002), STAMP, "1616140317555161061"))
    assert set(words) == {"b", "msg_signature", "timestamp", "nonce", "echostr"}
    assert _decrypt(callback("safe"), "ww1", words["echostr"]) == b"1616140317555161061"


@pytest.mark.parametrize("answer", [b"", b"success", b"success\n"])
def test_no_reply_is_no_reply(answer: bytes) -> None:
    """Nothing is shown to the person."""
    assert read_reply(callback("safe"), APPID, answer) is None


def test_a_reply_is_read_in_plain_and_encrypted() -> None:
    """As the person reads it."""
    plain = b"<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content></xml>"
    assert read_reply(callback(), APPID, plain) == {"MsgType": "text", "Content": "hi"}
    letter = build_letter(callback("safe"), TO, {**MESSAGE, "Content": "hi"}, STAMP)
    signed = query(letter.url)
    encrypted = letter.body.decode().replace(
        "</xml>",
        f"<MsgSignature>{signed['msg_signature']}</MsgSignature><TimeStamp>{signed['timestamp']}</TimeStamp>"
        f"<Nonce>{signed['nonce']}</Nonce></xml>",
    )
    reply = read_reply(callback("safe"), APPID, encrypted.encode())
    assert reply is not None
    assert reply["Content"] == "hi"
    with pytest.raises(ValueError, match="another appid"):
        read_reply(callback("safe"), "wx2", encrypted.encode())
    with pytest.raises(ValueError, match="MsgSignature"):
        read_reply(callback("safe"), APPID, encrypted.replace(signed["msg_signature"], "0" * 40).encode())


@pytest.mark.parametrize(
    ("mode", "answer", "why"),
    [
        ("plaintext", b"ok", "neither success nor a reply"),
        ("plaintext", b"<html><p>error</p></html>", "neither success nor a reply"),
        ("plaintext", json.dumps({"MsgType": "text"}).encode(), "must be XML"),
        ("safe", b"<xml><MsgType>text</MsgType></xml>", "must be encrypted"),
    ],
)
def test_what_the_platform_cannot_use_is_told(mode: str, answer: bytes, why: str) -> None:
    """The person reads the notice; the developer reads why."""
    with pytest.raises(ValueError, match=why):
        read_reply(callback(mode), APPID, answer)


@pytest.mark.parametrize(
    "given",
    [
        ("ftp://a/", "abc"),
        ("https:///a", "abc"),
        ("https://a/", "ab"),
        ("https://a/", "a-b"),
        ("https://a/", "abc", "short"),
    ],
)
def test_the_console_does_not_take_everything(given: tuple[str, ...]) -> None:
    """A Token has 3 to 32 letters or digits, a key 43 characters."""
    with pytest.raises(ValueError, match="must"):
        Callback(*given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs an encoding_aes_key"):
        Callback("https://a/", "abc", "", "safe")
