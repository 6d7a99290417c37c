"""examples/nginx.conf, as it is but for addresses: nginx before three replicas on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex

from tests.chaos.hubs import Hub, Hubs
from tests.examples.balanced import House, nginx, session, until_true
from tests.own_databases import OwnServers
from tests.scenario.end_to_end.programs import find_free_port
from zhongkong.sandbox.server import open_sandbox

ADDRESSES = ("10.0.0.11:8600", "10.0.0.12:8600", "10.0.0.13:8600")


@asynccontextmanager
async def open_house(own_servers: OwnServers, directory: Path) -> AsyncIterator[House]:
    """Run three replicas on one PostgreSQL, nginx before them, and a sandbox behind."""
    temporary = directory / "tmp"
    temporary.mkdir()
    store = {
        "ZHONGKONG_STORE_URL": own_servers.of("postgresql").url,
        "ZHONGKONG_STORE_PREFIX": f"nginx_{token_hex(3)}_",
    }
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
        port = find_free_port()
        here = {there: hub.url.removeprefix("http://") for there, hub in zip(ADDRESSES, hubs.all, strict=True)}
        changed = {**here, "listen 80;": f"listen 127.0.0.1:{port};"}
        url = await stack.enter_async_context(nginx(directory / "nginx", "127.0.0.1", port, changed=changed))
        sandbox = await stack.enter_async_context(open_sandbox(port=0, seed=1))
        http = await stack.enter_async_context(session(url, key))
        house = House(http, hubs, sandbox)
        await house.add_account()
        yield house


def test_reads_polls_and_streams_go_through_and_a_rolling_restart_fails_no_read(
    own_servers: OwnServers, tmp_path: Path
) -> None:
    """Each replica is told to end, drains, and begins again, while everybody reads on; nobody looks at `/readyz`."""

    async def story() -> None:
        async with open_house(own_servers, tmp_path) as house:
            async with house.read_by_all(house.follow_for_ever(), house.call_for_ever(house.key)):
                for hub in house.hubs.all:
                    async with house.away(hub):
                        await house.until_read_on()
                await poll(house)
                await until_true(lambda: [code for _, code in house.events].count("minted") == 2)
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


def test_a_replica_may_end_when_the_others_are_just_back(own_servers: OwnServers, tmp_path: Path) -> None:
    """They are left alone for some seconds more; there is nobody else, so it asks them all the same."""

    async def story() -> None:
        async with open_house(own_servers, tmp_path) as house:
            first, second, third = house.hubs.all
            async with house.read_by_all():
                for _ in range(3):
                    assert set(await asyncio.gather(first.end(), second.end())) == {0}
                    await house.until_read_on()
                    await asyncio.gather(first.start(), second.start())
                    async with house.away(third):
                        await house.until_read_on()

    asyncio.run(story())


async def poll(house: House) -> None:
    """A long poll waits while nothing changes, and is answered when the token does."""
    _, before, etag = await house.read()
    polling = asyncio.create_task(house.read(params={"wait": "60"}, headers={"If-None-Match": etag}))
    await house.until_read_on()
    assert not polling.done()
    await house.replace()
    status, after, _ = await polling
    assert (status, after["generation"]) == (200, before["generation"] + 1)
