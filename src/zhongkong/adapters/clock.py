"""The machine's own clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from zhongkong.core.model import Instant, Seconds


class MachineClock:
    """Time as this machine tells it. Whole when constructed; keeps nothing."""

    def __init__(self) -> None:
        self._boot = _clock_that_never_steps()

    def boot(self) -> Seconds:
        """Return the seconds since the machine started, sleep included where the machine counts it; never steps."""
        return self._boot()

    def wall(self) -> Instant:
        """Return what the machine takes the time to be, in seconds since the Unix epoch."""
        return time.time()


def _clock_that_never_steps() -> Callable[[], Seconds]:
    """Return the first clock this machine has, those that go on while it sleeps before those that may not.

    Linux has CLOCK_BOOTTIME. On macOS CLOCK_MONOTONIC goes on in sleep and `time.monotonic` stands still; Windows has
    neither name, and its `time.monotonic` goes on. A sandboxed kernel may know the name and refuse the clock.
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        read = partial(getattr(time, "clock_gettime", _refuse), getattr(time, name, None))
        try:
            read()
        except (OSError, TypeError):
            continue
        return read
    return time.monotonic


def _refuse(_clock: object) -> float:
    raise OSError
