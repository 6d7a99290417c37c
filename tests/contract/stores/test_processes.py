"""Real processes on one file: they are replicas, and any of them may be killed at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from tests.contract.stores.sqlite import run
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.sql import open_sqlite
from zhongkong.core.claim import Claim, Claimed, Held
from zhongkong.core.model import LEASE, Slot
from zhongkong.testing.store_contract.stories import ACCOUNT, SLOT, one

WALL = MachineClock().wall

PREAMBLE = """
    import asyncio, json, os, sys, time
    from dataclasses import replace
    from pathlib import Path
    from zhongkong.adapters.seal import FileSeal
    from zhongkong.adapters.stores.sql import open_sqlite
    from zhongkong.core.claim import Claim, Claimed
    from zhongkong.core.model import Event, Slot
    from zhongkong.testing.store_contract.stories import ACCOUNT, SLOT, Count, one

    def tell(what):
        print(json.dumps(what), flush=True)

    async def opened():
        directory = Path(sys.argv[1])
        return await open_sqlite(directory / "hub.db", FileSeal(directory / "seal"))
"""


@contextmanager
def replica(directory: Path, body: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that tells what it did, a line of JSON each; killed at the latest when the test is over."""
    program = textwrap.dedent(PREAMBLE) + textwrap.dedent(body) + "\nasyncio.run(main())\n"
    command = [sys.executable, "-c", program, str(directory), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> Any:
    """Return the next thing it tells."""
    return json.loads(out_of(process).readline())


def out_of(process: subprocess.Popen[str]) -> IO[str]:
    """Return where it tells."""
    assert process.stdout is not None
    return process.stdout


@run
async def test_killed_between_claim_and_save(tmp_path: Path) -> None:
    """Its attempt stays open, for its request may have left; its lease ages, and then the next one may mint."""
    later = [0.0]
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"), wall=lambda: WALL() + later[0])
    account = await store.put_account(ACCOUNT)
    body = """
        async def main():
            store = await opened()
            (applied,) = await store.apply([Claim(SLOT, await store.account(SLOT.appid), "killed", 0)])
            tell(type(applied.answer).__name__)
            time.sleep(600)
    """
    with replica(tmp_path, body) as process:
        assert heard(process) == "Claimed"
        process.kill()
        process.wait()
    assert isinstance((await one(store, Claim(SLOT, account, "next", 0))).answer, Held)
    later[0] = LEASE
    claimed = await one(store, Claim(SLOT, account, "next", 0))
    assert isinstance(claimed.answer, Claimed)
    assert [attempt.fence for attempt in claimed.record.attempts] == ["killed", "next"]
    await store.close()


@run
async def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    """Killed while it writes as fast as it can: nothing that it was told is durable is lost, nothing is half there."""
    body = """
        async def main():
            store = await opened()
            async def count(slot):
                while True:
                    (applied,) = await store.apply([Count(slot)])
                    tell([slot.appid, applied.record.asks])
            await asyncio.gather(*(count(Slot(f"wx{number}")) for number in range(20)))
    """
    for _ in range(3):
        acknowledged: dict[str, int] = {}
        with replica(tmp_path, body) as process:
            for _ in range(500):
                acknowledged.update([heard(process)])
            process.kill()
            acknowledged.update(json.loads(line) for line in out_of(process) if line.endswith("\n"))
        store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
        for appid, asks in acknowledged.items():
            record = await store.load(Slot(appid))
            assert record.asks >= asks
            assert record.version == record.asks == len(await store.events(limit=100_000, appid=appid))
        await store.close()


@run
async def test_four_processes_claim_a_hundred_slots_once_each(tmp_path: Path) -> None:
    """Nothing but the file coordinates them."""
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    await store.put_account(ACCOUNT)
    body = """
        async def main():
            store, me = await opened(), sys.argv[2]
            account = replace(await store.account(SLOT.appid), revision=0)
            tell("ready")
            sys.stdin.readline()
            slots = [Slot(f"wx{number}") for number in range(100)]
            claims = [one(store, Claim(slot, account, f"{me}-{slot.appid}", 0)) for slot in slots]
            applied = await asyncio.gather(*claims)
            tell([one.record.slot.appid for one in applied if isinstance(one.answer, Claimed)])
            await store.close()
    """
    with ExitStack() as running:
        processes = [running.enter_context(replica(tmp_path, body, name)) for name in "abcd"]
        for process in processes:
            assert heard(process) == "ready"
        for process in processes:
            print(file=process.stdin, flush=True)
        claimed = [appid for process in processes for appid in heard(process)]
        assert [process.wait() for process in processes] == [0] * 4
    assert sorted(claimed) == sorted(f"wx{number}" for number in range(100))
    await store.close()
