"""How many refreshes a second the SQLite store carries: a claim and a save each, durable when they return.

    .bench/venv/bin/python bench/bench_store.py [--seconds 5] [--directory DIR] [--profile]

Every coroutine refreshes a slot of its own, again and again. `--directory` chooses the disk; `--profile` shows where
the writer's time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import pstats
import secrets
import tempfile
import threading
import time
from pathlib import Path

from measuring import keep

from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.model import Account, AccountKind, Mode, Secret, Slot
from zhongkong.core.save import Save, Saved
from zhongkong.wechat.answers import Granted

LIFE = 7200


async def refresh(store: SqlStore, account: Account, until: float) -> int:
    """Refresh one slot until the time is over; return how often."""
    slot, count = Slot(account.appid), 0
    while time.perf_counter() < until:
        fence = secrets.token_hex(16)
        (claimed,) = await store.apply([Claim(slot, account, fence, beyond=count)])
        if not isinstance(claimed.answer, Claimed):
            raise TypeError(claimed.answer)
        (saved,) = await store.apply([Save(slot, account, fence, Granted(secrets.token_urlsafe(105), LIFE))])
        if not isinstance(saved.answer, Saved):
            raise TypeError(saved.answer)
        count += 1
    return count


async def measure(directory: Path, seconds: float, concurrency: int) -> float:
    """Return refreshes per second of so many coroutines."""
    lives = itertools.count()
    path = directory / f"bench-{concurrency}.db"
    store = await open_sqlite(path, FileSeal(directory / "seal"), wall=lambda: 1.8e9 + LIFE * next(lives))
    accounts = [
        await store.put_account(Account(f"wx{number:016x}", AccountKind.OFFICIAL, Secret("s" * 32), Mode.CLASSIC))
        for number in range(concurrency)
    ]
    began = time.perf_counter()
    counts = await asyncio.gather(*(refresh(store, account, began + seconds) for account in accounts))
    took = time.perf_counter() - began
    await store.close()
    return sum(counts) / took


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--directory", type=Path)
    options.add_argument("--concurrency", type=int, nargs="+", default=[1, 50, 200])
    options.add_argument("--profile", action="store_true")
    chosen = options.parse_args()
    profile = cProfile.Profile() if chosen.profile else None
    if profile:
        threading.setprofile(lambda *_: profile.enable())
    rates = {}
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        for concurrency in chosen.concurrency:
            rates[concurrency] = rate = asyncio.run(measure(Path(directory), chosen.seconds, concurrency))
            print(f"concurrency {concurrency:4d}: {rate:8.0f} refreshes/s = {2 * rate:8.0f} commands/s")
    keep("store", rates)
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
