"""WeChatAuth on real sockets, with each HTTP client that it serves."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

from tests.scenario.client.platform import APPID, PICTURE, AsyncKeeper, Keeper, Platform
from zhongkong.client import bodies
from zhongkong.client.auth import WeChatAuth
from zhongkong.client.faces import AsyncFace, SyncFace
from zhongkong.client.source import AsyncSource, Source
from zhongkong.errors import CredentialUnavailable, RequestRefused

USERS = "/cgi-bin/user/get"
MEDIA = "/cgi-bin/media/get"
UPLOAD = "/cgi-bin/media/upload"
OK = {"errcode": 0, "errmsg": "ok"}


class Client:
    """What the tests do with every client."""

    def get(self, url: str, *, follow: bool = False) -> bytes:
        """Return the body of the answer."""
        raise NotImplementedError

    def post(self, url: str, **body: Any) -> bytes:
        """Return the body of the answer to an upload."""
        raise NotImplementedError

    def stream(self, url: str) -> bytes:
        """Return what came piece by piece."""
        raise NotImplementedError

    def close(self) -> None:
        """Close its connections."""


class Httpx(Client):
    """`httpx.Client`."""

    def __init__(self, keeper: Keeper) -> None:
        self.client = httpx.Client(auth=WeChatAuth(_typed(keeper), APPID), timeout=10)
        self.close = self.client.close  # type: ignore[method-assign]

    def get(self, url: str, *, follow: bool = False) -> bytes:
        """Return the body of the answer."""
        return self.client.get(url, follow_redirects=follow).content

    def post(self, url: str, **body: Any) -> bytes:
        """Return the body of the answer to an upload."""
        return self.client.post(url, **body).content

    def stream(self, url: str) -> bytes:
        """Return what came piece by piece."""
        with self.client.stream("GET", url) as response:
            return b"".join(response.iter_raw())


class AsyncHttpx(Client):
    """`httpx.AsyncClient`, one and a loop for each call."""

    def __init__(self, keeper: Keeper) -> None:
        self.auth = WeChatAuth(_typed_async(AsyncKeeper(keeper)), APPID)

    async def _call(self, method: str, url: str, *, raw: bool = False, **given: Any) -> bytes:
        async with httpx.AsyncClient(auth=self.auth, timeout=10) as client:
            if not raw:
                return (await client.request(method, url, **given)).content
            async with client.stream(method, url) as response:
                return b"".join([piece async for piece in response.aiter_raw()])

    def get(self, url: str, *, follow: bool = False) -> bytes:
        """Return the body of the answer."""
        return asyncio.run(self._call("GET", url, follow_redirects=follow))

    def post(self, url: str, **body: Any) -> bytes:
        """Return the body of the answer to an upload."""
        return asyncio.run(self._call("POST", url, **body))

    def stream(self, url: str) -> bytes:
        """Return what came piece by piece."""
        return asyncio.run(self._call("GET", url, raw=True))


class Requests(Client):
    """`requests.Session`."""

    def __init__(self, keeper: Keeper) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = WeChatAuth(_typed(keeper), APPID)
        self.close = self.session.close  # type: ignore[method-assign]

    def get(self, url: str, *, follow: bool = False) -> bytes:
        """Return the body of the answer."""
        return self.session.get(url, allow_redirects=follow, timeout=10).content

    def post(self, url: str, **body: Any) -> bytes:
        """Return the body of the answer to an upload."""
        if "content" in body:
            body["data"] = body.pop("content")
        return self.session.post(url, timeout=10, **body).content

    def stream(self, url: str) -> bytes:
        """Return what came piece by piece."""
        with self.session.get(url, stream=True, timeout=10) as response:
            return b"".join(response.iter_content(1000))


def _typed(keeper: Keeper) -> Source:
    return keeper  # type: ignore[return-value]  # nothing closes it


def _typed_async(keeper: AsyncKeeper) -> AsyncSource:
    return keeper  # type: ignore[return-value]  # the same


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A platform that takes token-1."""
    platform = Platform()
    yield platform
    platform.close()


@pytest.fixture
def keeper() -> Keeper:
    """A source that holds token-1."""
    return Keeper()


@pytest.fixture(params=[Httpx, AsyncHttpx, Requests])
def client(request: pytest.FixtureRequest, keeper: Keeper) -> Iterator[Client]:
    """Each of the clients in turn."""
    client: Client = request.param(keeper)
    yield client
    client.close()


# --- repair


def test_each_call_bears_the_token(platform: Platform, client: Client) -> None:
    """In the query, in place of any other; what else stands there is untouched."""
    assert json.loads(client.get(f"{platform.url}{USERS}?next_openid=o%201&access_token=old")) == OK
    assert platform.tokens() == ["token-1"]


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_call_is_made_again_with_the_new_token(
    platform: Platform, client: Client, keeper: Keeper, errcode: int
) -> None:
    """The caller never notices."""
    platform.alive, platform.errcode = "token-2", errcode
    assert json.loads(client.get(platform.url + USERS)) == OK
    assert platform.tokens() == ["token-1", "token-2"]
    assert keeper.rejected == ["token-1"]


@pytest.mark.parametrize("path", ["/plain", "/gzip", "/chunked"])
def test_a_refusal_is_seen_in_whatever_form_it_comes(platform: Platform, client: Client, path: str) -> None:
    """As text, compressed, or in chunks."""
    platform.alive = "token-2"
    assert json.loads(client.get(platform.url + path)) == OK


@pytest.mark.parametrize("errcode", [40003, 45009, 48001, -1, 41001])
def test_other_errors_are_the_callers(platform: Platform, client: Client, keeper: Keeper, errcode: int) -> None:
    """Another token would not help."""
    platform.alive, platform.errcode = "token-2", errcode
    assert json.loads(client.get(platform.url + USERS))["errcode"] == errcode
    assert (len(platform.seen), keeper.rejected) == (1, [])


def test_nothing_is_repaired_twice(platform: Platform, client: Client, keeper: Keeper) -> None:
    """A platform that refuses everything gets two calls, and the caller its last answer."""
    platform.alive = "none"
    assert json.loads(client.get(platform.url + USERS))["errcode"] == 40001
    assert (platform.tokens(), keeper.rejected) == (["token-1", "token-2"], ["token-1"])


def test_a_token_that_is_valid_is_not_tried_again(platform: Platform, client: Client, keeper: Keeper) -> None:
    """The refusal has another cause; the answer is the caller's, whole."""
    platform.alive, keeper.outcome = "none", "still_valid"
    assert json.loads(client.get(platform.url + USERS))["errcode"] == 40001
    assert platform.tokens() == ["token-1"]


def test_a_report_that_fails_leaves_the_platforms_answer(
    platform: Platform, client: Client, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """And says why in the log."""
    platform.alive, keeper.fails = "none", True
    assert json.loads(client.get(platform.url + USERS))["errcode"] == 40001
    assert "refreshing" in caplog.text
    assert "token-1" not in caplog.text


def test_where_there_is_no_token_nothing_is_sent(
    platform: Platform, client: Client, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the source's own, with its cause."""

    def fail(_appid: str) -> str:
        raise CredentialUnavailable(APPID, "access_token", "unreachable", retry_after=1.0)

    monkeypatch.setattr(keeper, "access_token", fail)
    with pytest.raises(CredentialUnavailable):
        client.get(platform.url + USERS)
    assert platform.seen == []


# --- downloads


@pytest.mark.parametrize("read", ["get", "stream"])
def test_a_download_comes_as_it_is(platform: Platform, client: Client, read: str) -> None:
    """Also after a repair, and piece by piece."""
    platform.alive = "token-2"
    assert getattr(client, read)(platform.url + MEDIA) == PICTURE
    assert platform.tokens() == ["token-1", "token-2"]


@pytest.mark.parametrize("path", [USERS, "/big", "/plain", "/gzip"])
def test_what_was_looked_into_can_still_be_streamed(platform: Platform, client: Client, path: str) -> None:
    """Nothing is taken from the caller."""
    assert client.stream(platform.url + path) == client.get(platform.url + path)
    platform.alive = "none"
    assert client.stream(platform.url + USERS).startswith(b'{"errcode": 40001')


def test_what_is_no_json_is_not_looked_into(platform: Platform, client: Client, keeper: Keeper) -> None:
    """A page may quote anything."""
    platform.alive = "none"
    assert b"40001" in client.get(platform.url + "/html")
    assert keeper.rejected == []


@pytest.mark.parametrize("kind", ["image/jpeg", "application/json", "text/plain"])
def test_a_download_is_not_read_before_the_caller_does(kind: str) -> None:
    """Only so much of it as may be a refusal: it may be a gigabyte."""
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield (b"{" if kind == "application/json" else b"x") * 1000

    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"Content-Type": kind}, content=endless()))
    client = httpx.Client(transport=transport, auth=WeChatAuth(_typed(Keeper()), APPID))
    with client.stream("GET", "https://api.weixin.qq.com/x") as response:
        assert read <= (bodies.LOOK_LONGEST + 1000 if kind == "application/json" else 1000)
        pieces = response.iter_raw()
        assert len(b"".join(next(pieces) for _ in range(50))) == 50_000


def test_a_compressed_answer_that_cannot_be_unpacked_is_the_callers() -> None:
    """It raises where it is read, as it would without us."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"{no gzip"))
    )
    client = httpx.Client(transport=transport, auth=WeChatAuth(_typed(Keeper()), APPID))
    with pytest.raises(httpx.DecodingError):
        client.get("https://api.weixin.qq.com/x")


# --- uploads

BODY = b"a picture \xff\x00" * 5000


class OnlyRead:
    """What can be read once and never rewound, as a pipe."""

    def __init__(self) -> None:
        self._file = io.BytesIO(BODY)
        self.len = len(BODY)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self._file.read(size)


def _pieces() -> Iterator[bytes]:
    for begin in range(0, len(BODY), 1000):
        yield BODY[begin : begin + 1000]


async def _apieces() -> AsyncIterator[bytes]:
    for piece in _pieces():
        yield piece


def _generator(client: Client) -> Any:
    return _apieces() if isinstance(client, AsyncHttpx) else _pieces()


UPLOADS: dict[str, Callable[[Client], dict[str, Any]]] = {
    "json": lambda _: {"json": {"media": "x" * 1000}},
    "bytes": lambda _: {"content": BODY},
    "form": lambda _: {"data": {"a": "1", "b": "张"}},
    "multipart": lambda _: {"files": {"media": ("a.jpg", io.BytesIO(BODY), "image/jpeg")}},
    "generator": lambda client: {"content": _generator(client)},
}


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_is_repeated_whole(platform: Platform, client: Client, kind: str) -> None:
    """A menu, a picture, a stream that can be read once only."""
    platform.alive = "token-2"
    assert json.loads(client.post(platform.url + UPLOAD, **UPLOADS[kind](client))) == OK
    first, second = platform.bodies()
    assert first == second
    assert len(first) > 10


@pytest.mark.parametrize(
    "make", [lambda: bytearray(BODY), lambda: memoryview(BODY), lambda: (part for part in ("张", "三", b"", b"!"))]
)
def test_whatever_requests_sends_is_sent_with_a_token_too(
    platform: Platform, keeper: Keeper, make: Callable[[], Any]
) -> None:
    """Nobody may have to change his upload because a token was added."""
    requests.post(f"{platform.url}{UPLOAD}?access_token=token-1", data=make(), timeout=10)
    platform.alive = "token-2"
    auth = WeChatAuth(_typed(keeper), APPID)
    assert requests.post(platform.url + UPLOAD, data=make(), auth=auth, timeout=10).json()["errcode"] == 0
    plain, first, second = platform.bodies()
    assert plain == first == second != b""


def _half_read() -> io.BytesIO:
    file = io.BytesIO(b"skipped" + BODY)
    file.seek(len(b"skipped"))
    return file


@pytest.mark.parametrize(
    ("kind", "make"), [(Httpx, lambda: io.BytesIO(BODY)), (Requests, _half_read), (Requests, OnlyRead)]
)
def test_a_file_is_repeated_from_where_it_stood(
    platform: Platform, keeper: Keeper, kind: Callable[[Keeper], Client], make: Callable[[], Any]
) -> None:
    """Sent the second time from its end it would be an empty upload, and accepted."""
    platform.alive = "token-2"
    client = kind(keeper)
    assert json.loads(client.post(platform.url + UPLOAD, content=make())) == OK
    client.close()
    assert platform.bodies() == [BODY, BODY]


def test_a_file_is_left_where_sending_it_left_it(platform: Platform, keeper: Keeper) -> None:
    """Nobody rewinds what was accepted."""
    file = io.BytesIO(BODY)
    client = Requests(keeper)
    client.post(platform.url + UPLOAD, content=file)
    client.close()
    assert file.tell() == len(BODY)


def test_what_is_too_long_to_keep_is_reported_and_not_repeated(
    platform: Platform, client: Client, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets the refusal, and his next call a good token."""
    monkeypatch.setattr(bodies, "UPLOAD_LONGEST", 10_000)
    platform.alive = "token-2"
    assert json.loads(client.post(platform.url + UPLOAD, content=_generator(client)))["errcode"] == 40001
    assert (platform.bodies(), keeper.rejected) == ([BODY], ["token-1"])
    assert json.loads(client.get(platform.url + USERS)) == OK


# --- where the token goes


def test_a_redirect_to_another_host_gets_no_token(platform: Platform, client: Client) -> None:
    """It is not added there, and what that host says is not believed."""
    other = Platform()
    other.alive = ""
    assert json.loads(client.get(f"{platform.url}/redirect?to={other.url}/elsewhere", follow=True)) == OK
    assert (platform.tokens(), other.tokens()) == (["token-1"], [""])
    other.close()


def test_a_refusal_of_another_host_is_not_reported(platform: Platform, client: Client, keeper: Keeper) -> None:
    """Who is redirected to might claim anything."""
    other = Platform()
    other.alive = "none"
    answer = client.get(f"{platform.url}/redirect?to={other.url}{USERS}", follow=True)
    assert json.loads(answer)["errcode"] == 40001
    assert keeper.rejected == []
    other.close()


def test_other_hosts_are_called_without_it(keeper: Keeper) -> None:
    """One client may serve for everything."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"errcode": 40001})

    client = httpx.Client(transport=httpx.MockTransport(answer), auth=WeChatAuth(_typed(keeper), APPID))
    client.get("https://mmbiz.qpic.cn/picture")
    client.get("https://api.weixin.qq.com/sns/userinfo?access_token=persons&openid=o1")
    assert [url.params.get("access_token") for url in asked] == [None, "persons"]
    assert keeper.rejected == []
    with pytest.raises(RequestRefused):
        client.get("http://api.weixin.qq.com/cgi-bin/user/get")


def test_at_wecom_40001_means_the_secret(keeper: Keeper) -> None:
    """There a report would end nothing but waste a probe."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"errcode": 40001}))
    client = httpx.Client(transport=transport, auth=WeChatAuth(_typed(keeper), APPID))
    client.get("https://qyapi.weixin.qq.com/cgi-bin/user/get")
    assert keeper.rejected == []
    client.get("https://api.weixin.qq.com/cgi-bin/user/get")
    assert keeper.rejected == ["token-1"]


@pytest.mark.parametrize(("errcode", "rejected"), [(40001, []), (40014, ["token-1"]), (42001, ["token-1"])])
def test_an_application_of_wecom_is_spoken_to_in_its_own_words_wherever_it_is_asked(
    keeper: Keeper, errcode: int, rejected: list[str]
) -> None:
    """At a sandbox, or a proxy of the team's own, the host does not say whose the code is: the account does."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"errcode": errcode}))
    keeper.appid = "ww0123456789abcdef:crm"
    auth = WeChatAuth(_typed(keeper), keeper.appid)
    httpx.Client(transport=transport, auth=auth).get("http://127.0.0.1:8601/cgi-bin/user/get")
    assert keeper.rejected == rejected


@pytest.mark.parametrize("hosts", [["wx.internal"], "WX.internal", {"wx.internal:80"}])
def test_hosts_that_are_named_get_it_too(keeper: Keeper, hosts: Any) -> None:
    """A proxy of the team's own; one name needs no list."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    client = httpx.Client(transport=transport, auth=WeChatAuth(_typed(keeper), APPID, hosts=hosts))
    answer = client.get("http://wx.internal:80/cgi-bin/user/get")
    assert answer.request.url.params["access_token"] == "token-1"


# --- threads, mistakes, logs


def test_a_session_shared_by_threads_repairs_each_call(platform: Platform, keeper: Keeper) -> None:
    """Pools, hooks and bodies are each call's own."""
    client = Requests(keeper)
    sizes = [1000 + number for number in range(24)]
    answers: list[Any] = []
    platform.alive = "token-2"

    def upload(size: int) -> None:
        answers.append(json.loads(client.post(platform.url + UPLOAD, content=b"x" * size)))

    threads = [threading.Thread(target=upload, args=[size]) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert answers == [OK] * len(sizes)
    taken = [len(body) for _, token, body in platform.seen if token == "token-2"]
    assert sorted(taken) == sizes


def test_the_wrong_kind_of_source_is_told_at_once() -> None:
    """Else the coroutine would be sent as a token."""
    stub = AsyncFace(lambda: pytest.fail("begun"), "stub")
    with pytest.raises(TypeError, match=r"zhongkong\.connect$"):
        httpx.Client(auth=WeChatAuth(stub, APPID)).get("https://api.weixin.qq.com/")
    with pytest.raises(TypeError, match=r"zhongkong\.connect$"):
        requests.get("https://api.weixin.qq.com/", auth=WeChatAuth(stub, APPID), timeout=1)
    source = SyncFace(lambda: pytest.fail("begun"), "stub")

    async def call() -> None:
        async with httpx.AsyncClient(auth=WeChatAuth(source, APPID)) as client:
            await client.get("https://api.weixin.qq.com/")

    with pytest.raises(TypeError, match=r"zhongkong\.connect_async$"):
        asyncio.run(call())


def test_no_token_is_in_the_logs_of_a_call(
    platform: Platform, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """At their most talkative: the clients log what they send."""
    platform.alive = "token-2"
    with caplog.at_level(logging.DEBUG):
        client.get(platform.url + USERS)
    assert caplog.records
    assert "token-1" not in caplog.text
    assert "token-2" not in caplog.text


def test_a_sha_of_what_is_sent_twice_is_the_same() -> None:
    """The record of an upload is the upload, however it was cut."""
    recorded = bodies.Recorded(_pieces())
    first, second = (hashlib.sha256(b"".join(recorded)).hexdigest() for _ in range(2))
    assert first == second == hashlib.sha256(BODY).hexdigest()
