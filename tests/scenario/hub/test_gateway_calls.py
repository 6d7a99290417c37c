"""Calls of SDKs sent on to the platform: what goes there, what comes back, and what is refused on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from tests.scenario.hub.house import APPID, OTHER, SECRET
from tests.scenario.hub.through import JSON, Answer, Raw, Through
from zhongkong.core.grants import Grant
from zhongkong.errors import PlatformUnreachable
from zhongkong.hub.gateway.gateway import Limits
from zhongkong.sandbox.faults import Fault

CALL = "/cgi-bin/user/get"
OK = b'{"errcode":0,"errmsg":"ok"}'


@pytest.fixture
def house() -> Iterator[Through]:
    """A hub with a gateway; whatever was tried, nothing is left under way."""
    house = Through(Limits(body=2000, in_flight=3))
    yield house
    house.clock.turn(1)
    assert house.line.open == 0
    house.close()


# --- there and back


def test_a_call_goes_on_with_the_real_token_and_nothing_else_changed(house: Through) -> None:
    """The rest of the query byte for byte, the headers, the body."""
    body = '{"touser":"o1","text":{"content":"中\\u4e2d"}}'.encode()
    query = f"?b=%E4%B8%AD+%2f&access_token={house.virtual()}&a=&a=%zz"
    headers = {"content-type": "text/plain; charset=GBK", "user-agent": "sdk/1", "x-odd": "1", "accept": "*/*"}
    house.call("POST", "/cgi-bin/message/custom/send" + query, content=body, headers=headers)
    (sent,) = house.line.calls
    assert sent.method == "POST"
    assert sent.base_url == "http://sandbox.test"
    assert sent.target == f"/cgi-bin/message/custom/send?b=%E4%B8%AD+%2f&access_token={house.token()}&a=&a=%zz"
    assert house.line.bodies == [body]
    assert {name: house.line.header(name) for name in headers} == {name: [text] for name, text in headers.items()}
    assert house.line.header("accept-encoding") == ["identity"]


def test_an_answer_comes_back_byte_for_byte(house: Through) -> None:
    """With its status and headers; the platform's JSON is never written anew."""
    odd = b'{ "a":\t"\\u4e2d\\/" , "b":1.0,\n"errcode":0}'
    headers = [
        (b"Content-Type", b"application/json; charset=UTF-8"),
        (b"X-A", b"1"),
        (b"X-A", b"2"),
        (b"Logicret", b"0"),
    ]
    house.line.answers = [Answer([odd[:7], odd[7:]], 203, headers)]
    answer = house.ask(CALL)
    assert (answer.status_code, answer.content) == (203, odd)
    assert answer.headers.raw[:4] == [(name.lower(), value) for name, value in headers]
    house.line.answers = [Answer([odd[:7], odd[7:]], 200, headers)]
    answer = house.ask(CALL)
    assert answer.content == odd
    assert answer.headers["content-length"] == str(len(odd))
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("status", [302, 400, 404, 500, 502])
def test_what_is_no_answer_of_the_platforms_passes_as_well(house: Through, status: int) -> None:
    """Nothing is repeated, nothing hidden."""
    house.line.answers = [Answer([b'{"errcode":40001}'], status)]
    answer = house.ask(CALL)
    assert (answer.status_code, answer.content) == (status, b'{"errcode":40001}')
    assert len(house.line.calls) == 1


def test_a_redirect_names_the_token_that_the_client_knows(house: Through) -> None:
    """And is not followed."""
    token = house.virtual()
    location = f"https://mp.weixin.qq.com/x?access_token={house.token()}&y=1".encode()
    house.line.answers = [Answer([b""], 302, [(b"Location", location)])]
    answer = house.ask(CALL, token)
    assert answer.headers["location"] == f"https://mp.weixin.qq.com/x?access_token={token}&y=1"
    assert len(house.line.calls) == 1


def test_an_answer_that_names_the_real_token_names_the_virtual_one(house: Through) -> None:
    """One call tells of former requests with their query. Source: 查询rid信息."""
    token, text = house.virtual(), '{{"errcode":0,"request":{{"request_url":"access_token={}&x=1"}}}}'
    house.line.answers = [Answer([text.format(house.token()).encode()])]
    answer = house.ask("/cgi-bin/openapi/rid/get", token, "POST", json={"rid": "x"})
    assert answer.text == text.format(token)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_media_comes_in_pieces_and_is_not_looked_into(house: Through) -> None:
    """What is labelled as media is media, whatever it holds."""
    pieces = [b'{"errcode":40001}', b"\xff\xd8" * 40_000, b"end"]
    headers = [(b"content-type", b"image/jpeg"), (b"content-length", str(sum(map(len, pieces))).encode())]
    house.line.answers = [Answer(pieces, 200, headers)]
    answer = house.ask("/cgi-bin/media/get")
    assert answer.content == b"".join(pieces)
    assert answer.headers["content-type"] == "image/jpeg"


def test_ranges_pass(house: Through) -> None:
    """In both directions."""
    house.line.answers = [Answer([b"abc"], 206, [(b"content-type", b"video/mp4"), (b"content-range", b"bytes 0-2/9")])]
    answer = house.ask("/cgi-bin/media/get", headers={"range": "bytes=0-2"})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, b"abc", "bytes 0-2/9")
    assert house.line.header("range") == ["bytes=0-2"]


def test_an_answer_of_text_that_is_long_passes(house: Through) -> None:
    """A refusal is short."""
    pieces = [b'{"errcode":40001,"x":"', b"y" * 70_000, b'"}']
    house.line.answers = [Answer(pieces)]
    assert house.ask(CALL).content == b"".join(pieces)
    assert len(house.line.calls) == 1


def test_head_and_empty_bodies(house: Through) -> None:
    """A HEAD has a length and no body; a POST without a body says so."""
    house.line.answers = [Answer([], 200, [JSON, (b"content-length", b"27")]), Answer([OK])]
    answer = house.ask(CALL, method="HEAD")
    assert (answer.content, answer.headers["content-length"]) == (b"", "27")
    house.ask("/cgi-bin/clear_quota", method="POST")
    assert [(call.method, call.length) for call in house.line.calls] == [("HEAD", 0), ("POST", 0)]


def test_an_upload_arrives_as_it_was_sent(house: Through) -> None:
    """Leniently: no Content-Type in its part, a path for a name; and its bytes come back."""
    token, picture = house.virtual(), bytes(range(256)) * 4
    body = (
        b'--b\r\nContent-Disposition: form-data; name="media"; filename="/tmp/a.jpg"\r\n\r\n'
        + picture
        + b"\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    params = {"type": "image"}
    made = house.ask("/cgi-bin/media/upload", token, "POST", params=params, content=body, headers=headers).json()
    answer = house.ask("/cgi-bin/media/get", token, params={"media_id": made["media_id"]})
    assert answer.content == picture
    assert answer.headers["content-type"].startswith("image/")


# --- what stays here


def test_headers_of_this_house_stay_here(house: Through) -> None:
    """Who we are, who called, what the console set; and nothing is packed for us."""
    kept = {"host": "x", "cookie": "session=1", "x-forwarded-for": "10.0.0.1", "forwarded": "for=x", "te": "trailers"}
    house.ask(
        CALL, headers={**kept, "accept-encoding": "gzip, br", "expect": "100-continue", "proxy-authorization": "x"}
    )
    names = [name.lower() for name, _ in house.line.calls[0].headers]
    assert not {*kept, "expect", "proxy-authorization", "content-length", "connection"} & set(names)
    assert house.line.header("accept-encoding") == ["identity"]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer  ", "Bearer\t", "Basic ", ""])
def test_a_hub_key_in_a_header_is_none_of_the_platforms_business(house: Through, scheme: str) -> None:
    """However it is shown; and though another header of that name stands before it."""
    token = house.virtual()
    headers = [("authorization", "WECHATPAY2-SHA256-RSA2048 mchid=1"), ("authorization", scheme + house.text)]
    house.call("GET", f"{CALL}?access_token={token}", headers=httpx.Headers(headers))
    raw = Raw(house, "GET", f"{CALL}?access_token={token}", [(name.encode(), text.encode()) for name, text in headers])
    house.clock.turn(1)
    assert raw.status == 200
    assert house.line.header("authorization") == ["WECHATPAY2-SHA256-RSA2048 mchid=1"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/cgi-bin/%2e%2e/sns/userinfo",
            "/cgi-bin/..%2fx",
            "/cgi-bin//user/get",
            "/cgi-bin/user%2Fget",
            "/cgi-bin/%00",
        ),
        *("/cgi-bin/@evil.example/x", "/cgi-bin/x%20HTTP/1.1%0d%0aHost:%20evil", "/cgi-bin/%5c..", "/cgi-bin/中"),
        *("/cgi-bin/a;b", "/cgi-bin/" + "x" * 3000, "/qyapi//cgi-bin/x"),
    ],
)
def test_odd_paths_are_refused(house: Through, path: str) -> None:
    """They are not cleaned up: two readers might read them as two."""
    answer = house.call("GET", path, params={"access_token": house.virtual()})
    assert answer.status_code in (200, 404)
    assert house.line.calls == []


def test_only_the_accounts_platform_is_ever_reached(house: Through) -> None:
    """Whatever host, scheme or path a client writes."""
    token = house.virtual()
    for url in (
        f"http://evil.example{CALL}?access_token={token}",
        f"http://hub.test{CALL}?access_token={token}&host=evil.example&url=http://evil.example/",
        f"http://hub.test/http://evil.example{CALL}?access_token={token}",
        f"http://hub.test//evil.example{CALL}?access_token={token}",
        f"http://hub.test/new/thing?access_token={token}",
        f"http://hub.test/qyapi{CALL}?access_token={token}",
    ):
        house.call("GET", url, headers={"x-forwarded-host": "evil.example"})
    assert {call.base_url for call in house.line.calls} == {"http://sandbox.test"}
    assert all(call.target.startswith(("/cgi-bin/user/get?", "/new/thing?")) for call in house.line.calls)


@pytest.mark.parametrize(
    "query",
    [
        "access_token={virtual}&access_token=83_real",
        "access_token=83_real&access_token={virtual}",
        "access_token={virtual}&%61ccess_token=83_real",
        "access_token={virtual}&access%5ftoken=",
        "access_token&access_token={virtual}",
        "access_token=%20{virtual}",
        "access_token={virtual}%00",
    ],
)
def test_two_tokens_are_none(house: Through, query: str) -> None:
    """Which of them the platform would read is its affair; so is the name in disguise."""
    assert house.errcode(house.call("GET", f"{CALL}?{query.format(virtual=house.virtual())}")) == 40001
    assert house.line.calls == []


def test_the_name_is_written_in_one_way(house: Through) -> None:
    """A name in other letters is no name, and what it holds is not ours."""
    assert house.errcode(house.call("GET", f"{CALL}?Access_Token={house.virtual()}")) == 41001


def test_the_same_token_twice_is_replaced_twice(house: Through) -> None:
    """Nothing of ours remains in what is sent."""
    token = house.virtual()
    house.call("GET", f"{CALL}?access_token={token}&%61ccess_token={token}")
    assert house.line.calls[0].target == f"{CALL}?access_token={house.token()}&%61ccess_token={house.token()}"


def test_what_a_page_says_runs_nothing_here(house: Through) -> None:
    """An account's media may be a page with a script, and the console lives at the same address."""
    house.line.answers = [Answer([b"<script>"], 200, [(b"content-type", b"text/html")])]
    assert house.ask("/cgi-bin/media/get").headers["content-security-policy"] == "sandbox"


# --- bodies


def test_a_body_beyond_the_limit_is_refused(house: Through) -> None:
    """Announced or not; nothing is sent on."""
    token = house.virtual()
    announced = house.ask(CALL, token, "POST", content=b"x" * 2001)
    assert house.errcode(announced) == 45001
    raw = Raw(house, "POST", f"{CALL}?access_token={token}", [(b"transfer-encoding", b"chunked")])
    raw.sends(b"x" * 1000, more=True)
    assert raw.status == 0
    raw.sends(b"x" * 1001, more=True)
    house.clock.turn(1)
    assert json.loads(raw.body)["errcode"] == 45001
    assert "2000 bytes" in raw.body.decode()
    assert house.line.calls == []
    assert house.ask("/cgi-bin/clear_quota", token, "POST", content=b"x" * 2000).status_code == 200


@pytest.mark.parametrize("path", ["/cgi-bin/token", "/sns/jscode2session", "/sns/userinfo", "/cgi-bin/showqrcode"])
def test_who_is_not_known_yet_may_send_little(house: Through, path: str) -> None:
    """64 KiB are plenty for a secret, and for calls that show none."""
    house.close()
    large = Through()
    told = large.read(large.call("POST", path, content=b"x" * 65_537))
    assert told["errcode"] == 45001
    assert "65536 bytes" in told["errmsg"]
    assert large.line.calls == []
    large.close()
    house.__init__()  # type: ignore[misc]


def test_a_body_that_stops_coming_is_given_up(house: Through) -> None:
    """After a minute without a byte; a client that is still there is told."""
    raw = Raw(house, "POST", f"{CALL}?access_token={house.virtual()}", [(b"content-length", b"100")])
    raw.sends(b"x" * 10, more=True)
    house.clock.turn(59)
    raw.sends(b"x" * 10, more=True)
    house.clock.turn(59)
    assert not raw.task.done()
    house.clock.turn(2)
    assert raw.task.done()
    assert json.loads(raw.body)["errcode"] == -1
    assert house.line.calls == []


def test_a_client_that_leaves_in_the_middle_of_his_call_has_sent_none(house: Through) -> None:
    """Half a call is no call."""
    raw = Raw(house, "POST", f"{CALL}?access_token={house.virtual()}", [(b"content-length", b"100")])
    raw.sends(b"x" * 10, more=True)
    raw.leaves()
    assert raw.task.done()
    assert (raw.status, house.line.calls) == (0, [])


# --- the way is long


def test_a_client_that_leaves_takes_his_call_along(house: Through) -> None:
    """While the platform thinks, and while its answer comes."""
    token = house.virtual()
    for answer in (None, Answer([b"x" * 10, asyncio.Event()], 200, [(b"content-type", b"image/png")])):
        house.line.before = None if answer else asyncio.Event().wait  # type: ignore[assignment]
        house.line.answers = [answer] if answer else []
        raw = Raw(house, "GET", f"{CALL}?access_token={token}")
        raw.sends(b"")
        house.clock.turn(1)
        assert (house.line.open, raw.task.done()) == (1, False)
        raw.leaves()
        assert (house.line.open, raw.task.done()) == (0, True)
        assert not raw.is_whole
    assert f'key="{house.key.id}",outcome="failed"}} 2.0' in house.measures()


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_platform_that_is_away_is_later(house: Through, was_sent: bool) -> None:  # noqa: FBT001 (a parameter of the claim)
    """-1 is what every SDK takes for: not now. Nothing is sent a second time."""
    house.line.answers = [PlatformUnreachable("timeout", was_sent=was_sent)]
    told = house.read(house.ask(CALL))
    assert told["errcode"] == -1
    assert told["errmsg"].startswith("system error")
    assert len(house.line.calls) == 1
    (event,) = house.events("gateway_unreachable")
    assert event["request"] in told["errmsg"]
    assert (event["path"], event["key"], event["why"]) == (CALL, house.key.id, "timeout")


def test_json_that_is_cut_is_no_answer(house: Through) -> None:
    """Nothing of it had gone to the client yet."""
    house.line.answers = [Answer([b'{"errcode"', PlatformUnreachable("cut", was_sent=True)])]
    assert house.errcode(house.ask(CALL)) == -1


def test_media_that_is_cut_is_cut_for_the_client_too(house: Through) -> None:
    """Never an end that looks whole."""
    cut = PlatformUnreachable("cut", was_sent=True)
    house.line.answers = [Answer([b"abc", cut], 200, [(b"content-type", b"image/png"), (b"content-length", b"9")])]
    raw = Raw(house, "GET", f"{CALL}?access_token={house.virtual()}")
    house.clock.turn(1)
    assert (raw.body, raw.is_whole, raw.task.done()) == (b"abc", False, True)
    assert raw.task.exception() is None


def test_the_real_wire_cut_is_told_apart(house: Through) -> None:
    """The sandbox's own faults: dropped, cut, nonsense."""
    token = house.virtual()
    house.line.faults.add(Fault(path=CALL, answer="drop", times=1))
    house.line.faults.add(Fault(path=CALL, answer="garbage", times=1))
    house.line.faults.add(Fault(path=CALL, answer="page", status=502, times=1))
    assert house.errcode(house.ask(CALL, token)) == -1
    assert house.ask(CALL, token).status_code == 200
    assert house.ask(CALL, token).status_code == 502
    assert house.ask(CALL, token).json()["total"] == 0


def test_a_key_may_have_so_many_calls_under_way(house: Through) -> None:
    """One program that loops must not take what the others need."""
    token, other = house.virtual(), house.virtual(house.add_key(Grant.GATEWAY))
    gate = asyncio.Event()
    house.line.before = gate.wait  # type: ignore[assignment]
    running = [Raw(house, "GET", f"{CALL}?access_token={token}") for _ in range(3)]
    assert house.errcode(house.ask(CALL, token)) == 45011
    others = Raw(house, "GET", f"{CALL}?access_token={other}")
    gate.set()
    house.clock.turn(1)
    assert [one.status for one in [*running, others]] == [200] * 4
    assert house.ask(CALL, token).json()["total"] == 0
    assert f'key="{house.key.id}",outcome="refused"}} 1.0' in house.measures()


def test_calls_of_nobody_in_particular_are_bounded_too(house: Through) -> None:
    """Whoever reaches the port may ask for a QR picture; not for all connections to the platform."""
    gate = asyncio.Event()
    house.line.before = gate.wait  # type: ignore[assignment]
    running = [Raw(house, "GET", "/cgi-bin/showqrcode?ticket=x") for _ in range(3)]
    assert house.errcode(house.call("GET", "/cgi-bin/showqrcode?ticket=x")) == 45011
    gate.set()
    house.clock.turn(1)
    assert [one.task.done() for one in running] == [True] * 3
    assert 'zhongkong_gateway_calls_total{appid="",key="",outcome="passed"} 3.0' in house.measures()


def test_what_is_refused_here_is_counted(house: Through) -> None:
    """A person sees in a measure that somebody knocks in vain; nobody who only knocks adds a line to it."""
    house.ask(CALL, "zkt_nonsense")
    house.call("GET", CALL)
    house.call("GET", "/cgi-bin/%2e%2e/x")
    house.fetch("zk_abcdefgh_" + "x" * 43)
    assert 'zhongkong_gateway_calls_total{appid="",key="",outcome="refused"} 4.0' in house.measures()


def test_a_trouble_of_nobodys_call_is_told_as_such(house: Through) -> None:
    """With a dash where an account and a key would stand."""
    house.line.answers = [PlatformUnreachable("timeout", was_sent=True)]
    assert house.errcode(house.call("GET", "/cgi-bin/showqrcode?ticket=x")) == -1
    (kept,) = [one.event for one in house.clock.run(house.store.events()) if one.event.code == "gateway_unreachable"]
    assert (kept.appid, kept.values["key"]) == ("-", "-")
    assert 'appid="",key="",outcome="failed"} 1.0' in house.measures()
    assert "refused" not in house.measures().partition("zhongkong_gateway_calls_total")[2].partition("# HELP")[0]


# --- whose secret, whose token


@pytest.fixture
def person(house: Through) -> str:
    """A person's code for a web page."""
    house.world.add_follower(APPID, "小明", house.clock.wall())
    openid = next(iter(house.world.account(APPID).followers))
    return house.world.agree(APPID, openid, "snsapi_userinfo", house.clock.wall()).value


@pytest.mark.parametrize("where", ["params", "data", "json"])
def test_a_secret_is_swapped_where_it_stands(house: Through, person: str, where: str) -> None:
    """In the query, a form or JSON; the real one leaves, the key stays."""
    asked = {"appid": APPID, "secret": house.text, "code": person, "grant_type": "authorization_code"}
    given: dict[str, Any] = {where: asked}
    house.call("GET" if where == "params" else "POST", "/sns/oauth2/access_token", **given)
    (call,), (body,) = house.line.calls, house.line.bodies
    sent = call.target.encode() + body
    assert SECRET.encode() in sent
    assert b"zk_" not in sent
    if where == "params":
        assert (
            house.line.calls[0].target == f"/sns/oauth2/access_token?{httpx.QueryParams({**asked, 'secret': SECRET})}"
        )


def test_a_secret_that_stands_in_two_places_is_swapped_in_both(house: Through) -> None:
    """The key is nothing to the platform."""
    params = {"appid": APPID, "secret": house.text, "js_code": "x", "grant_type": "authorization_code"}
    house.call("POST", "/sns/jscode2session", params=params, data={"secret": house.text})
    house.call("POST", "/sns/jscode2session", params=params, json={"secret": house.text})
    assert "zk_" not in str([call.target for call in house.line.calls]) + str(house.line.bodies)


def test_a_person_logs_in_and_his_own_token_is_left_alone(house: Through, person: str) -> None:
    """It is not replaced, not judged, not healed."""
    params = {"appid": APPID, "secret": house.text, "code": person, "grant_type": "authorization_code"}
    granted = house.call("GET", "/sns/oauth2/access_token", params=params).json()
    asked = {"access_token": granted["access_token"], "openid": granted["openid"]}
    assert house.call("GET", "/sns/userinfo", params=asked).json()["nickname"] == "小明"
    assert house.call("GET", "/sns/auth", params=asked).json()["errcode"] == 0
    wrong = house.call("GET", "/sns/userinfo", params={**asked, "access_token": "x"})
    assert wrong.json()["errcode"] == 40001
    assert len(house.platform.mints) == 1
    assert house.line.tokens()[1:] == [granted["access_token"]] * 2 + ["x"]


def test_a_persons_token_passes_for_who_shows_a_key_or_comes_from_our_networks(house: Through) -> None:
    """Everybody else would use the hub as his way to the platform."""
    house.clock.run(house.store.remove_key(house.key.id))
    house.clock.turn(2)
    asked = {"access_token": "x", "openid": "o"}
    assert house.errcode(house.call("GET", "/sns/userinfo", params=asked)) == 48001
    inside = house.add_key(Grant.GATEWAY, networks=(ip_network("10.0.0.0/8"),))
    assert house.errcode(house.call("GET", "/sns/userinfo", params=asked)) == 48001
    assert house.errcode(house.call("GET", "/sns/userinfo", inside, params=asked)) == 48001
    assert house.errcode(house.call("GET", "/sns/userinfo", params=asked, address="")) == 48001
    assert house.line.calls == []
    house.call("GET", "/sns/userinfo", params=asked, address="10.1.1.1")
    reader = house.add_key(Grant.READ)
    assert house.errcode(house.call("GET", "/sns/userinfo", reader, params=asked)) == 48001
    anywhere = house.add_key(Grant.GATEWAY, paths=("/sns/*",))
    house.call("GET", "/sns/userinfo", anywhere, params=asked)
    assert len(house.line.calls) == 2
    assert house.line.header("authorization") == []


def test_a_qr_picture_needs_no_token(house: Through) -> None:
    """On the platform it is another host's."""
    made = house.ask(
        "/cgi-bin/qrcode/create",
        method="POST",
        json={"action_name": "QR_SCENE", "expire_seconds": 60, "action_info": {"scene": {"scene_id": 1}}},
    )
    answer = house.call("GET", "/cgi-bin/showqrcode", params={"ticket": made.json()["ticket"]})
    assert answer.headers["content-type"].startswith("image/")
    assert house.line.calls[-1].base_url == "http://sandbox.test"


def test_the_qr_picture_of_the_platform_is_another_hosts(house: Through) -> None:
    """And one call may be the first that there is."""
    house.clock.run(house.admin.remove_account(APPID, "test"))
    house.clock.turn(2)
    house.follow_account()
    house.line.answers = [Answer([b"png"], 200, [(b"content-type", b"image/png")])]
    house.call("GET", "/cgi-bin/showqrcode?ticket=x")
    assert (house.line.calls[-1].base_url, house.line.calls[-1].target) == (
        "https://mp.weixin.qq.com",
        "/cgi-bin/showqrcode?ticket=x",
    )


def test_the_quota_is_cleared_with_the_secret(house: Through) -> None:
    """Source: 使用AppSecret重置API调用次数."""
    asked = {"appid": APPID, "appsecret": house.text}
    assert house.call("POST", "/cgi-bin/clear_quota/v2", json=asked).json()["errcode"] == 0
    assert json.loads(house.line.bodies[0]) == {"appid": APPID, "appsecret": SECRET}
    assert house.errcode(house.call("POST", "/cgi-bin/clear_quota/v2", json={"appid": APPID})) == 41004


def test_a_key_for_one_account_swaps_no_other_accounts_secret(house: Through) -> None:
    """Though both names are shown."""
    house.add_account(OTHER)
    text = house.add_key(Grant.GATEWAY, appids=(APPID,))
    params = {"appid": OTHER, "secret": text, "js_code": "x", "grant_type": "authorization_code"}
    assert house.errcode(house.call("GET", "/sns/jscode2session", params=params)) == 40125
    both = f"/sns/jscode2session?appid={APPID}&appid={OTHER}&secret={text}&js_code=x"
    assert house.errcode(house.call("GET", both)) == 40035
    assert (
        house.errcode(
            house.call("POST", "/sns/jscode2session", params={**params, "appid": APPID}, json={"appid": OTHER})
        )
        == 40035
    )
    assert (
        house.errcode(house.call("GET", "/sns/jscode2session", params={**params, "secret": house.virtual()})) == 40125
    )
    assert house.line.calls == []


def test_the_real_secret_in_a_page_that_comes_back_is_not_ours_to_show(house: Through) -> None:
    """What echoes the request names the key that the client knows."""
    house.line.answers = [Answer([b'{"errcode":40029,"errmsg":"' + SECRET.encode() + b'"}'])]
    params = {"appid": APPID, "secret": house.text, "js_code": "x", "grant_type": "authorization_code"}
    assert SECRET not in house.call("GET", "/sns/jscode2session", params=params).text


# --- tickets


def test_a_ticket_is_answered_from_what_is_kept(house: Through) -> None:
    """With its rest; a hundred servers cost the platform one call."""
    token = house.virtual()
    first = house.read(house.ask("/cgi-bin/ticket/getticket", token, params={"type": "jsapi"}))
    assert first.keys() == {"errcode", "errmsg", "ticket", "expires_in"}
    assert (first["errcode"], first["errmsg"]) == (0, "ok")
    house.clock.turn(100)
    again = house.read(house.ask("/cgi-bin/ticket/getticket", token, params={"type": "jsapi"}))
    assert again["ticket"] == first["ticket"]
    assert first["expires_in"] - again["expires_in"] in (99, 100, 101)
    assert house.line.calls == []


@pytest.mark.parametrize("params", [{}, {"type": ""}, {"type": "nonsense"}])
def test_a_ticket_of_no_kind_is_refused(house: Through, params: dict[str, str]) -> None:
    """In the platform's words."""
    assert house.errcode(house.ask("/cgi-bin/ticket/getticket", params=params)) == 40097
