"""The pages that need no key: that the hub runs, what to do next, its interface, and whether `wx.config` works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.hub.api.openapi import build_openapi
from zhongkong.hub.api.replies import STATUS_OF_CODE, language_of, reply
from zhongkong.version import __version__

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}
JSAPI_SECURITY = {
    **SECURITY,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'self' https://res.wx.qq.com https://res2.wx.qq.com; connect-src 'self'; "
        "img-src https://open.weixin.qq.com; frame-src weixin:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""For the page that inside WeChat loads the platform's own script, which reports by a picture and, on old phones, calls
WeChat by a frame. Source: JS-SDK 说明文档."""


class Operation(NamedTuple):
    """One line of the description."""

    method: str
    path: str
    summary: str
    grant: str
    parameters: list[dict[str, Any]]
    fields: list[str]
    responses: dict[str, dict[str, Any]]


class Pages:
    """The routes `/`, `/docs`, `/docs/openapi.json`, `/jsapi` and its script. All they show is in this package."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("zhongkong.hub"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._openapi = build_openapi()
        self._script = self._templates.get_template("jsapi.js").render()

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/docs/openapi.json", self.openapi, methods=["GET"]),
            Route("/jsapi", self.jsapi, methods=["GET"]),
            Route("/jsapi.js", self.jsapi_script, methods=["GET"]),
        ]

    async def home(self, request: Request) -> Response:
        """Answer with the page that says it runs and what to do next."""
        return self._page(request, "home", hub=f"{request.base_url.scheme}://{request.base_url.netloc}")

    async def docs(self, request: Request) -> Response:
        """Answer with the description, to read."""
        operations = list(_operations(self._openapi, language_of(request)))
        statuses = {code: status.value for code, status in STATUS_OF_CODE.items()}
        return self._page(request, "docs", operations=operations, statuses=statuses)

    async def openapi(self, _request: Request) -> Response:
        """Answer with the description, for programs."""
        return reply(self._openapi, headers={"Cache-Control": "no-cache"})

    async def jsapi(self, request: Request) -> Response:
        """Answer with the page that has its own address signed, and tries `wx.config` with that."""
        answer = self._page(request, "jsapi")
        answer.headers.update(JSAPI_SECURITY)
        return answer

    async def jsapi_script(self, _request: Request) -> Response:
        """Answer with what that page runs."""
        return Response(self._script, headers=SECURITY, media_type="text/javascript")

    def _page(self, request: Request, name: str, **values: object) -> Response:
        lang = language_of(request)
        page = self._templates.get_template(f"{name}.{lang}.html").render(version=__version__, **values)
        return Response(page, headers=SECURITY, media_type="text/html")


def _operations(openapi: dict[str, Any], lang: str) -> Iterator[Operation]:
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            schema = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            yield Operation(
                method.upper(),
                path,
                told["x-summary-zh"] if lang == "zh" else told["summary"],
                told.get("x-grant", ""),
                told.get("parameters", []),
                [name for one in schema.get("oneOf", [schema]) for name in one.get("properties", {})],
                told["responses"],
            )
