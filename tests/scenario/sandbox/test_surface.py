"""The platform's surface: headers, texts and habits as they were recorded, through HTTP."""

import json
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

import pytest

from tests.scenario.sandbox.desk import START, Desk
from zhongkong.sandbox.app import MOST_BYTES


def errcode(body: dict[str, Any]) -> int:
    """Return the errcode of a body; a success without one is 0."""
    return int(body.get("errcode", 0))


@pytest.mark.parametrize("path", ["/cgi-bin/token", "/cgi-bin/get_api_domain_ip", "/nowhere", "/cgi-bin/token/", "/"])
def test_every_answer_is_status_200_under_the_platforms_content_type(desk: Desk, path: str) -> None:
    """SDKs judge by errcode alone, and some look at the label before they parse."""
    answer = desk.ask("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; encoding=utf-8")
    assert errcode(answer.json()) != 0


def test_the_date_header_is_of_the_sandboxs_clock(desk: Desk) -> None:
    """A hub compares clocks by it."""
    desk.turn(86_400)
    for path in ("/cgi-bin/token", "/sandbox/v1/clock", "/sandbox/"):
        assert desk.ask("GET", path).headers["date"] == formatdate(START + 86_400, usegmt=True)


def test_nothing_names_the_server_behind_the_platform(desk: Desk) -> None:
    """The platform sends no such header."""
    assert set(desk.ask("GET", "/cgi-bin/token").headers) == {"content-type", "content-length", "date"}


def test_json_is_compact_and_raw_utf_8(desk: Desk) -> None:
    """Some SDKs mangle backslashes, so escapes must not appear where the platform writes none."""
    desk.control("PATCH", "/switches", {"nicknames_shown": True})
    token, openid = desk.token()["access_token"], next(iter(desk.account.followers))
    raw = desk.ask("GET", "/cgi-bin/user/info", params={"access_token": token, "openid": openid}).content
    assert '"nickname":"小明","sex":0'.encode() in raw


def test_an_unknown_path_is_40066_with_a_rid_of_now(desk: Desk) -> None:
    """A rid's first group is the request's time in hex."""
    body = desk.get("/cgi-bin/no/such")
    assert errcode(body) == 40066
    assert body["errmsg"].startswith(f"invalid url rid: {int(START):08x}-")


def test_a_classic_token_is_fetched_by_query_and_by_form(desk: Desk) -> None:
    """Both are seen from clients; a JSON body is not what this call reads."""
    assert desk.token()["expires_in"] == 7200
    assert errcode(desk.ask("POST", "/cgi-bin/token", params=desk.credentials).json()) == 0
    assert errcode(desk.ask("POST", "/cgi-bin/token", data=desk.credentials).json()) == 0
    assert errcode(desk.post("/cgi-bin/token", desk.credentials)) == 41002


def test_every_classic_fetch_ends_the_former_after_its_overlap(desk: Desk) -> None:
    """The two-slot rule, as a business call sees it."""
    first = desk.token()["access_token"]
    desk.token()
    assert "ip_list" in desk.get("/cgi-bin/get_api_domain_ip", access_token=first)
    desk.turn(300)
    assert errcode(desk.get("/cgi-bin/get_api_domain_ip", access_token=first)) == 40001


def test_a_stable_token_repeats_with_its_rest_and_rotates_in_its_window(desk: Desk) -> None:
    """Remaining life, not the original one, is announced."""
    first = desk.stable()
    desk.turn(6000)
    assert desk.stable() == {"access_token": first["access_token"], "expires_in": 1200}
    desk.turn(901)
    assert desk.stable()["access_token"] != first["access_token"]


def test_only_a_json_true_forces(desk: Desk) -> None:
    """A string or a number is no boolean: nothing must be lost by a sloppy client."""
    first = desk.stable()
    assert desk.stable(force_refresh="true") == desk.stable(force_refresh=1) == desk.stable() == first
    assert desk.stable(force_refresh=True)["access_token"] != first["access_token"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"method": "GET", "url": "/cgi-bin/stable_token"}, 43002),
        ({"method": "POST", "url": "/cgi-bin/stable_token"}, 44002),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "data": {"appid": "x"}}, 47001),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "content": b"{"}, 47001),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "content": b"[]"}, 47001),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "content": b"\xff"}, 47001),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "json": {}}, 41002),
        ({"method": "POST", "url": "/cgi-bin/stable_token", "json": {"appid": ["x"], "secret": {}}}, 41002),
        ({"method": "PUT", "url": "/cgi-bin/token"}, 43001),
        ({"method": "GET", "url": "/cgi-bin/clear_quota/v2"}, 43002),
        ({"method": "GET", "url": "/cgi-bin/message/template/send"}, 43002),
        ({"method": "POST", "url": "/cgi-bin/user/get"}, 43001),
        ({"method": "GET", "url": "/cgi-bin/user/get"}, 41001),
        ({"method": "POST", "url": "/cgi-bin/message/custom/send", "content": b"{"}, 41001),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_in_the_platforms_words(
    desk: Desk, request_: dict[str, Any], expected: int
) -> None:
    """Whatever a client sends is answered with a code, and a bad token comes before a bad body."""
    assert errcode(desk.ask(**request_).json()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"touser":' + b"[" * 100_000,
        b'{"touser":NaN}',
        b'{"touser":"\\ud800"}',
        b'{"touser":' + b"9" * 5000 + b"}",
        b'\xef\xbb\xbf{"touser":"x"}',
        b"null",
        b"\x00",
    ],
)
def test_a_hostile_body_is_answered(desk: Desk, body: bytes) -> None:
    """The sandbox meets fuzzers and half-built clients."""
    token = desk.token()["access_token"]
    answer = desk.ask("POST", "/cgi-bin/message/custom/send", params={"access_token": token}, content=body)
    assert errcode(answer.json()) in (40003, 47001)


def test_half_a_surrogate_pair_in_a_message_does_no_harm(desk: Desk) -> None:
    """It is legal JSON and no legal text, and is shown, listed and kept all the same."""
    token, openid = desk.token()["access_token"], next(iter(desk.account.followers))
    body = b'{"touser":"%s","msgtype":"text","text":{"content":"a\\ud800b"}}' % openid.encode()
    answer = desk.ask("POST", "/cgi-bin/message/custom/send", params={"access_token": token}, content=body)
    assert answer.json() == {"errcode": 0, "errmsg": "ok"}
    assert desk.control("GET", f"{desk.base}/messages")["messages"][0]["text"] == "a?b"
    assert "a?b" in desk.ask("GET", "/sandbox/").text
    json.dumps(desk.world.snapshot()).encode()


def test_a_body_too_large_is_refused_whole(desk: Desk) -> None:
    """A client that uploads for ever must not fill the memory."""
    assert desk.ask("POST", "/cgi-bin/stable_token", content=b" " * (MOST_BYTES + 1)).status_code == 413


def test_a_message_goes_to_a_follower_and_can_be_read(desk: Desk) -> None:
    """What the template calls send is what a tester wants to look at."""
    token, openid = desk.token()["access_token"], next(iter(desk.account.followers))
    template_id = next(iter(desk.account.templates))
    data = {"first": {"value": "你好"}, "order": {"value": "7"}, "time": {"value": "今天"}}
    sent = desk.post(
        "/cgi-bin/message/template/send",
        {"touser": openid, "template_id": template_id, "data": data},
        access_token=token,
    )
    assert (sent["errcode"], type(sent["msgid"])) == (0, int)
    [message] = desk.control("GET", f"{desk.base}/messages")["messages"]
    assert (message["openid"], message["text"]) == (openid, "你好\n订单：7\n时间：今天")


def test_customer_messages_pass_for_48_hours_after_the_follower_spoke(desk: Desk) -> None:
    """The clock is turned, nobody waits for two days."""
    openid = next(iter(desk.account.followers))
    body = {"touser": openid, "msgtype": "text", "text": {"content": "hi"}}
    desk.turn(48 * 3600)
    token = desk.token()["access_token"]
    assert errcode(desk.post("/cgi-bin/message/custom/send", body, access_token=token)) == 45015
    desk.control("POST", f"{desk.base}/followers/{openid}/speak")
    assert errcode(desk.post("/cgi-bin/message/custom/send", body, access_token=token)) == 0


def test_quotas_are_spent_told_and_cleared_in_both_ways(desk: Desk) -> None:
    """The second form takes the secret, in the body or in the query, because a spent token quota blocks the first."""
    token = desk.token()["access_token"]
    desk.control("PATCH", desk.base, {"quotas": {"/cgi-bin/token": {"daily": 2}}})
    asked = {"cgi_path": "/cgi-bin/token"}
    assert desk.post("/cgi-bin/openapi/quota/get", asked, access_token=token)["quota"]["remain"] == 1
    desk.token()
    assert errcode(desk.token()) == 45009
    secret = {"appid": desk.appid, "appsecret": desk.secret}
    assert errcode(desk.post("/cgi-bin/clear_quota/v2", secret)) == 0
    assert errcode(desk.token()) == 0
    assert errcode(desk.ask("POST", "/cgi-bin/clear_quota/v2", params=secret).json()) == 0
    token = desk.token()["access_token"]
    assert errcode(desk.post("/cgi-bin/clear_quota", {"appid": desk.appid}, access_token=token)) == 0


def test_all_followers_are_listed(desk: Desk) -> None:
    """And the addresses of the platform, which are two plain calls."""
    token = desk.token()["access_token"]
    listed = desk.get("/cgi-bin/user/get", access_token=token)
    assert listed["data"]["openid"] == list(desk.account.followers)
    assert desk.get("/cgi-bin/getcallbackip", access_token=token)["ip_list"]


def test_by_switch_a_token_in_a_form_counts(desk: Desk) -> None:
    """It was recorded once, of a call that is a GET by the book; by the book it is refused."""
    form = {"access_token": desk.token()["access_token"]}
    path = "/cgi-bin/user/get"
    assert desk.ask("POST", path, data=form).json()["errcode"] == 43001
    assert desk.ask("POST", path, data=form, params=form).json()["errcode"] == 43001
    desk.control("PATCH", "/switches", {"token_in_form": True})
    followers = desk.ask("POST", path, data=form).json()
    assert followers["total"] == 2
    after = {**form, "next_openid": followers["data"]["openid"][0]}
    assert desk.ask("POST", path, data=after).json()["count"] == 1
    for asked in (path, "/cgi-bin/media/get"):
        assert desk.ask("POST", asked, data={"access_token": "83_nobodys"}).json()["errcode"] == 40001
    assert desk.ask("POST", path, json=form, params=form).json()["errcode"] == 43001


def test_a_caller_outside_the_allow_list_is_told_his_address(desk: Desk) -> None:
    """The address is the socket's, or what a test says it is; the text is the one people search for."""
    desk.control("PATCH", desk.base, {"allow_list": ["203.0.113.9"]})
    assert desk.token()["errmsg"].startswith("invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ")
    header = {"X-Sandbox-IP": "203.0.113.9"}
    assert errcode(desk.ask("GET", "/cgi-bin/token", params=desk.credentials, headers=header).json()) == 0
    desk.control("PUT", "/client-ip", {"ip": "203.0.113.9"})
    assert errcode(desk.token()) == 0
    desk.control("PUT", "/client-ip", {"ip": None})
    assert errcode(desk.token()) == 40164


def test_an_address_that_is_none_is_the_testers_mistake_and_not_the_platforms_word(desk: Desk) -> None:
    """The header is ours, so the error is too."""
    answer = desk.ask("GET", "/cgi-bin/token", headers={"X-Sandbox-IP": "here"})
    assert answer.status_code == 400
    assert "here" in answer.json()["error"]


def test_time_goes_on_by_itself(desk: Desk) -> None:
    """The sandbox's clock is real time until somebody turns it."""
    first = desk.stable()
    desk.real += 60
    assert desk.stable()["expires_in"] == first["expires_in"] - 60
    date = parsedate_to_datetime(desk.ask("GET", "/cgi-bin/token").headers["date"])
    assert date.timestamp() == START + 60
