"""The sandbox's clock, under every real clock there may be."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zhongkong.sandbox.clock import LAST, Clock

SECONDS = st.floats(-1e6, 1e6)
STEPS = st.lists(st.tuples(st.sampled_from(["wait", "turn", "speed"]), st.floats(0, 1e5), SECONDS))


@given(STEPS)
@example([("speed", 1e5, 0.0), ("wait", 0.0, 1e6), ("wait", 0.0, 1e6), ("wait", 0.0, 1e6), ("turn", 1.0, 0.0)])
def test_it_never_runs_backwards(steps: list[tuple[str, float, float]]) -> None:
    """Whatever is turned, and however the machine's clock jumps: tokens are dated by it."""
    real = 1e9
    clock = Clock(lambda: real)
    seen = [clock.now()]
    for what, value, jump in steps:
        real += jump
        if what == "turn":
            with suppress(ValueError):  # a fast clock comes to the end of its years
                clock.turn(value)
        elif what == "speed":
            clock.run_at(value)
        seen.append(clock.now())
    assert all(before <= after for before, after in pairwise(seen))


def test_a_real_clock_that_is_set_back_costs_nothing_but_the_step() -> None:
    """An hour back must not stop the sandbox for an hour."""
    real = 1000.0
    clock = Clock(lambda: real)
    real = 400.0
    assert clock.now() == 1000
    real = 410.0
    assert clock.now() == 1010


def test_a_new_speed_counts_from_now_on() -> None:
    """What has passed stays as it passed."""
    real = 1000.0
    clock = Clock(lambda: real, speed=2)
    real += 10
    clock.run_at(10)
    real += 10
    assert clock.now() == 1000 + 20 + 100


def test_it_stops_at_the_end_of_four_digit_years() -> None:
    """A Date header has no fifth digit; a fast sandbox left alone must not die of it."""
    real = 0.0
    clock = Clock(lambda: real, speed=100_000)
    real = 1e18
    assert clock.now() == LAST
    with pytest.raises(ValueError, match="9998"):
        clock.turn(1)


def test_it_begins_where_a_kept_world_left_off_and_starts_over_in_the_present() -> None:
    """The world's tokens are dated; an empty world has none."""
    clock = Clock(lambda: 1000.0, speed=3, not_before=5000)
    clock.run_at(7)
    assert clock.now() == 5000
    clock.start_over()
    assert (clock.now(), clock.speed) == (1000, 3)
