"""A hub that begins while its store is full or locked: it serves what it can read, and writes when it can."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no annotations
import pytest

from tests.needs import lack
from tests.scenario.hub.processes import Program, is_up, running, until, with_account
from zhongkong.hub.workers import make_measures

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 8 MiB. Only root may mount one."""
    if not IS_ROOT or shutil.which("mount") is None:
        lack("a small tmpfs can be mounted by root only")
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it; return what takes it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return ballast


@contextmanager
def holding(database: Path, how: str) -> Iterator[None]:
    """Keep the file's lock as another program does: `IMMEDIATE` from writers, `EXCLUSIVE` from everybody."""
    tool = sqlite3.connect(database, isolation_level=None)
    tool.execute(f"PRAGMA locking_mode = {'EXCLUSIVE' if how == 'EXCLUSIVE' else 'NORMAL'}")
    tool.execute(f"BEGIN {how}")
    try:
        yield
    finally:
        tool.close()


@asynccontextmanager
async def again(directory: Path, key: str, **environment: str) -> AsyncIterator[Program]:
    """Run a hub with two workers over a store that is there, of which `key` is the first one."""
    async with running(directory, workers=2, **environment) as program:
        program.client.headers["Authorization"] = f"Bearer {key}"
        await until(lambda: is_up(program, 2))
        yield program


def test_a_hub_begins_on_a_full_disk_and_writes_when_there_is_room(small_disk: Path) -> None:
    """A full disk is when people restart things. What it has to hand out needs no room; nor do its temporary files."""

    async def story() -> None:
        data, temporary = small_disk / "data", small_disk / "tmp"
        temporary.mkdir()
        async with running(data) as program, with_account(program) as (sandbox, path):
            token = (await program.client.get(path)).json()["access_token"]
            program.process.terminate()
            assert (await program.ended())[0] == 0
            ballast = fill(small_disk)
            async with again(data, program.told["key"], TMPDIR=str(temporary)) as full:
                for _ in range(10):
                    answer = await full.client.get(path, headers={"Connection": "close"})
                    assert (answer.status_code, answer.json()["access_token"]) == (200, token)
                refused = await full.client.post(f"{path}/reject", json={"rejected": token})
                assert (refused.status_code, refused.json()["code"]) == (503, "store_full")
                ballast.unlink()
                sandbox.world.revoke(token, sandbox.clock.now())

                async def is_replaced() -> bool:
                    told = await full.client.post(f"{path}/reject", json={"rejected": token})
                    return told.status_code == 200 and told.json()["access_token"] != token

                await until(is_replaced)
                full.process.terminate()
                code, log = await full.ended()
                assert code == 0, log
                assert "worker_died" not in log, log

    asyncio.run(story())


def test_a_hub_begins_while_another_program_writes(tmp_path: Path) -> None:
    """A backup takes its time: nobody waits for it but who writes."""

    async def story() -> None:
        async with running(tmp_path) as program, with_account(program) as (_, path):
            token = (await program.client.get(path)).json()["access_token"]
            program.process.terminate()
            assert (await program.ended())[0] == 0
            with holding(tmp_path / "zhongkong.db", "IMMEDIATE"):
                async with again(tmp_path, program.told["key"]) as locked:
                    assert (await locked.client.get(path)).json()["access_token"] == token

    asyncio.run(story())


def test_a_worker_that_cannot_begin_says_why_in_one_line_and_tries_again(tmp_path: Path) -> None:
    """A program that keeps even readers away. The line says whose the file is and what to do."""

    async def story() -> None:
        async with running(tmp_path, workers=2) as program:
            await until(lambda: is_up(program, 2))
            supervisor, workers = psutil.Process(program.process.pid), program.workers
            supervisor.send_signal(signal.SIGSTOP)
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            await until(lambda: are_dead(workers))
            with holding(tmp_path / "zhongkong.db", "EXCLUSIVE"):
                supervisor.send_signal(signal.SIGCONT)
                seen: set[int] = set()

                async def has_tried() -> bool:
                    seen.update(program.workers - workers)
                    return bool(seen - program.workers)

                await until(has_tried)
            await until(lambda: is_up(program, 2))
            program.process.terminate()
            code, log = await program.ended()
        lines = [json.loads(line) for line in log.splitlines()]
        owner, file = psutil.Process().username(), str(tmp_path / "zhongkong.db")
        told = [line["text"] for line in lines if file in line["text"]]
        assert code == 0, log
        assert told, log
        assert all(f"(owner: {owner})" in line and "close that program" in line for line in told)
        assert "Traceback" not in log

    asyncio.run(story())


async def are_dead(workers: set[int]) -> bool:
    """Say whether the processes are dead, if nobody has buried them yet."""
    return all(psutil.Process(worker).status() == psutil.STATUS_ZOMBIE for worker in workers)


def test_counts_are_kept_in_memory_where_they_can_and_nowhere_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are mapped files: a write to one that the disk has no room for kills the process."""
    memory, temporary = tmp_path / "memory", tmp_path / "tmp"
    memory.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for free, place in ((1, memory), (1 << 62, None)):
        made = make_measures(free, str(memory))
        assert (Path(made).parent if made else None) == place
    made = make_measures(1, str(tmp_path / "absent"))
    assert made is not None
    assert Path(made).parent == temporary
