"""Message servers as people wrote them, unmodified, behind the hub; and their crypto beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication

import httpx
import pytest
import werobot.robot  # type: ignore[import-untyped]
from flask import Flask, abort, request
from wechatpy import create_reply, parse_message  # type: ignore[import-untyped]
from wechatpy.crypto import WeChatCrypto  # type: ignore[import-untyped]
from wechatpy.exceptions import InvalidSignatureException  # type: ignore[import-untyped]
from wechatpy.utils import check_signature  # type: ignore[import-untyped]
from werobot.contrib.flask import make_view  # type: ignore[import-untyped]

from tests.scenario.hub.house import APPID, House
from tests.scenario.hub.pushing import HANDLER, KEY, TOKEN, set_up, told
from tests.scenario.hub.test_callback_platform import PERSON, Console, configure
from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Delivered, Undelivered
from zhongkong.wechat.cipher import PushCipher
from zhongkong.wechat.pushes import Shape, build_encrypted, parse_body
from zhongkong.wechat.signature import is_signed

MESSAGE = "<xml><ToUserName>gh_1</ToUserName><Content>你好</Content></xml>"


def build_wechatpy(*, safe: bool) -> WSGIApplication:
    """Return the message server of wechatpy's own documentation."""
    app = Flask("wechatpy")
    crypto = WeChatCrypto(TOKEN, KEY, APPID)

    @app.route("/wechat", methods=["POST"])
    def wechat() -> Any:
        words = request.args
        body: Any = request.data
        try:
            check_signature(TOKEN, words["signature"], words["timestamp"], words["nonce"])
            if safe:
                body = crypto.decrypt_message(body, words["msg_signature"], words["timestamp"], words["nonce"])
        except InvalidSignatureException:
            abort(403)
        message = parse_message(body)
        rendered = create_reply(f"echo {message.content}", message=message).render()
        return crypto.encrypt_message(rendered, words["nonce"], words["timestamp"]) if safe else rendered

    return app.wsgi_app


def build_werobot(*, safe: bool) -> WSGIApplication:
    """Return a WeRoBot."""
    given = {"app_id": APPID, "encoding_aes_key": KEY} if safe else {}
    robot = werobot.robot.BaseRoBot(token=TOKEN, SESSION_STORAGE=False, **given)

    @robot.text  # type: ignore[untyped-decorator]
    def answer(message: Any) -> str:
        return f"echo {message.content}"

    app = Flask("werobot")
    app.add_url_rule("/wechat", endpoint="werobot", view_func=make_view(robot), methods=["GET", "POST"])
    return app.wsgi_app


def post(app: WSGIApplication, url: str, content_type: str, body: bytes) -> Delivered:
    """Return what a message server answers to a push."""
    with httpx.Client(transport=httpx.WSGITransport(app)) as client:
        answer = client.post(url, content=body, headers={"content-type": content_type})
    return Delivered(answer.status_code, answer.content)


@pytest.fixture
def house() -> Iterator[House]:
    """A hub in virtual time."""
    house = House()
    house.open()
    yield house
    house.close()


@pytest.mark.parametrize("build", [build_wechatpy, build_werobot])
@pytest.mark.parametrize("mode", ["plaintext", "compatible", "safe"])
def test_a_message_server_answers_people_behind_the_hub(
    house: House, monkeypatch: pytest.MonkeyPatch, mode: str, build: Callable[..., WSGIApplication]
) -> None:
    """It checks the signature and decrypts by itself; nothing in it knows of a hub."""
    app = build(safe=mode != "plaintext")

    async def bring(url: Secret, content_type: str, body: bytes, _until: Seconds) -> Delivered | Undelivered:
        return post(app, url.reveal(), content_type, body)

    monkeypatch.setattr(house.programs, "bring", bring)
    set_up(house, handler=Secret(HANDLER))
    house.world.add_follower(APPID, "小明", house.clock.wall(), openid=PERSON)
    console = Console(house)
    assert configure(console, mode).status_code == 200
    done = console.say("你好")
    assert (done["notice"], done["reply"]["Content"]) == (None, "echo 你好")
    assert told(house, "push_undelivered") == []


def test_wechatpy_reads_what_ours_wrote_and_the_reverse() -> None:
    """In both directions, signatures included."""
    theirs, ours = WeChatCrypto(TOKEN, KEY, APPID), PushCipher(KEY, APPID)
    encrypted = ours.encrypt(MESSAGE.encode(), b"0123456789abcdef")
    written = build_encrypted(Shape.XML, TOKEN, encrypted, 1700000000, "12345")
    signature = parse_body(written).get("MsgSignature")
    read = theirs.decrypt_message(written.decode(), signature, "1700000000", "12345")
    assert (read if isinstance(read, str) else read.decode()) == MESSAGE
    reply = parse_body(theirs.encrypt_message(MESSAGE, "67890", "1700000001").encode())
    signed = [reply.get(name) for name in ("TimeStamp", "Nonce", "Encrypt")]
    assert is_signed(reply.get("MsgSignature"), TOKEN, *signed)
    assert ours.decrypt(reply.get("Encrypt")).decode() == MESSAGE
