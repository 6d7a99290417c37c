"""What a read costs inside a program, while the token is fresh: the library beside what one writes, or uses, instead.

    .bench/venv/bin/python bench/bench_read_process.py [--rounds 7]

Nanoseconds for one read, as a statement of a program: the median of short slices, then of the rounds, all cases in
turns; by the clock, and by what the reading thread used of the CPU, which a busy machine changes less (and which leaves
out what a Redis does meanwhile).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from timeit import Timer
from typing import Any, NamedTuple

import peers
import servers
from measuring import end_in_order, interleave, keep, medians, show
from redis import Redis
from wechatpy import WeChatClient
from wechatpy.session.redisstorage import RedisStorage

import zhongkong
from zhongkong.client.clock import find_boot_clock

APPID = servers.APPID
SLOTS = "a dict of slots objects, a deadline"
OURS = "zhongkong, sqlite:///"
MEMORY, REDIS, FILE = "wechatpy, MemoryStorage", "wechatpy, RedisStorage", "the ancestor's file cache"
GOALS = [(SLOTS, "<=", 1.3), (MEMORY, ">=", 3.5), (FILE, ">=", 80.0), (REDIS, ">=", 700.0)]
SLICE = 0.02
SLICES = 10


class Read(NamedTuple):
    """A read as a program writes it, and what it has at hand."""

    statement: str
    names: dict[str, Any]

    def measure(self) -> dict[str, float]:
        """Return the nanoseconds of one, by the clock and by what this thread used of the CPU."""
        timers = {"ns": Timer(self.statement, globals=self.names)}
        timers["cpu"] = Timer(self.statement, timer=time.thread_time, globals=self.names)
        count = 1
        while timers["ns"].timeit(count) < SLICE:
            count *= 2
        return {
            name: median(timer.timeit(count) for _ in range(SLICES)) / count * 1e9 for name, timer in timers.items()
        }


class Slots:
    """What one would write oneself, if nothing ever had to be renewed."""

    __slots__ = ("deadline", "value")

    def __init__(self, value: str, deadline: float) -> None:
        self.value = value
        self.deadline = deadline


def read_slots(clock: Callable[[], float]) -> Read:
    """Read a dict of slots objects, each with a deadline on that clock."""
    held = {APPID: Slots(servers.TOKEN, clock() + 7000)}

    def read(appid: str, clock: Callable[[], float] = clock) -> str:
        one = held[appid]
        if clock() < one.deadline:
            return one.value
        raise LookupError

    return Read("read(appid)", {"read": read, "appid": APPID})


def read_file(directory: Path) -> Read:
    """Read a JSON file and look at its time."""
    cache = directory / "token.json"
    cache.write_text(json.dumps({"access_token": servers.TOKEN, "expires_at": time.time() + 7000}))

    def read(path: str) -> str:
        with open(path) as file:  # noqa: PTH123 (as the ancestor has it)
            cached = json.load(file)
        if cached["expires_at"] > time.time():
            return str(cached["access_token"])
        raise LookupError

    return Read("read(path)", {"read": read, "path": str(cache)})


def read_wechatpy(client: WeChatClient) -> Read:
    """Read what wechatpy keeps in its session."""
    client.session.set(client.access_token_key, servers.TOKEN, 7000)
    client.expires_at = int(time.time()) + 7000
    return Read("client.access_token", {"client": client})


def read_source(source: zhongkong.Source, appid: str) -> Read:
    """Read from a source that has the token."""
    source.access_token(appid)
    return Read("source.access_token(appid)", {"source": source, "appid": appid})


@contextmanager
def redis() -> Iterator[Redis]:
    """Run a Redis."""
    port = servers.free_port()
    command = [peers.need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = Redis(port=port)
        while True:
            try:
                client.ping()
                break
            except ConnectionError:
                time.sleep(0.05)
        yield client
    finally:
        process.terminate()
        process.wait()


def measure_awaited(source: zhongkong.AsyncSource, appid: str) -> dict[str, float]:
    """Return the same for a read that is awaited, on a loop that runs."""

    async def repeat(count: int, clock: Callable[[], float]) -> float:
        began = clock()
        for _ in range(count):
            await source.access_token(appid)
        return clock() - began

    async def slices() -> dict[str, float]:
        await source.access_token(appid)
        count = 1
        while await repeat(count, time.perf_counter) < SLICE:
            count *= 2
        clocks = {"ns": time.perf_counter, "cpu": time.thread_time}
        return {
            name: median([await repeat(count, clock) for _ in range(SLICES)]) / count * 1e9
            for name, clock in clocks.items()
        }

    return asyncio.run(slices())


def main() -> None:
    """Measure, print and keep."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="zhongkong-bench-") as name, redis() as store:
        directory = Path(name)
        with servers.sandbox(directory) as told:
            appid, url = told["appid"], f"sqlite:///{directory}/wx.db"
            accounts = {appid: {"secret": told["secret"], "base_url": told["sandbox_url"]}}
            with zhongkong.connect(url, accounts=accounts) as source:
                awaited = zhongkong.connect_async(url)
                reads = {
                    SLOTS: read_slots(time.monotonic),
                    f"{SLOTS} that counts sleep": read_slots(find_boot_clock()),
                    OURS: read_source(source, appid),
                    MEMORY: read_wechatpy(WeChatClient(APPID, "secret")),
                    FILE: read_file(directory),
                    REDIS: read_wechatpy(WeChatClient(APPID, "secret", session=RedisStorage(store))),
                }
                cases = {name: read.measure for name, read in reads.items()}
                cases["zhongkong, sqlite:///, awaited"] = partial(measure_awaited, awaited, appid)
                came = interleave(cases, chosen.rounds)
                asyncio.run(awaited.aclose())
    figures = {name: medians(runs) for name, runs in came.items()}
    _tell(figures)
    keep("read_process", {"medians": figures, "rounds": came})


def _tell(figures: Mapping[str, Mapping[str, float]]) -> None:
    base, ours = figures[SLOTS], figures[OURS]
    head = ["", "ns", "× slots", "CPU ns", "× slots"]
    rows = [
        [name, one["ns"], one["ns"] / base["ns"], one["cpu"], one["cpu"] / base["cpu"]] for name, one in figures.items()
    ]
    show("One read", head, rows)
    goals = []
    for other, sign, bound in GOALS:
        ratios = [figures[other][unit] / ours[unit] for unit in ("ns", "cpu")]
        if sign == "<=":
            ratios = [1 / ratio for ratio in ratios]
        title = f"{sign} {bound:g} × {other}" if sign == "<=" else f"{sign} {bound:g} times as fast as {other}"
        goals.append([title, *ratios, "yes" if (ratios[0] <= bound) == (sign == "<=") else "no"])
    show("Goals", [OURS, "ratio", "by CPU", "met"], goals)


if __name__ == "__main__":
    main()
