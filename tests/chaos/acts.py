"""How each act of a plan is played."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from random import Random
from typing import Any
from urllib.parse import urlencode

import aiohttp
import psutil  # type: ignore[import-untyped]  # it has no annotations

from tests.chaos.evidence import STORE
from tests.chaos.hubs import REPLICAS, Hub
from tests.chaos.plan import FOR_EVER, Act, PlannedAccount
from tests.chaos.programs import Asked
from tests.chaos.readers import OUTSIDE, Readers
from tests.chaos.scene import TOKEN_PATHS, Scene

STORM = 150
HOLD_WITHIN = 3.0
NOWHERE = ["203.0.113.99"]
PERSON_AFTER, PERSON_INSISTS = (2.0, 6.0), 10.0
"""When somebody looks after an account that is not well, and for how long he tries."""


class Actor:
    """Plays acts on a scene."""

    def __init__(self, scene: Scene, readers: Readers, random: Random, accounts: Sequence[PlannedAccount]) -> None:
        """Take the scene and who is on it."""
        self._scene = scene
        self._readers = readers
        self._random = random
        self._accounts = accounts
        self._held = [one for one in accounts if one.held]
        self._background: set[asyncio.Task[None]] = set()
        self._plays: dict[str, Callable[[Act], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "orphan": self._orphan,
            **dict.fromkeys(STORE, self._suffer),
            "quota": self._quota,
            "barred": self._barred,
            "try": self._try,
            "name": self._name,
            "mode": self._mode,
            "secret": self._secret,
            "revoke": self._revoke,
            "storm": self._storm,
            "force": self._force,
            "insist": self._insist,
            "stranger": self._mint_elsewhere,
        }
        self.played: Counter[str] = Counter()
        """What was played to its end."""
        self.deaths = 0
        """How many processes were killed."""

    async def play(self, act: Act) -> None:
        """Play one act to its end."""
        if act.appid and (latency := dict(act.values).get("latency")):
            await self._slow_down(act.appid, latency, times=2)  # a new secret is tried before it is used
        await self._plays.get(act.kind, self._meet_fault)(act)
        self.played[act.kind] += 1

    # --- processes

    async def _kill(self, act: Act) -> None:
        given = dict(act.values)
        victims = await self._pick_replicas(given["count"], holding=given["holding"])
        told = f"{len(victims)} of {REPLICAS}"
        await asyncio.gather(*(self._kill_of(hub, ones, told) for hub, ones in self._scene.hubs.sort(victims)))

    async def _kill_of(self, hub: Hub, victims: Sequence[psutil.Process], told: str) -> None:
        with self._scene.spell("kill", told=told, hub=hub.alone):
            self.deaths += _signal(victims, signal.SIGKILL)
            await asyncio.sleep(0.2)
            await self._scene.wait_until_whole([hub])

    async def _stop(self, act: Act) -> None:
        async with self._scene.undisturbed:
            await self._readers.read_quietly()
            one = self._held.pop() if self._held and dict(act.values)["holding"] else None
            victims = await self._pick_replicas(1, holding=dict(act.values)["holding"], one=one)
            hubs = {hub.alone for hub, _ in self._scene.hubs.sort(victims)}
            with self._scene.spell("stop", told=f"{act.lasts:.0f} s", hub="".join(hubs)):
                _signal(victims, signal.SIGSTOP)
                try:
                    await asyncio.sleep(act.lasts)
                finally:
                    _signal(victims, signal.SIGCONT)
                await self._readers.read_quietly()

    async def _orphan(self, _act: Act) -> None:
        """Kill the supervisor and begin the hub anew, as the machine's own supervisor would."""
        hub = self._scene.hubs.first
        async with self._scene.undisturbed:
            with self._scene.spell("orphan"):
                os.kill(hub.pid, signal.SIGKILL)
                self.deaths += 1
                await hub.wait()
                await self._scene.wait_until_whole()

    async def _pick_replicas(
        self, count: int, *, holding: bool, one: PlannedAccount | None = None
    ) -> list[psutil.Process]:
        """Return some replicas, the one first that waits for the platform's answer, if it is to be `holding`."""
        replicas = self._scene.hubs.replicas()
        self._random.shuffle(replicas)
        if holding:
            busy = await self._provoke(one or self._random.choice([one for one in self._accounts if _rotates(one)]))
            replicas.sort(key=lambda replica: replica not in busy)
        return replicas[:count]

    async def _provoke(self, one: PlannedAccount) -> list[psutil.Process]:
        """Have some replica refresh the account, slowly, and return who does."""
        await self._slow_down(one.appid, 2.0)
        end = self._force(Act(0, "force", appid=one.appid)) if one.forces else self._revoke_and_use(one.appid)
        ending = asyncio.create_task(end)
        try:
            return await self._wait_for_holders()
        finally:
            await asyncio.wait([ending], timeout=0)
            self._background.add(ending)
            ending.add_done_callback(self._background.discard)

    async def _revoke_and_use(self, appid: str) -> None:
        await self._end_tokens(appid, "revoke")
        await self._readers.use(appid)

    async def _slow_down(self, appid: str, seconds: float, *, times: int = 1) -> None:
        """Have the account's next mints take so long."""
        await self._scene.add_fault({"path": TOKEN_PATHS, "appid": appid, "latency": seconds, "times": times})

    async def _wait_for_holders(self) -> list[psutil.Process]:
        until = time.monotonic() + HOLD_WITHIN
        while time.monotonic() < until:
            if holders := self._scene.hubs.holders(self._scene.sandbox_port):
                return holders
            await asyncio.sleep(0.05)
        return []

    # --- the store

    async def _suffer(self, act: Act) -> None:
        told = str(dict(act.values)) if act.values else ""
        with ExitStack() as spells:
            for hub in self._scene.store.concerned(act):
                spells.enter_context(self._scene.spell(act.kind, told=told, hub=hub))
            await self._scene.store.suffer(act)

    # --- the platform

    async def _meet_fault(self, act: Act) -> None:
        with self._scene.spell(act.kind, told=str(dict(act.values))):
            number = await self._scene.add_fault(dict(act.values))
            try:
                await asyncio.sleep(act.lasts)
            finally:
                with suppress(Asked):
                    await self._scene.platform.ask("DELETE", f"/sandbox/v1/faults/{number}")

    async def _quota(self, act: Act) -> None:
        """One account meets a quota; later somebody tries again."""
        appid = self._random.choice(self._accounts).appid
        with self._scene.spell("quota", appid):
            fault = {"path": TOKEN_PATHS, "appid": appid, "errcode": 45009, "times": 1}
            await self._scene.add_fault(fault)
            await asyncio.sleep(act.lasts)
            await self._look_after(appid)

    async def _barred(self, act: Act) -> None:
        """The hub's address is not on an account's allow-list for a while; then it is, and somebody tries again."""
        appid = self._random.choice(self._accounts).appid
        with self._scene.spell("barred", appid):
            await self._platform("PATCH", appid, "", {"allow_list": NOWHERE})
            try:
                await asyncio.sleep(act.lasts)
            finally:
                await self._platform("PATCH", appid, "", {"allow_list": None})
            await self._look_after(appid)

    async def _look_after(self, appid: str) -> None:
        await asyncio.sleep(self._random.uniform(*PERSON_AFTER))
        with suppress(TimeoutError):
            async with asyncio.timeout(PERSON_INSISTS):
                await self._change(appid, {})

    # --- people

    async def _try(self, act: Act) -> None:
        with self._scene.spell("try", act.appid):
            await self._change(act.appid, {})

    async def _name(self, act: Act) -> None:
        with self._scene.spell("name", act.appid):
            await self._change(act.appid, {"name": f"at {act.at:.0f} s"})

    async def _mode(self, act: Act) -> None:
        with self._scene.spell("mode", act.appid):
            shown = await self._scene.web.insist("GET", f"/v1/accounts/{act.appid}", key=self._scene.keys["admin"])
            await self._change(act.appid, {"mode": "stable" if shown["mode"] == "classic" else "classic"})

    async def _secret(self, act: Act) -> None:
        """A person has the secret reset at the platform, and tells the hub a moment later."""
        with self._scene.spell("secret", act.appid):
            reset = await self._platform("POST", act.appid, "/secret", {})
            await asyncio.sleep(self._random.uniform(0.2, 3))
            await self._change(act.appid, {"secret": reset["secret"]})

    async def _change(self, appid: str, body: dict[str, Any]) -> None:
        await self._scene.web.insist("PATCH", f"/v1/accounts/{appid}", body, key=self._scene.keys["admin"])

    async def _platform(self, method: str, appid: str, path: str, body: dict[str, Any]) -> Any:
        return await self._scene.platform.ask(method, f"/sandbox/v1/accounts/{appid}{path}", body)

    # --- rotations, and callers

    async def _revoke(self, act: Act) -> None:
        await self._end_tokens(act.appid, "revoke")

    async def _end_tokens(self, appid: str, kind: str) -> None:
        with self._scene.spell(kind, appid):
            await self._platform("POST", appid, "/revoke", {"current": True})

    async def _storm(self, act: Act) -> None:
        await self._end_tokens(act.appid, "storm")
        await self._readers.storm(act.appid, STORM)

    async def _mint_elsewhere(self, act: Act) -> None:
        """Somebody who has the secret too fetches a token of his own."""
        asked = {"grant_type": "client_credential", "appid": act.appid, "secret": self._scene.secrets[act.appid]}
        he_may_meet = (Asked, aiohttp.ClientError, TimeoutError, ValueError)  # the platform's faults, as anybody
        with self._scene.spell("stranger", act.appid), suppress(*he_may_meet):
            await self._scene.platform.ask("GET", f"/cgi-bin/token?{urlencode(asked)}", headers=OUTSIDE)

    async def _insist(self, act: Act) -> None:
        with self._scene.spell("insist", act.appid):
            await self._readers.insist(act.appid, act.lasts)

    async def _force(self, act: Act) -> None:
        """A person forces another token; if it is not possible now, he leaves it."""
        path = f"/v1/accounts/{act.appid}/access_token/reject"
        with self._scene.spell("force", act.appid), suppress(Asked, aiohttp.ClientError, TimeoutError):
            await self._scene.web.ask("POST", path, {"force": True}, key=self._scene.keys["force"])


def _rotates(one: PlannedAccount) -> bool:
    return one.forces or one.revokes == FOR_EVER


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> int:
    """Send a signal to those that are still there, and say how many they are."""
    sent = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            sent += 1
    return sent
