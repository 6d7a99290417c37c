"""The people's page: what the platform's test-account page shows, and what happened."""

import pytest

from tests.scenario.sandbox.desk import Desk


def test_the_page_shows_the_account_its_people_its_tokens_and_the_last_calls(desk: Desk) -> None:
    """A person copies appid and secret from it and watches a program work."""
    token = desk.stable()["access_token"]
    desk.get("/cgi-bin/no/such")
    page = desk.ask("GET", "/sandbox/").text
    for shown in (desk.appid, desk.secret, token, "7200 / 7200", "小明", "Alice", "发货通知", "no/such", "40066"):
        assert shown in page
    for openid in desk.account.followers:
        assert openid in page


def test_the_page_speaks_chinese_and_english(desk: Desk) -> None:
    """Chinese unless the browser asks for English first."""
    for accepted, language in (("", "zh"), ("en-US,en;q=0.9", "en"), ("zh-CN,en;q=0.8", "zh"), ("fr", "zh")):
        answer = desk.ask("GET", "/sandbox/", headers={"accept-language": accepted})
        assert answer.headers["content-language"] == language
        assert ("接口地址" in answer.text) == (language == "zh")
        assert ("API address" in answer.text) == (language == "en")


def test_a_name_is_shown_and_never_run(desk: Desk) -> None:
    """A nickname comes from anybody."""
    desk.control("POST", f"{desk.base}/followers", {"nickname": "<script>alert(1)</script>"})
    answer = desk.ask("GET", "/sandbox/")
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_loads_nothing_from_elsewhere(desk: Desk) -> None:
    """It works in a room without the internet, and tells nobody."""
    page = desk.ask("GET", "/sandbox/").text
    assert "src=" not in page
    assert "http://" not in page.replace("http://sandbox", "")
    assert "url(" not in page


def test_the_page_without_its_last_slash_leads_to_it(desk: Desk) -> None:
    """People type it so."""
    answer = desk.ask("GET", "/sandbox")
    assert (answer.status_code, answer.headers["location"]) == (307, "/sandbox/")


@pytest.mark.parametrize("speed", [0, 60])
def test_the_page_is_whole_in_every_state(desk: Desk, speed: float) -> None:
    """Dead tokens, a frozen secret, an empty allow-list, faults, a world without accounts."""
    desk.token()
    openid = next(iter(desk.account.followers))
    desk.control("DELETE", f"{desk.base}/followers/{openid}")
    desk.control("PATCH", "/clock", {"speed": speed})
    desk.control("PATCH", "/switches", {"freeze_delay_seconds": 0})
    desk.control("POST", f"{desk.base}/freeze")
    desk.control("POST", f"{desk.base}/revoke")
    desk.control("PATCH", desk.base, {"allow_list": []})
    desk.control("POST", "/faults", {"path": "/x", "answer": "garbage", "acts": False})
    desk.ask("GET", "/x")
    page = desk.ask("GET", "/sandbox/").text
    for shown in ("AppSecret 已冻结", "已失效", "已取消关注", f"×{speed}", "没有答复", "garbage", "IP 白名单"):
        assert shown in page
    desk.control("DELETE", desk.base)
    assert "还没有账号" in desk.ask("GET", "/sandbox/").text
