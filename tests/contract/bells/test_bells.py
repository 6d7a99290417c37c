"""The bells on real servers: who hears, what breaks and is made anew, and what is said of one that is silent."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contract.sinks.redis_server import RedisServer
from tests.contract.stores.sqlite import run
from tests.own_databases import PASSWORD, OwnServer, OwnServers
from zhongkong.adapters.bells import bell as bells
from zhongkong.adapters.bells import redis as redis_bells
from zhongkong.adapters.bells.bell import Bell
from zhongkong.adapters.bells.opening import open_bell
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.stores.addresses import parse_address
from zhongkong.errors import SettingInvalid, StoreUnavailable

SOON = 60.0
PREFIX = "bells_"
SQLITE = parse_address("sqlite:///x.db")


class Place:
    """A server with a bell, which can be killed and started."""

    def __init__(self, given: str, url: str, kill: Callable[[], None], start: Callable[[], object]) -> None:
        self._given = given
        self._url = url
        self.kill = kill
        self.start = start

    def bell(self, prefix: str = PREFIX) -> Bell:
        """Return the bell of another process."""
        bell = open_bell(self._given, parse_address(self._url), prefix, MachineClock())
        assert bell is not None
        return bell


@pytest.fixture(params=["postgresql", "redis"])
def place(request: pytest.FixtureRequest, own_servers: OwnServers, tmp_path: Path) -> Iterator[Place]:
    """Return each kind of place; Redis wants a password too."""
    if request.param == "postgresql":
        server: OwnServer = own_servers.of("postgresql")
        yield Place("store", server.url, server.kill, server.start)
        server.start()
        return
    with RedisServer(tmp_path, password="hunter2") as redis:
        url = redis.url.replace("//", "//:hunter2@")
        yield Place(url, "sqlite:///x.db", redis.kill, redis.start)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(bells, "BEGIN_AGAIN", 0.05)


class Ear:
    """Counts rings."""

    def __init__(self) -> None:
        self.rings = 0
        self._heard = asyncio.Event()

    def hear(self) -> None:
        """Count one."""
        self.rings += 1
        self._heard.set()

    async def after(self, do: Callable[[], None]) -> None:
        """Do it, again and again, until a ring is heard."""
        self._heard.clear()
        async with asyncio.timeout(SOON):
            while not self._heard.is_set():
                do()
                await asyncio.wait([asyncio.ensure_future(self._heard.wait())], timeout=0.1)


@asynccontextmanager
async def running(bell: Bell) -> AsyncIterator[Ear]:
    """Have it run, as in a process of its own."""
    ear = Ear()
    task = asyncio.create_task(bell.run(ear.hear))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task])


@run
async def test_a_ring_is_heard_by_the_others_alone(place: Place) -> None:
    """And by no other store in the same place; a thousand rings are few."""
    one, two, stranger = place.bell(), place.bell(), place.bell("other_")
    async with running(one) as ear_one, running(two) as ear_two, running(stranger) as far:
        await ear_two.after(one.ring)
        await ear_one.after(two.ring)
        before = ear_two.rings
        for _ in range(1000):
            one.ring()
        await ear_two.after(one.ring)
        assert ear_two.rings - before < 100
        assert far.rings == 0


@run
async def test_a_bell_that_broke_rings_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Its server was killed. The log says so once, and when it is over; never with a password."""
    one, two = place.bell(), place.bell()
    async with running(one) as _, running(two) as ear:
        await ear.after(one.ring)
        place.kill()
        while "bell" not in caplog.text:
            one.ring()
            await asyncio.sleep(0.01)
        await asyncio.to_thread(place.start)
        await ear.after(one.ring)
    assert "it rings again" in caplog.text
    assert len({record.getMessage() for record in caplog.records}) <= 5
    assert "hunter2" not in caplog.text
    assert quote(PASSWORD, safe="") not in caplog.text


@run
async def test_a_bell_proves_itself_or_says_why_it_cannot(place: Place) -> None:
    """For the doctor."""
    assert 0 < await place.bell().prove() < SOON
    place.kill()
    with pytest.raises(StoreUnavailable) as caught:
        await place.bell().prove()
    assert (caught.value.code, caught.value.values["why"]) == ("bell_silent", "away")
    assert "hunter2" not in str(caught.value.values)
    place.start()


@run
async def test_a_bell_that_swallows_rings_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stands still says nothing of it: who rings misses his own ring."""
    monkeypatch.setattr(bells, "ECHO_WITHIN", 0.3)
    monkeypatch.setattr(redis_bells, "STEP_WITHIN", 0.3)
    with RedisServer(tmp_path) as redis:
        bell = open_bell(redis.url, SQLITE, PREFIX, MachineClock())
        assert bell is not None
        await bell.prove()
        redis.freeze()
        with pytest.raises(StoreUnavailable) as caught:
            await bell.prove()
        assert caught.value.values["why"] == "silent"
        redis.thaw()


@run
async def test_a_wrong_password_is_told_apart(tmp_path: Path) -> None:
    """It does not pass by itself."""
    with RedisServer(tmp_path, password="hunter2") as redis:
        bell = open_bell(redis.url.replace("//", "//:wrong@"), SQLITE, PREFIX, MachineClock())
        assert bell is not None
        with pytest.raises(StoreUnavailable) as caught:
            await bell.prove()
    assert caught.value.values["why"] == "password"


def test_only_postgresql_has_a_bell_of_its_own() -> None:
    """None is made up for the others; without a setting there is none."""
    for url in ("sqlite:///x.db", "mysql://hub@db/x"):
        with pytest.raises(SettingInvalid) as caught:
            open_bell("store", parse_address(url), PREFIX, MachineClock())
        assert caught.value.code == "bell_not_of_this_store"
    assert open_bell("", SQLITE, PREFIX, MachineClock()) is None


@pytest.mark.parametrize("rest", ["TOPSECRET/ss@host:6379/0", "TOPSECRET#@host:6379", "TOPSECRET@host/0?db=zz"])
def test_a_url_that_cannot_be_read_is_refused_and_not_quoted(rest: str) -> None:
    """Python's own words for it have what stands where the port is looked for: a part of the password."""
    with pytest.raises(SettingInvalid) as caught:
        open_bell(f"redis://:{rest}", SQLITE, PREFIX, MachineClock())
    assert caught.value.code == "bell_url_unfit"
    assert "TOPSECRET" not in "".join(traceback.format_exception(caught.value))
