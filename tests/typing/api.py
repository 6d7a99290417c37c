"""How programs use the package, for type checkers: never run. What must not pass has an ignore that must be needed."""

from __future__ import annotations

from typing import assert_type

import httpx
import requests

import zhongkong
from zhongkong import AsyncSource, Credential, Rejected, Source, WeChatAuth


def read(source: Source) -> None:
    """From threads."""
    assert_type(source.access_token("wx1"), str)
    assert_type(source.credential("wx1", "jsapi_ticket"), Credential)
    rejected = source.reject("wx1", "83_x")
    assert_type(rejected, Rejected)
    if rejected.outcome == "refreshed":
        assert_type(rejected.credential.value, str)
    if rejected.outcome == "done":  # type: ignore[comparison-overlap]
        source.close()
    source.access_token(1)  # type: ignore[arg-type]


async def read_in_coroutines(source: AsyncSource) -> None:
    """From coroutines."""
    assert_type(await source.access_token("wx1"), str)
    assert_type(await source.credential("wx1"), Credential)
    assert_type(await source.reject("wx1", "83_x"), Rejected)
    source.access_token("wx1")  # type: ignore[unused-coroutine]
    await source.aclose()


def connect() -> None:
    """Both ways."""
    with zhongkong.connect("https://hub.internal:8600", key="zk_x", patience=2.0) as source:
        assert_type(source, Source)
        read(source)
    read(zhongkong.connect("sqlite:///wx.db", accounts={"wx1": "secret", "wx2": {"secret": "x", "mode": "classic"}}))
    zhongkong.conect("https://hub.internal:8600")  # type: ignore[attr-defined]
    zhongkong.connect("https://hub.internal:8600", keys="zk_x")  # type: ignore[call-arg]
    read(zhongkong.connect_async("https://hub.internal:8600"))  # type: ignore[arg-type]


async def connect_in_coroutines() -> None:
    """Likewise."""
    async with zhongkong.connect_async("https://hub.internal:8600") as source:
        assert_type(source, AsyncSource)
        await read_in_coroutines(source)
        async with httpx.AsyncClient(auth=WeChatAuth(source, "wx1")) as client:
            await client.get("https://api.weixin.qq.com/cgi-bin/user/get")


def call(source: Source) -> None:
    """With each client."""
    auth = zhongkong.WeChatAuth(source, "wx1", hosts=["wx.internal"])
    httpx.Client(auth=auth).get("https://api.weixin.qq.com/cgi-bin/user/get")
    requests.get("https://api.weixin.qq.com/cgi-bin/user/get", auth=auth, timeout=5)
    zhongkong.WeChatAuth("wx1", source)  # type: ignore[arg-type]


def catch(source: Source) -> float | None:
    """What a caller does about it."""
    try:
        source.access_token("wx1")
    except zhongkong.CredentialUnavailable as error:
        assert_type(error.cause, str)
        return error.retry_after
    except (zhongkong.AccountUnknown, zhongkong.AccessDenied) as error:
        assert_type(error.code, str)
    return None
