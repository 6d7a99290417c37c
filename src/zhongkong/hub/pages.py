"""The pages that need no key: one that says the hub runs and what to do next, and one that describes its interface."""

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
    """The routes `/`, `/docs` and `/docs/openapi.json`. Everything they show is in this package."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("zhongkong.hub"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._openapi = build_openapi()

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/docs/openapi.json", self.openapi, methods=["GET"]),
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
