"""Forks a process that is at work on a store; run by the tests as a program of its own, with the act and a directory.

It prints one line of JSON: what the children and then the parent found.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from zhongkong.adapters.seal import RingSeal
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.errors import ZhongkongError
from zhongkong.testing.store_contract.stories import ACCOUNT

SEAL = RingSeal(b"k" * 32)
CHILDREN = 8


class AtWork:
    """A store in a thread with a loop of its own, as a program has it, that writes as fast as it can."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.new_event_loop()
        self.is_over = False
        self.written = 0
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._store = self.ask(open_sqlite(path, SEAL))
        self._work = asyncio.run_coroutine_threadsafe(self._write(), self._loop)

    def ask(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return what the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _write(self) -> None:
        while not self.is_over:
            await self._store.put_account(named(f"wx-parent-{self.written:06}"))
            self.written += 1

    def rest(self) -> None:
        """Write no more."""
        self.is_over = True
        self._work.result(30)

    def close(self) -> None:
        """Let go of the file too."""
        self.rest()
        self.ask(self._store.close())


def named(appid: str) -> Any:
    """Return an account of that name."""
    return replace(ACCOUNT, appid=appid)


async def with_store(path: Path, act: Callable[[SqlStore], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with a store of its own."""
    store = await open_sqlite(path, SEAL)
    try:
        return await act(store)
    finally:
        await store.close()


async def appids(store: SqlStore) -> set[str]:
    """Return whom it knows."""
    return {account.appid for account in await store.accounts()}


def fork(act: Callable[[], Any], forks: Callable[[], int] = os.fork) -> Callable[[], Any]:
    """Do something in a child, which then ends as if killed; return what waits for it and returns what it found."""
    reading, writing = os.pipe()
    child = forks()
    if child == 0:
        try:
            told = act()
        except ZhongkongError as error:
            told = error.code
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)

    def wait() -> Any:
        with os.fdopen(reading) as told:
            found = told.read()
        os.waitpid(child, 0)
        return json.loads(found or '"it was killed"')

    return wait


def write_in_children(path: Path) -> Any:
    """Every child writes while parent and brothers do."""
    work = AtWork(path)

    def child(name: str) -> Callable[[], Any]:
        async def write(store: SqlStore) -> str:
            await store.put_account(named(name))
            return "written"

        return lambda: asyncio.run(with_store(path, write))

    waits = [fork(child(f"wx-child-{number}")) for number in range(CHILDREN)]
    found = [wait() for wait in waits]
    before = work.written
    while work.written == before:
        pass
    work.close()
    known = asyncio.run(with_store(path, appids))
    parents = {f"wx-parent-{number:06}" for number in range(work.written)}
    return {"children": found, "parent": parents <= known, "kept": len(known - parents)}


def outlive_the_parents_store(path: Path) -> Any:
    """A child writes after its parent closed the file, and is killed; what it wrote is there."""
    work = AtWork(path)
    closed_reading, closed_writing = os.pipe()
    opened_reading, opened_writing = os.pipe()

    def child() -> str:
        async def write() -> str:
            store = await open_sqlite(path, SEAL)
            await store.put_account(named("wx-before"))
            os.write(opened_writing, b".")
            await asyncio.to_thread(os.read, closed_reading, 1)
            await store.put_account(named("wx-after"))
            return "written"

        return asyncio.run(write())

    wait = fork(child)
    os.read(opened_reading, 1)
    work.close()
    os.write(closed_writing, b".")
    return {"child": wait(), "kept": "wx-after" in asyncio.run(with_store(path, appids))}


def fork_from_c(path: Path) -> Any:
    """A program forks without telling Python, while nothing happens: what is open is told, not used."""
    work = AtWork(path)
    work.rest()
    sys.setswitchinterval(60.0)  # a thread that asked for the turn just then would be waited for in the child, for ever
    child = fork(lambda: asyncio.run(with_store(path, appids)), ctypes.PyDLL(None).fork)()
    work.close()
    return {"child": child}


if __name__ == "__main__":
    acts: dict[str, Callable[[Path], Any]] = {
        act.__name__: act for act in (write_in_children, outlive_the_parents_store, fork_from_c)
    }
    print(json.dumps(acts[sys.argv[1]](Path(sys.argv[2]) / "hub.db")))
