"""Business servers: they read at a steady rate whatever happens, use what they read, and reject what is refused.

Reads leave by the clock, not when the last one was answered: a hub that hangs is asked all the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from itertools import cycle
from random import Random
from typing import Any

import aiohttp

from tests.chaos.evidence import Rejected
from tests.chaos.line import READ_WITHIN, Held, Line
from tests.chaos.scene import Scene

TICK = 0.02
LINES = 18
QUIET_LINES = 12
USES_A_SECOND = 20
LATE = 0.2
"""How many of those use a token that was read before the last one."""
DOUBTS_EVERY = 3.0
PASSES_A_SECOND = 15
"""Calls of SDKs through the gateway."""
OUTSIDE = {"X-Sandbox-IP": "203.0.113.7"}
"""Business servers call the platform from elsewhere: the journal tells them from the hub by that."""
REFUSED = (40001, 40014, 42001)
USE_PATH = "/cgi-bin/user/get"


class Readers:
    """All callers of the hub. What they see goes into the scene's evidence."""

    def __init__(self, scene: Scene, random: Random) -> None:
        self._scene = scene
        self._random = random
        held: dict[str, Held] = {}
        urls = scene.hubs.urls
        self._lines = [Line(urls, held, sends_etags=index % 2 == 1) for index in range(LINES)]
        self._quiet = [Line([urls[index % len(urls)]], held, connections=1) for index in range(QUIET_LINES)]
        self._crowd = Line(urls, held)
        self._latest: dict[str, str] = {}
        self._former: dict[str, str] = {}
        self._rejecting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, rate: float) -> None:
        """Read `rate` times a second until cancelled."""
        try:
            await self._pace(rate)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for line in (*self._lines, *self._quiet, self._crowd):
                await line.close()

    async def _pace(self, rate: float) -> None:
        loop = asyncio.get_running_loop()
        began, reads, uses, doubts, passes = loop.time(), 0, 0, 0, 0
        turns = cycle(self._lines)
        while True:
            passed = loop.time() - began
            for _ in range(int(passed * rate) - reads):
                self._begin(self._read(next(turns), self._random.choice(self._scene.appids)))
                reads += 1
            for _ in range(int(passed * USES_A_SECOND) - uses):
                self._begin(self._use(next(turns), *self._pick_used()))
                uses += 1
            for _ in range(int(passed / DOUBTS_EVERY) - doubts):
                self._begin(self._doubt(next(turns), self._random.choice(self._scene.appids)))
                doubts += 1
            for _ in range(int(passed * PASSES_A_SECOND) - passes):
                self._begin(self._pass(next(turns), self._random.choice(self._scene.appids)))
                passes += 1
            await asyncio.sleep(TICK)

    def _begin(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, line: Line, appid: str) -> None:
        read = await line.read(appid, self._scene.keys["reader"])
        if read.is_handed and self._latest.get(appid) != read.value:
            self._former[appid] = self._latest.get(appid, "")
            self._latest[appid] = read.value
        self._scene.evidence.reads.append(read)

    async def read_quietly(self) -> None:
        """Read once on lines that are quiet otherwise: who calls a worker that just woke up meets all it slept through.

        Their connections stand before it sleeps, so this is called once before.
        """
        await asyncio.gather(*map(self._read_some, self._quiet))

    async def _read_some(self, line: Line) -> None:
        """Read of a few accounts, one after the other: the line has one connection."""
        for appid in self._random.sample(self._scene.appids, 3):
            await self._read(line, appid)

    def _pick_used(self) -> tuple[str, str]:
        """Return an account and a token that was read of it: the last one, or, by callers who are late, the former."""
        appid = self._random.choice(self._scene.appids)
        held = self._former if self._random.random() < LATE else self._latest
        return appid, held.get(appid, "")

    async def use(self, appid: str) -> None:
        """Use an account's token now."""
        await self._use(self._crowd, appid, self._latest.get(appid, ""))

    async def _use(self, line: Line, appid: str, value: str) -> None:
        """Call the platform with a token that was read lately; reject it if it is refused."""
        if value and value not in self._rejecting and await self._is_refused(line, value):
            self._rejecting.add(value)
            try:
                await self._reject(line, appid, value, "good")
            finally:
                self._rejecting.discard(value)

    async def _is_refused(self, line: Line, value: str) -> bool:
        params, timeout = {"access_token": value}, aiohttp.ClientTimeout(READ_WITHIN)
        url = self._scene.platform.url + USE_PATH
        try:
            async with line.session.get(url, params=params, headers=OUTSIDE, timeout=timeout) as answer:
                told = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return isinstance(told, dict) and told.get("errcode") in REFUSED

    async def _reject(self, line: Line, appid: str, value: str, caller: str) -> None:
        outcome, read = await line.reject(appid, value, self._scene.keys[caller])
        self._scene.evidence.rejects.append(Rejected(caller, value, outcome, read))

    async def _pass(self, line: Line, appid: str) -> None:
        """Call the platform through the gateway, as an SDK with a virtual token does."""
        passed = await line.pass_on(appid, USE_PATH, self._scene.virtual[appid])
        self._scene.evidence.passed.append(passed)

    # --- those who make trouble

    async def _doubt(self, line: Line, appid: str) -> None:
        """Reject a token without reason."""
        if value := self._latest.get(appid):
            await self._reject(line, appid, value, "doubter")

    async def storm(self, appid: str, size: int) -> None:
        """A crowd rejects what was read last, all at once."""
        value = self._latest.get(appid)
        if value:
            await asyncio.gather(*(self._reject(self._crowd, appid, value, "storm") for _ in range(size)))

    async def insist(self, appid: str, seconds: float) -> None:
        """Two buggy callers reject whatever is good, again and again."""
        await asyncio.gather(*(self._insist(appid, caller, seconds) for caller in ("buggy 0", "buggy 1")))

    async def _insist(self, appid: str, caller: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := self._latest.get(appid):
                await self._reject(self._crowd, appid, value, caller)
            await asyncio.sleep(self._random.uniform(0.5, 6))
