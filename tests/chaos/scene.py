"""The scene of a run: sandbox, store and hubs, set up and always cleared away; what happens on it is noted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from tests.chaos.evidence import Evidence, Spell
from tests.chaos.hubs import Hub, Hubs
from tests.chaos.plan import Plan, PlannedAccount
from tests.chaos.programs import Asked, Program, Web, free_port
from tests.chaos.stores import Store

CALLERS = {name: ["read"] for name in ("reader", "good", "storm", "doubter", "buggy 0", "buggy 1")} | {
    "force": ["read", "force"],
    "gateway": ["gateway"],
}
"""Each has a key of its own: the hub tells callers apart by that."""
TOKEN_PATHS = "/cgi-bin/*token"
DISTANCE = {"path": TOKEN_PATHS, "latency": 0.08}
"""The platform is not in the same room: what races for its answer has the time to."""
KEYS_KNOWN = 2.5
"""Seconds until every worker knows a new key."""
CONTROL_WITHIN = 90.0
"""Seconds. The sandbox is not on trial, and the machine may be busy."""
READ_LIMITS = {"/cgi-bin/user/get": {"daily": 10**6}}


@dataclass
class Scene:
    """What acts are played on."""

    appids: list[str]
    store: Store
    sandbox: Program
    hubs: Hubs
    platform: Web
    web: Web
    http: aiohttp.ClientSession
    evidence: Evidence
    keys: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """What the platform gave each account at the beginning."""
    undisturbed: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a worker is stopped, and while the supervisor is replaced."""
    virtual: dict[str, str] = field(default_factory=dict)
    """The virtual token of each account's SDK."""
    faults: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Every fault that the sandbox was told, by its id."""
    exit_code: int = 0
    _distance: int = 0

    @property
    def sandbox_port(self) -> int:
        """Return the port of the sandbox."""
        return urlsplit(self.platform.url).port or 0

    @contextmanager
    def spell(self, kind: str, appid: str = "", told: str = "", hub: str = "") -> Iterator[None]:
        """Note that something is wrong while the block runs, and a moment longer: its traces go by."""
        open_one = Spell(kind, time.time(), float("inf"), appid, told, hub)
        self.evidence.weather.spells.append(open_one)
        try:
            yield
        finally:
            self.evidence.weather.spells.remove(open_one)
            self.evidence.weather.spells.append(open_one._replace(ended=time.time() + 0.5))

    async def wait_until_whole(self, hubs: Sequence[Hub] = ()) -> None:
        """Return when these hubs, or all, are whole; one that ended and has nobody else to do so is begun anew."""
        await asyncio.gather(*(hub.wait_until_whole(self.http) for hub in hubs or self.hubs.all))

    async def add_fault(self, fault: dict[str, Any]) -> int:
        """Let a fault lie in wait at the sandbox, and return its id. The platform's distance comes after all others."""
        number = await self._add_fault(fault)
        with suppress(Asked):
            await self.platform.ask("DELETE", f"/sandbox/v1/faults/{self._distance}")
        self._distance = await self._add_fault(DISTANCE)
        return number

    async def _add_fault(self, fault: dict[str, Any]) -> int:
        told = await self.platform.ask("POST", "/sandbox/v1/faults", fault)
        self.faults[told["id"]] = told
        number: int = told["id"]
        return number

    async def clear_up(self) -> None:
        """Have everything go well again."""
        with self.spell("kill", told="what is not back yet"):
            await self.platform.ask("DELETE", "/sandbox/v1/faults")
            for appid in self.appids:
                await self.platform.ask("PATCH", f"/sandbox/v1/accounts/{appid}", {"allow_list": None})
            await self.wait_until_whole()

    async def try_all(self) -> None:
        """Have every account tried now, whatever it waits for: nobody looks after it any more."""
        tries = (self.web.insist("PATCH", f"/v1/accounts/{appid}", {}, key=self.keys["admin"]) for appid in self.appids)
        await asyncio.gather(*tries)

    async def open_account(self, one: PlannedAccount) -> None:
        """Open an account at the platform and have the hub keep it."""
        settings = {"expires_in": one.expires_in, "quotas": READ_LIMITS}
        opened = await self.platform.ask("POST", "/sandbox/v1/accounts", {"appid": one.appid, **settings})
        self.secrets[one.appid] = opened["secret"]
        account = {"appid": one.appid, "secret": opened["secret"], "mode": one.mode, "base_url": self.platform.url}
        await self.web.ask("POST", "/v1/accounts", account, key=self.keys["admin"])

    async def open_gateway(self, one: PlannedAccount) -> None:
        """Have an SDK fetch its token at the gateway: stable ones at one route, classic ones at the other."""
        follower = await self.platform.ask(
            "POST", f"/sandbox/v1/accounts/{one.appid}/followers", {"nickname": one.appid}
        )
        self.evidence.openids[one.appid] = follower["openid"]
        asked = {"grant_type": "client_credential", "appid": one.appid, "secret": self.keys["gateway"]}
        if one.mode == "stable":
            granted = await self.web.ask("POST", "/cgi-bin/stable_token", asked)
        else:
            granted = await self.web.ask("GET", f"/cgi-bin/token?{urlencode(asked)}")
        self.virtual[one.appid] = granted["access_token"]

    async def make_key(self, name: str, grants: list[str]) -> None:
        """Make a key of the hub."""
        body = {"name": name, "appids": ["*"], "grants": grants}
        self.keys[name] = (await self.web.ask("POST", "/v1/keys", body, key=self.keys["admin"]))["key"]


@asynccontextmanager
async def open_scene(plan: Plan, store: Store, directory: Path) -> AsyncIterator[Scene]:
    """Set the scene: everything runs, accounts and keys are there. At the end no process is left."""
    evidence, temporary = Evidence(), directory / "tmp"
    temporary.mkdir()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        )
        sandbox = Program(["sandbox", "--json", "--port", str(free_port())], directory / "sandbox.log", temporary)
        stack.push_async_callback(sandbox.kill)
        platform = Web([(await sandbox.start())["sandbox_url"]], http, within=CONTROL_WITHIN)
        hubs = store.hubs(directory, temporary)
        stack.push_async_callback(hubs.kill)
        appids = [one.appid for one in plan.accounts]
        scene = Scene(appids, store, sandbox, hubs, platform, Web(hubs.urls, http), http, evidence)
        scene.keys["admin"] = await hubs.start()
        await scene.wait_until_whole()
        await asyncio.gather(*map(scene.open_account, plan.accounts))
        for name, grants in CALLERS.items():
            await scene.make_key(name, grants)
        await asyncio.sleep(KEYS_KNOWN)
        await asyncio.gather(*map(scene.open_gateway, plan.accounts))
        yield scene
        scene.exit_code = await hubs.end()
