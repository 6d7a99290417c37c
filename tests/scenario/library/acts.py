"""What programs do with a source over a file; run as `python -m tests.scenario.library.acts ACT`.

APPID, SECRET and PLATFORM say for whom and where; the store is wx.db in the current directory. Each prints JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from zhongkong.client.source import Source
from zhongkong.connecting import AccountGiven, connect
from zhongkong.errors import ZhongkongError

APPID = os.environ.get("APPID", "")
THREADS = 25
CHILDREN = 4


def open_source(**more: Any) -> Source:
    """Return a source over the file, as a program would."""
    account: AccountGiven = {"secret": os.environ["SECRET"], "base_url": os.environ["PLATFORM"]}
    return connect("sqlite:///wx.db", accounts={APPID: account}, **more)


def read_in_threads(source: Source) -> list[str]:
    """Return what so many threads read at once."""
    together = threading.Barrier(THREADS)
    found: list[str] = []

    def read() -> None:
        together.wait()
        try:
            found.append(source.access_token(APPID))
        except ZhongkongError as error:
            found.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def tell(what: object) -> None:
    """Print one line."""
    print(json.dumps(what), flush=True)


def in_children(act: Callable[[], Any]) -> list[Any]:
    """Return what came of an act in children that are forked as gunicorn and multiprocessing do."""
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()
    children = [context.Process(target=lambda: told.put(act())) for _ in range(CHILDREN)]
    for child in children:
        child.start()
    found = [told.get() for _ in children]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * CHILDREN
    return found


def read_cold() -> None:
    """Fork before the first read, and have every thread of every child read at once."""
    source = open_source()
    tell(sorted({token for tokens in in_children(lambda: read_in_threads(source)) for token in tokens}))


def read_preloaded() -> None:
    """Read, fork, and have parent and children do all that there is to do; their store is the same file."""
    source = open_source()
    before = source.access_token(APPID)

    def child() -> dict[str, Any]:
        began = source.access_token(APPID)
        threads_at_first = threading.active_count()
        told = source.reject(APPID, began)
        names = sorted(thread.name for thread in threading.enumerate())
        return {"began": began, "threads_at_first": threads_at_first, "outcome": told.outcome, "names": names}

    children = in_children(child)
    tell({"before": before, "children": children, "after": source.reject(APPID, before).outcome})


def read_and_end() -> None:
    """Read once and come to the end of the program; nothing is closed."""
    tell(open_source().access_token(APPID))


def end_while_it_mints() -> None:
    """Come to the end while the platform keeps a refresh waiting."""
    source = open_source(patience=1.0)
    try:
        source.access_token(APPID)
    except ZhongkongError as error:
        tell(error.code)


def fail() -> None:
    """Read, and catch nothing."""
    open_source().access_token(APPID)


def do_without() -> None:
    """Read and reject on a machine that has nothing of what only Linux has, and no uvloop."""
    for module, names in {
        os: ("fork", "register_at_fork", "statvfs", "geteuid", "getuid", "ST_RDONLY"),
        time: ("clock_gettime", "CLOCK_BOOTTIME", "CLOCK_MONOTONIC"),
        signal: ("SIGKILL", "SIGHUP", "pthread_sigmask", "setitimer"),
    }.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    absent: Any = dict.fromkeys(("pwd", "grp", "resource", "termios", "uvloop"))
    sys.modules.update(absent)
    source = open_source()
    token = source.access_token(APPID)
    tell([token, source.reject(APPID, token).outcome])


def stay() -> None:
    """Read, then wait to be told to end."""
    source = open_source()
    tell(source.access_token(APPID))
    sys.stdin.read()
    tell(source.access_token(APPID))


if __name__ == "__main__":
    acts = (read_cold, read_preloaded, read_and_end, end_while_it_mints, fail, do_without, stay)
    {act.__name__: act for act in acts}[sys.argv[1]]()
