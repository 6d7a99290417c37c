"""The page on which a person agrees to tell an account who he is (网页授权), and web logins (网站应用登录).

In WeChat the person is whoever holds the phone, and a consent to the openid alone is not even asked for. Here whoever
sits at the browser says who he is, with one click.
"""

from collections.abc import Mapping
from typing import get_args
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zhongkong.sandbox.holdings import Scope
from zhongkong.sandbox.rendering import render
from zhongkong.sandbox.sandbox import Sandbox

AUTHORIZE_PATH = "/connect/oauth2/authorize"
QRCONNECT_PATH = "/connect/qrconnect"
_SCOPES: dict[str, frozenset[Scope]] = {
    AUTHORIZE_PATH: frozenset({"snsapi_base", "snsapi_userinfo"}),
    QRCONNECT_PATH: frozenset({"snsapi_login"}),
}

TEXTS = {
    "title": ("微信授权（沙箱）", "WeChat authorization (sandbox)"),
    "asks": ("申请", "asks for"),
    "snsapi_base": ("获取你的 openid", "your openid"),
    "snsapi_userinfo": ("获取你的昵称、头像", "your name and picture"),
    "snsapi_login": ("用微信登录", "your login with WeChat"),
    "who": ("你是谁？点一下就是同意。", "Who are you? One click agrees."),
    "nobody": (
        "这个账号还没有人：用控制接口加一个。",
        "Nobody knows this account yet: add a follower through the control API.",
    ),
    "refuse": ("拒绝", "Refuse"),
    "wrong": ("链接不对", "The link is wrong"),
    "appid": ("appid 不是这个沙箱里的公众号", "appid names no official account of this sandbox"),
    "redirect_uri": (
        "redirect_uri 要以 http:// 或 https:// 开头，并且做过 URL 编码",
        "redirect_uri must begin with http:// or https://, and be URL-encoded",
    ),
    "response_type": ("response_type 只能是 code", "response_type must be code"),
    "scope": ("scope 不是这个页面的", "scope is none of this page's"),
}
"""Texts of the page: Chinese, English."""


def build_authorize(sandbox: Sandbox) -> list[Route]:
    """Return the routes of both pages."""

    async def show(request: Request) -> Response:
        """Show who may click, or what is wrong with the link."""
        trouble = _trouble(sandbox, request)
        if trouble:
            return render(request, "authorize.html", TEXTS, status=400, trouble=trouble, account=None, scope="")
        query = request.query_params
        account = sandbox.world.account(query["appid"])
        return render(request, "authorize.html", TEXTS, trouble=None, account=account, scope=query["scope"])

    async def click(request: Request) -> Response:
        """Go on to the redirect_uri, with a code when somebody agreed."""
        if _trouble(sandbox, request):
            return await show(request)
        query, form = request.query_params, dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            gives = {"code": _agree(sandbox, query, form["openid"])} if "openid" in form else {}
        except LookupError:  # the page is older than the world
            return await show(request)
        return RedirectResponse(add_to_query(query["redirect_uri"], gives | {"state": query.get("state", "")}), 302)

    return [
        Route(path, page, methods=methods) for path in _SCOPES for page, methods in ((show, ["GET"]), (click, ["POST"]))
    ]


def add_to_query(url: str, values: Mapping[str, str]) -> str:
    """Return `url` with `values` after what its query has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(values))))
    return urlunsplit(parts._replace(query=query))


def _agree(sandbox: Sandbox, query: Mapping[str, str], openid: str) -> str:
    """Return the code of a person's consent. Raises LookupError."""
    scope = next(scope for scope in get_args(Scope) if scope == query["scope"])
    code = sandbox.world.agree(query["appid"], openid, scope, sandbox.clock.now())
    sandbox.changed()
    return code.value


def _trouble(sandbox: Sandbox, request: Request) -> str | None:
    """Return the name of the parameter that is wrong, None when all is well."""
    query = request.query_params
    account = sandbox.world.accounts.get(query.get("appid", ""))
    right = {
        "appid": account is not None and account.kind == "official",
        "redirect_uri": _is_address(query.get("redirect_uri", "")),
        "response_type": query.get("response_type") == "code",
        "scope": query.get("scope") in _SCOPES[request.url.path],
    }
    return next((name for name, is_right in right.items() if not is_right), None)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
