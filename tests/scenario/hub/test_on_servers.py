"""Hubs on two machines over one database server: the same tokens, and a server that goes away and comes back."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.chaos.hubs import Hub
from tests.databases import ENGINES, execute
from tests.own_databases import PASSWORD, OwnServer, OwnServers, holding
from tests.scenario.end_to_end.programs import find_free_port
from tests.scenario.hub.processes import Program, running, until, with_account


@pytest.fixture(params=ENGINES)
def server(own_servers: OwnServers, request: pytest.FixtureRequest) -> OwnServer:
    """Return a server of our own."""
    return own_servers.of(request.param)


def test_two_hubs_go_on_while_their_database_is_away(server: OwnServer, tmp_path: Path) -> None:
    """What was fetched is handed out, marked; nobody fetches twice; what came before the outage is there after it."""
    first, second = tmp_path / "one", tmp_path / "two"

    async def story() -> None:
        async with AsyncExitStack() as house:
            one = await house.enter_async_context(running(first, STORE_URL=server.url))
            sandbox, path = await house.enter_async_context(with_account(one))
            second.mkdir()
            shutil.copy(first / "zhongkong.seal", second)
            two = await house.enter_async_context(running(second, STORE_URL=server.url))
            two.client.headers.update(one.client.headers)
            token = (await read(one, path))["access_token"]
            assert (await read(two, path))["access_token"] == token
            server.stop()
            for hub in (one, two):
                await until(lambda hub=hub: is_stale(hub, path, stale=True))  # type: ignore[misc]  # it is awaited here
                assert (await read(hub, path))["access_token"] == token
            server.start()
            for hub in (one, two):
                await until(lambda hub=hub: is_stale(hub, path, stale=False))  # type: ignore[misc]  # as above
            sandbox.world.revoke(token, sandbox.clock.now())
            answers = await asyncio.gather(*(reject(hub, path, token) for hub in (one, two)))
            (new,) = {answer["access_token"] for answer in answers}
            assert new != token
            assert {answer["generation"] for answer in answers} == {2}
            logs = []
            for hub in (one, two):
                hub.process.terminate()
                code, log = await hub.ended()
                assert code == 0, log
                logs.append(log)
            for secret in ("hunter2", quote(PASSWORD, safe=""), token, new):
                assert all(secret not in log for log in logs)

    asyncio.run(story())


def test_a_hub_takes_no_connections_while_it_waits_for_anothers_migrations(
    own_servers: OwnServers, tmp_path: Path
) -> None:
    """A balancer that is refused asks another replica; one whose request lies in wait would not."""
    server = own_servers.of("postgresql")
    key = int.from_bytes(sha256(b"waits_").digest()[:8], signed=True)
    environment = {"ZHONGKONG_STORE_URL": server.url, "ZHONGKONG_STORE_PREFIX": "waits_"}
    port = find_free_port()
    hub = Hub(tmp_path / "data", tmp_path / "log", tmp_path, port=port, workers=1, environment=environment)

    async def waits() -> bool:
        return execute(server.root_url, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)]

    async def story() -> None:
        with holding(server.url, f"SELECT pg_advisory_lock({key})"):
            starting = asyncio.create_task(hub.start())
            await until(waits)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        assert "first_key" in await starting
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{hub.url}/readyz")).status_code == 200
        assert await hub.end() == 0

    asyncio.run(story())


def test_a_bell_tells_the_other_hub_at_once(own_servers: OwnServers, tmp_path: Path) -> None:
    """Both look every 100 s only: what one replaced the other has long before."""
    server = own_servers.of("postgresql")
    begin = partial(running, STORE_URL=server.url, STORE_PREFIX="bell_", STORE_BELL="store", POLL_SECONDS="100")
    first, second = tmp_path / "one", tmp_path / "two"

    async def story() -> None:
        async with AsyncExitStack() as house:
            one = await house.enter_async_context(begin(first))
            sandbox, path = await house.enter_async_context(with_account(one))
            second.mkdir()
            shutil.copy(first / "zhongkong.seal", second)
            two = await house.enter_async_context(begin(second))
            two.client.headers.update(one.client.headers)
            token = (await read(one, path))["access_token"]
            assert (await read(two, path))["access_token"] == token
            sandbox.world.revoke(token, sandbox.clock.now())
            new = (await reject(one, path, token))["access_token"]
            assert new != token

            async def knows() -> bool:
                return bool((await read(two, path))["access_token"] == new)

            await until(knows)

    asyncio.run(story())


async def read(hub: Program, path: str) -> dict[str, Any]:
    """Return what a reader is told."""
    answer = await hub.client.get(path)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def is_stale(hub: Program, path: str, *, stale: bool) -> bool:
    """Say whether the hub says that it cannot ask its store, or no longer does."""
    return (await read(hub, path)).get("stale", False) is stale


async def reject(hub: Program, path: str, token: str) -> dict[str, Any]:
    """Report the token, again where the hub asks for patience, and return the answer."""
    while True:
        answer: httpx.Response = await hub.client.post(f"{path}/reject", json={"rejected": token})
        if answer.status_code == 200:
            told: dict[str, Any] = answer.json()
            return told
        assert answer.status_code in (429, 503), answer.text
        await asyncio.sleep(0.05)
