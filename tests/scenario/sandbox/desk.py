"""A sandbox in this process, asked over ASGI; its clock stands still until a test turns it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.app import build_sandbox
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.faults import Faults
from zhongkong.sandbox.journal import Journal
from zhongkong.sandbox.sandbox import furnish
from zhongkong.sandbox.world import World

START = 1_795_000_000.0


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds; the caller bounds the wait."""
    while not condition():  # noqa: ASYNC110 - what happens behind a socket or in a file gives no sign
        await asyncio.sleep(0.001)


class Desk:
    """The sandbox and a caller in front of it."""

    def __init__(self) -> None:
        self.real = START
        self.world = World(seed=7)
        self.clock = Clock(lambda: self.real)
        self.journal = Journal(kept=50)
        self.changes = 0
        self.account: Account = furnish(self.world, START)
        self.appid, self.secret = self.account.appid, self.account.secret
        self.app = build_sandbox(
            self.world, self.clock, faults=Faults(seed=7), journal=self.journal, begin=furnish, changed=self._note
        )

    def _note(self) -> None:
        self.changes += 1

    def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Return the answer to one request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                return await client.request(method, url, **more)

        return asyncio.run(send())

    def get(self, url: str, **params: str) -> Any:
        """Return the JSON of a GET."""
        return self.ask("GET", url, params=params).json()

    def post(self, url: str, json: Any = None, **params: str) -> Any:
        """Return the JSON of a POST of JSON."""
        return self.ask("POST", url, params=params, json=json).json()

    def control(self, method: str, route: str, json: Any = None) -> Any:
        """Return the JSON of a control request, which must have succeeded; None for an empty answer."""
        answer = self.ask(method, f"/sandbox/v1{route}", json=json)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, route: str, json: Any = None) -> tuple[int, str]:
        """Return status and error of a control request that must have failed."""
        answer = self.ask(method, f"/sandbox/v1{route}", json=json)
        return answer.status_code, answer.json()["error"]

    def turn(self, seconds: float) -> None:
        """Turn the sandbox's clock, as a tester would."""
        self.control("PATCH", "/clock", {"forward": seconds})

    def token(self, **more: str) -> Any:
        """Return what the classic call answers."""
        return self.get("/cgi-bin/token", **self.credentials, **more)

    def stable(self, **more: Any) -> Any:
        """Return what the stable call answers."""
        return self.post("/cgi-bin/stable_token", {**self.credentials, **more})

    @property
    def credentials(self) -> dict[str, str]:
        """What both token calls take."""
        return {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}

    @property
    def base(self) -> str:
        """The account's route in the control API."""
        return f"/accounts/{self.appid}"
