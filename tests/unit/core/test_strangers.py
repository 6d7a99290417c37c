"""Signs of somebody else who mints, and when they make a contest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, build_record
from zhongkong.core.model import Contest
from zhongkong.core.strangers import contest_events, is_contested, with_sign

DAY = 86_400.0


@pytest.mark.parametrize(
    ("ago", "contested"),
    [
        ([], False),
        ([10.0], False),
        ([DAY / 2, 10.0], False),
        ([DAY - 1.0, 50.0, 10.0], True),
        ([DAY, 50.0, 10.0], False),
        ([3.0, 2.0, 1.0], True),
    ],
)
def test_three_signs_within_a_day_make_a_contest(ago: list[float], *, contested: bool) -> None:
    """One may be a person who tried something out, two a coincidence."""
    record = build_record(contest=Contest(seen=tuple(NOW - seconds for seconds in ago)))
    assert is_contested(record, NOW) is contested


@given(st.lists(st.floats(0.0, DAY), max_size=30))
def test_only_the_last_three_signs_are_kept(pauses: list[float]) -> None:
    """More would make the record grow with the stranger's zeal."""
    contest, now = Contest(), NOW
    for pause in pauses:
        now += pause
        contest = with_sign(contest, now)
    assert len(contest.seen) == min(3, len(pauses))
    assert list(contest.seen) == sorted(contest.seen)


def test_a_contest_is_told_when_it_begins() -> None:
    """Once, not at each further sign."""
    before = build_record(contest=Contest(seen=(NOW - 2.0, NOW - 1.0)))
    begun = replace(before, contest=with_sign(before.contest, NOW))
    assert [event.code for event in contest_events(before, begun, NOW)] == ["contested"]
    more = replace(begun, contest=with_sign(begun.contest, NOW + 1.0))
    assert contest_events(begun, more, NOW + 1.0) == ()
    assert contest_events(before, before, NOW) == ()
