"""The people's page at /sandbox/: the test account, its tokens and what happened, in Chinese or English."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import islice
from typing import Any, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import Response

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.views import View, show_account, show_followers, show_messages, show_templates

LAST_CALLS = 30
LAST_MESSAGES = 10
REFRESH_SECONDS = 5
_SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "cache-control": "no-store",  # secrets are on it
    "referrer-policy": "no-referrer",
}

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
    template = _template()

    async def page(request: Request) -> Response:
        language = choose_language(request.headers.get("accept-language", ""))
        text = {name: texts[language == "en"] for name, texts in TEXTS.items()}
        html = template.render(t=text, language=language, base_url=str(request.base_url), **_contents(sandbox))
        headers = _HEADERS | {"content-language": language, "vary": "accept-language"}
        return Response(html.encode("utf-8", "replace"), media_type="text/html", headers=headers)

    return page


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("zhongkong.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock_time"] = _clock_time
    return environment.get_template("page.html")


def choose_language(accepted: str) -> str:
    """Return en when an Accept-Language header asks for it before any Chinese, else zh."""
    wishes: list[tuple[float, str]] = []
    for part in accepted.lower().split(","):
        tag, _, quality = part.strip().partition(";q=")
        language = tag.partition("-")[0]
        if language in ("zh", "en"):
            wishes.append((_quality(quality), language))
    return max(wishes, key=lambda wish: wish[0])[1] if wishes else "zh"


def _quality(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


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
        "messages": show_messages(account)[: -LAST_MESSAGES - 1 : -1],
    }


def _clock_time(instant: float, form: str = "%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(instant, _SHANGHAI).strftime(form)
