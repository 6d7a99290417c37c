"""The claim: who may mint, when, and how. One table, and what each answer leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import (
    NOW,
    SLOT,
    after,
    build_account,
    build_credential,
    build_due,
    build_record,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.claim import Claim, Claimed, Faster, Held, Moved, NotYet, ProbeFirst
from zhongkong.core.freshness import trust_of
from zhongkong.core.model import LEASE, NEVER, Contest, Lease, Mode, Probe, Record, Retry, Spent, Trouble
from zhongkong.core.retry import next_midnight, shanghai_day

CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE
TODAY = shanghai_day(NOW)
CONTESTED = Contest(seen=(NOW - 3.0, NOW - 2.0, NOW - 1.0), tries=1, last_mint=NOW - 10.0)


def claim(mode: Mode = CLASSIC, beyond: int = 1, **changed: Any) -> Claim:
    """Return a claim by who knows the record's account and generation."""
    account = changed.pop("account", build_account(mode))
    return Claim(SLOT, account, changed.pop("fence", "mine"), beyond, **changed)


def dead(mode: Mode = CLASSIC, **changed: Any) -> Record:
    """Return a record whose credential was found dead 1,000 s after its issue."""
    made = build_record(mode, condemned="rejected", **changed)
    assert made.credential is not None
    earlier = made.credential.left - 1000.0
    credential = replace(made.credential, since=earlier, left=earlier, expires_at=made.credential.expires_at - 1000.0)
    return replace(made, credential=credential)


# --- the table


@pytest.mark.parametrize(
    ("record", "asked", "answer"),
    [
        (build_due(revision=2), claim(), Moved()),
        (replace(build_due(), removed=True), claim(), Moved()),
        (build_record(), claim(), Faster()),
        (build_record(generation=2), claim(beyond=1), Faster()),
        (build_due(generation=2), claim(beyond=1), Faster()),
        (build_due(lease=Lease("another", NOW + 3.0)), claim(), Held(NOW + 3.0)),
        (
            build_due(retry=Retry(NOW + 9.0, 1, Trouble("refused", -1))),
            claim(),
            NotYet(NOW + 9.0, Trouble("refused", -1)),
        ),
        (build_due(spent=Spent(TODAY, 200)), claim(), NotYet(next_midnight(NOW), Trouble("budget"))),
        (build_due(attempts=(open_attempt(NOW - 100.0),)), claim(), NotYet(NOW + 200.0, None)),
        (build_due(attempts=(open_attempt(NOW - 300.0),)), claim(), ProbeFirst()),
        (
            dead(contest=CONTESTED),
            claim(account=build_account(on_contest=CLASSIC)),
            NotYet(NOW + 50.0, Trouble("contested")),
        ),
    ],
    ids=[
        "the account was changed",
        "the account is gone",
        "nothing is due",
        "somebody was faster",
        "somebody was faster, and it is due again",
        "another holder",
        "a wait",
        "the day's budget",
        "the hold",
        "the platform is silent",
        "a contest",
    ],
)
def test_who_may_not_mint_is_told_why_and_nothing_is_written(record: Record, asked: Claim, answer: object) -> None:
    """From the plainest reason to the finest; a refused claim costs no budget and leaves no attempt."""
    step = asked.apply(record, NOW)
    assert step.answer == answer
    assert step.record is record


@pytest.mark.parametrize(
    ("record", "asked", "mode", "forced"),
    [
        (Record(SLOT, revision=1), claim(beyond=0), CLASSIC, False),
        (Record(SLOT, revision=1), claim(STABLE, beyond=0), STABLE, False),
        (build_due(), claim(), CLASSIC, False),
        (build_due(STABLE), claim(STABLE), STABLE, False),
        (dead(), claim(), CLASSIC, False),
        (dead(STABLE), claim(STABLE), STABLE, False),
        (dead(STABLE, insist=True), claim(STABLE), STABLE, True),
        (dead(contest=CONTESTED), claim(), STABLE, False),
        (build_due(attempts=(open_attempt(NOW - 300.0),), probe=Probe(answered_at=NOW - 1.0)), claim(), CLASSIC, False),
        (build_due(STABLE, attempts=(open_attempt(NOW - 1.0, STABLE),)), claim(STABLE), STABLE, False),
        (build_due(lease=Lease("another", NOW)), claim(), CLASSIC, False),
        (build_due(lease=Lease("another", NOW + LEASE + 1.0)), claim(), CLASSIC, False),
        (
            build_due(lease=Lease("another", NOW - 5.0), retry=Retry(NOW, 3, Trouble("refused"))),
            claim(),
            CLASSIC,
            False,
        ),
    ],
    ids=[
        "nothing there",
        "nothing there, stable",
        "due",
        "due, stable",
        "dead",
        "dead, stable: first without force",
        "dead, and the same one came: with force",
        "dead in a contest: stable meanwhile",
        "in doubt, and a probe was answered",
        "stable needs no probe first",
        "the lease is over",
        "the lease is from before the clock stepped back",
        "the wait is over",
    ],
)
def test_who_may_mint_gets_lease_attempt_and_budget_in_one_write(
    record: Record, asked: Claim, mode: Mode, *, forced: bool
) -> None:
    """A crash right after it leaves the truth: an attempt that may have left, a lease that ends by itself."""
    made, answer = after(asked, record)
    assert isinstance(answer, Claimed)
    assert (answer.attempt.fence, answer.attempt.left, answer.attempt.mode) == ("mine", NOW, mode)
    assert answer.attempt.ends == (mode is CLASSIC or forced)
    assert answer.forced == forced
    assert made.lease == Lease("mine", NOW + LEASE)
    assert made.attempts[-1] == answer.attempt
    assert made.spent.total == 1
    assert made.spent.forces == forced
    assert made.last_force == (NOW if forced else NEVER)
    assert made.version == record.version + 1
    assert made.credential == record.credential
    assert made.generation == record.generation


def test_the_same_claim_again_is_the_same_lease() -> None:
    """Its commit was not acknowledged, so it is sent again: one departure, counted once."""
    first, answer = after(claim(), build_due())
    second, again = after(claim(), first, NOW + 1.0)
    assert again == answer
    assert second is first


def test_a_second_holder_is_kept_away_for_the_length_of_a_lease() -> None:
    """And gets it when the lease is over, the first one's attempt staying open."""
    held, _ = after(claim(STABLE), build_due(STABLE))
    assert after(claim(STABLE, fence="other"), held, NOW + LEASE - 0.1)[1] == Held(NOW + LEASE)
    assert isinstance(after(claim(STABLE, fence="other"), held, NOW + LEASE)[1], Claimed)


def test_attempts_that_end_nothing_are_forgotten_by_the_next_claim() -> None:
    """Their answers could change nothing, so they are no doubt to be kept."""
    record = build_due(STABLE, attempts=(open_attempt(NOW - 50.0, STABLE), open_attempt(NOW - 400.0, CLASSIC)))
    made, _ = after(claim(STABLE), record)
    assert [one.left for one in made.attempts] == [NOW - 400.0, NOW]


# --- rhythm


@pytest.mark.parametrize(
    ("age", "in_round", "until"),
    [(10.0, False, 80.0), (10.0, True, 80.0), (95.0, True, None), (95.0, False, None)],
)
def test_where_a_mint_ends_the_former_nobody_mints_within_0_3_of_the_overlap(
    age: float, until: float | None, *, in_round: bool
) -> None:
    """Readers of the last one are only just being told: 90 s of a real token."""
    record = build_record(suspected=True)
    answer = after(claim(in_round=in_round), record, NOW + age)[1]
    assert answer == NotYet(NOW + age + until, None) if until else isinstance(answer, Claimed)


@pytest.mark.parametrize(("in_round", "answer"), [(True, NotYet(NOW + 60.0, None)), (False, Claimed)])
def test_a_round_leaves_a_new_token_alone_for_a_minute(answer: Any, *, in_round: bool) -> None:
    """Whatever is wrong with it, a caller will say so; a round that renews what was just renewed is a loop."""
    record = build_record(STABLE, suspected=True)
    got = after(claim(STABLE, in_round=in_round), record, NOW + 10.0)[1]
    assert got == answer if in_round else isinstance(got, answer)


def test_a_round_leaves_no_token_alone_beyond_its_end() -> None:
    """It came with seconds left, issued to a request whose answer was lost: its successor comes when it dies."""
    record = build_record(STABLE, build_credential(STABLE, expires_at=NOW + 27.0), refresh_at=NOW)
    assert after(claim(STABLE, in_round=True), record, NOW + 10.0)[1] == NotYet(NOW + 27.0, None)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("in_round", [True, False])
def test_a_dead_token_waits_for_no_rhythm(mode: Mode, *, in_round: bool) -> None:
    """Nothing is left that could be ended."""
    record = build_record(mode, condemned="probed")
    assert isinstance(after(claim(mode, in_round=in_round), record, NOW + 1.0)[1], Claimed)


def test_a_credential_from_the_future_slows_nobody() -> None:
    """The store's clock stepped back by an hour: the slot must not be frozen for it."""
    record = build_record(suspected=True)
    assert isinstance(after(claim(), record, NOW - 3600.0)[1], Claimed)


# --- whose mint it is


@pytest.mark.parametrize(
    ("record", "rejects"),
    [
        (build_due(), 0),
        (dead(), 1),
        (replace(dead(), condemned="probed"), 0),
        (replace(dead(), condemned="moved"), 0),
        (build_due(condemned="rejected"), 0),
        (replace(dead(), condemned="", suspected=True), 1),
        (Record(SLOT, revision=1), 0),
    ],
    ids=["due", "rejected", "found dead by ourselves", "moved", "rejected, and due anyhow", "insisted upon", "first"],
)
@pytest.mark.parametrize("in_round", [True, False])
def test_a_mint_is_the_rejects_if_nothing_else_made_it_necessary(
    record: Record, rejects: int, *, in_round: bool
) -> None:
    """Whoever claims it, so that callers cannot spend the rounds' part of the day."""
    made, answer = after(claim(beyond=record.generation, in_round=in_round), record)
    assert isinstance(answer, Claimed)
    assert made.spent.rejects == rejects


def test_mints_for_rejects_are_counted_in_a_contest() -> None:
    """Each one makes the next wait longer."""
    account = build_account(on_contest=CLASSIC)
    made, answer = after(claim(account=account), dead(contest=CONTESTED), NOW + 50.0)
    assert isinstance(answer, Claimed)
    assert (made.contest.tries, made.contest.last_mint) == (2, NOW + 50.0)


# --- force


@pytest.mark.parametrize(
    ("record", "asked", "answer"),
    [
        (build_record(STABLE), claim(STABLE, force=True), Claimed),
        (build_record(CLASSIC), claim(CLASSIC, force=True), Claimed),
        (build_record(STABLE, generation=2), claim(STABLE, force=True), Faster),
        (build_record(STABLE, spent=Spent(TODAY, 30, 20, 20, 0)), claim(STABLE, force=True), NotYet),
        (build_record(STABLE, last_force=NOW + 490.0), claim(STABLE, force=True), NotYet),
    ],
    ids=["stable", "classic: any mint replaces", "somebody was faster", "twenty a day", "35 s apart"],
)
def test_force(record: Record, asked: Claim, answer: type) -> None:
    """Nothing needs it but the caller, so all limits hold for him."""
    assert isinstance(after(asked, record, NOW + 500.0)[1], answer)


@pytest.mark.parametrize(
    ("record", "asked", "at", "until"),
    [
        (build_record(CLASSIC), claim(CLASSIC, force=True), NOW + 20.0, NOW + 90.0),
        (build_record(STABLE), claim(STABLE, force=True), NOW + 20.0, NOW + 90.0),
        (build_record(STABLE, last_force=NOW + 490.0), claim(STABLE, force=True), NOW + 500.0, NOW + 525.0),
        (build_due(CLASSIC, attempts=(open_attempt(NOW + 1.0),)), claim(CLASSIC, force=True), NOW + 9.0, NOW + 301.0),
    ],
    ids=["soon after a mint", "stable too", "soon after a force", "while the last answer is out"],
)
def test_a_force_too_soon_is_told_so_and_until_when(record: Record, asked: Claim, at: float, until: float) -> None:
    """A person who is told `refreshing` waits for something that never comes."""
    assert after(asked, record, at)[1] == NotYet(until, Trouble("too_soon"))
    assert after(asked, record, until)[1] != NotYet(until, Trouble("too_soon"))


def test_a_dead_token_that_waits_for_its_force_is_no_force_of_the_callers() -> None:
    """It is tried again by itself, and they are told that."""
    record = replace(dead(STABLE), insist=True, last_force=NOW + 40.0)
    assert after(claim(STABLE), record, NOW + 50.0)[1] == NotYet(NOW + 75.0, Trouble("too_early"))


# --- whatever the record


@given(record=records(), now=moments, mode=st.sampled_from(Mode), in_round=st.booleans(), force=st.booleans())
def test_a_claim_takes_all_or_nothing(record: Record, now: float, mode: Mode, *, in_round: bool, force: bool) -> None:
    """Exactly one attempt more, a lease of full length and one departure counted; or the very same record."""
    asked = claim(mode, record.generation, in_round=in_round, force=force)
    step = asked.apply(record, now)
    if not isinstance(step.answer, Claimed):
        assert step.record is record
        return
    assert step.record.lease == Lease("mine", now + LEASE)
    assert [one for one in step.record.attempts if one.fence == "mine"] == [step.answer.attempt]
    assert step.record.spent.total == 1
    assert trust_of(step.record) <= trust_of(record)


@given(record=records(), now=moments, mode=st.sampled_from(Mode), force=st.booleans())
def test_nothing_that_ends_a_token_leaves_for_a_silent_platform(
    record: Record, now: float, mode: Mode, *, force: bool
) -> None:
    """The last such request went unanswered, and so did everything since."""
    answer = claim(mode, record.generation, force=force).apply(record, now).answer
    if isinstance(answer, Claimed) and answer.attempt.ends and record.credential is not None:
        assert all(one.left <= record.probe.answered_at for one in record.attempts if one.ends)


@given(record=records(), now=moments, mode=st.sampled_from(Mode), force=st.booleans())
def test_before_the_next_try_nobody_mints(record: Record, now: float, mode: Mode, *, force: bool) -> None:
    """Neither rounds nor callers, neither for a dead token nor by force."""
    answer = claim(mode, record.generation, force=force).apply(record, now).answer
    if record.retry.holds_until(now) > now:
        assert not isinstance(answer, Claimed)


@given(records(), moments, st.sampled_from(Mode))
def test_a_wait_lies_ahead(record: Record, now: float, mode: Mode) -> None:
    """Whoever is told *not yet* must not come back at once."""
    answer = claim(mode, record.generation).apply(record, now).answer
    if isinstance(answer, NotYet):
        assert answer.until > now
    if isinstance(answer, Held):
        assert now < answer.until <= now + LEASE
