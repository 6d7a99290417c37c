"""How long from a save on one replica until another knows it: by polling alone, and with each bell.

    .bench/venv/bin/python bench/bench_bell.py [--saves 60] [--poll 1]

Two processes over one store: one saves now and then, the other is a keeper that runs. Both look at the machine's
monotonic clock. Servers of their own are started for it: PostgreSQL, MariaDB and Redis must be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from measuring import end_in_order, keep, show

from tests.contract.sinks.redis_server import RedisServer
from tests.own_databases import OWN, own_server
from zhongkong.adapters.bells.opening import open_bell
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.addresses import parse_address
from zhongkong.adapters.stores.sql import open_at
from zhongkong.core.change import Change
from zhongkong.core.model import Account, AccountKind, Secret, Slot
from zhongkong.keeper.keeper import Keeper

SEAL, PREFIX, APPID = RingSeal(b"k" * 32), "bell_", "wx0123456789abcdef"
SLOT = Slot(APPID)


async def look(url: str, bell_url: str, poll: float, pipe: Connection) -> None:
    """Run a keeper; say when it came to know each version, once it is asked to."""
    clock, address, seen = MachineClock(), parse_address(url), dict[int, float]()
    store = await open_at(address, SEAL, PREFIX)
    keeper = Keeper(store, AiohttpPlatform(clock), clock, poll_seconds=poll)
    keeper.plan_round = lambda: None  # type: ignore[method-assign]  # nothing is minted here
    keeper.known.on_change(lambda slot: seen.setdefault(keeper.known.record(slot).version, time.monotonic()))  # type: ignore[union-attr]
    bell = open_bell(bell_url, address, PREFIX, clock)
    runs = [asyncio.create_task(keeper.run())]
    if bell is not None:
        await bell.prove()
        runs.append(asyncio.create_task(bell.run(keeper.hear)))
    await keeper.poll()
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    pipe.send(json.dumps(seen))
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    await store.close()


async def save(url: str, bell_url: str, poll: float, saves: int, pipe: Connection) -> dict[int, float]:
    """Save now and then, and return when each version was acknowledged."""
    clock, address, random = MachineClock(), parse_address(url), Random(1)
    store = await open_at(address, SEAL, PREFIX)
    account = await store.put_account(Account(APPID, AccountKind.OFFICIAL, Secret("s" * 32)))
    bell = open_bell(bell_url, address, PREFIX, clock)
    running = asyncio.create_task(bell.run(lambda: None)) if bell is not None else None
    if bell is not None:
        store.tell_of_writes(bell.ring)
    done = {}
    await asyncio.to_thread(pipe.recv)
    await asyncio.sleep(1.0)
    for _ in range(saves):
        await asyncio.sleep(random.uniform(0.2, 0.2 + poll / 5))
        (applied,) = await store.apply([Change(SLOT, account.revision)])
        done[applied.record.version] = time.monotonic()
    await asyncio.sleep(2 * poll)
    if running is not None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await store.close()
    return done


def looking(url: str, bell_url: str, poll: float, pipe: Connection) -> None:
    """Be the other process."""
    asyncio.run(look(url, bell_url, poll, pipe))


def measure(url: str, bell_url: str, poll: float, saves: int) -> dict[str, float]:
    """Return milliseconds from the acknowledgement of a save to its sight: never below 0, for a poll may be quicker."""
    here, there = multiprocessing.Pipe()
    asyncio.run(_make(url))
    other = multiprocessing.get_context("spawn").Process(target=looking, args=(url, bell_url, poll, there))
    other.start()
    done = asyncio.run(save(url, bell_url, poll, saves, here))
    here.send("enough")
    seen = {int(version): at for version, at in json.loads(here.recv()).items()}
    other.join()
    waits = sorted(max(0.0, _seen_at(seen, version) - at) * 1000 for version, at in done.items())
    share: Callable[[float], float] = lambda part: waits[min(len(waits) - 1, round(part * len(waits)))]  # noqa: E731
    return {"p50": share(0.5), "p99": share(0.99), "longest": waits[-1]}


def _seen_at(seen: dict[int, float], version: int) -> float:
    """Return when this version or a later one was seen: one that was followed at once is never seen itself."""
    return min(at for later, at in seen.items() if later >= version)


async def _make(url: str) -> None:
    await (await open_at(parse_address(url), SEAL, PREFIX)).close()


def main() -> None:
    """Measure and print."""
    end_in_order()
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--saves", type=int, default=60)
    options.add_argument("--poll", type=float, default=1.0)
    chosen = options.parse_args()
    figures = {}
    with ExitStack() as house:
        directory = Path(house.enter_context(tempfile.TemporaryDirectory()))
        redis = house.enter_context(RedisServer(directory)).url
        urls = {"SQLite": f"sqlite:///{directory / 'bell.db'}"}
        for name, engine in (("PostgreSQL", "postgresql"), ("MariaDB", "mysql")):
            urls[name] = house.enter_context(own_server(OWN[engine])).url
        for name, url in urls.items():
            bells = {"none": "", "Redis": redis, **({"its own": "store"} if name == "PostgreSQL" else {})}
            for bell, bell_url in bells.items():
                figures[f"{name}, bell: {bell}"] = measure(url, bell_url, chosen.poll, chosen.saves)
    rows = [[case, *(round(one, 1) for one in figure.values())] for case, figure in figures.items()]
    show("Milliseconds from a save to its sight on another replica", ["", "p50", "p99", "longest"], rows)
    keep("bell", figures)


if __name__ == "__main__":
    main()
