"""A hub with its gateway, and behind it the sandbox's application as the platform; all in one process, one clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.scenario.hub.house import ADDRESS, APPID, HUB_IP, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, AccountKind, Mode, Secret
from zhongkong.core.ports import Call
from zhongkong.errors import PlatformUnreachable
from zhongkong.hub.app import GatewayParts
from zhongkong.hub.gateway.gateway import Limits
from zhongkong.sandbox.app import Dropped, build_sandbox
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.faults import Faults
from zhongkong.sandbox.journal import Journal
from zhongkong.sandbox.world import World
from zhongkong.testing.fake_clock import FakeClock

JSON = (b"content-type", b"application/json")


def url_of(call: Call) -> httpx.URL:
    """Return where a call goes: to the base URL's host, at the target."""
    return httpx.URL(call.base_url).join(call.target)


class Answer:
    """An answer on its way, in the pieces it comes in; an exception among them is raised in its place."""

    def __init__(
        self,
        pieces: Sequence[bytes | Exception | asyncio.Event],
        status: int = 200,
        headers: Sequence[tuple[bytes, bytes]] = (JSON,),
    ) -> None:
        self.status = status
        self.headers = headers
        self.pieces = pieces
        self._left = iter(pieces)

    async def read(self) -> bytes:
        """Return the next piece, nothing at the end; at an event it stands still until that is set."""
        for piece in self._left:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif piece:
                return piece
        return b""


class Line:
    """Carries calls to the sandbox, and keeps what was sent. `answers` are given first, one to each call."""

    def __init__(self, clock: FakeClock, world: World) -> None:
        self.faults = Faults(seed=7)
        self.journal = Journal()
        self.calls: list[Call] = []
        self.bodies: list[bytes] = []
        self.open = 0
        """Calls under way."""
        self.before: Callable[[], Awaitable[None]] | None = None
        self.answers: list[Answer | Exception] = []
        self._app = build_sandbox(world, Clock(clock.wall), faults=self.faults, journal=self.journal)

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Answer]:
        """Send the call."""
        self.calls.append(call)
        body = call.body if isinstance(call.body, bytes) else b"".join([piece async for piece in call.body()])
        self.bodies.append(body)
        assert len(body) == call.length
        self.open += 1
        try:
            await asyncio.sleep(0.01)
            if self.before is not None:
                await self.before()
            if self.answers:
                answer = self.answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                yield answer
            else:
                yield await self._ask(call, body)
        finally:
            self.open -= 1

    async def close(self) -> None:
        """There is nothing to close."""

    async def _ask(self, call: Call, body: bytes) -> Answer:
        request = httpx.Request(call.method, url_of(call), headers=list(call.headers), content=body)
        try:
            transport = httpx.ASGITransport(self._app, client=(HUB_IP, 1))
            response = await transport.handle_async_request(request)
            whole = await response.aread()
        except Dropped:
            raise PlatformUnreachable("cut", was_sent=True) from None
        return Answer([whole], response.status_code, response.headers.raw)

    def tokens(self) -> list[str | None]:
        """Return the access_token of each call, as it was sent."""
        return [url_of(call).params.get("access_token") for call in self.calls]

    def header(self, name: str, call: int = -1) -> list[str]:
        """Return the values of a header of a call."""
        return [value for key, value in self.calls[call].headers if key.lower() == name]


class Through(House):
    """A house with a gateway, one account and a key for it."""

    def __init__(self, limits: Limits | None = None, world: World | None = None) -> None:
        clock = FakeClock()
        world = world or World(seed=7)
        self.line = Line(clock, world)
        parts = GatewayParts(self.line, b"s" * 32, limits or Limits())
        super().__init__(clock, world, gateway=parts)
        self.open()
        self.account = self.add_account()
        self.key, self.text = self.make_key(Grant.GATEWAY, name="sdk")

    def fetch(self, text: str | None = None, appid: str = APPID, **given: Any) -> dict[str, Any]:
        """Return what the classic token route answers."""
        params = {"grant_type": "client_credential", "appid": appid, "secret": text or self.text}
        return self.read(self.call("GET", "/cgi-bin/token", params=params, **given))

    def fetch_stable(self, text: str | None = None, appid: str = APPID, **more: Any) -> dict[str, Any]:
        """Return what the stable token route answers."""
        asked = {"grant_type": "client_credential", "appid": appid, "secret": text or self.text, **more}
        return self.read(self.call("POST", "/cgi-bin/stable_token", json=asked))

    def virtual(self, text: str | None = None, appid: str = APPID) -> str:
        """Return a virtual token."""
        return str(self.fetch(text, appid)["access_token"])

    def ask(self, path: str, token: str | None = None, method: str = "GET", **given: Any) -> httpx.Response:
        """Return the answer to a call with a virtual token."""
        params = {"access_token": token or self.virtual(), **given.pop("params", {})}
        return self.call(method, path, params=params, **given)

    def read(self, answer: httpx.Response) -> dict[str, Any]:
        """Return an answer of the gateway's own: always 200, compact raw UTF-8."""
        found: dict[str, Any] = json.loads(answer.content)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.content == json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        return found

    def errcode(self, answer: httpx.Response) -> int:
        """Return the errcode of an answer of the gateway's own."""
        return int(self.read(answer)["errcode"])

    def revoke(self) -> None:
        """End the real token behind the hub."""
        self.world.revoke_all(APPID, self.clock.wall())

    def events(self, code: str) -> list[dict[str, Any]]:
        """Return the values of all events of this code."""
        kept = self.clock.run(self.store.events())
        return [dict(one.event.values) for one in kept if one.event.code == code]

    def measures(self) -> str:
        """Return the metrics."""
        return str(self.call("GET", "/metrics", app=self.metrics_app).text)

    def follow_account(self) -> str:
        """Add an account that follows another hub; return its appid."""
        account = Account(
            "wxfollows", AccountKind.OFFICIAL, Secret("zk_x"), mode=Mode.FOLLOW, base_url="http://leader.test"
        )
        self.clock.run(self.store.put_account(account))
        self.clock.turn(1.5)
        return account.appid


class Raw:
    """A client whose call comes, and who leaves, as a test says."""

    def __init__(self, house: Through, method: str, path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_whole = False
        self._house = house
        self._coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": list(headers),
            "client": (ADDRESS, 4711),
        }
        self.task = house.clock.begin(house.app(scope, self._coming.get, self._send))
        house.clock.turn(0.001)

    def sends(self, body: bytes, *, more: bool = False) -> None:
        """Have a piece of the body come."""
        self._coming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        self._house.clock.turn(0.001)

    def leaves(self) -> None:
        """Close the connection."""
        self._coming.put_nowait({"type": "http.disconnect"})
        self._house.clock.turn(0.001)

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        else:
            self.pieces.append(message["body"])
            self.is_whole = not message.get("more_body", False)

    @property
    def body(self) -> bytes:
        """Return what came."""
        return b"".join(self.pieces)
