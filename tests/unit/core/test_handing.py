"""What is handed out: a promise that holds, when to look again, and a tag that says whether there is news."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given

from tests.unit.core.records import NOW, build_credential, build_record, moments, records
from zhongkong.core.freshness import Freshness, judge_freshness, promised_until, trust_of
from zhongkong.core.handing import Handed, hand_out
from zhongkong.core.issuing import overlap_of
from zhongkong.core.model import Mode, Record

EXPIRES = NOW + 7200.0


def hand(record: Record, at: float = 0.0, *, seen: float | None = None, stale: bool = False) -> Handed:
    """Hand out what the record holds, the store read just now."""
    now = NOW + at
    trust = trust_of(record)
    freshness = judge_freshness(record, now, trust)
    return hand_out(record, freshness, now, seen=now if seen is None else seen, trust=trust, stale=stale)


def test_a_credential_is_handed_out_with_what_is_promised_of_it() -> None:
    """And no secret in its representation."""
    record = build_record(Mode.STABLE)
    handed = hand(record, 100.4)
    assert (handed.value, handed.generation, handed.expires_at) == ("token-1", 1, EXPIRES)
    assert handed.expires_in == 7099
    assert (handed.doubtful, handed.stale) == (False, False)
    assert "token-1" not in repr(handed)


@pytest.mark.parametrize(("at", "expires_in"), [(0.0, 7200), (0.9, 7199), (7199.0, 1), (7199.9, 0)])
def test_whole_seconds_are_announced_and_never_one_too_many(at: float, expires_in: int) -> None:
    """A reader counts from when he gets the answer."""
    assert hand(build_record(Mode.STABLE, refresh_at=EXPIRES), at).expires_in == expires_in


def test_nothing_is_promised_of_a_doubtful_one() -> None:
    """It may be dead this second: use it at your own risk, and look again soon."""
    record = build_record(suspected=True)
    handed = hand(record, 100.0)
    assert (handed.doubtful, handed.expires_in) == (True, 0)
    assert handed.expires_at <= NOW + 100.0
    assert handed.refresh_in >= 1
    assert handed.etag == hand(record, 130.0).etag


@pytest.mark.parametrize(
    ("at", "refresh_in"), [(0.0, range(54, 61)), (5000.0, range(54, 61)), (6000.0, range(1, 2)), (7190.0, range(1, 2))]
)
def test_who_keeps_a_copy_looks_again_every_minute_and_every_second_when_it_is_due(
    at: float, refresh_in: range
) -> None:
    """Soon enough to see a successor before the former one ends."""
    assert hand(build_record(Mode.CLASSIC, refresh_at=NOW + 5500.0), at).refresh_in in refresh_in


def test_who_keeps_a_copy_looks_again_when_it_becomes_due() -> None:
    """Then there will be another."""
    assert hand(build_record(Mode.CLASSIC, refresh_at=NOW + 5500.0), 5470.0).refresh_in == 30


@pytest.mark.parametrize("life", [2, 20, 60, 1200, 7200, 86_400])
def test_looking_again_leaves_time_before_the_former_one_ends(life: int) -> None:
    """A quarter of the overlap, however short-lived the token: the rest is for the poll and the longest call."""
    record = build_record(credential=build_credential(life=life))
    assert hand(record).refresh_in <= max(1.0, min(60.0, overlap_of(life) / 4))


@given(records(), moments)
def test_what_is_handed_out_always_makes_sense(record: Record, seen: float) -> None:
    """No negative spans, no promise beyond trust, nothing promised of the doubtful."""
    freshness = judge_freshness(record, NOW)
    assume(freshness is not Freshness.DEAD)
    trust = trust_of(record)
    handed = hand_out(record, freshness, NOW, seen=seen, trust=trust, stale=False)
    assert handed.expires_in >= 0
    assert 1 <= handed.refresh_in <= 60
    assert handed.doubtful == (freshness is Freshness.DOUBTFUL)
    if handed.doubtful:
        assert handed.expires_in == 0
    else:
        assert NOW + handed.expires_in <= promised_until(record, seen=seen, trust=trust) or handed.expires_in == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"credential": build_credential(value="token-2")},
        {"credential": build_credential(generation=2)},
        {"credential": build_credential(life=7100)},
        {"suspected": True},
    ],
    ids=["another value", "another generation", "another end", "a mark"],
)
def test_news_change_the_etag(changed: dict[str, Any]) -> None:
    """Whoever sends the last one gets a 304 only if it is all the same."""
    record = build_record(Mode.STABLE)
    other = replace(record, **changed)
    if other.credential is not None:
        other = replace(other, generation=other.credential.generation)
    assert hand(record).etag != hand(other).etag
    assert hand(record).etag != hand(record, stale=True).etag


def test_the_same_is_the_same_etag_and_it_does_not_tell_the_token() -> None:
    """Weak, the generation in clear, eight digits of a digest."""
    record = build_record(Mode.STABLE)
    etag = hand(record, 10.0).etag
    assert etag == hand(record, 50.0).etag
    assert etag.startswith('W/"1.')
    assert len(etag) == len('W/"1.12345678"')
    assert "token" not in etag
