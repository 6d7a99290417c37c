"""What the callback takes and what it refuses, each refusal with its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenario.hub.house import APPID, House
from tests.scenario.hub.programs import Says
from tests.scenario.hub.pushing import HANDLER, KEY, REPLY, Pusher, set_up, sign, text, told
from zhongkong.core.callbacks import Callback
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered
from zhongkong.wechat.cipher import PushCipher
from zhongkong.wechat.pushes import LONGEST, parse_body


def test_the_check_of_the_url_is_answered_bare(house: House) -> None:
    """As the platform's page does when the URL is saved: no quotes, no byte order mark, nothing around it."""
    answer = set_up(house).check("4375120948345356249")
    assert (answer.status_code, answer.content) == (200, b"4375120948345356249")
    assert answer.headers["content-type"].startswith("text/plain")


def test_an_encrypted_check_is_answered_decrypted(house: House) -> None:
    """So WeCom asks; for it the receiver is the corpid alone."""
    pusher = set_up(house)
    echostr = pusher.cipher.encrypt(b"1616140317555161061", b"0123456789abcdef")
    words = pusher.words(echostr=echostr)
    words["msg_signature"] = sign(pusher.token, words["timestamp"], words["nonce"], echostr)
    del words["signature"]
    answer = house.call("GET", f"/callback/{APPID}", params=words)
    assert (answer.status_code, answer.content) == (200, b"1616140317555161061")


@pytest.mark.parametrize("mode", ["plaintext", "compatible", "safe", "safe json"])
def test_a_push_of_every_mode_is_answered_with_what_its_handler_says(house: House, mode: str) -> None:
    """It gets the push as it came, the signed query included."""
    pusher = set_up(house, handler=Secret(f"{HANDLER}?robot=1"))
    answer_given = REPLY if mode == "plaintext" else b"<xml><Encrypt>own</Encrypt></xml>"
    house.programs.says[HANDLER] = [Says(Delivered(200, answer_given))]
    words, body = pusher.words(), text().encode()
    if mode != "plaintext":
        words, body = pusher.encrypted(text(), in_json=mode == "safe json", plain=mode == "compatible")
    answer = pusher.push(body, words)
    assert (answer.status_code, answer.content) == (200, answer_given)
    got = house.programs.got[0]
    assert (got.body, got.content_type) == (body, "text/xml")
    assert got.query.startswith("robot=1&")
    assert all(f"{name}={words[name]}" in got.query for name in ("signature", "timestamp", "nonce", "openid"))
    assert told(house, "push_refused") == []


@pytest.mark.parametrize("in_json", [False, True])
def test_a_plain_reply_to_an_encrypted_push_is_encrypted(house: House, *, in_json: bool) -> None:
    """A handler may leave that to the hub; the platform would refuse it plain."""
    pusher = set_up(house, handler=Secret(HANDLER))
    house.programs.says[HANDLER] = [Says(Delivered(200, REPLY))]
    words, body = pusher.encrypted(text(), in_json=in_json)
    answer = parse_body(pusher.push(body, words).content)
    signed = [answer.get(name) for name in ("TimeStamp", "Nonce", "Encrypt")]
    assert answer.get("MsgSignature") == sign(pusher.token, *signed)
    assert PushCipher(KEY, APPID).decrypt(answer.get("Encrypt")) == REPLY


def _stale(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.words(timestamp=str(int(pusher.house.clock.wall()) - 301)), text().encode()


def _early(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.words(timestamp=str(int(pusher.house.clock.wall()) + 302)), text().encode()


def _other_token(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return Pusher(pusher.house, token="anotherToken").words(), text().encode()


def _other_token_encrypted(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return Pusher(pusher.house, token="anotherToken").encrypted(text())


def _unsigned(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return {**pusher.words(), "signature": ""}, text().encode()


def _changed(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    words, _ = pusher.encrypted(text())
    return words, pusher.encrypted(text("another"))[1]


def _unsigned_inside(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    words, body = pusher.encrypted(text())
    return {**words, "msg_signature": ""}, body


def _other_key(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return Pusher(pusher.house, key="z" * 43).encrypted(text())


def _other_account(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    pusher.cipher = PushCipher(KEY, "wx9999999999999999")
    return pusher.encrypted(text())


def _eaten(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.words(), b""


def _too_long(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.words(), b"<xml><a>" + b"x" * LONGEST + b"</a></xml>"


def _bomb(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.words(), b'<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>'


def _no_ciphertext(pusher: Pusher) -> tuple[dict[str, str], bytes]:
    return pusher.encrypted(text())[0], text().encode()


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (_stale, "timestamp"),
        (_early, "timestamp"),
        (_other_token, "token"),
        (_other_token_encrypted, "token"),
        (_unsigned, "signature"),
        (_changed, "signature"),
        (_unsigned_inside, "signature"),
        (_other_key, "key"),
        (_other_account, "appid"),
        (_eaten, "body"),
        (_too_long, "body"),
        (_bomb, "body"),
        (_no_ciphertext, "body"),
    ],
)
def test_what_is_not_the_platforms_is_refused_at_its_step(
    house: House, make: Callable[[Pusher], tuple[dict[str, str], bytes]], step: str
) -> None:
    """Nobody gets it, and the audit log says at which step and from where."""
    pusher = set_up(house, handler=Secret(HANDLER))
    words, body = make(pusher)
    answer = pusher.push(body, words)
    assert (answer.status_code, answer.content, answer.headers["zhongkong-refused"]) == (403, b"refused", step)
    assert house.programs.got == []
    (event,) = told(house, "push_refused")
    assert (event.appid, event.values) == (APPID, {"step": step, "address": "203.0.113.5", "times": 1})


@pytest.mark.parametrize("name", ["timestamp", "nonce", "signature"])
def test_a_word_of_the_signature_stands_there_once(house: House, name: str) -> None:
    """Of two the hub would check one, and a program behind it the other."""
    pusher = set_up(house, handler=Secret(HANDLER))
    words = pusher.words()
    twice: Any = [(name, "1"), *words.items()]
    assert pusher.push(text(), twice).headers["zhongkong-refused"] == "signature"
    assert house.programs.got == []


def test_who_is_not_kept_here_is_told_apart_from_who_has_no_token(house: House) -> None:
    """One is a wrong URL, the other a callback that nobody set up."""
    house.add_account()
    pusher = Pusher(house)
    assert pusher.push(text()).headers["zhongkong-refused"] == "token"
    assert Pusher(house, "wx-stranger").push(text()).headers["zhongkong-refused"] == "appid"


def test_what_can_be_no_name_is_not_looked_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses a NUL; MySQL finds an account by a name with blanks at its end, as many as somebody likes."""
    pusher, asked = set_up(house), []

    async def note(name: str) -> None:
        asked.append(name)

    monkeypatch.setattr(house.store, "callback", note)
    monkeypatch.setattr(house.store, "proof", note)
    for name in ("%00", f"{APPID}%00", f"{APPID}%20", "%E4%B8%AD", "x" * 3000):
        answer = house.call("POST", f"/callback/{name}", params=pusher.words(), content=text())
        assert (answer.status_code, answer.headers["zhongkong-refused"]) == (403, "appid")
        assert house.call("GET", f"/MP_verify_{name}.txt").status_code == 404
    assert asked == []


def test_an_encrypted_push_without_a_key_here_is_refused_at_the_key(house: House) -> None:
    """The platform was set to safe mode, and nobody brought the EncodingAESKey here."""
    pusher = set_up(house)
    house.clock.run(house.store.put_callback(Callback(APPID, Secret(pusher.token))))
    words, body = pusher.encrypted(text())
    assert pusher.push(body, words).headers["zhongkong-refused"] == "key"
    assert pusher.push(text(msgid=2)).status_code == 200


def test_a_storm_of_refusals_is_one_event_a_minute_with_their_number(house: House) -> None:
    """Anybody can knock: the audit log must not be his to fill."""
    pusher = set_up(house)
    for _ in range(50):
        pusher.push(text(), Pusher(house, token="anotherToken").words())
    assert [event.values["times"] for event in told(house, "push_refused")] == [1]
    house.clock.turn(61)
    pusher.push(text(), Pusher(house, token="anotherToken").words())
    assert [event.values["times"] for event in told(house, "push_refused")] == [1, 50]


def test_made_up_accounts_are_one_event_a_minute(house: House) -> None:
    """Else whoever invents appids fills the audit log."""
    set_up(house)
    for number in range(50):
        Pusher(house, f"wx-made-up-{number}").push(text())
    assert [(event.appid, event.values["step"]) for event in told(house, "push_refused")] == [("wx-made-up-0", "appid")]


def test_a_signed_query_is_good_for_one_message(house: House) -> None:
    """In plaintext mode the body is not signed: whoever saw a URL in some log could say anything with it."""
    pusher = set_up(house, handler=Secret(HANDLER))
    words = pusher.words()
    assert pusher.push(text("pay 1", 1), words).status_code == 200
    answer = pusher.push(text("pay 1000", 2), words)
    assert (answer.status_code, answer.headers["zhongkong-refused"]) == (403, "nonce")
    assert len(house.programs.got) == 1
    echo = pusher.words(echostr="1")
    assert house.call("GET", f"/callback/{APPID}", params=echo).status_code == 200
    del echo["echostr"]
    assert pusher.push(text("pay 1000", 3), echo).headers["zhongkong-refused"] == "nonce"


def test_nothing_of_a_push_is_told(house: House) -> None:
    """Neither what people write, nor their openid, nor where programs are called."""
    pusher = set_up(house, handler=Secret("http://robot:secretword@robot.internal/hidden?key=1"))
    house.programs.says["http://robot:secretword@robot.internal/hidden"] = [Says(Delivered(500, b""))]
    pusher.push(text("private words"))
    pusher.push(text("private words", 2), {})
    events = str(house.clock.run(house.store.events()))
    assert "http://robot.internal" in events
    for hidden in ("private", "oA", "secretword", "hidden", "key=1", pusher.token, KEY):
        assert hidden not in events
