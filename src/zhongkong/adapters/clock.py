"""The machine's own clocks."""

from __future__ import annotations

import time

from zhongkong.client.clock import find_boot_clock
from zhongkong.core.model import Instant, Seconds


class MachineClock:
    """Time as this machine tells it. Whole when constructed; keeps nothing."""

    def __init__(self) -> None:
        self._boot = find_boot_clock()

    def boot(self) -> Seconds:
        """Return the seconds since the machine started, sleep included where the machine counts it; never steps."""
        return self._boot()

    def wall(self) -> Instant:
        """Return what the machine takes the time to be, in seconds since the Unix epoch."""
        return time.time()
