"""examples/nginx.conf, as it is but for addresses: nginx before three replicas on one database."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.hubs import Hub, Hubs
from tests.examples.conftest import EXAMPLES
from tests.needs import need
from tests.own_databases import OwnServers
from tests.scenario.end_to_end.programs import SOON, find_free_port
from tests.scenario.hub.processes import until
from zhongkong.sandbox.server import Running, open_sandbox

CONF = EXAMPLES / "nginx.conf"
ADDRESSES = ("10.0.0.11:8600", "10.0.0.12:8600", "10.0.0.13:8600")
READERS = 8
ENOUGH = 40
"""Reads while something is going on: each replica that is there is asked, and one that is not would be too."""


def configure(directory: Path, port: int, hubs: Hubs) -> Path:
    """Write the example with addresses of this machine, in what a system's own configuration puts around it."""
    directory.mkdir()
    conf = CONF.read_text(encoding="utf-8")
    here = {
        f"server {there} ": f"server {hub.url.removeprefix('http://')} "
        for there, hub in zip(ADDRESSES, hubs.all, strict=True)
    }
    for there, ours in {**here, "listen 80;": f"listen 127.0.0.1:{port};"}.items():
        assert conf.count(there) == 1
        conf = conf.replace(there, ours)
    conf = conf.replace("/var/log/nginx/", f"{directory}/")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    logs = f"pid {directory}/pid; error_log {directory}/error.log;"
    whole = directory / "nginx.conf"
    whole.write_text(f"{user} daemon off; {logs} events {{}} http {{ {places} {conf} }}", encoding="utf-8")
    return whole


@asynccontextmanager
async def nginx_before(hubs: Hubs, directory: Path) -> AsyncIterator[str]:
    """Run nginx, and yield its URL."""
    port = find_free_port()
    conf = configure(directory, port, hubs)
    program = need("nginx", "nginx-light")
    process = await asyncio.create_subprocess_exec(program, "-p", str(directory), "-c", str(conf))
    try:
        await until(lambda: is_open(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def is_open(port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
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
        self.statuses: list[int] = []
        self.handed: set[str] = set()
        self.called: set[int] = set()
        self.events: list[tuple[int, str]] = []

    async def add_account(self) -> None:
        """Have the hub keep the sandbox's account."""
        account = self.sandbox.account
        assert account is not None
        body = {"appid": account.appid, "secret": account.secret, "base_url": self.sandbox.url}
        async with self.http.post("/v1/accounts", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def read(self, **asked: Any) -> tuple[int, dict[str, Any], str]:
        """Read the token; return status, body and ETag."""
        async with self.http.get(f"{self.path}/access_token", **asked) as answer:
            return answer.status, await answer.json() if answer.status == 200 else {}, answer.headers.get("ETag", "")

    async def read_for_ever(self) -> None:
        """Read as fast as answers come."""
        while True:
            status, told, _ = await self.read()
            self.statuses.append(status)
            self.handed.add(told.get("access_token", ""))

    async def call_for_ever(self, key: str) -> None:
        """Ask the gateway for tokens as an SDK does, with a key in the query; what becomes of a call is not judged."""
        assert self.sandbox.account is not None
        asked = {"grant_type": "client_credential", "appid": self.sandbox.account.appid, "secret": key}
        while True:
            with suppress(aiohttp.ClientError):
                async with self.http.get("/cgi-bin/token", params=asked) as answer:
                    self.called.add(answer.status)

    async def until_read_on(self) -> None:
        """Return when there were enough more reads."""
        wanted = len(self.statuses) + ENOUGH
        await until(lambda: _is(len(self.statuses) >= wanted))

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

    async def replace(self) -> None:
        """End the token behind the hub's back, and report it until it is replaced: a verdict holds for a while."""
        _, told, _ = await self.read()
        token = told["access_token"]
        self.sandbox.world.revoke(token, self.sandbox.clock.now())
        await until(lambda: self._is_replaced(token))

    async def _is_replaced(self, token: str) -> bool:
        async with self.http.post(f"{self.path}/access_token/reject", json={"rejected": token}) as answer:
            assert answer.status == 200, await answer.text()
            return bool((await answer.json())["access_token"] != token)


async def _is(value: bool) -> bool:  # noqa: FBT001 (what it was, in a coroutine)
    return value


@asynccontextmanager
async def open_house(own_servers: OwnServers, directory: Path) -> AsyncIterator[House]:
    """Run three replicas on one PostgreSQL, nginx before them, and a sandbox behind."""
    temporary = directory / "tmp"
    temporary.mkdir()
    store = {"ZHONGKONG_STORE_URL": own_servers.of("postgresql").url, "ZHONGKONG_STORE_PREFIX": "nginx_"}
    hubs = Hubs(
        [
            Hub(
                directory / f"data-{number}",
                directory / f"hub-{number}.log",
                temporary,
                port=find_free_port(),
                workers=1,
                environment={**store, "ZHONGKONG_TRUSTED_PROXIES": "127.0.0.1"},
            )
            for number in range(3)
        ]
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(hubs.kill)
        key = await hubs.start()
        url = await stack.enter_async_context(nginx_before(hubs, directory / "nginx"))
        sandbox = await stack.enter_async_context(open_sandbox(port=0, seed=1))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                url, headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(SOON), trust_env=False
            )
        )
        house = House(http, hubs, sandbox)
        await house.add_account()
        yield house


def test_reads_polls_and_streams_go_through_and_a_rolling_restart_fails_no_read(
    own_servers: OwnServers, tmp_path: Path
) -> None:
    """Each replica is told to end, drains, and begins again, while everybody reads on; nobody looks at `/readyz`."""

    async def story() -> None:
        async with open_house(own_servers, tmp_path) as house:
            background = [asyncio.create_task(house.read_for_ever()) for _ in range(READERS)]
            background.append(asyncio.create_task(house.follow_for_ever()))
            background.append(asyncio.create_task(house.call_for_ever(house.key)))
            await house.until_read_on()
            for hub in house.hubs.all:
                await restart(house, hub)
            await poll(house)
            await until(lambda: _is([code for _, code in house.events].count("minted") == 2))
            for task in background:
                task.cancel()
            ended = await asyncio.gather(*background, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
            assert set(house.statuses) == {200}
            assert len(house.handed) == 2, "a token, and its successor"
            numbers = [number for number, _ in house.events]
            assert numbers == sorted(set(numbers)), "each event once, over streams that ended"
        log = (tmp_path / "nginx" / "zhongkong.log").read_text(encoding="utf-8")
        asked = {hub.url.removeprefix("http://") for hub in house.hubs.all}
        assert asked <= set(log.replace(",", " ").split()), "each replica had its share"
        assert "/cgi-bin/token" in log
        assert 200 in house.called
        logs = [one.read_text(encoding="utf-8") for one in (tmp_path / "nginx").glob("*.log")]
        assert len(logs) > 1
        assert not any(secret in text for text in logs for secret in {*house.handed, house.key})

    asyncio.run(story())


async def restart(house: House, hub: Hub) -> None:
    """Tell a replica to end, and begin it anew when it has drained; everybody reads on."""
    assert await hub.end() == 0
    await house.until_read_on()
    await hub.start()
    async with house.http.get(f"{hub.url}/readyz") as answer:
        assert answer.status == 200, await answer.text()
    await house.until_read_on()


async def poll(house: House) -> None:
    """A long poll waits while nothing changes, and is answered when the token does."""
    _, before, etag = await house.read()
    polling = asyncio.create_task(house.read(params={"wait": "60"}, headers={"If-None-Match": etag}))
    await house.until_read_on()
    assert not polling.done()
    await house.replace()
    status, after, _ = await polling
    assert (status, after["generation"]) == (200, before["generation"] + 1)
