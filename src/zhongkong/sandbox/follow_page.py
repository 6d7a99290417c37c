"""The page of an account's QR code (测试号二维码), or of one with a scene: whoever opens it scans it.

In WeChat a phone does. Here whoever sits at the browser says who he is, and reads what the account's server answers.
"""

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zhongkong.sandbox.following import scan
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.rendering import render
from zhongkong.sandbox.sandbox import Sandbox

LONGEST_NAME = 64
TEXTS = {
    "title": ("扫码关注（沙箱）", "Follow by QR code (sandbox)"),
    "who": ("你是谁？点一下就是扫码。", "Who are you? One click scans."),
    "follows": ("已关注", "follows"),
    "left": ("没有关注", "does not follow"),
    "new": ("新来的人", "Somebody new"),
    "scan": ("扫码", "Scan"),
    "scene": ("场景", "scene"),
    "phone": (
        "手机要扫它，得连得到这个地址；默认只监听本机。",
        "A phone has to reach this address to scan it; by default the sandbox listens on loopback only.",
    ),
    "now": ("现在关注着", "follows now"),
    "silent": ("账号没有配置服务器，没有推送。", "The account has no server configured: nothing is pushed."),
    "nothing": ("已经关注，又没有场景：没有事件。", "He follows already, and there is no scene: no event."),
    "pushed": ("推送的事件", "Pushed"),
    "no_reply": ("没有回复。", "No reply."),
    "full": (
        "关注者已满：测试号有上限（开关 test_account_followers）。",
        "Nobody else may follow: a test account has a cap (switch test_account_followers).",
    ),
    "wrong": ("没有这个二维码，或者已经过期。", "There is no such QR code, or its time is over."),
}
"""Texts of the page: Chinese, English."""


def build_follow(sandbox: Sandbox, pushing: Pushing) -> list[Route]:
    """Return the routes of the page."""

    def draw(request: Request, *, status: int = 200, **more: Any) -> Response:
        account = sandbox.world.accounts.get(request.path_params["appid"])
        qrcode = account.qrcodes.get(request.query_params.get("ticket", "")) if account else None
        values = {
            "account": account,
            "qrcode": qrcode,
            "url": str(request.url),
            "trouble": False,
            "full": False,
            "done": None,
        }
        return render(request, "follow.html", TEXTS, status=status, **values | more)

    async def show(request: Request) -> Response:
        """Show the code, and who may click."""
        is_there = _is_there(sandbox, request)
        return draw(request, trouble=not is_there, status=200 if is_there else 404)

    async def click(request: Request) -> Response:
        """Have somebody scan it, and show what came of it."""
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        known = {name: form[name][:LONGEST_NAME] for name in ("openid", "nickname") if form.get(name)}
        if not _is_there(sandbox, request) or not known:
            return await show(request)
        account = sandbox.world.account(request.path_params["appid"])
        ticket = request.query_params.get("ticket", "")
        try:
            follower, event = scan(sandbox.world, account, sandbox.clock.now(), ticket=ticket, **known)
        except LookupError:  # the page is older than the world
            return draw(request, trouble=True, status=404)
        except ValueError:
            return draw(request, full=True, status=409)
        sandbox.changed()
        push = None if event is None else await pushing.tell(account, event)
        return draw(request, done={"follower": follower, "event": event, "push": push})

    path = "/sandbox/q/{appid}"
    return [Route(path, show, methods=["GET"]), Route(path, click, methods=["POST"])]


def _is_there(sandbox: Sandbox, request: Request) -> bool:
    """Say whether there is such an account, whom people follow, and such a code if one with a scene is asked for."""
    account = sandbox.world.accounts.get(request.path_params["appid"])
    if account is None or account.kind == "wecom":
        return False
    ticket = request.query_params.get("ticket")
    qrcode = account.qrcodes.get(ticket or "")
    return ticket is None or (qrcode is not None and qrcode.is_shown(sandbox.clock.now()))
