"""The sandbox's clock: real time, run faster and turned forward at will, never back."""

import time
from collections.abc import Callable

LAST = 253_370_764_800.0  # 9999-01-01; a Date header has no year of five digits
TOP_SPEED = 100_000.0


class Clock:
    """Unix seconds of the sandbox. A real clock that is set back holds it up for no longer than the step took."""

    def __init__(self, read: Callable[[], float] = time.time, *, speed: float = 1.0, not_before: float = 0.0) -> None:
        """Begin at real time, or at `not_before` if that is later. `read` tells the real Unix time."""
        self._read = read
        self._first_speed = speed
        self._speed = 1.0
        self._real = read()
        self._now = min(max(self._real, not_before), LAST)
        self.run_at(speed)

    @property
    def speed(self) -> float:
        """Seconds of the sandbox in one real second."""
        return self._speed

    def now(self) -> float:
        """Return the sandbox's time; it never runs backwards."""
        real = self._read()
        self._now = min(self._now + max(0.0, real - self._real) * self._speed, LAST)
        self._real = real
        return self._now

    def turn(self, seconds: float) -> None:
        """Turn the clock forward. Raises ValueError for a turn back, or beyond the year 9998."""
        now = self.now()
        if not 0 <= seconds <= LAST - now:
            raise ValueError(
                f"the clock turns forward only, and not beyond the year 9998: forward must not be {seconds}"
            )
        self._now = now + seconds

    def run_at(self, speed: float) -> None:
        """Run `speed` times as fast as real time from now on; 0 stops the clock. Raises ValueError."""
        if not 0 <= speed <= TOP_SPEED:
            raise ValueError(f"speed must be from 0 to {TOP_SPEED:.0f}, not {speed}")
        self.now()
        self._speed = speed

    def start_over(self) -> None:
        """Go back to real time and the first speed: for a world that begins anew, in which nothing was dated yet."""
        self._real = self._now = self._read()
        self._speed = self._first_speed
