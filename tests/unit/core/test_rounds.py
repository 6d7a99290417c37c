"""What a round does for a slot: one table, read at any moment, that never looks back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.core.records import (
    NOW,
    build_account,
    build_due,
    build_record,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.claim import Claim, Claimed, Faster, Held, NotYet
from zhongkong.core.command import run
from zhongkong.core.freshness import Freshness, is_unanswered, judge_freshness, threats, trust_of
from zhongkong.core.model import LEASE, NEVER, Lease, Mode, Probe, Record, Retry, Slot, Trouble
from zhongkong.core.rounds import (
    LOOK_AGAIN,
    PROBES_APART,
    Action,
    hold_end,
    is_vouched,
    needs_mint,
    plan,
    probe_due_at,
)
from zhongkong.wechat.errcodes import ProbeVerdict

CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE
ALIVE = ProbeVerdict.ALIVE


def due(**changed: Any) -> Record:
    """Return a classic record that is due now."""
    return build_due(CLASSIC, **changed)


def doubtful(**changed: Any) -> Record:
    """Return a classic record whose trust ended 10 s ago: one attempt, unanswered since 310 s."""
    return due(attempts=(open_attempt(NOW - 310.0),), **changed)


@pytest.mark.parametrize(
    ("record", "action"),
    [
        (Record(Slot("wx")), Action.MINT),
        (build_record(CLASSIC), Action.REST),
        (due(), Action.MINT),
        (build_due(STABLE), Action.MINT),
        (build_record(CLASSIC, condemned="rejected"), Action.MINT),
        (build_record(CLASSIC, suspected=True), Action.MINT),
        (build_record(CLASSIC, condemned="rejected", removed=True), Action.REST),
        (due(lease=Lease("another", NOW + 10.0)), Action.REST),
        (due(lease=Lease("another", NOW)), Action.MINT),
        (due(lease=Lease("another", NOW + LEASE + 1.0)), Action.MINT),
        (due(retry=Retry(NOW + 10.0, 1, Trouble("refused"))), Action.REST),
        (due(retry=Retry(NOW, 1, Trouble("refused"))), Action.MINT),
        (due(attempts=(open_attempt(NOW - 100.0),)), Action.REST),
        (due(attempts=(open_attempt(NOW - 100.0),), condemned="probed"), Action.PROBE),
        (doubtful(), Action.PROBE),
        (doubtful(probe=Probe(began_at=NOW - 3.0, answered_at=NEVER)), Action.REST),
        (doubtful(probe=Probe(began_at=NOW - 29.0, answered_at=NOW - 29.0)), Action.MINT),
        (doubtful(probe=Probe(began_at=NOW - 30.0, answered_at=NOW - 30.0)), Action.PROBE),
        (build_record(CLASSIC, probe=Probe(again_at=NOW)), Action.PROBE),
        (build_record(CLASSIC, probe=Probe(again_at=NOW + 1.0)), Action.REST),
        (build_record(CLASSIC, probe=Probe(began_at=NOW - 2.0, again_at=NOW)), Action.REST),
    ],
    ids=[
        "nothing there",
        "fresh",
        "due",
        "due, stable",
        "condemned",
        "suspected",
        "the account is gone",
        "another holder is at it",
        "his lease is over",
        "a lease from before the clock stepped back",
        "a wait",
        "the wait is over",
        "the old one is trusted still: hold",
        "dead by proof, but the platform is silent: ask it something harmless",
        "in doubt and silent: the same",
        "asked just now",
        "in doubt and the platform answered",
        "in doubt and it is time to look again",
        "a caller insisted",
        "not yet time to look again",
        "looked just now",
    ],
)
def test_plan(record: Record, action: Action) -> None:
    """What to do now."""
    assert plan(record, NOW).action is action


@given(records(), moments)
def test_a_plan_never_looks_back(record: Record, now: float) -> None:
    """An instant that has passed would make the round a loop without a pause; none at all would forget the slot."""
    assert now < plan(record, now).look_again_at <= now + LOOK_AGAIN


def test_a_round_looks_when_a_token_ends_whatever_else_is_planned() -> None:
    """The same stable token came shortly before its end: the next ask in 20 s would be too late."""
    record = build_record(STABLE, refresh_at=NOW + 7210.0)
    assert plan(record, NOW + 7190.0).look_again_at == NOW + 7200.0


@given(records(), moments)
def test_nothing_is_minted_during_a_lease_a_wait_or_a_hold(record: Record, now: float) -> None:
    """Whatever else the record says."""
    is_leased = record.lease is not None and record.lease.holds(now)
    if record.retry.holds_until(now) > now or hold_end(record) > now or is_leased:
        assert plan(record, now).action is not Action.MINT


@given(records(), moments)
def test_a_silent_platform_is_never_asked_to_mint_by_a_round(record: Record, now: float) -> None:
    """Until something was answered only a probe leaves."""
    if is_unanswered(record):
        assert plan(record, now).action is not Action.MINT


@given(records(), moments)
def test_probes_are_five_seconds_apart(record: Record, now: float) -> None:
    """However many reasons there are."""
    if plan(record, now).action is Action.PROBE:
        assert not 0 <= now - record.probe.began_at < PROBES_APART


@given(records(), moments)
def test_no_round_sleeps_through_the_moment_at_which_there_is_something_to_do(record: Record, now: float) -> None:
    """Time alone changes the plan only when the former plan said to look again."""
    first = plan(record, now)
    assume(first.action is Action.REST)
    shortly_before = first.look_again_at - 0.001
    assume(shortly_before > now)
    assert plan(record, shortly_before).action is Action.REST


@given(records(), moments, st.sampled_from(Mode))
def test_a_plan_to_mint_is_one_that_the_claim_grants_or_postpones(record: Record, now: float, mode: Mode) -> None:
    """Never *Faster*: else the round would plan the same in vain every second."""
    assume(plan(record, now).action is Action.MINT)
    claim = Claim(record.slot, build_account(mode), "mine", record.generation, in_round=True)
    answer = run(claim, record, now)[0].answer
    assert not isinstance(answer, (Faster, Held))
    if isinstance(answer, NotYet):
        assert answer.until > now


@given(records(), moments)
def test_who_rests_needs_no_mint_or_must_wait(record: Record, now: float) -> None:
    """A slot that needs one is never left alone without a reason in its record."""
    result = plan(record, now)
    if result.action is Action.REST and needs_mint(record, now) and not record.removed:
        is_leased = record.lease is not None and record.lease.holds(now)
        is_silent = is_unanswered(record)
        assert record.retry.holds_until(now) > now or hold_end(record) > now or is_leased or is_silent


@pytest.mark.parametrize(
    ("record", "needs"),
    [
        (build_record(CLASSIC), False),
        (due(), True),
        (build_record(CLASSIC, condemned="rejected"), True),
        (build_record(CLASSIC, suspected=True), True),
        (build_record(CLASSIC, attempts=(open_attempt(NOW - 400.0),)), False),
        (replace(build_due(CLASSIC), refresh_at=NOW + 600.0, attempts=(open_attempt(NOW - 400.0),)), True),
        (
            replace(
                build_due(CLASSIC),
                refresh_at=NOW + 600.0,
                attempts=(open_attempt(NOW - 400.0), open_attempt(NOW - 350.0)),
            ),
            False,
        ),
    ],
    ids=[
        "fresh",
        "due",
        "dead",
        "suspected",
        "in doubt some day, trusted now",
        "in doubt by one attempt",
        "in doubt by two: a mint would add a third, only probes lift it",
    ],
)
def test_what_needs_a_mint(record: Record, *, needs: bool) -> None:
    """Doubt alone is a reason only where a mint would end it."""
    assert needs_mint(record, NOW) is needs


@pytest.mark.parametrize(
    ("record", "at"),
    [
        (build_record(CLASSIC), None),
        (build_record(CLASSIC, condemned="rejected", attempts=(open_attempt(NOW),)), None),
        (build_record(CLASSIC, probe=Probe(again_at=NOW + 310.0)), NOW + 310.0),
        (due(attempts=(open_attempt(NOW),)), NOW + 300.0),
        (due(attempts=(open_attempt(NOW),), probe=Probe(began_at=NOW + 302.0)), NOW + 332.0),
        (due(attempts=(open_attempt(NOW),), probe=Probe(began_at=NOW + 345.0)), NOW + 370.0),
        (due(attempts=(open_attempt(NOW),), probe=Probe(began_at=NOW + 368.0)), NOW + 373.0),
        (due(attempts=(open_attempt(NOW),), probe=Probe(began_at=NOW + 370.0)), NOW + 400.0),
        (build_record(CLASSIC, probe=Probe(began_at=NOW + 312.0, again_at=NOW + 310.0)), NOW + 342.0),
        (Record(Slot("wx"), attempts=(open_attempt(NOW),)), None),
    ],
    ids=[
        "all is well",
        "dead already",
        "a caller insisted",
        "one attempt open: when trust ends",
        "and every tenth of the overlap from then on",
        "and when the attempt can be closed",
        "but 5 s apart",
        "and not more often because nobody answers",
        "nor because a caller insisted",
        "there is nothing to probe",
    ],
)
def test_when_a_probe_is_due_unasked(record: Record, at: float | None) -> None:
    """Three reasons, the earliest of them, and never too often."""
    assert probe_due_at(record, NOW + 371.0) == at


@pytest.mark.parametrize(
    ("open_attempts", "condemned", "end"),
    [
        ((), "", NEVER),
        ((open_attempt(NOW),), "", NOW + 300.0),
        ((open_attempt(NOW),), "probed", NEVER),
        ((open_attempt(NOW), open_attempt(NOW + 1.0)), "", NEVER),
        ((open_attempt(NOW, STABLE),), "", NEVER),
    ],
    ids=["nothing open", "one open: until trust ends", "dead by proof", "no trust left to keep", "nothing that ends"],
)
def test_the_hold(open_attempts: tuple[Any, ...], condemned: str, end: float) -> None:
    """A second mint would end at once what readers were promised until trust ends: docs/decisions tells the story."""
    assert hold_end(due(attempts=open_attempts, condemned=condemned)) == end


@given(records(), moments)
def test_the_hold_never_outlives_trust(record: Record, now: float) -> None:
    """When doubt begins the next attempt may leave: the hold costs one overlap, and no more."""
    if judge_freshness(record, now) is Freshness.DOUBTFUL and not record.suspected:
        assert hold_end(record) <= now
    if threats(record) and not record.condemned:
        assert hold_end(record) == trust_of(record)


@pytest.mark.parametrize(
    ("probe", "suspected", "vouched"),
    [
        (Probe(), False, False),
        (Probe(last=ALIVE, alive_at=NOW - 29.0), False, True),
        (Probe(last=ALIVE, alive_at=NOW - 30.0), False, False),
        (Probe(last=None, alive_at=NOW - 29.0), False, True),
        (Probe(last=ProbeVerdict.UNKNOWN, alive_at=NOW - 29.0), False, True),
        (Probe(last=ProbeVerdict.DEAD, alive_at=NOW - 29.0), False, False),
        (Probe(last=ALIVE, alive_at=NOW - 1.0), True, False),
    ],
)
def test_a_doubtful_token_found_alive_need_not_be_waited_for_during_a_tenth_of_the_overlap(
    probe: Probe,
    *,
    suspected: bool,
    vouched: bool,
) -> None:
    """Callers get it at once, marked; not if two of them insist that the probe is wrong."""
    assert is_vouched(build_record(CLASSIC, probe=probe, suspected=suspected), NOW) is vouched


def test_without_a_credential_nothing_is_vouched_for() -> None:
    """There is nothing to hand out."""
    assert not is_vouched(Record(Slot("wx"), probe=Probe(alive_at=NOW)), NOW)


@given(records(), moments)
def test_the_claim_of_a_round_agrees_with_the_hold(record: Record, now: float) -> None:
    """No claim of a classic mint is granted while a credential is trusted and an attempt on it is open."""
    claim = Claim(record.slot, build_account(CLASSIC), "mine", record.generation)
    answer = run(claim, record, now)[0].answer
    credential = record.credential
    if isinstance(answer, Claimed) and credential is not None and credential.since <= now < credential.expires_at:
        assert hold_end(record) <= now
