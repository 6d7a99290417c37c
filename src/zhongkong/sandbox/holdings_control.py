"""The control API of what the platform holds for an account: menu, media, QR codes, tickets, people's codes."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Refused
from zhongkong.sandbox.exchange import read_fields, write_json
from zhongkong.sandbox.holdings import CODE_SECONDS, Scope
from zhongkong.sandbox.media import find_media
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.views import show_media, show_qrcodes, show_tickets


class HoldingsControl:
    """The routes under /accounts/{appid} that concern more than tokens and messages."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    def routes(self) -> list[Route]:
        """Return the routes, relative to /sandbox/v1."""
        account = "/accounts/{appid}"
        return [
            Route(f"{account}/menu", self.read_menu, methods=["GET"]),
            Route(f"{account}/media", self.list_media, methods=["GET"]),
            Route(f"{account}/media/{{media_id}}", self.read_media, methods=["GET"]),
            Route(f"{account}/qrcodes", self.list_qrcodes, methods=["GET"]),
            Route(f"{account}/tickets", self.read_tickets, methods=["GET"]),
            Route(f"{account}/codes", self.make_code, methods=["POST"]),
        ]

    async def read_menu(self, request: Request) -> Response:
        """Answer the menu; null when there is none."""
        return write_json({"menu": self._account(request).menu})

    async def list_media(self, request: Request) -> Response:
        """Answer the files kept, oldest first."""
        return write_json({"media": show_media(self._account(request), self._sandbox.clock.now())})

    async def read_media(self, request: Request) -> Response:
        """Answer one file, as a thing to look at that can do nothing."""
        try:
            media = find_media(self._account(request), request.path_params, self._sandbox.clock.now())
        except Refused:
            raise LookupError("no such file, or its three days are over") from None
        headers = {"content-security-policy": "default-src 'none'; sandbox", "x-content-type-options": "nosniff"}
        return Response(media.content, media_type=media.content_type, headers=headers)

    async def list_qrcodes(self, request: Request) -> Response:
        """Answer the QR codes kept, oldest first."""
        return write_json({"qrcodes": show_qrcodes(self._account(request), self._sandbox.clock.now())})

    async def read_tickets(self, request: Request) -> Response:
        """Answer the last ticket of each type."""
        return write_json({"tickets": show_tickets(self._account(request), self._sandbox.clock.now())})

    async def make_code(self, request: Request) -> Response:
        """Let a person agree, or log in to a mini program, without a browser; answer the code."""
        hints = {"openid": str, "scope": Scope}
        account, given = self._account(request), await read_fields(request, hints, required=["openid"])
        scope: Scope = given.get("scope", "snsapi_userinfo")
        code = self._world.agree(account.appid, given["openid"], scope, self._sandbox.clock.now())
        return write_json({"code": code.value, "expires_in": CODE_SECONDS}, 201)

    def _account(self, request: Request) -> Account:
        return self._world.account(request.path_params["appid"])
