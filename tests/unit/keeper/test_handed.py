"""What was handed out a moment ago: it stands as long as a new look would say the same, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SLOT, build_account, build_credential, build_record, records
from tests.unit.keeper.test_knowledge import Hands, changes
from zhongkong.core.claim import Claim
from zhongkong.core.freshness import Freshness
from zhongkong.core.model import Mode, Record
from zhongkong.keeper.knowledge import Knowledge

ENDING = build_record(credential=build_credential(life=60, left=NOW - 58.7))
SURE = (Freshness.FRESH, Freshness.DUE)
STALE_AFTER = 3.0

parts = st.floats(0.0, 1.0)
spans = st.floats(-100.0, 100.0)


def learn(record: Record, clock: Hands, *, ago: float = 0.0, took: float = 0.0) -> Knowledge:
    """Return the knowledge of a replica that asked the store `ago` seconds before `NOW`, which took as long."""
    known = Knowledge(clock, STALE_AFTER)
    known.learn_changes(changes(NOW - ago, record), clock.at - ago - took / 2, clock.at - ago + took / 2)
    return known


def last_moment(known: Knowledge, clock: Hands) -> float:
    """Return the last moment at which the slot's credential is still what was handed out."""
    begin, end = clock.at, clock.at + 100.0
    while end - begin > 1e-7:
        clock.at = (begin + end) / 2
        begin, end = (clock.at, end) if known.handed(SLOT) else (begin, clock.at)
    return begin


@given(record=records(), due=spans, ago=st.floats(0.0, 2 * STALE_AFTER), took=parts, part=parts)
@example(record=build_record(Mode.STABLE), due=30.4, ago=0.1, took=0.0, part=0.5)  # the next look changes first
@example(record=build_record(Mode.STABLE), due=500.0, ago=2.8, took=0.0, part=0.5)  # the store counts as away first
@example(record=ENDING, due=-60.0, ago=5.0, took=0.0, part=0.5)  # trust ends first, of what nothing is promised
def test_what_stands_is_what_a_new_look_would_say(
    record: Record, due: float, ago: float, took: float, part: float
) -> None:
    """To the second, at its last moment as before."""
    record = replace(record, refresh_at=NOW + due)
    clock = Hands()
    known = learn(record, clock, ago=ago, took=took)
    assume(known.freshness(record) in SURE)
    handed, began = known.hand_out(record, known.freshness(record)), clock.at
    end = last_moment(known, clock)
    for clock.at in (began + part * (end - began), end):
        assert known.handed(SLOT) in (handed, None)
        assert known.freshness(record) in SURE
        assert known.hand_out(record, known.freshness(record)) == handed


def test_it_stands_for_most_of_a_second() -> None:
    """Else nothing is gained."""
    clock = Hands()
    record = build_record(Mode.STABLE)
    known = learn(record, clock)
    clock.at += 0.2
    known.hand_out(record, Freshness.FRESH)
    began = clock.at
    assert last_moment(known, clock) - began == pytest.approx(0.8, abs=0.01)


def test_what_is_doubtful_never_stands() -> None:
    """Its promise is of this moment."""
    clock = Hands()
    record = build_record(suspected=True)
    known = learn(record, clock)
    known.hand_out(record, Freshness.DOUBTFUL)
    assert known.handed(SLOT) is None


def test_an_older_record_does_not_stand() -> None:
    """A caller may have held it for long."""
    clock = Hands()
    known = learn(build_record(Mode.STABLE), clock)
    known.hand_out(build_record(Mode.STABLE, version=6), Freshness.FRESH)
    assert known.handed(SLOT) is None


LESSONS: dict[str, Callable[[Knowledge, float], object]] = {
    "a poll": lambda known, at: known.learn_changes(changes(NOW + 0.01), at, at),
    "another record": lambda known, _: known.learn(build_record(Mode.STABLE, version=8, condemned="rejected")),
    "a change that the store does not know": lambda known, _: known.pretend(
        Claim(SLOT, build_account(Mode.STABLE), "fence", beyond=1)
    ),
    "a write that failed": lambda known, _: known.write_failed(),
    "that the store was lost": lambda known, _: known.forget_store(),
}


@pytest.mark.parametrize("lesson", LESSONS)
def test_whatever_is_learned_asks_for_a_new_look(lesson: str) -> None:
    """What changes an answer may come with any of them."""
    clock = Hands()
    record = build_record(Mode.STABLE, build_credential(Mode.STABLE, left=NOW - 0.5))
    known = learn(record, clock)
    known.hand_out(record, Freshness.FRESH)
    assert known.handed(SLOT) is not None
    LESSONS[lesson](known, clock.at)
    assert known.handed(SLOT) is None


def test_a_store_that_is_written_again_asks_for_a_new_look() -> None:
    """The mark goes."""
    clock = Hands()
    record = build_record(Mode.STABLE)
    known = learn(record, clock)
    for _ in range(5):
        known.write_failed()
        clock.at += 1.0
    known.hand_out(record, Freshness.FRESH)
    assert known.handed(SLOT) is not None
    known.wrote()
    assert known.handed(SLOT) is None
