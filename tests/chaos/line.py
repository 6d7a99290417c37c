"""A business server's line to the hub: what it asks, and what came of it, as evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import aiohttp

from tests.chaos.evidence import Passed, Read

READ_WITHIN = 9.0
"""Longer than the hub may keep a reader."""
REJECT_WITHIN = 40.0


class Held(NamedTuple):
    """What an ETag stands for."""

    value: str
    generation: int
    doubtful: bool
    stale: bool


class Line:
    """Connections of its own, so that all workers are asked, and the ETag that came last for each account.

    Hubs are asked by turns, as behind a balancer. `held` is shared by all lines: what each ETag stands for, which is
    told once and stands behind every 304.
    """

    def __init__(
        self, hubs: Sequence[str], held: dict[str, Held], *, sends_etags: bool = False, connections: int = 0
    ) -> None:
        connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=70)
        self.session = aiohttp.ClientSession(connector=connector)
        self._hubs = cycle(hubs)
        self._held = held
        self._sends_etags = sends_etags
        self._etags: dict[str, str] = {}

    async def read(self, appid: str, key: str) -> Read:
        """Read a credential."""
        etag = self._etags.get(appid, "") if self._sends_etags else ""
        headers = {"If-None-Match": etag} if etag else {}
        seen = self._held[etag].generation if etag else 0
        read, etag = await self._ask("GET", appid, "", key, seen, READ_WITHIN, headers=headers)
        if etag:
            self._etags[appid] = etag
        return read

    async def reject(self, appid: str, value: str, key: str) -> tuple[str, Read]:
        """Report a token as refused; return the outcome, and what was handed out instead."""
        read, _ = await self._ask("POST", appid, "/reject", key, 0, REJECT_WITHIN, json={"rejected": value})
        return (read.problem, read._replace(problem="")) if read.is_handed else ("", read)

    async def pass_on(self, appid: str, path: str, virtual: str) -> Passed:
        """Call the platform through the gateway."""
        params, timeout, began = {"access_token": virtual}, aiohttp.ClientTimeout(REJECT_WITHIN), time.time()
        hub = next(self._hubs)
        try:
            async with self.session.get(hub + path, params=params, timeout=timeout) as answer:
                told = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Passed(began, time.time(), appid, 0, said=type(error).__name__, hub=hub)
        openids = tuple(told.get("data", {}).get("openid", ()))
        errcode, errmsg = told.get("errcode", 0), told.get("errmsg", "")
        return Passed(began, time.time(), appid, answer.status, errcode, errmsg, openids, hub)

    async def close(self) -> None:
        """Hang up."""
        await self.session.close()

    async def _ask(
        self, method: str, appid: str, path: str, key: str, seen: int, within: float, **message: Any
    ) -> tuple[Read, str]:
        """Return what came of a call, and the ETag of what was handed out."""
        hub = next(self._hubs)
        url = f"{hub}/v1/accounts/{appid}/access_token{path}"
        message["headers"] = {"Authorization": f"Bearer {key}", **message.get("headers", {})}
        began = time.time()
        try:
            async with self.session.request(method, url, timeout=aiohttp.ClientTimeout(within), **message) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return Read(began, time.time(), appid, 0, type(error).__name__, seen=seen, hub=hub), ""
        etag = answer.headers.get("ETag", "")
        read = Read(began, time.time(), appid, answer.status, seen=seen, hub=hub)
        return self._fill_in(read, etag, json.loads(content) if content else {}), etag

    def _fill_in(self, read: Read, etag: str, told: dict[str, Any]) -> Read:
        """Return the read with what the answer told; the outcome of a reject stands as its problem for the moment."""
        if read.status == 304:
            return read._replace(**self._held[etag]._asdict())
        if read.status != 200:
            return read._replace(problem=told.get("cause") or told.get("code", ""))
        held = Held(told["access_token"], told["generation"], told.get("doubtful", False), told.get("stale", False))
        held = self._held.setdefault(etag, held)  # one string for each value, however often it is told
        return read._replace(problem=told.get("outcome", ""), expires_in=told["expires_in"], **held._asdict())
