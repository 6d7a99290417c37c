"""How a callback is set up over HTTP, and the files that prove whose a domain is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.scenario.hub.house import APPID, OTHER, SECRET, House
from tests.scenario.hub.pushing import KEY, TOKEN, Pusher, text, told
from zhongkong.core.grants import Grant

PATH = f"/v1/accounts/{APPID}/callback"
NAME = "MP_verify_aBcDeFgH12345678.txt"


def change(house: House, key: str, **fields: Any) -> httpx.Response:
    """Return the answer to a change."""
    return house.call("PATCH", PATH, key, json=fields)


def test_a_callback_is_set_up_and_shown_without_its_secrets(house: House, admin: str) -> None:
    """What can be pasted is the URL; of a program where it is, without its login and its query."""
    house.add_account()
    assert house.call("GET", PATH, admin).json()["token"] is False
    handler = "http://robot:word@10.0.0.5:8080/hidden?key=1"
    answer = change(house, admin, token=TOKEN, encoding_aes_key=KEY, handler=handler, listeners=["http://[::1]/a"])
    assert answer.json() == {
        "appid": APPID,
        "path": f"/callback/{APPID}",
        "url": f"https://wx.example.com/callback/{APPID}",
        "token": True,
        "encoding_aes_key": True,
        "handler": "http://10.0.0.5:8080/hidden?…",
        "listeners": ["http://[::1]/a"],
        "verify_files": [],
        "made": {},
    }
    assert Pusher(house).push(text()).status_code == 200
    assert change(house, admin, listeners=[], handler="", encoding_aes_key=KEY).json()["listeners"] == []
    assert [event.values["fields"] for event in told(house, "callback_changed")] == [
        "token, encoding_aes_key, handler, listeners",
        "handler, listeners",
    ]


def test_token_and_key_are_made_and_shown_once(house: House, admin: str) -> None:
    """They go into the platform's page, and are good at once."""
    house.add_account()
    made = change(house, admin, make_token=True, make_encoding_aes_key=True).json()["made"]
    assert (len(made["token"]), len(made["encoding_aes_key"])) == (32, 43)
    pusher = Pusher(house, token=made["token"], key=made["encoding_aes_key"])
    words, body = pusher.encrypted(text())
    assert pusher.push(body, words).content == b"success"
    shown = house.call("GET", PATH, admin).text
    assert made["token"] not in shown
    assert made["encoding_aes_key"] not in shown


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"encoding_aes_key": KEY}, "callback_token_wanted"),
        ({"token": "83_" + "aB3-" * 33}, "callback_token_is_access_token"),
        ({"token": SECRET}, "callback_token_is_secret"),
        ({"token": "ab"}, "callback_token_invalid"),
        ({"token": "with-dash"}, "callback_token_invalid"),
        ({"token": "with space"}, "callback_token_invalid"),
        ({"token": "令牌令牌"}, "callback_token_invalid"),
        ({"token": TOKEN, "encoding_aes_key": "钥匙" * 20}, "encoding_aes_key_invalid"),
        ({"token": TOKEN, "encoding_aes_key": KEY[:-1]}, "encoding_aes_key_invalid"),
        ({"token": TOKEN, "encoding_aes_key": KEY + "="}, "encoding_aes_key_invalid"),
        ({"token": TOKEN, "handler": "ftp://robot/"}, "callback_target_invalid"),
        ({"token": TOKEN, "handler": "http://"}, "callback_target_invalid"),
        ({"token": TOKEN, "listeners": ["http://robot/#a"]}, "callback_target_invalid"),
        ({"token": TOKEN, "listeners": ["http://robot/"] * 17}, "request_invalid"),
        ({"token": TOKEN, "make_token": True}, "request_invalid"),
        ({"token": TOKEN, "handlr": "http://robot/"}, "request_invalid"),
        ({"token": 5}, "request_invalid"),
        ({"verify_files": {"MP_verify_a/../b.txt": "a"}}, "verify_file_name"),
        ({"verify_files": {"robots.txt": "a"}}, "verify_file_name"),
        ({"verify_files": {NAME: "<script>alert(1)</script>"}}, "verify_file_body"),
        ({"verify_files": {NAME: ""}}, "verify_file_body"),
        ({"verify_files": [NAME]}, "request_invalid"),
    ],
)
def test_what_cannot_be_is_refused_in_words(house: House, admin: str, fields: dict[str, Any], code: str) -> None:
    """What was given is not repeated: it may be a secret that was pasted in the wrong place."""
    house.add_account()
    answer = change(house, admin, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert SECRET not in answer.text
    assert house.call("GET", PATH, admin).json()["token"] is False


def test_only_administrators_of_the_account_see_and_change_it(house: House, reader: str) -> None:
    """A handler's URL decides who reads what people write."""
    house.add_account()
    narrow = house.add_key(Grant.ADMIN, appids=(OTHER,))
    for key in (reader, narrow):
        assert house.call("GET", PATH, key).status_code == 403
        assert change(house, key, token=TOKEN).status_code == 403
    assert house.call("GET", f"/v1/accounts/{OTHER}/callback", narrow).json()["code"] == "account_unknown"


def test_a_files_body_is_served_at_the_root(house: House, admin: str) -> None:
    """Without a key, bare: what an editor put around it is taken off."""
    house.add_account()
    change(house, admin, verify_files={NAME: "\ufeffaBcDeFgH12345678\r\n", "WW_verify_x1.txt": "x1"})
    answer = house.call("GET", f"/{NAME}")
    assert (answer.status_code, answer.content) == (200, b"aBcDeFgH12345678")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert house.call("GET", "/WW_verify_x1.txt").content == b"x1"
    assert house.call("GET", PATH, admin).json()["verify_files"] == [NAME, "WW_verify_x1.txt"]
    for path in ("/MP_verify_zzz.txt", f"/{NAME.lower()}", "/MP_verify_.txt", f"/a/{NAME}"):
        assert house.call("GET", path).status_code == 404


def test_a_file_of_another_account_is_not_replaced(house: House, admin: str) -> None:
    """Its name is the platform's own random word: whoever has it twice has mistaken the account."""
    for appid in (APPID, OTHER):
        house.add_account(appid)
    change(house, admin, verify_files={NAME: "aBcDeFgH12345678"})
    answer = house.call("PATCH", f"/v1/accounts/{OTHER}/callback", admin, json={"verify_files": {NAME: "b"}})
    assert (answer.status_code, answer.json()["code"]) == (409, "verify_file_taken")
