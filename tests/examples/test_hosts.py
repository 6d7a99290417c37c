"""Three hubs on three hosts, a database, nginx, the platform and readers on others: examples/nginx.conf as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.chaos.hubs import Hub, Hubs
from tests.examples.balanced import House, nginx, session, until_true
from tests.network import Network, network
from tests.own_databases import OpenPostgresql, own_server
from tests.scenario.hub.processes import until
from zhongkong.sandbox.server import open_sandbox

NGINX, DATABASE, PLATFORM, READERS = "10.0.0.5", "10.0.0.20", "10.0.0.30", "10.0.0.40"
HUBS = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
"""The addresses that the example and docs/balancer.md name."""
WORKERS = (1, 1, 3)
"""Of the hub on each."""
REPORTERS = 8
MINT = "/cgi-bin/stable_token"

T = TypeVar("T")


class Site:
    """Hosts, what runs on them from the beginning to the end, and the loop of those who are here."""

    def __init__(self, laid: Network, store_url: str, directory: Path, runner: asyncio.Runner) -> None:
        self.network = laid
        self._directory = directory
        self._log = directory / "nginx" / "zhongkong.log"
        self._store_url = store_url
        self._runner = runner

    def play(self, story: Coroutine[Any, Any, T]) -> T:
        """Play a story on the readers' host, and return what comes of it."""
        with self.network[READERS].entered():
            return self._runner.run(story)

    def _hub(self, address: str, workers: int) -> Hub:
        """Return the hub that is to run on this host, with so many workers."""
        return Hub(
            self._directory / f"data-{address}",
            self._directory / f"hub-{address}.log",
            self._directory,
            host=address,
            port=8600,
            workers=workers,
            environment={"ZHONGKONG_STORE_URL": self._store_url, "ZHONGKONG_TRUSTED_PROXIES": NGINX},
            within=self.network[address].within,
        )

    def read_log(self) -> str:
        """Return what nginx wrote of each request, with whom it asked."""
        return self._log.read_text(encoding="utf-8")

    @asynccontextmanager
    async def open_house(self) -> AsyncIterator[House]:
        """Run the hubs, nginx before them, and a sandbox behind."""
        hubs = Hubs([self._hub(address, workers) for address, workers in zip(HUBS, WORKERS, strict=True)])
        async with AsyncExitStack() as stack:
            stack.push_async_callback(hubs.kill)
            key = await hubs.start()
            before = nginx(self._log.parent, NGINX, 80, changed={}, within=self.network[NGINX].within)
            url = await stack.enter_async_context(before)
            with self.network[PLATFORM].entered():
                sandbox = await stack.enter_async_context(open_sandbox(PLATFORM, 0, seed=1))
            house = House(await stack.enter_async_context(session(url, key)), hubs, sandbox)
            await house.add_account()
            yield house


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return hosts, and a database on its own."""
    with network(NGINX, DATABASE, PLATFORM, READERS, *HUBS) as laid, ExitStack() as stack:
        with laid[DATABASE].entered():
            server = stack.enter_context(own_server(OpenPostgresql))
        store_url = server.url.replace("127.0.0.1", DATABASE)
        runner = stack.enter_context(asyncio.Runner())
        yield Site(laid, store_url, tmp_path_factory.mktemp("hosts"), runner)


@pytest.fixture(name="house", scope="module")
def _house(site: Site) -> Iterator[House]:
    """Return the hubs and whoever reads, for all stories: whatever happens in one is over at its end."""
    opened = site.open_house()
    yield site.play(opened.__aenter__())
    site.play(opened.__aexit__(None, None, None))


def test_hosts_restarted_one_by_one_fail_no_read_and_fetch_no_token_twice(site: Site, house: House) -> None:
    """Meanwhile tokens are ended and replaced: whoever is there does it, once."""

    async def story() -> None:
        async with house.read_by_all():
            for hub in house.hubs.all:
                async with house.away(hub):
                    await house.until_read_on()
                    await house.replace()

    with minting(house, 3):
        site.play(story())


def test_a_hub_that_is_parted_from_the_database_reads_on_from_memory(site: Site, house: House) -> None:
    """It is asked as before. A token that is ended meanwhile is replaced by the others, once; it learns of it later."""

    async def story() -> None:
        async with house.read_by_all():
            old = house.token
            with site.network.parted(HUBS[0], DATABASE):
                await until(lambda: tell(house, [(old, True), (old, False), (old, False)]))
                await house.until_read_on()
                await house.replace()
                await until(lambda: tell(house, [(old, True), (house.token, False), (house.token, False)]))
                await house.until_read_on()
            await until(lambda: tell(house, [(house.token, False)] * 3))

    with minting(house, 1):
        site.play(story())


def test_a_host_that_vanishes_fails_no_read_and_is_asked_again_when_it_is_back(site: Site, house: House) -> None:
    """It says no goodbye: what waits for its answer is asked of another one, and so is what comes later."""

    async def story() -> None:
        async with house.read_by_all():
            with site.network.unplugged(HUBS[1]):
                await house.until_read_on()
                await house.replace()
            await until(lambda: tell(house, [(house.token, False)] * 3))
            before = len(site.read_log())
            await until_true(lambda: f" {HUBS[1]}:8600\n" in site.read_log()[before:])
        assert f" {HUBS[1]}:8600, " in site.read_log(), "somebody waited for it, and asked another one"

    with minting(house, 1):
        site.play(story())


def test_workers_of_one_hub_and_hubs_on_other_hosts_are_replicas_alike(site: Site, house: House) -> None:
    """Each is told of a refusal, many times at once: one token is fetched, and all answer with that one."""

    async def story() -> None:
        assert len(house.hubs.replicas()) == sum(WORKERS)
        house.revoke()
        told = await asyncio.gather(
            *(house.report(house.token, at) for at in house.hubs.urls for _ in range(REPORTERS))
        )
        (house.token,) = set(told)
        await until(lambda: tell(house, [(house.token, False)] * 3))

    with minting(house, 1):
        site.play(story())


@contextmanager
def minting(house: House, count: int) -> Iterator[None]:
    """See that the platform is asked for a token so often."""
    house.sandbox.journal.clear()
    yield
    asked = list(house.sandbox.journal.read(path=MINT))
    assert len(asked) == count, asked


async def tell(house: House, expected: list[tuple[str, bool]]) -> bool:
    """Say whether each hub, asked by itself, hands out this token, from the store or stale."""
    told = []
    for hub in house.hubs.all:
        async with house.http.get(f"{hub.url}{house.path}/access_token") as answer:
            body = await answer.json()
        told.append((body["access_token"], body.get("stale", False)))
    return told == expected
