"""The people's page at /sandbox/: the test account, its tokens and what happened, in Chinese or English."""

from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.rendering import render
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.views import (
    View,
    show_account,
    show_followers,
    show_media,
    show_menu,
    show_messages,
    show_qrcodes,
    show_templates,
)

LAST_CALLS = 30
LAST_MESSAGES = 10
LAST_PICTURES = 6
REFRESH_SECONDS = 5
TEXTS = {
    "title": ("微信沙箱", "WeChat sandbox"),
    "subtitle": (
        "你自己机器上的接口测试号：规则是真的，号是假的",
        "a test account on your own machine: real rules, no real WeChat",
    ),
    "clock": ("沙箱时间", "Sandbox time"),
    "speed": ("倍速", "speed"),
    "faults": ("等着的故障", "faults in wait"),
    "base_url": ("接口地址（代替 https://api.weixin.qq.com）", "API address (instead of https://api.weixin.qq.com)"),
    "none": ("还没有账号：用控制接口加一个。", "No account yet: add one through the control API."),
    "official": ("公众号", "official account"),
    "miniprogram": ("小程序", "mini program"),
    "wecom": ("企业微信", "WeCom"),
    "application": ("应用", "application"),
    "members": ("成员", "Members"),
    "wecom_token": ("企业微信 token", "WeCom token"),
    "test": ("测试号", "test account"),
    "verified": ("已认证", "verified"),
    "frozen": ("AppSecret 已冻结", "AppSecret frozen"),
    "allow_list": ("IP 白名单", "IP allow-list"),
    "classic": ("普通 token", "classic token"),
    "stable": ("稳定版 token", "stable token"),
    "never": ("还没有人取过", "nobody has fetched one yet"),
    "dead": ("已失效", "dead"),
    "made": ("共发出", "issued"),
    "seconds": ("秒", "s"),
    "followers": ("关注者", "Followers"),
    "left": ("已取消关注", "left"),
    "templates": ("模板消息", "Template messages"),
    "menu": ("菜单", "Menu"),
    "media": ("临时素材", "Temporary media"),
    "bytes": ("字节", "bytes"),
    "until": ("有效至", "until"),
    "follow": ("测试号二维码：打开它，关注这个账号", "The account's QR code: open it to follow"),
    "scan": ("扫它", "scan it"),
    "qrcodes": ("带参数二维码", "QR codes with a scene"),
    "scene": ("场景", "scene"),
    "permanent": ("永久", "permanent"),
    "messages": ("已发出的消息", "Messages sent"),
    "calls": ("最近的调用", "Last calls"),
    "nothing": ("暂无", "none yet"),
    "time": ("时间", "Time"),
    "call": ("调用", "Call"),
    "from": ("来自", "From"),
    "answer": ("答复", "Answer"),
    "no_answer": ("没有答复", "no answer"),
    "fault": ("故障", "fault"),
    "control": ("控制接口", "Control API"),
    "control_hint": ("例如把时钟往前拨一小时：", "for example, turn the clock forward by an hour:"),
}
"""Texts of the page: Chinese, English."""

Page: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


def build_page(sandbox: Sandbox) -> Page:
    """Return what answers a request for the page."""

    async def page(request: Request) -> Response:
        return render(request, "page.html", TEXTS, base_url=str(request.base_url), **_contents(sandbox))

    return page


def _contents(sandbox: Sandbox) -> View:
    now = sandbox.clock.now()
    calls = list(islice(sandbox.journal.newest(), LAST_CALLS))
    return {
        "now": now,
        "speed": sandbox.clock.speed,
        "refresh_seconds": REFRESH_SECONDS,
        "faults": len(list(sandbox.faults)),
        "accounts": [_account(account, now) for account in sandbox.world.accounts.values()],
        "calls": calls,
    }


def _account(account: Account, now: float) -> View:
    return show_account(account, now) | {
        "followers": show_followers(account),
        "templates": show_templates(account),
        "menu": show_menu(account),
        "media": show_media(account, now)[: -LAST_PICTURES - 1 : -1],
        "qrcodes": show_qrcodes(account, now)[: -LAST_PICTURES - 1 : -1],
        "messages": show_messages(account)[: -LAST_MESSAGES - 1 : -1],
    }
