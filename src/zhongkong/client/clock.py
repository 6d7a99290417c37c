"""The clock that this process reckons by: seconds since the machine started; it never steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial


def find_boot_clock() -> Callable[[], float]:
    """Return the first such clock this machine has, those that go on while it sleeps before those that may not.

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
