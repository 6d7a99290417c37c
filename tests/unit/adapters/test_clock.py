"""The machine's own clocks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from zhongkong.adapters.clock import MachineClock
from zhongkong.core.ports import Clock


def agree(clock: Callable[[], float], machine: Callable[[], float]) -> bool:
    """Say whether `clock` reads what `machine` reads around it."""
    before = machine()
    return before <= clock() <= machine()


def test_boot_time_never_goes_back() -> None:
    """Leases and offsets are reckoned by it."""
    clock: Clock = MachineClock()
    looks = [clock.boot() for _ in range(1000)]
    assert looks == sorted(looks)
    assert looks[0] > 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only some systems count sleep by this name")
def test_boot_time_counts_sleep_where_the_machine_does() -> None:
    """A machine that slept past its lease has to know it."""
    assert agree(MachineClock().boot, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))


@pytest.mark.parametrize("names", [("CLOCK_BOOTTIME",), ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"), ("clock_gettime",)])
def test_a_machine_without_that_clock_has_another(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    """One system lacks the first name (macOS), one all of them (Windows)."""
    for name in names:
        monkeypatch.delattr(time, name, raising=False)
    assert agree(MachineClock().boot, time.monotonic)  # noqa: TID251 (the clock itself is the matter)


def test_a_kernel_that_refuses_the_clock_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandboxed kernel may know a name and answer EINVAL."""

    def refuse(_clock: int) -> float:
        raise OSError

    monkeypatch.setattr(time, "clock_gettime", refuse)
    assert agree(MachineClock().boot, time.monotonic)  # noqa: TID251 (the clock itself is the matter)


def test_wall_time_is_the_machines() -> None:
    """People read it, nothing is decided by it."""
    assert agree(MachineClock().wall, time.time)  # noqa: TID251 (the clock itself is the matter)
