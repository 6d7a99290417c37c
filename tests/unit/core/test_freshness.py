"""Trust, freshness and promise: what follows from the attempts whose answers nobody saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import (
    NOW,
    attempts,
    build_credential,
    build_record,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.freshness import (
    Freshness,
    closes_at,
    is_unanswered,
    judge_freshness,
    promised_until,
    threats,
    trust_of,
    trust_seen,
)
from zhongkong.core.model import NEVER, Attempt, Mode, Probe, Record, Slot

EXPIRES = NOW + 7200.0
CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE


@pytest.mark.parametrize(
    ("mode", "open_attempts", "trust"),
    [
        (CLASSIC, [], EXPIRES),
        (CLASSIC, [open_attempt(NOW + 5000.0)], NOW + 5300.0),
        (CLASSIC, [open_attempt(NOW - 100.0)], NOW + 300.0),
        (CLASSIC, [open_attempt(NOW + 7100.0)], EXPIRES),
        (CLASSIC, [open_attempt(NOW + 5000.0), open_attempt(NOW - 100.0)], NEVER),
        (CLASSIC, [open_attempt(NOW + 5000.0, STABLE)], EXPIRES),
        (CLASSIC, [open_attempt(NOW + 5000.0, STABLE, ends=True)], EXPIRES),
        (STABLE, [open_attempt(NOW + 5000.0)], EXPIRES),
        (STABLE, [open_attempt(NOW + 5000.0, STABLE)], EXPIRES),
        (STABLE, [open_attempt(NOW + 5000.0, STABLE, ends=True)], NOW + 5300.0),
    ],
    ids=[
        "nothing open: to its end",
        "one open: an overlap after its departure",
        "an older one: an overlap after the credential's own departure",
        "never beyond its end",
        "two open: not at all",
        "asked for in another mode: no matter",
        "forced in another mode: no matter",
        "stable, a classic one open: the two are isolated",
        "stable, asked again: ends nothing",
        "stable, forced: as classic",
    ],
)
def test_trust(mode: Mode, open_attempts: list[Attempt], trust: float) -> None:
    """One open attempt may have replaced the token at its departure; two may have ended it at once (two slots)."""
    assert trust_of(build_record(mode, attempts=tuple(open_attempts))) == trust


def test_without_a_credential_there_is_nothing_to_trust() -> None:
    """An open attempt of a slot that never had one threatens nothing."""
    record = Record(Slot("wx"), attempts=(open_attempt(NOW),))
    assert trust_of(record) == NEVER
    assert threats(record) == []
    assert judge_freshness(record, NOW) is Freshness.DEAD


@given(records(), attempts)
def test_one_more_open_attempt_never_makes_a_credential_more_trusted(record: Record, attempt: Attempt) -> None:
    """Doubt only grows by what is not known; only an answer lifts it."""
    assert trust_of(replace(record, attempts=(*record.attempts, attempt))) <= trust_of(record)


@given(records())
def test_trust_never_outlives_the_credential(record: Record) -> None:
    """Whatever is open or not."""
    if record.credential is not None:
        assert trust_of(record) <= record.credential.expires_at


def test_who_lost_the_store_trusts_for_a_lease_and_an_overlap_more() -> None:
    """Somebody may have claimed right after our last look, sent within the lease, and ended ours an overlap later."""
    assert trust_seen(build_record(CLASSIC), NOW + 100.0) == NOW + 100.0 + 20.0 + 300.0
    assert trust_seen(build_record(STABLE), NOW + 100.0) == EXPIRES


@pytest.mark.parametrize(
    ("at", "changed", "freshness"),
    [
        (0.0, {}, Freshness.FRESH),
        (5000.0, {}, Freshness.FRESH),
        (5399.9, {"refresh_at": NOW + 5400.0}, Freshness.FRESH),
        (5400.0, {"refresh_at": NOW + 5400.0}, Freshness.DUE),
        (7199.9, {}, Freshness.DUE),
        (7200.0, {}, Freshness.DEAD),
        (100.0, {"condemned": "rejected"}, Freshness.DEAD),
        (100.0, {"suspected": True}, Freshness.DOUBTFUL),
        (7200.0, {"suspected": True}, Freshness.DEAD),
        (5300.0, {"attempts": (open_attempt(NOW + 5000.0),)}, Freshness.DOUBTFUL),
        (5299.9, {"attempts": (open_attempt(NOW + 5000.0),), "refresh_at": NOW + 5000.0}, Freshness.DUE),
        (5300.0, {"attempts": (open_attempt(NOW + 5000.0),), "condemned": "probed"}, Freshness.DEAD),
        (7200.0, {"attempts": (open_attempt(NOW + 7100.0),)}, Freshness.DEAD),
    ],
)
def test_freshness(at: float, changed: dict[str, Any], freshness: Freshness) -> None:
    """By one table, its edges belonging to what comes after them."""
    assert judge_freshness(build_record(CLASSIC, **changed), NOW + at) is freshness


@given(records(), moments, moments)
def test_without_an_answer_things_only_get_worse(record: Record, one: float, other: float) -> None:
    """FRESH, DUE, DOUBTFUL, DEAD: time alone never leads back."""
    order = list(Freshness)
    earlier, later = sorted((one, other))
    first, second = judge_freshness(record, earlier), judge_freshness(record, later)
    assert order.index(first) <= order.index(second)


def test_the_classic_promise_is_an_overlap_beyond_what_nobody_can_mint_before() -> None:
    """Before it is due nobody mints; afterwards our last look at the store is what we can vouch for."""
    record = build_record(CLASSIC, refresh_at=NOW + 5400.0)
    assert promised_until(record, seen=NOW, trust=EXPIRES) == NOW + 5700.0
    assert promised_until(record, seen=NOW + 6000.0, trust=EXPIRES) == NOW + 6300.0
    assert promised_until(record, seen=NOW + 7100.0, trust=EXPIRES) == EXPIRES
    assert promised_until(record, seen=NOW + 6000.0, trust=NOW + 6100.0) == NOW + 6100.0


def test_a_stable_token_is_promised_as_long_as_it_is_trusted() -> None:
    """Asking for the next one does not end it."""
    assert promised_until(build_record(STABLE), seen=NOW, trust=EXPIRES) == EXPIRES


@given(records(), moments)
def test_nothing_is_promised_beyond_trust(record: Record, seen: float) -> None:
    """And trust never exceeds life: a reader is never refused while he uses what he was told."""
    trust = trust_of(record)
    assert promised_until(record, seen=seen, trust=trust) <= trust


@given(records(), moments, moments)
def test_a_later_look_never_shortens_a_promise(record: Record, one: float, other: float) -> None:
    """Else a reader would hold a promise that nobody makes any more."""
    earlier, later = sorted((one, other))
    trust = trust_of(record)
    assert promised_until(record, seen=earlier, trust=trust) <= promised_until(record, seen=later, trust=trust)


def test_a_lost_request_can_no_longer_do_harm_370_s_after_its_departure() -> None:
    """10 s until we gave it up, 60 s until it must have arrived, 300 s until what it replaced is dead."""
    assert closes_at(open_attempt(NOW), 7200) == NOW + 370.0


@pytest.mark.parametrize(
    ("open_attempts", "answered_at", "unanswered"),
    [
        ([], NEVER, False),
        ([open_attempt(NOW)], NEVER, True),
        ([open_attempt(NOW)], NOW - 1.0, True),
        ([open_attempt(NOW)], NOW + 1.0, False),
        ([open_attempt(NOW), open_attempt(NOW + 10.0)], NOW + 1.0, True),
        ([open_attempt(NOW, STABLE)], NEVER, False),
        ([open_attempt(NOW, STABLE, ends=True)], NEVER, True),
    ],
)
def test_a_platform_is_silent_until_something_was_answered_after_it_fell_silent(
    open_attempts: list[Attempt],
    answered_at: float,
    *,
    unanswered: bool,
) -> None:
    """An answer to what left earlier proves nothing about now."""
    record = build_record(CLASSIC, attempts=tuple(open_attempts), probe=Probe(answered_at=answered_at))
    assert is_unanswered(record) is unanswered


def test_without_a_credential_there_is_nothing_to_ask_a_silent_platform_with() -> None:
    """Nor anything that a mint could end."""
    assert not is_unanswered(Record(Slot("wx"), attempts=(open_attempt(NOW),)))


@given(st.sampled_from([60, 1200, 7200, 86_400]), st.floats(0.0, 60.0))
def test_a_probe_that_closes_an_attempt_leaves_after_the_attempt_could_still_strike(life: int, late: float) -> None:
    """Had it landed as late as we allow, the token would be dead by then: alive is proof that it did not."""
    attempt = open_attempt(NOW)
    credential = build_credential(CLASSIC, life=life)
    landed = attempt.left + 10.0 + late
    assert closes_at(attempt, credential.life) >= landed + min(300.0, life / 24)
