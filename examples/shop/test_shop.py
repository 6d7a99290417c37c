"""小店的测试：不用公众号，不用外网，也不用假的微信接口。运行：`pip install -e ".[test]" && pytest`。"""

import httpx
import pytest


def test_the_customer_reads_that_it_was_sent(shop, customer, account, wechat_sandbox):
    shop.ship(customer, "1024")
    [message] = wechat_sandbox.control("GET", f"{account}/messages")["messages"]
    assert (message["openid"], message["text"]) == (customer, "订单 1024 已发货：顺丰 SF1234567890")


def test_a_token_that_wechat_has_ended_troubles_nobody(shop, customer, account, wechat_sandbox):
    shop.ship(customer, "1024")
    wechat_sandbox.revoke()
    shop.ship(customer, "1024")
    assert len(wechat_sandbox.control("GET", f"{account}/messages")["messages"]) == 2


def test_who_left_is_told_nothing_and_the_shop_hears_why(shop, customer, account, wechat_sandbox):
    wechat_sandbox.control("DELETE", f"{account}/followers/{customer}")
    with pytest.raises(RuntimeError, match="43004"):
        shop.ship(customer, "1024")


@pytest.mark.usefixtures("server")
def test_a_customer_asks_for_his_order(customer, account, wechat_sandbox):
    for said, answer in (
        ("订单 1024", "顺丰 SF1234567890"),
        ("订单 7", "没有这个订单"),
        ("你好", "查物流请写：订单 号码"),
    ):
        done = wechat_sandbox.control("POST", f"{account}/followers/{customer}/say", {"content": said})
        assert (done["reply"]["Content"], done["notice"]) == (answer, None)


@pytest.mark.usefixtures("server")
def test_who_blocked_us_is_phoned(shop, customer, account, wechat_sandbox):
    shop.ship(customer, "1024")
    assert shop.to_phone == set()
    wechat_sandbox.control("PATCH", f"{account}/followers/{customer}", {"template_status": "user block"})
    shop.ship(customer, "1024")
    last = wechat_sandbox.control("GET", f"{account}/pushes")["pushes"][-1]
    assert last["message"]["Status"] == "failed:user block"
    assert shop.to_phone == {customer}


def test_whoever_is_not_wechat_is_sent_away(server):
    assert httpx.post(server, content=b"<xml></xml>", trust_env=False).status_code == 403
