"""测试用的微信、中控，和开着门的小店。"""

from threading import Thread

import pytest
from shop import Shop, build_app
from werkzeug.serving import make_server

import zhongkong
from zhongkong.testing.fixtures import wechat_sandbox, zhongkong_hub

__all__ = ["wechat_sandbox", "zhongkong_hub"]

TOKEN = "shopToken2026"
TEMPLATE = {"title": "发货通知", "content": "订单 {{order.DATA}} 已发货：{{express.DATA}}"}


@pytest.fixture
def account(wechat_sandbox):
    """控制接口里这个账号的路由。"""
    return f"/accounts/{wechat_sandbox.appid}"


@pytest.fixture
def customer(wechat_sandbox, account):
    """一个关注了账号的顾客。"""
    return wechat_sandbox.control("POST", f"{account}/followers", {"nickname": "小红"})["openid"]


@pytest.fixture
def shop(wechat_sandbox, zhongkong_hub, account):
    """小店，令牌向中控要。"""
    template = wechat_sandbox.control("POST", f"{account}/templates", TEMPLATE)
    with zhongkong.connect(zhongkong_hub.url, key=zhongkong_hub.key) as source:
        yield Shop(source, zhongkong_hub.appid, template["template_id"], api=wechat_sandbox.url)


@pytest.fixture
def server(wechat_sandbox, account, shop):
    """小店的服务器，地址已经填到公众平台上。"""
    server = make_server("127.0.0.1", 0, build_app(shop, TOKEN))
    thread = Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/wechat"
    wechat_sandbox.control("PUT", f"{account}/callback", {"url": url, "token": TOKEN})
    yield url
    server.shutdown()
    thread.join()
    server.server_close()
