"""Worker processes on one machine: replicas like any other that share the sockets; a dead one is replaced."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from types import FrameType

from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock
from zhongkong.hub.server import hangup_signals
from zhongkong.hub.telemetry import MULTIPROCESS_DIR

CANNOT_START = 3
"""A worker's exit code when trying again is of no use: a person must act."""
TRY_AGAIN = 75
"""A worker's exit code when what stood in its way may pass by itself: a locked file, a full disk."""
PAUSES: tuple[Seconds, ...] = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before a worker is begun anew, the longer the more often it died young."""
YOUNG: Seconds = 10.0
END_WITHIN: Seconds = 40.0
"""What workers get to drain, before they are killed."""
MEMORY = "/dev/shm"  # noqa: S108 (a directory of our own is made in it, by an unguessable name)
"""Where Linux keeps files in memory: no other program's log fills it."""
MEASURES_ROOM = 1 << 20
"""Bytes that one worker's counts may take, several times over."""


@dataclass(slots=True)
class _Place:
    """Where one worker is, or will be again."""

    index: int
    process: BaseProcess | None = None
    began_at: Seconds = 0.0
    begin_at: Seconds = 0.0
    deaths: int = 0


class Supervisor:
    """Keeps `count` processes at `work(index)` until SIGTERM, SIGINT or SIGHUP, then lets them drain.

    For the main thread. `work` and whatever it holds are pickled; `died` is told why one ended.
    """

    def __init__(self, work: Callable[[int], None], count: int, clock: Clock, died: Callable[[str], None]) -> None:
        self._work = work
        self._clock = clock
        self._died = died
        self._places = [_Place(index) for index in range(count)]
        self._context = get_context("spawn")
        self._ending = False

    def run(self, announce: Callable[[], None]) -> int:
        """Return the exit code: 0, or a worker's `CANNOT_START`. A signal after `announce` means an orderly end."""
        with _shared_measures(len(self._places)), _waking_on_signals(self._end) as wake:
            announce()
            while not self._ending:
                self._begin_due()
                connection.wait([*self._sentinels(), wake], self._until_next())
                _empty(wake)
                if self._bury() == CANNOT_START:
                    self._end_all()
                    return CANNOT_START
            self._end_all()
        return 0

    def _end(self) -> None:
        self._ending = True

    def _sentinels(self) -> list[int]:
        return [place.process.sentinel for place in self._places if place.process is not None]

    def _begin_due(self) -> None:
        now = self._clock.boot()
        for place in self._places:
            if place.process is None and place.begin_at <= now:
                place.process = self._context.Process(
                    target=self._work, args=(place.index,), name=f"worker {place.index}"
                )
                place.process.start()
                place.began_at = now

    def _until_next(self) -> Seconds | None:
        waits = [place.begin_at - self._clock.boot() for place in self._places if place.process is None]
        return max(0.0, min(waits)) if waits else None

    def _bury(self) -> int:
        """Take note of workers that ended, and return the gravest exit code."""
        gravest = 0
        for place in self._places:
            process = place.process
            if process is None or process.is_alive():
                continue
            process.join()
            place.process = None
            code = process.exitcode or 0
            if self._ending:
                continue
            gravest = max(gravest, code if code == CANNOT_START else 0)
            now = self._clock.boot()
            place.deaths = place.deaths + 1 if now - place.began_at < YOUNG else 0
            place.begin_at = now + PAUSES[min(place.deaths, len(PAUSES) - 1)]
            self._died(_name_of(code))
        return gravest

    def _end_all(self) -> None:
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            process.terminate()
        until = self._clock.boot() + END_WITHIN
        for process in processes:
            process.join(max(0.0, until - self._clock.boot()))
            if process.is_alive():
                process.kill()
                process.join()


def _name_of(exitcode: int) -> str:
    if exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"exit {exitcode}"


@contextmanager
def _waking_on_signals(heed: Callable[[], None]) -> Iterator[int]:
    """Have SIGTERM, SIGINT and SIGHUP call `heed` and make the yielded file readable, so that a wait ends."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def handle(_number: int, _frame: FrameType | None) -> None:
        heed()
        os.write(writing, b"!")

    former = {one: signal.signal(one, handle) for one in (signal.SIGTERM, signal.SIGINT, *hangup_signals())}
    try:
        yield reading
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
        os.close(reading)
        os.close(writing)


def _empty(reading: int) -> None:
    try:
        os.read(reading, 64)
    except BlockingIOError:
        return


@contextmanager
def _shared_measures(count: int) -> Iterator[None]:
    """Give the workers a directory in which their counts are summed, whichever of them is asked.

    They map its files into their memory: on a full disk a count would be their death. Where there is no room each
    counts for itself.
    """
    directory = make_measures(count * MEASURES_ROOM)
    if directory is None:
        yield
        return
    os.environ[MULTIPROCESS_DIR] = directory
    try:
        yield
    finally:
        del os.environ[MULTIPROCESS_DIR]
        shutil.rmtree(directory, ignore_errors=True)


def make_measures(room: int, memory: str = MEMORY) -> str | None:
    """Make a directory where `room` bytes are free and return it: in memory, else among the temporary files."""
    for parent in (memory, None):
        with suppress(OSError):
            where = parent or tempfile.gettempdir()
            if shutil.disk_usage(where).free >= room:
                return tempfile.mkdtemp(prefix="zhongkong-measures-", dir=where)
    return None
