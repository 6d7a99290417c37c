"""The scene: a sandbox and a hub with two workers, as processes, and what is done to them behind an SDK's back."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.programs import ZHONGKONG, Asked, Program, Web, free_port

WORKERS = 2
KNOWN_BY_ALL = 12
"""Times in a row, on new connections, that an answer is the same: then every worker gives it."""
KNOWN_AFTER = 2.5
"""Seconds until a worker may be expected to know what another one was told."""
WITHIN = 60.0
TEMPLATE = {"title": "通知", "content": "{{thing.DATA}}"}
GENEROUS = {"custom_sends_per_word": None}


@dataclass
class Account:
    """One SDK's account at the platform."""

    appid: str
    secret: str
    openid: str
    template_id: str
    """Of an application of WeCom: its agentid."""
    kind: str = "official"


class Platform:
    """The sandbox, by its control API."""

    def __init__(self, web: Web) -> None:
        self.url = web.url
        self._web = web

    async def open_account(self, name: str, kind: str) -> Account:
        """Open an account that one person follows, who spoke, with one template."""
        appid = f"{name}:app" if kind == "wecom" else name
        opened = await self._control("POST", "", {"appid": appid, "kind": kind})
        follower = await self._control("POST", f"/{appid}/followers", {"nickname": "小明"})
        await self._control("POST", f"/{appid}/followers/{follower['openid']}/speak", {})
        template = await self._control("POST", f"/{appid}/templates", TEMPLATE)
        named = str(opened["agentid"]) if kind == "wecom" else template["template_id"]
        return Account(appid, opened["secret"], follower["openid"], named, kind)

    async def revoke(self, appid: str) -> int:
        """End every living token of the account; return how many there were."""
        revoked: int = (await self._control("POST", f"/{appid}/revoke", {}))["revoked"]
        return revoked

    async def reset_secret(self, appid: str) -> str:
        """Give the account another secret and end its tokens; return the secret."""
        secret: str = (await self._control("POST", f"/{appid}/secret", {}))["secret"]
        await self.revoke(appid)
        return secret

    async def messages(self, appid: str) -> list[str]:
        """Return the messages that went out, as the follower reads them."""
        return [message["text"] for message in (await self._control("GET", f"/{appid}/messages"))["messages"]]

    async def calls(self, appid: str) -> list[dict[str, Any]]:
        """Return the calls that concerned the account, oldest first."""
        told = await self._web.ask("GET", f"/sandbox/v1/journal?appid={appid}&limit=10000")
        assert not told["more"]
        calls: list[dict[str, Any]] = told["calls"]
        return calls

    async def tokens(self, appid: str) -> list[str]:
        """Return every access_token that the account was ever granted."""
        return sorted({call["issued"] for call in await self.calls(appid) if call["issued"]})

    async def configure(self, account: Account, callback: dict[str, str]) -> None:
        """Have the platform push to a URL, which it checks first. Raises Asked: the check failed."""
        await self._control("PUT", f"/{account.appid}/callback", callback)

    async def say(self, account: Account, content: str) -> dict[str, Any]:
        """Have the account's follower write, and return what came of the push."""
        said: dict[str, Any] = await self._control(
            "POST", f"/{account.appid}/followers/{account.openid}/say", {"content": content}
        )
        return said

    async def push(self, account: Account, message: dict[str, Any]) -> dict[str, Any]:
        """Have any message pushed, and return what came of it."""
        pushed: dict[str, Any] = await self._control("POST", f"/{account.appid}/pushes", {"message": message})
        return pushed

    @asynccontextmanager
    async def away(self, appid: str) -> AsyncIterator[None]:
        """Answer no call of the account while the block runs."""
        fault = await self._web.ask("POST", "/sandbox/v1/faults", {"path": "*", "appid": appid, "answer": "drop"})
        try:
            yield
        finally:
            await self._web.ask("DELETE", f"/sandbox/v1/faults/{fault['id']}")

    async def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return await self._web.ask(method, f"/sandbox/v1/accounts{path}", body)


class Central:
    """The hub, as its administrator sees it."""

    def __init__(self, web: Web, key: str, tls_port: int, authority: Path) -> None:
        self.url = web.url
        self.tls_port = tls_port
        self.authority = authority
        """What a client has to trust that is led here by the platform's names."""
        self._web = web
        self._key = key

    async def keep(self, account: Account, base_url: str, mode: str) -> None:
        """Have the hub keep the account; return when every worker does."""
        body = {"appid": account.appid, "secret": account.secret, "base_url": base_url, "kind": account.kind}
        body |= {"mode": "wecom" if account.kind == "wecom" else mode}
        await self._web.ask("POST", "/v1/accounts", body, key=self._key)
        await self._until("GET", f"/v1/accounts/{account.appid}/access_token", self._key, 200)

    async def change_secret(self, account: Account, secret: str) -> None:
        """Tell the hub the account's new secret; return when there is a token again."""
        await self._web.ask("PATCH", f"/v1/accounts/{account.appid}", {"secret": secret}, key=self._key)
        await self._until("GET", f"/v1/accounts/{account.appid}/access_token", self._key, 200)

    async def bring_pushes(self, account: Account, token: str, key: str, handler: str) -> None:
        """Have the hub take the account's pushes and bring them to a handler."""
        callback = {"token": token, "encoding_aes_key": key, "handler": handler}
        await self._web.ask("PATCH", f"/v1/accounts/{account.appid}/callback", callback, key=self._key)

    async def event_codes(self, account: Account) -> list[str]:
        """Return the codes of what the audit log was told of the account."""
        told = await self._web.ask("GET", f"/v1/events?appid={account.appid}&limit=1000", key=self._key)
        return [event["code"] for event in told["events"]]

    async def make_key(self, name: str, appid: str) -> tuple[str, str]:
        """Make a key for the gateway; return its id and the key when every worker knows it."""
        body = {"name": name, "appids": [appid], "grants": ["gateway"]}
        made = await self._web.ask("POST", "/v1/keys", body, key=self._key)
        await self._until("GET", "/v1/whoami", made["key"], 200)
        return made["id"], made["key"]

    async def revoke_key(self, key_id: str, key: str) -> None:
        """Revoke a key; return when every worker refuses it."""
        await self._web.ask("DELETE", f"/v1/keys/{key_id}", key=self._key)
        await self._until("GET", "/v1/whoami", key, 401)

    async def _until(self, method: str, path: str, key: str, status: int) -> None:
        """Return when every worker answers so."""
        seen = 0
        async with asyncio.timeout(WITHIN):
            await asyncio.sleep(KNOWN_AFTER)
            while seen < KNOWN_BY_ALL:
                try:
                    await self._web.ask(method, path, key=key)
                    is_so = status < 300
                except Asked as asked:
                    is_so = asked.status == status
                seen = seen + 1 if is_so else 0
                await asyncio.sleep(0 if is_so else 0.1)


@dataclass(frozen=True)
class Scene:
    """What trials are made on."""

    directory: Path
    platform: Platform
    hub: Central | None
    mode: str
    """How the hub's accounts are minted."""


@asynccontextmanager
async def open_scene(directory: Path, *, with_hub: bool, mode: str = "stable") -> AsyncIterator[Scene]:
    """Start sandbox and hub; at the end no process is left. Their logs are in `directory`."""
    temporary = directory / "tmp"
    temporary.mkdir()
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        sandbox = Program(["sandbox", "--json", "--port", str(free_port())], directory / "sandbox.log", temporary)
        stack.push_async_callback(sandbox.kill)
        web = Web([(await sandbox.start())["sandbox_url"]], http)
        await web.ask("PATCH", "/sandbox/v1/switches", GENEROUS)
        central = await _start_hub(directory, temporary, http, stack) if with_hub else None
        yield Scene(directory, Platform(web), central, mode)


async def _start_hub(directory: Path, temporary: Path, http: aiohttp.ClientSession, stack: AsyncExitStack) -> Central:
    """Start a hub that shows a certificate for the platform's names on a second port."""
    data, port, tls_port = directory / "data", free_port(), free_port()
    for step in ("init", "issue"):
        making = await asyncio.create_subprocess_exec(ZHONGKONG, "ca", step, "--data-dir", str(data), stdout=DEVNULL)
        assert await making.wait() == 0
    settings = {"--data-dir": data, "--port": port, "--tls-port": tls_port, "--workers": WORKERS}
    arguments = [str(word) for pair in settings.items() for word in pair]
    hub = Program(["serve", "--json", *arguments], directory / "hub.log", temporary)
    stack.push_async_callback(hub.kill)
    key = (await hub.start())["first_key"]
    web = Web([f"http://127.0.0.1:{port}"], http)
    return Central(web, key, tls_port, data / "zhongkong-ca.pem")
