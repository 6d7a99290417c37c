"""wechatpy as its users have it: what differs is where the client comes from."""

from __future__ import annotations

import io
from typing import Any

import pytest
from wechatpy import WeChatClient  # type: ignore[import-untyped]
from wechatpy.exceptions import WeChatClientException  # type: ignore[import-untyped]

from tests.scenario.client.platform import APPID, PICTURE, Keeper, Platform
from zhongkong.errors import CredentialUnavailable, RequestRefused
from zhongkong.integrations.wechatpy import SourceClient, SourceStorage

OK = {"errcode": 0, "errmsg": "ok"}


@pytest.fixture(name="client")
def _client(keeper: Keeper) -> Any:
    return SourceClient(keeper, APPID)  # type: ignore[arg-type]  # a stand-in


def test_a_call_bears_the_sources_token(client: Any, platform: Platform) -> None:
    """A JSON call, and one whose parameters wechatpy makes itself."""
    assert client.message.send_text("o1", "你好") == OK
    assert client.material.delete("m1") == OK
    assert platform.tokens() == ["token-1", "token-1"]


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_call_is_reported_and_made_once_more(
    errcode: int, client: Any, platform: Platform, keeper: Keeper
) -> None:
    """And the next one begins with the better token."""
    platform.alive, platform.errcode = "token-2", errcode
    assert client.user.get_followers() == OK
    assert client.user.get_followers() == OK
    assert platform.tokens() == ["token-1", "token-2", "token-2"]
    assert keeper.rejected == ["token-1"]


def test_what_is_refused_for_ever_is_refused_twice(client: Any, platform: Platform, keeper: Keeper) -> None:
    """By itself wechatpy would ask until the stack is full."""
    platform.alive = "none of ours"
    with pytest.raises(WeChatClientException) as refused:
        client.user.get_followers()
    assert refused.value.errcode == 40001
    assert platform.tokens() == ["token-1", "token-2"]
    assert keeper.rejected == ["token-1"]


def test_what_is_refused_for_another_reason_is_not_repeated(client: Any, platform: Platform, keeper: Keeper) -> None:
    """The source says that the token lives, so the answer is the caller's."""
    platform.alive, keeper.outcome = "none of ours", "still_valid"
    with pytest.raises(WeChatClientException):
        client.user.get_followers()
    assert platform.tokens() == ["token-1"]


def test_an_upload_is_repeated_whole(client: Any, platform: Platform) -> None:
    """By itself wechatpy would send the rest of a file that was read to its end."""
    platform.alive = "token-2"
    assert client.media.upload("image", io.BytesIO(PICTURE)) == OK
    first, second = platform.bodies()
    assert first == second
    assert PICTURE in second


def test_a_download_is_repaired(client: Any, platform: Platform) -> None:
    """The refusal comes as JSON where a picture was to come."""
    platform.alive = "token-2"
    assert client.media.download("m1").content == PICTURE


def test_without_a_token_the_source_says_why(
    client: Any, platform: Platform, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent."""
    error = CredentialUnavailable(APPID, "access_token", "blocked", retry_after=300.0)

    def fail(_appid: str) -> str:
        raise error

    monkeypatch.setattr(keeper, "access_token", fail)
    with pytest.raises(CredentialUnavailable):
        client.user.get_followers()
    assert platform.seen == []


def test_the_client_fetches_nothing_itself(client: Any, platform: Platform) -> None:
    """Programs that call fetch_access_token from cron go on; it costs nobody a token."""
    assert client.fetch_access_token() == {"access_token": "token-1", "expires_in": 7000}
    assert client.access_token == "token-1"
    assert platform.seen == []


def test_a_client_of_wechatpys_own_finds_the_token_in_its_session(platform: Platform, keeper: Keeper) -> None:
    """Today's, at each call."""
    client = WeChatClient(APPID, "", session=SourceStorage(keeper), auto_retry=False)  # type: ignore[arg-type]
    assert client.user.get_followers() == OK
    platform.alive = keeper.held = "token-2"
    assert client.user.get_followers() == OK
    platform.alive = "token-3"
    with pytest.raises(WeChatClientException):
        client.user.get_followers()
    assert platform.tokens() == ["token-1", "token-2", "token-2"]


def test_the_session_keeps_what_else_wechatpy_puts_there(keeper: Keeper) -> None:
    """Tickets, for one."""
    session = SourceStorage(keeper)  # type: ignore[arg-type]
    session.set("wx1_jsapi_ticket", "ticket")
    assert session.get("wx1_jsapi_ticket") == "ticket"
    assert session.get("wx1_card_ticket", 0) == 0


def test_a_client_that_fetches_tokens_itself_is_stopped(
    platform: Platform, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the secret and `auto_retry`: its first fetch is its last, and is told."""
    client = WeChatClient(APPID, "secret", session=SourceStorage(keeper))  # type: ignore[arg-type]
    platform.alive = "none of ours"

    def fetch() -> None:
        client.session.set(client.access_token_key, "its own", 7200)

    monkeypatch.setattr(client, "fetch_access_token", fetch)
    with pytest.raises(RequestRefused) as refused:
        client.user.get_followers()
    assert "auto_retry=False" in refused.value.__notes__[0]
    assert platform.tokens() == ["token-1"]
