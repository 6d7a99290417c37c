"""The table of modes, and the spans that follow from a life: at 7,200 s they are the platform's own figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SANDBOX, SLOT, build_account, build_credential, build_record
from zhongkong.core.issuing import (
    ISSUING,
    daily_budget,
    first_refresh_at,
    life_of,
    margin_of,
    mode_now,
    next_ask_at,
    overlap_of,
)
from zhongkong.core.model import Contest, Mode, Slot
from zhongkong.sandbox.tokens import window_of

lives = st.integers(2, 86_400)
slots = st.integers(0, 10_000).map(lambda number: Slot(f"wx{number:016x}"))


@pytest.mark.parametrize(
    ("life", "overlap"), [(86_400, 300), (7200, 300), (3600, 150), (1200, 50), (60, 2.5), (48, 2), (4, 2), (2, 1)]
)
def test_the_overlap_is_300_s_of_a_real_token_and_shrinks_with_it(life: int, overlap: float) -> None:
    """A token of a minute must rotate like a real one, or a demo shows something else than what happens."""
    assert overlap_of(life) == overlap


@given(lives)
def test_keeper_and_sandbox_agree_on_the_overlap(life: int) -> None:
    """Neither imports the other: a figure that drifts apart would make every rotation a fault."""
    assert overlap_of(life) == window_of(life)


def test_the_margin_is_a_quarter_of_the_life() -> None:
    """Half an hour of a real classic token: what an outage of the platform may last."""
    assert margin_of(7200) == 1800


def test_a_classic_token_of_two_hours_is_due_30_to_33_minutes_before_its_end() -> None:
    """The margin, and a jitter of at most its tenth."""
    credential = build_credential(Mode.CLASSIC)
    before = [credential.expires_at - first_refresh_at(Slot(f"wx{number:016x}"), credential) for number in range(500)]
    assert min(before) >= 1800
    assert max(before) < 1980
    assert max(before) - min(before) > 150


def test_a_stable_token_of_two_hours_is_asked_again_5_to_30_s_inside_its_last_300() -> None:
    """Earlier the platform only repeats it; 5 s allow for clocks, the rest is jitter."""
    credential = build_credential(Mode.STABLE)
    before = [credential.expires_at - first_refresh_at(Slot(f"wx{number:016x}"), credential) for number in range(500)]
    assert max(before) <= 295
    assert min(before) > 270
    assert max(before) - min(before) > 20


@example(2, Slot(f"wx{1:016x}"), Mode.TICKET)
@given(lives, slots, st.sampled_from(Mode))
def test_every_token_is_due_within_its_life(life: int, slot: Slot, mode: Mode) -> None:
    """However short it lives and whatever the jitter."""
    credential = build_credential(mode, life=life)
    first = first_refresh_at(slot, credential)
    assert credential.since < first < credential.expires_at
    if mode is Mode.STABLE:
        assert first > credential.expires_at - overlap_of(life)


def test_inside_the_window_the_same_token_is_asked_again_after_5_10_20_20_s() -> None:
    """The platform may give out the new one a little later than it says; twelve calls are the most it costs."""
    credential = build_credential(Mode.STABLE)
    now, asks, waits = first_refresh_at(SLOT, credential), 0, []
    for _ in range(5):
        again, asks = next_ask_at(SLOT, credential, asks, now)
        waits.append(again - now)
        now = again
    assert waits == pytest.approx([5, 10, 20, 20, 20])
    assert asks == 5


def test_before_the_window_the_same_token_is_no_news() -> None:
    """Somebody asked out of turn: the next ask is the window's first, and the count begins there."""
    credential = build_credential(Mode.STABLE)
    assert next_ask_at(SLOT, credential, 3, NOW + 100.0) == (first_refresh_at(SLOT, credential), 0)


def test_a_classic_token_that_came_twice_is_left_alone_for_an_overlap() -> None:
    """The platform never does that; whatever does must not be asked in a loop."""
    credential = build_credential(Mode.CLASSIC)
    now = first_refresh_at(SLOT, credential) + 1.0
    assert next_ask_at(SLOT, credential, 0, now) == (now + 300.0, 1)


@given(lives, st.sampled_from(Mode), st.integers(0, 50), st.floats(0.0, 90_000.0))
def test_the_next_ask_is_never_in_the_past(life: int, mode: Mode, asks: int, age: float) -> None:
    """An instant that has passed would make a loop without a pause."""
    credential = build_credential(mode, life=life)
    assert next_ask_at(SLOT, credential, asks, NOW + age)[0] > NOW + age


@pytest.mark.parametrize(
    ("mode", "base_url", "longest", "announced", "life"),
    [
        (Mode.CLASSIC, "https://api.weixin.qq.com", 7200, 600, 600),
        (Mode.STABLE, "https://api.weixin.qq.com", 0, 345, 7200),
        (Mode.STABLE, "https://api.weixin.qq.com", 7200, 86_400, 86_400),
        (Mode.STABLE, SANDBOX, 0, 60, 60),
        (Mode.STABLE, SANDBOX, 60, 17, 60),
    ],
)
def test_a_life_is_what_was_announced_or_the_longest_ever_seen(
    mode: Mode, base_url: str, longest: int, announced: int, life: int
) -> None:
    """A stable answer announces only the rest: 345 s left do not mean that its window is the last 14."""
    record = build_record(longest=longest)
    assert life_of(record, build_account(mode, base_url=base_url), mode, announced) == life


def test_only_a_contested_classic_account_mints_otherwise_than_it_is_set() -> None:
    """Three signs of a stranger within a day; an account may forbid it."""
    contested = build_record(contest=Contest(seen=(NOW - 50.0, NOW - 20.0, NOW - 10.0)))
    classic = build_account(Mode.CLASSIC)
    assert mode_now(classic, contested, NOW) is Mode.STABLE
    assert mode_now(classic, contested, NOW + 86_400.0) is Mode.CLASSIC
    assert mode_now(classic, build_record(), NOW) is Mode.CLASSIC
    assert mode_now(replace(classic, on_contest=Mode.CLASSIC), contested, NOW) is Mode.CLASSIC
    assert mode_now(build_account(Mode.STABLE, on_contest=Mode.CLASSIC), contested, NOW) is Mode.STABLE


@pytest.mark.parametrize(
    ("mode", "is_test", "base_url", "life", "budget"),
    [
        (Mode.CLASSIC, False, "https://api.weixin.qq.com", 7200, 200),
        (Mode.CLASSIC, True, "https://api.weixin.qq.com", 7200, 100),
        (Mode.STABLE, False, "https://api.weixin.qq.com", 7200, 2000),
        (Mode.STABLE, True, "https://api.weixin.qq.com", 7200, 2000),
        (Mode.CLASSIC, False, "https://api.weixin.qq.com", 60, 200),
        (Mode.CLASSIC, False, SANDBOX, 60, 24_000),
        (Mode.CLASSIC, False, SANDBOX, 86_400, 200),
        (Mode.CLASSIC, False, SANDBOX, 0, 200),
    ],
)
def test_a_day_has_a_budget(mode: Mode, base_url: str, life: int, budget: int, *, is_test: bool) -> None:
    """Far below what the platform grants; more where a sandbox's tokens live shorter."""
    assert daily_budget(build_account(mode, is_test=is_test, base_url=base_url), mode, life) == budget


def test_every_mode_is_in_the_table() -> None:
    """A mode without a row is a KeyError in production."""
    assert set(ISSUING) == set(Mode)
    assert ISSUING[Mode.CLASSIC].ends_former
    assert not ISSUING[Mode.STABLE].ends_former
