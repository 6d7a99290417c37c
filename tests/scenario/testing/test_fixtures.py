"""The fixtures that users import, used as they use them."""

from __future__ import annotations

import httpx
import pytest

import zhongkong
from zhongkong.testing.fixtures import WechatSandbox, ZhongkongHub, wechat_sandbox, zhongkong_hub

__all__ = ["wechat_sandbox", "zhongkong_hub"]  # a conftest.py imports them just so


def test_a_platform_answers(wechat_sandbox: WechatSandbox) -> None:
    """Tokens, followers, faults: all that docs/sandbox.md tells."""
    words = {"grant_type": "client_credential", "appid": wechat_sandbox.appid, "secret": wechat_sandbox.secret}
    answer = httpx.get(f"{wechat_sandbox.url}/cgi-bin/token", params=words, trust_env=False).json()
    assert answer["expires_in"] == 7200
    wechat_sandbox.turn(7201)
    followers = f"{wechat_sandbox.url}/cgi-bin/user/get"
    asked = {"access_token": answer["access_token"]}
    assert httpx.get(followers, params=asked, trust_env=False).json()["errcode"] == 42001
    assert wechat_sandbox.secret not in repr(wechat_sandbox)


def test_what_is_refused_says_why(wechat_sandbox: WechatSandbox) -> None:
    """Who writes a test sees in its failure what was asked and what the sandbox has to say to it."""
    route = f"/accounts/{wechat_sandbox.appid}/followers/nobody/say"
    with pytest.raises(httpx.HTTPStatusError, match=rf"^POST {route}: 404 .*has no follower nobody") as caught:
        wechat_sandbox.control("POST", route, {"content": "?"})
    assert caught.value.response.status_code == 404


def test_a_hub_keeps_its_account(zhongkong_hub: ZhongkongHub, wechat_sandbox: WechatSandbox) -> None:
    """A program reads the token, meets a revoked one, and gets another."""
    with zhongkong.connect(zhongkong_hub.url, key=zhongkong_hub.key) as source:
        first = source.access_token(zhongkong_hub.appid)
        wechat_sandbox.revoke()
        source.reject(zhongkong_hub.appid, first)
        second = source.access_token(zhongkong_hub.appid)
    assert first != second
    answer = httpx.get(
        f"{zhongkong_hub.url}/cgi-bin/token",
        params={"grant_type": "client_credential", "appid": zhongkong_hub.appid, "secret": zhongkong_hub.key},
        trust_env=False,
    ).json()
    assert answer["expires_in"] == 7200
    assert zhongkong_hub.key not in repr(zhongkong_hub)
