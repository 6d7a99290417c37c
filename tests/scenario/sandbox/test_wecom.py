"""WeCom over HTTP: under /qyapi, by the name of its host, or by the token; and what people and tests do with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.sandbox.desk import Desk

CORP = "ww0123456789abcdef"
APPID = f"{CORP}:crm"


@pytest.fixture
def secret(desk: Desk) -> str:
    """Open an application of a corp and return its secret."""
    made = desk.control("POST", "/accounts", {"kind": "wecom", "appid": APPID})
    assert made["agentid"] > 1_000_000
    desk.control("POST", f"/accounts/{APPID}/followers", {"nickname": "张三", "openid": "zhangsan"})
    return str(made["secret"])


def gettoken(desk: Desk, secret: str, prefix: str = "") -> Any:
    """Return what gettoken answers."""
    return desk.get(f"{prefix}/cgi-bin/gettoken", corpid=CORP, corpsecret=secret)


@pytest.mark.parametrize("prefix", ["", "/qyapi"])
def test_gettoken_and_calls_with_and_without_the_alias(desk: Desk, secret: str, prefix: str) -> None:
    """A path that both platforms have is answered by whose the token is."""
    token = gettoken(desk, secret, prefix)["access_token"]
    assert desk.get(f"{prefix}/cgi-bin/user/get", access_token=token, userid="zhangsan")["name"] == "张三"
    assert desk.get("/cgi-bin/user/get", access_token=desk.token()["access_token"])["total"] == 2
    entries = list(desk.journal.read(appid=APPID))
    assert [entry.path for entry in entries] == ["/cgi-bin/gettoken", "/cgi-bin/user/get"]
    assert entries[0].issued == token


def test_whose_words_a_refusal_is_in(desk: Desk) -> None:
    """By the alias, by the host's name, by the path; else they are the official accounts'."""
    assert desk.get("/qyapi/cgi-bin/user/get", access_token="x")["errcode"] == 40014
    by_host = desk.ask("GET", "/cgi-bin/user/get?access_token=x", headers={"host": "qyapi.weixin.qq.com"}).json()
    assert by_host["errcode"] == 40014
    assert "devtool/query?e=40014" in by_host["errmsg"]
    assert desk.get("/cgi-bin/user/get", access_token="x")["errcode"] == 40001
    assert desk.get("/cgi-bin/gettoken", corpid=CORP, corpsecret="x")["errcode"] == 40013
    assert desk.post("/cgi-bin/gettoken")["errcode"] == 43001


def test_messages_and_files(desk: Desk, secret: str) -> None:
    """What an SDK sends first."""
    token = gettoken(desk, secret)["access_token"]
    agentid = desk.control("GET", f"/accounts/{APPID}")["agentid"]
    message = {"touser": "@all", "msgtype": "text", "agentid": agentid, "text": {"content": "你好"}}
    assert desk.post("/qyapi/cgi-bin/message/send", message, access_token=token)["errcode"] == 0
    assert desk.control("GET", f"/accounts/{APPID}/messages")["messages"][0]["text"] == "你好"
    empty = desk.ask("POST", "/qyapi/cgi-bin/message/send", params={"access_token": token})
    assert empty.json()["errcode"] == 44002
    assert desk.get("/qyapi/cgi-bin/message/send", access_token=token)["errcode"] == 43002
    files = {"media": ("a.png", b"\x89PNG", "image/png")}
    upload = desk.ask("POST", "/cgi-bin/media/upload", params={"access_token": token, "type": "image"}, files=files)
    media_id = upload.json()["media_id"]
    got = desk.ask("GET", "/cgi-bin/media/get", params={"access_token": token, "media_id": media_id})
    assert (got.content, got.headers["content-type"]) == (b"\x89PNG", "image/png")


def test_faults_revocations_and_strangers_as_with_every_account(desk: Desk, secret: str) -> None:
    """A fault's errcode is told in WeCom's words; who else asks with the secret gets the same token."""
    desk.control("POST", "/faults", {"path": "/cgi-bin/gettoken", "answer": "errcode", "errcode": 45009, "times": 1})
    refused = gettoken(desk, secret)
    assert (refused["errcode"], "devtool" in refused["errmsg"]) == (45009, True)
    token = gettoken(desk, secret)["access_token"]
    assert desk.control("POST", f"/accounts/{APPID}/mint", {})["access_token"] == token
    desk.control("POST", f"/accounts/{APPID}/revoke", {})
    assert desk.get("/cgi-bin/user/get", access_token=token, userid="zhangsan")["errcode"] == 40014
    page = desk.ask("GET", "/sandbox/").text
    assert "corpsecret" in page
    assert secret in page
