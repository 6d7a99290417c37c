"""The sandbox as one ASGI application: the platform at /, the control API and the people's page under /sandbox/.

Here bytes are moved; what they mean is decided in endpoints, faults and control.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from ipaddress import ip_address

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhongkong.sandbox.accounts import PLATFORM_LIFE
from zhongkong.sandbox.authorize import build_authorize
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.control import build_control
from zhongkong.sandbox.endpoints import Asked, parse_asked
from zhongkong.sandbox.faults import Faults, Reply, build_reply, dump
from zhongkong.sandbox.follow_page import build_follow
from zhongkong.sandbox.journal import Journal
from zhongkong.sandbox.page import build_page
from zhongkong.sandbox.posting import Fetch, fetch
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.world import World

CLOSE_EXTENSION = "zhongkong.sandbox.close"
"""In the scope's extensions: a function that closes the connection under the call. The server puts it there."""

IP_HEADER = "x-sandbox-ip"
MOST_BYTES = 12 * 1024 * 1024  # the largest file that media/upload takes, and what is too large by little


class Dropped(ConnectionResetError):
    """A fault dropped the answer, and no server is there whose connection could be closed: the caller gets this."""


def build_sandbox(
    world: World,
    clock: Clock,
    *,
    faults: Faults | None = None,
    journal: Journal | None = None,
    expires_in: int = PLATFORM_LIFE,
    begin: Callable[[World, float], object] | None = None,
    changed: Callable[[], None] | None = None,
    fetch: Fetch = fetch,
) -> ASGIApp:
    """Return the ASGI application over `world` and `clock`; it starts nothing and keeps nothing.

    `expires_in` is the life of tokens of accounts that the control API adds without saying one. `begin` makes what a
    reset leaves in the empty world; `changed` is called after whatever may have changed the world. `fetch` asks the
    servers of accounts.
    """
    sandbox = Sandbox(
        world=world,
        clock=clock,
        faults=faults or Faults(),
        journal=Journal() if journal is None else journal,
        expires_in=expires_in,
        begin=begin or (lambda _world, _now: None),
        changed=changed or (lambda: None),
    )
    pushing = Pushing(sandbox, fetch)
    router = Router(
        [
            Route("/sandbox", RedirectResponse("/sandbox/")),
            Route("/sandbox/", build_page(sandbox)),
            Mount("/sandbox/v1", build_control(sandbox, pushing)),
            *build_follow(sandbox, pushing),
            *build_authorize(sandbox),
        ],
        redirect_slashes=False,
        default=_Surface(sandbox, pushing),
        max_body_size=MOST_BYTES,
    )
    return _dated(router, clock)


class _Surface:
    """The platform's own paths, as an ASGI application."""

    def __init__(self, sandbox: Sandbox, pushing: Pushing) -> None:
        self._sandbox = sandbox
        self._pushing = pushing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        arrived_at = self._sandbox.clock.now()
        try:
            asked = await self._read(Request(scope, receive))
        except ClientDisconnect:  # it never finished asking
            return
        except ValueError as error:
            await _send(send, Reply(dump({"error": str(error)}), 400, "application/json"))
            return
        reply = await self._answer(asked, arrived_at)
        try:
            if reply.until != 0:
                await _send(send, reply)
            if reply.until is not None:
                await _close(scope, receive)
        finally:
            await self._pushing.push_due()

    async def _answer(self, asked: Asked, arrived_at: float) -> Reply:
        fault = self._sandbox.meet(asked)
        await asyncio.sleep(fault.latency if fault else 0)
        said = self._sandbox.act(asked, arrived_at, fault)
        await asyncio.sleep(fault.answer_latency if fault else 0)
        return build_reply(said, fault, asked.path)

    async def _read(self, request: Request) -> Asked:
        """Return the call, from where it comes or says that it comes. Raises ValueError when that is no address."""
        socket_ip = request.client.host if request.client else "127.0.0.1"
        given = request.headers.get(IP_HEADER, self._sandbox.client_ip)
        return parse_asked(
            method=request.method,
            path=request.scope["path"],
            query=request.scope["query_string"],
            content_type=request.headers.get("content-type", ""),
            body=await request.body(),
            base_url=str(request.base_url).rstrip("/"),
            ip=socket_ip if given is None else str(ip_address(given)),
            form_counts=self._sandbox.world.switches.token_in_form,
        )


async def _send(send: Send, reply: Reply) -> None:
    headers = [(b"content-type", reply.content_type.encode()), (b"content-length", b"%d" % len(reply.content))]
    if reply.name is not None:
        headers.append((b"content-disposition", f'attachment; filename="{reply.name}"'.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send(
        {
            "type": "http.response.body",
            "body": reply.content[: reply.until],
            "more_body": reply.until is not None,  # never completed: the connection is closed instead
        }
    )


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection under the call and wait until it is gone. Raises Dropped where there is none."""
    close = scope.get("extensions", {}).get(CLOSE_EXTENSION)
    if close is None:
        raise Dropped
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


def _dated(app: ASGIApp, clock: Clock) -> ASGIApp:
    """Return `app` with a Date header from the sandbox's clock in every answer."""

    async def dated(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(clock.now(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await app(scope, receive, send_dated)

    return dated
