"""WeRoBot's client as its users have it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from werobot.client import ClientException  # type: ignore[import-untyped]

from tests.scenario.client.platform import APPID, PICTURE, Keeper, Platform
from zhongkong.integrations.werobot import SourceClient

OK = {"errcode": 0, "errmsg": "ok"}


@pytest.fixture(name="client")
def _client(keeper: Keeper) -> Any:
    return SourceClient(keeper, APPID)  # type: ignore[arg-type]  # a stand-in


def test_a_call_bears_the_sources_token(client: Any, platform: Platform) -> None:
    """And no token is fetched."""
    assert client.send_text_message("o1", "你好") == OK
    assert client.grant_token() == {"access_token": "token-1", "expires_in": 7000}
    assert platform.tokens() == ["token-1"]


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_refused_call_is_reported_and_made_once_more(
    errcode: int, client: Any, platform: Platform, keeper: Keeper
) -> None:
    """WeRoBot by itself raises, for as long as it takes the token for good."""
    platform.alive, platform.errcode = "token-2", errcode
    assert client.get_menu() == OK
    assert client.get_menu() == OK
    assert platform.tokens() == ["token-1", "token-2", "token-2"]
    assert keeper.rejected == ["token-1"]


def test_what_is_refused_for_ever_is_refused_twice(client: Any, platform: Platform) -> None:
    """Then it is WeRoBot's error."""
    platform.alive = "none of ours"
    with pytest.raises(ClientException, match="40001"):
        client.get_menu()
    assert platform.tokens() == ["token-1", "token-2"]


def test_an_upload_is_repeated_whole(client: Any, platform: Platform) -> None:
    """The same bytes a second time."""
    platform.alive = "token-2"
    assert client.upload_media("image", io.BytesIO(PICTURE)) == OK
    first, second = platform.bodies()
    assert first == second
    assert PICTURE in second


def test_downloads_that_pass_by_its_request_are_repaired_too(client: Any, platform: Platform) -> None:
    """WeRoBot hands out the answer as it is."""
    platform.alive = "token-2"
    assert client.download_media("m1").content == PICTURE
    assert platform.tokens() == ["token-1", "token-2"]
    platform.alive = "token-3"
    assert client.download_permanent_media("m1").json()["errcode"] == 40001
    assert platform.seen[-1] == ("/cgi-bin/material/get_material", "token-2", b'{"media_id": "m1"}')


def test_a_permanent_video_bears_the_sources_token(client: Any, platform: Platform) -> None:
    """It goes past WeRoBot's request as well."""
    assert client.upload_permanent_video("t", "i", io.BytesIO(b"video")).json() == OK
    assert platform.tokens() == ["token-1"]
