"""The witness: collects the platform's truth and the hub's audit log while they are still remembered."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.chaos.evidence import Call, HubEvent, parse_token
from tests.chaos.programs import Asked
from tests.chaos.scene import Scene

EVERY = 2.0
PAGE = 1000


class Witness:
    """Reads on where it left off; what it saw is in the scene's evidence."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._call = 0
        self._event = 0

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self, *, insisting: bool = False) -> None:
        """Take in what is new. A hub that does not answer now does later; `insisting` waits for it."""
        await self._read_journal()
        for appid in self._scene.appids:
            shown = await self._scene.platform.ask("GET", f"/sandbox/v1/accounts/{appid}/tokens")
            self._scene.evidence.tokens.update(
                {one["access_token"]: parse_token(one, appid) for one in shown["tokens"]}
            )
        try:
            while await self._read_events(insisting=insisting):
                pass
        except (Asked, aiohttp.ClientError, TimeoutError):
            return

    async def _read_journal(self) -> None:
        more = True
        while more:
            page = await self._scene.platform.ask("GET", f"/sandbox/v1/journal?after={self._call}&limit={PAGE}")
            assert not page["forgotten"], "the sandbox forgot calls that nobody had read"
            for entry in page["calls"]:
                self._call = entry["id"]
                self._scene.evidence.calls.append(self._call_of(entry))
            more = page["more"]

    def _call_of(self, entry: dict[str, Any]) -> Call:
        fault = self._scene.faults.get(entry["fault"], {})
        acted_at = entry["acted_at"] or entry["at"] + fault.get("latency", 0.0)
        return Call(
            at=entry["at"],
            answered_at=acted_at + fault.get("answer_latency", 0.0),
            appid=entry["appid"] or "",
            path=entry["path"],
            ip=entry["ip"],
            access_token=entry["access_token"] or "",
            force_refresh=entry["force_refresh"],
            issued=entry["issued"] or "",
            errcode=entry["errcode"],
            answer=entry["answer"],
        )

    async def _read_events(self, *, insisting: bool) -> bool:
        """Take in a page of the audit log, and say whether there may be more."""
        ask = self._scene.web.insist if insisting else self._scene.web.ask
        path = f"/v1/events?after={self._event}&limit={PAGE}"
        page = await ask("GET", path, key=self._scene.keys["admin"])
        for event in page["events"]:
            generation = event["values"].get("generation", 0)
            self._scene.evidence.events.append(
                HubEvent(event["id"], event["at"], event["code"], event["appid"], generation)
            )
        self._event = page["next"]
        return len(page["events"]) == PAGE
