"""The page that tries `wx.config`: what it loads, where the key goes, and what it says of what WeChat says."""

from __future__ import annotations

import json
import re
import subprocess
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.needs import need
from tests.scenario.hub.house import APPID, House
from zhongkong import hub
from zhongkong.core.grants import Grant
from zhongkong.core.model import Kind, Slot

SCRIPT = Path(hub.__file__).parent / "templates" / "jsapi.js"
HARNESS = Path(__file__).with_name("jsapi_page.cjs")
PAGE = "https://wx.example.com/jsapi?lang=zh&from=a%20b"
PHONE, DESKTOP = "Mozilla/5.0 MicroMessenger/8.0.49", "Mozilla/5.0 Chrome/142"

Answer = dict[str, Any]
"""Of HTTP: `status` and `text`."""


def load(house: House, lang: str = "zh") -> str:
    """Return the page."""
    answer = house.call("GET", "/jsapi", params={"lang": lang})
    assert answer.status_code == 200
    return answer.text


def ask(house: House, appid: str, key: str) -> Answer:
    """Return what the hub answers the page."""
    answer = house.call("GET", to_sign(appid), key)
    return {"status": answer.status_code, "text": answer.text}


def to_sign(appid: str) -> str:
    """Return what the page asks."""
    return f"/v1/accounts/{quote(appid, safe='')}/jsapi_config?url={quote(PAGE, safe='')}"


def press(house: House, *, agent: str = PHONE, wechat: str = "ready", key: str, appid: str = APPID) -> Any:
    """Return what becomes of pressing the button, the hub's own answer in hand."""
    return press_with(house, ask(house, appid, key), agent=agent, wechat=wechat, key=key, appid=appid)


def press_with(
    house: House, answer: Answer | None, *, agent: str = PHONE, wechat: str = "ready", key: str, appid: str = APPID
) -> Any:
    """Return what becomes of pressing the button, where the page gets this answer, or none."""
    page = load(house)
    given = {
        "ids": re.findall(r'\bid="(\w+)"', page),
        "states": re.findall(r'data-state="(\w+)"', page),
        "matches": re.findall(r'data-match="([^"]+)"', page),
        "url": f"{PAGE}#top",
        "agent": agent,
        "appid": f" {appid} ",
        "key": f"{key}\n",
        "answer": answer,
        "wechat": wechat,
    }
    command = [need("node", "nodejs"), str(HARNESS), str(SCRIPT), json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)
    done = json.loads(ran.stdout)
    asked = [(one["url"], one["headers"]["Authorization"]) for one in done["asked"]]
    assert asked == [(to_sign(appid)[1:], f"Bearer {key}")]
    assert (done["prevented"], done["key"]) == (True, "")
    assert all(one["key"] == "" for one in done["scripts"])
    return done


@pytest.fixture
def key(house: House) -> str:
    """A key that may sign."""
    house.add_account()
    return house.add_key(Grant.READ)


def test_inside_wechat_it_hands_over_what_the_hub_signed(house: House, key: str) -> None:
    """And shows all of it; only the ticket is masked, and with it the text is what was signed."""
    done = press(house, key=key)
    assert (done["state"], done["texts"]["told"]) == (["ready"], "chooseImage ✓  scanQRCode ✗")
    assert [one["src"] for one in done["scripts"]] == ["https://res.wx.qq.com/open/js/jweixin-1.6.0.js"]
    signed = {name: done["configured"][name] for name in ("appId", "timestamp", "nonceStr", "signature")}
    assert {name: done["texts"][name] for name in signed} == signed
    assert (done["texts"]["url"], done["configured"]["debug"]) == (PAGE, False)
    handed = house.keeper.peek(Slot(APPID, Kind.JSAPI_TICKET))
    assert handed is not None
    assert handed.value not in json.dumps(done)
    text = done["texts"]["text"].replace("******", handed.value)
    assert sha1(text.encode(), usedforsecurity=False).hexdigest() == signed["signature"]


def test_elsewhere_it_shows_what_is_signed_and_loads_nothing(house: House, key: str) -> None:
    """A browser on a desk cannot call WeChat; it can compare."""
    done = press(house, key=key, agent=DESKTOP)
    assert (done["state"], done["scripts"], done["shown"]) == (["outside"], [], True)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("config:fail,Error: 系统错误,错误码:40048,invalid url domain [20261121][]", "invalid url domain|40048"),
        ("config:fail,系统错误,错误码:63002,Invalid Signature", "invalid signature|63002"),
        (
            "config:fail, the permission value is offline verifying",
            "permission denied|no permission|offline verifying|48001",
        ),
        ("config:fail, something new", None),
    ],
)
def test_what_wechat_says_is_shown_and_its_cause_marked(house: House, key: str, said: str, cause: str | None) -> None:
    """In its own words, even those that nobody knows."""
    done = press(house, key=key, wechat=said)
    assert (done["state"], done["texts"]["told"]) == (["failed"], said)
    assert done["met"] == ([cause] if cause else [])


def test_wechat_may_be_silent_or_its_script_away(house: House, key: str) -> None:
    """The second host is tried before that is said."""
    assert press(house, key=key, wechat="silent")["state"] == ["silent"]
    done = press(house, key=key, wechat="away")
    hosts = [one["src"].partition("/open")[0] for one in done["scripts"]]
    assert (done["state"], hosts) == (["unloaded"], ["https://res.wx.qq.com", "https://res2.wx.qq.com"])


def test_what_the_hub_refuses_is_told_in_its_words(house: House, key: str) -> None:
    """A wrong key, or an account that it does not cover."""
    done = press(house, key="zk_nobody1_wrong")
    assert (done["state"], done["scripts"], done["shown"]) == (["refused"], [], False)
    assert "key" in done["texts"]["told"]
    assert press(house, key=key, appid="wx9999999999999999")["state"] == ["refused"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (502, "<html><h1>502 Bad Gateway</h1></html>"),
        (200, "<!doctype html><title>Log in</title>"),
        (403, '{"message": "blocked"}'),
        (404, "null"),
        (204, ""),
    ],
)
def test_what_a_proxy_answers_is_told_as_such(house: House, key: str, status: int, text: str) -> None:
    """With the status, and not as trouble with JSON, which nobody can act on."""
    done = press_with(house, {"status": status, "text": text}, key=key)
    assert (done["state"], done["texts"]["told"]) == (["foreign"], f"HTTP {status}")
    assert (done["scripts"], done["shown"]) == ([], False)


def test_no_answer_is_told_as_such(house: House, key: str) -> None:
    """The phone is off the network, or a proxy broke the connection off."""
    done = press_with(house, None, key=key)
    assert (done["state"], done["texts"]["told"]) == (["unreached"], "Failed to fetch")


def test_an_application_of_wecom_is_configured_as_its_corp(house: House) -> None:
    """By the script that WeCom's pages name, with its own flag."""
    appid = "ww0123456789abcdef:crm"
    house.add_application(appid)
    done = press(house, key=house.add_key(Grant.READ), appid=appid)
    assert done["scripts"][0]["src"].endswith("jweixin-1.2.0.js")
    assert (done["configured"]["appId"], done["configured"]["beta"]) == ("ww0123456789abcdef", True)


def test_the_key_can_come_into_no_address(house: House) -> None:
    """Fields without names and a form that may go nowhere: also where scripts are off."""
    page = load(house)
    assert not re.findall(r"<(?:input|button)[^>]*\bname=", page)
    assert re.findall(r"<form[^>]*>", page) == ['<form id="form" method="post">']
    policy = house.call("GET", "/jsapi").headers["content-security-policy"]
    assert "form-action 'none'" in policy
    assert "connect-src 'self'" in policy


def test_it_loads_its_own_script_and_names_one_other_place(house: House) -> None:
    """WeChat's, and that only when it is tried inside."""
    page, script = load(house), house.call("GET", "/jsapi.js")
    assert re.findall(r'(?:src|href)="([^"?][^"]*)"', page) == ["jsapi.js", "docs"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.text == SCRIPT.read_text("utf-8").rstrip("\n")
    policy = house.call("GET", "/jsapi").headers["content-security-policy"]
    named = set(re.findall(r"https://[\w.]+", policy + script.text))
    assert named == {"https://res.wx.qq.com", "https://res2.wx.qq.com", "https://open.weixin.qq.com"}


def test_both_languages_have_the_same_parts(house: House) -> None:
    """The script finds them by their names."""
    parts = r'(?:\bid|data-state|data-match)="[^"]+"'
    assert re.findall(parts, load(house, "zh")) == re.findall(parts, load(house, "en"))
    assert "JS接口安全域名" in load(house, "en")  # so it is called in the console
