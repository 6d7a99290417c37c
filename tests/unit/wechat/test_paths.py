"""What each path of the platform carries, and that nothing else is a path of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.wechat.paths import Carries, Path, find_path, is_platform_path


@pytest.mark.parametrize(
    ("path", "carries", "names"),
    [
        ("/cgi-bin/token", Carries.MINT, ()),
        ("/cgi-bin/stable_token", Carries.MINT, ()),
        ("/cgi-bin/stable_token/", Carries.MINT, ()),
        ("/cgi-bin/gettoken", Carries.MINT, ()),
        ("/cgi-bin/component/api_component_token", Carries.MINT, ()),
        ("/cgi-bin/component/api_authorizer_token", Carries.MINT, ()),
        ("/cgi-bin/component/api_query_auth", Carries.MINT, ()),
        ("/cgi-bin/component/api_create_preauthcode", Carries.TOKEN, ("component_access_token", "access_token")),
        ("/cgi-bin/component/api_get_authorizer_info", Carries.TOKEN, ("component_access_token", "access_token")),
        ("/cgi-bin/service/get_suite_token", Carries.MINT, ()),
        ("/cgi-bin/ticket/getticket", Carries.TICKET, ("access_token",)),
        ("/cgi-bin/clear_quota", Carries.TOKEN, ("access_token",)),
        ("/cgi-bin/clear_quota/v2", Carries.SECRET, ("appsecret",)),
        ("/cgi-bin/showqrcode", Carries.NOTHING, ()),
        ("/cgi-bin/user/info", Carries.TOKEN, ("access_token",)),
        ("/cgi-bin/message/template/send", Carries.TOKEN, ("access_token",)),
        ("/sns/oauth2/access_token", Carries.SECRET, ("secret",)),
        ("/sns/jscode2session", Carries.SECRET, ("secret",)),
        ("/sns/oauth2/component/access_token", Carries.TOKEN, ("component_access_token", "access_token")),
        ("/sns/component/jscode2session", Carries.TOKEN, ("component_access_token", "access_token")),
        ("/sns/userinfo", Carries.PERSON, ("access_token", "refresh_token")),
        ("/sns/auth", Carries.PERSON, ("access_token", "refresh_token")),
        ("/sns/oauth2/refresh_token", Carries.PERSON, ("access_token", "refresh_token")),
        ("/whatever/comes-next_year.2", Carries.TOKEN, ("access_token",)),
    ],
)
def test_each_path_says_where_its_credential_sits(path: str, carries: Carries, names: tuple[str, ...]) -> None:
    """What nobody knows yet shows it in the query, as nearly all do."""
    found = find_path(path)
    assert found is not None
    assert (found.carries, found.names) == (carries, names)


def test_one_call_has_a_host_of_its_own() -> None:
    """Source: 生成带参数的二维码."""
    assert find_path("/cgi-bin/showqrcode") == Path(Carries.NOTHING, host="mp.weixin.qq.com")


@pytest.mark.parametrize(
    "path",
    [
        *("/cgi-bin/token", "/cgi-bin/media/upload", "/sns/userinfo", "/wxa/getwxacode", "/wxaapi/log/get_user_log"),
        *("/datacube/getusersummary", "/card/create", "/customservice/kfaccount/add", "/product/spu/add", "/shop/a"),
        *("/merchant/create", "/channels/ec/order/get", "/union/promoter", "/xpay/query_order", "/tcb/invokecloud"),
        *(
            "/cv/ocr/idcard",
            "/semantic/semproxy/search",
            "/shakearound/device/applyid",
            "/bizwifi/shop/list",
            "/scan/x",
        ),
        *("/wxaapp/x", "/device/x", "/hardware/x", "/nontax/x", "/publisher/stat", "/cityservice/x", "/express/x"),
        *("/poi/x", "/invoice/x", "/business/x", "/game/x", "/sec/x", "/intp/marketcode/applycode", "/qyapi/cgi-bin/x"),
    ],
)
def test_the_platforms_families_are_known(path: str) -> None:
    """They are answered as the platform would, also without a token."""
    assert is_platform_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/accounts",
        "/healthz",
        "/metrics",
        "/docs",
        "/callback/wx1",
        "/cgi-binx/token",
        "//cgi-bin/x",
        "/Cgi-Bin/x",
    ],
)
def test_the_hubs_own_paths_are_no_family(path: str) -> None:
    """Nor is what only resembles one."""
    assert not is_platform_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//", "cgi-bin/token", "/cgi-bin//token", "//evil.example/cgi-bin/token", "/cgi-bin/token//"),
        *("/cgi-bin/../sns/userinfo", "/..", "/cgi-bin/..", "/./cgi-bin/token", "/cgi-bin/./token", "/cgi-bin/."),
        *(
            "/cgi-bin/%2e%2e/x",
            "/cgi-bin/%2f",
            "/cgi-bin\\..\\x",
            "/cgi-bin/x\\",
            "/cgi-bin/to\0ken",
            "/cgi-bin/token\n",
        ),
        *(
            "http://evil.example/cgi-bin/token",
            "/http://evil.example/",
            "/cgi-bin/x;y=1",
            "/cgi-bin/x?y",
            "/cgi-bin/x#y",
        ),
        *(
            "/cgi-bin/@evil.example",
            "/cgi-bin/x y",
            "/cgi-bin/中",
            "/cgi-bin/\ud800",
            "/cgi-bin/x:1",
            "/cgi-bin/" + "x" * 300,
        ),
    ],
)
def test_what_no_call_of_the_platform_has_is_refused(path: str) -> None:
    """It is not cleaned up: two readers of an odd path may read it as two."""
    assert find_path(path) is None


@given(st.text("/.%\\@:?#;\0 abC1-_~\r\n中", max_size=12).map("/".__add__))
def test_a_path_that_is_taken_means_the_same_to_every_reader(path: str) -> None:
    """Whatever is asked: plain parts, none of them a step aside."""
    if find_path(path) is not None:
        parts = path.removesuffix("/").split("/")[1:]
        assert all(part not in ("", ".", "..") for part in parts)
        assert path.isascii()
        assert all(char.isalnum() or char in "/._~-" for char in path)
