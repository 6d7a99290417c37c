"""examples/nginx.conf in what a system puts around it, and those who read through it."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.hubs import Hub, Hubs
from tests.examples.conftest import EXAMPLES
from tests.needs import need
from tests.scenario.end_to_end.programs import SOON
from tests.scenario.hub.processes import until
from zhongkong.sandbox.server import Running

READERS = 8
ENOUGH = 5
"""Reads of each reader while something is going on: whoever is there is asked, and who is not would be too."""


@asynccontextmanager
async def nginx(
    directory: Path, host: str, port: int, *, changed: Mapping[str, str], within: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Run nginx by the example with these changes, and yield its URL; `within` is what its command begins with."""
    conf = configure(directory, changed)
    command = [*within, need("nginx", "nginx-light"), "-p", str(directory), "-c", str(conf)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await until(lambda: is_open(host, port))
        yield f"http://{host}:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def configure(directory: Path, changed: Mapping[str, str]) -> Path:
    """Write the example with logs of its own, in what a system's own configuration puts around it."""
    directory.mkdir()
    conf = (EXAMPLES / "nginx.conf").read_text(encoding="utf-8")
    for there, ours in changed.items():
        assert there in conf
        conf = conf.replace(there, ours)
    conf = conf.replace("/var/log/nginx/", f"{directory}/")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    logs = f"pid {directory}/pid; error_log {directory}/error.log;"
    whole = directory / "nginx.conf"
    whole.write_text(f"{user} daemon off; {logs} events {{}} http {{ {places} {conf} }}", encoding="utf-8")
    return whole


async def is_open(host: str, port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


class House:
    """What a test has before it."""

    def __init__(self, http: aiohttp.ClientSession, hubs: Hubs, sandbox: Running) -> None:
        self.http = http
        self.key = http.headers["Authorization"].removeprefix("Bearer ")
        self.hubs = hubs
        self.sandbox = sandbox
        assert sandbox.account is not None
        self.path = f"/v1/accounts/{sandbox.account.appid}"
        self.token = ""
        self.statuses: list[int] = []
        self.reads = Counter[int]()
        self.handed: set[str] = set()
        self.called: set[int] = set()
        self.events: list[tuple[int, str]] = []

    async def add_account(self) -> None:
        """Have the hub keep the sandbox's account; its first token is in `token`."""
        account = self.sandbox.account
        assert account is not None
        body = {"appid": account.appid, "secret": account.secret, "base_url": self.sandbox.url}
        async with self.http.post("/v1/accounts", json=body) as answer:
            assert answer.status == 201, await answer.text()
        _, told, _ = await self.read()
        self.token = told["access_token"]

    async def read(self, **asked: Any) -> tuple[int, dict[str, Any], str]:
        """Read the token; return status, body and ETag."""
        async with self.http.get(f"{self.path}/access_token", **asked) as answer:
            return answer.status, await answer.json() if answer.status == 200 else {}, answer.headers.get("ETag", "")

    @asynccontextmanager
    async def read_by_all(self, *others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Have all readers read while the block runs, and have these go on beside them; none of them may fail."""
        async with asyncio.TaskGroup() as group:
            going_on = [group.create_task(one) for one in (*map(self.read_for_ever, range(READERS)), *others)]
            await self.until_read_on()
            yield
            for task in going_on:
                task.cancel()
        assert set(self.statuses) == {200}, Counter(self.statuses)

    async def read_for_ever(self, reader: int) -> None:
        """Read as fast as answers come."""
        while True:
            status, told, _ = await self.read()
            self.statuses.append(status)
            self.handed.add(told.get("access_token", ""))
            self.reads[reader] += 1

    async def call_for_ever(self, key: str) -> None:
        """Ask the gateway for tokens as an SDK does, with a key in the query; what becomes of a call is not judged."""
        assert self.sandbox.account is not None
        asked = {"grant_type": "client_credential", "appid": self.sandbox.account.appid, "secret": key}
        while True:
            with suppress(aiohttp.ClientError):
                async with self.http.get("/cgi-bin/token", params=asked) as answer:
                    self.called.add(answer.status)

    async def until_read_on(self) -> None:
        """Return when every reader has read enough more."""
        before = self.reads.copy()
        await until_true(lambda: all(self.reads[one] >= before[one] + ENOUGH for one in range(READERS)))

    async def follow_for_ever(self) -> None:
        """Follow the events, and go on where the last stream ended."""
        asked = {"Accept": "text/event-stream", "Last-Event-ID": "0"}
        while True:
            async with self.http.get("/v1/events", headers=asked, timeout=aiohttp.ClientTimeout(None)) as stream:
                self.statuses.append(stream.status)
                assert stream.content_type == "text/event-stream"
                async for line in stream.content:
                    name, _, value = line.decode().strip().partition(": ")
                    if name == "id":
                        asked["Last-Event-ID"] = value
                    if name == "data":
                        event = json.loads(value)
                        self.events.append((event["id"], event["code"]))

    @asynccontextmanager
    async def away(self, hub: Hub) -> AsyncIterator[None]:
        """Tell a replica to end, and begin it anew after the block, when it has drained; everybody reads on."""
        assert await hub.end() == 0
        yield
        await hub.start()
        async with self.http.get(f"{hub.url}/readyz") as answer:
            assert answer.status == 200, await answer.text()
        await self.until_read_on()

    async def replace(self) -> None:
        """End the token behind the hub's back, and report it until it has a successor."""
        self.revoke()
        self.token = await self.report(self.token)

    def revoke(self) -> None:
        """End the token behind the hub's back."""
        self.sandbox.world.revoke(self.token, self.sandbox.clock.now())

    async def report(self, token: str, at: str = "") -> str:
        """Report the token, to one hub or any, until it is replaced (a verdict holds for a while); return by which."""
        successors: list[str] = []

        async def reported() -> bool:
            async with self.http.post(f"{at}{self.path}/access_token/reject", json={"rejected": token}) as answer:
                assert answer.status in {200, 503}, await answer.text()
                successors.append((await answer.json()).get("access_token", token))
            return successors[-1] != token

        await until(reported)
        return successors[-1]


def session(url: str, key: str) -> aiohttp.ClientSession:
    """Return what readers ask a hub with."""
    return aiohttp.ClientSession(
        url, headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(SOON), trust_env=False
    )


async def until_true(is_so: Callable[[], bool]) -> None:
    """Return once it is so."""

    async def asked() -> bool:
        return is_so()

    await until(asked)
