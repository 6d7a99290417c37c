"""The save: only an attempt's own answer closes it, and only under its fence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import (
    NOW,
    SANDBOX,
    SLOT,
    after,
    build_account,
    build_credential,
    build_due,
    build_record,
    events_of,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.freshness import Freshness, judge_freshness
from zhongkong.core.issuing import first_refresh_at
from zhongkong.core.model import (
    PAST_KEPT,
    Ambiguous,
    Complaint,
    Contest,
    Lease,
    Mode,
    NotSent,
    Outcome,
    Probe,
    Record,
    Retry,
    Spent,
    Trouble,
    hash_value,
)
from zhongkong.core.reject import BeginProbe, EndProbe
from zhongkong.core.retry import shanghai_day
from zhongkong.core.save import Failed, GiveBack, LeaseLost, Save, Saved
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE
NEW = Granted("token-2", 7200)
SAME = Granted("token-1", 250)


def claimed(mode: Mode = CLASSIC, record: Record | None = None, now: float = NOW, **changed: Any) -> Record:
    """Return a record under our claim."""
    made, answer = after(Claim(SLOT, build_account(mode), "mine", 1, **changed), record or build_due(mode), now)
    assert isinstance(answer, Claimed)
    return made


def save(outcome: Outcome, mode: Mode = CLASSIC, fence: str = "mine") -> Save:
    """Return a save of our attempt."""
    return Save(SLOT, build_account(mode), fence, outcome)


# --- another value


def test_another_value_is_the_next_generation() -> None:
    """With its life counted from the departure of the request, on the store's clock."""
    record = claimed()
    made, answer = after(save(NEW), record, NOW + 3.0)
    credential = made.credential
    assert answer == Saved()
    assert credential is not None
    assert (made.generation, credential.generation, credential.value) == (2, 2, "token-2")
    assert (credential.since, credential.left, credential.expires_at) == (NOW, NOW, NOW + 7200.0)
    assert (credential.mode, credential.life, credential.sha256) == (CLASSIC, 7200, hash_value("token-2"))
    assert made.refresh_at == first_refresh_at(SLOT, credential)
    assert (made.lease, made.attempts, made.retry) == (None, (), Retry())


def test_the_former_value_is_remembered_by_its_hash() -> None:
    """A late reject of it must not look like a stranger's token; twenty are kept."""
    past = tuple(f"sha-{number}" for number in range(PAST_KEPT))
    made, _ = after(save(NEW), claimed(record=build_due(past=past)))
    assert made.past == (hash_value("token-1"), *past[:-1])


def test_a_new_value_ends_all_that_was_said_against_the_old_one() -> None:
    """Condemnation, suspicion, complaints and verdicts were about another token."""
    probe = Probe(NOW - 5.0, ProbeVerdict.DEAD, NOW - 5.0, NOW - 50.0, NOW + 300.0)
    record = claimed(
        record=build_due(condemned="rejected", insist=True, probe=probe, complaints=(Complaint("one", NOW, 3),), asks=4)
    )
    made, _ = after(save(NEW), record)
    assert (made.condemned, made.suspected, made.insist, made.complaints, made.asks) == ("", False, False, (), 0)
    assert made.probe == Probe(began_at=NOW - 5.0, last=ProbeVerdict.UNKNOWN, answered_at=NOW)


def test_the_attempts_of_others_stay_open() -> None:
    """A successor's save does not close them: they may still land and replace the successor."""
    other = open_attempt(NOW - 350.0)
    record = claimed(record=build_due(attempts=(other,), probe=Probe(answered_at=NOW)))
    made, _ = after(save(NEW), record)
    assert made.attempts == (other,)
    assert judge_freshness(made, NOW + 299.0) is Freshness.FRESH
    assert judge_freshness(made, NOW + 300.0) is Freshness.DOUBTFUL


def test_the_first_credential_ever() -> None:
    """From an empty record, and counted from one; a tombstone's count goes on."""
    empty = Record(SLOT, revision=1, generation=5)
    record, _ = after(Claim(SLOT, build_account(), "mine", 5), empty)
    made, answer = after(save(Granted("token-9", 60)), record)
    assert answer == Saved()
    assert made.generation == 6
    assert events_of(save(Granted("token-9", 60)), record)[0].values["generation"] == 6


# --- the same value


def test_the_same_value_is_the_same_generation_with_its_end_taken_anew() -> None:
    """A stable answer announces what is left: never the whole life again."""
    made, answer = after(save(SAME, STABLE), claimed(STABLE), NOW + 1.0)
    credential = made.credential
    assert answer == Saved()
    assert credential is not None
    assert (made.generation, credential.generation, credential.expires_at) == (1, 1, NOW + 250.0)
    assert credential.life == 7200
    assert credential.since < credential.left == NOW
    assert (made.asks, made.refresh_at) == (1, NOW + 1.0 + 5.0)
    assert events_of(save(SAME, STABLE), claimed(STABLE)) == []


@pytest.mark.parametrize("why", [{"condemned": "rejected"}, {"suspected": True}])
def test_the_same_value_although_it_is_dead_is_asked_for_with_force(why: dict[str, Any]) -> None:
    """The platform repeats a token that it revoked: only a force gets another."""
    record = claimed(STABLE, build_record(STABLE, **why), NOW + 200.0)
    made, answer = after(save(Granted("token-1", 7000), STABLE), record, NOW + 201.0)
    assert answer == Saved(again=True)
    assert made.insist
    assert made.condemned == record.condemned
    forced, claim = after(Claim(SLOT, build_account(STABLE), "next", 1), made, NOW + 202.0)
    assert isinstance(claim, Claimed)
    assert claim.forced
    assert forced.spent.forces == 1


def test_the_same_value_in_spite_of_force_is_waited_out() -> None:
    """The platform was asked too early and did not say so: again in 35 s, and an event."""
    record = claimed(STABLE, build_record(STABLE, condemned="rejected", insist=True), NOW + 200.0)
    step = save(Granted("token-1", 7000), STABLE).apply(record, NOW + 201.0)
    assert step.answer == Failed()
    assert step.record.retry == Retry(NOW + 236.0, 1, Trouble("too_early"))
    assert [event.code for event in step.events] == ["force_too_early"]
    assert step.record.condemned == "rejected"


# --- fences


def test_a_save_repeated_is_known_by_its_fence() -> None:
    """Its commit was not acknowledged: the second time it says the same and changes nothing."""
    made, first = after(save(NEW), claimed())
    again, second = after(save(NEW), made, NOW + 1.0)
    assert again is made
    assert first == second == Saved()


def test_a_save_repeated_after_somebody_else_claimed_is_still_known() -> None:
    """Our value stands; the other one's lease does too."""
    made, _ = after(save(SAME, STABLE), claimed(STABLE))
    other = replace(made, lease=Lease("other", NOW + 20.0), attempts=(open_attempt(NOW, STABLE, "other"),))
    assert after(save(SAME, STABLE), other) == (other, Saved())


@pytest.mark.parametrize("outcome", [NEW, Granted("token-1", 99)])
def test_a_late_grant_is_refused_and_its_attempt_stays_open(outcome: Granted) -> None:
    """Somebody else claimed: theirs stands, and what we were granted may have ended it: that doubt must remain."""
    first = claimed()
    second = replace(
        first, lease=Lease("other", NOW + 40.0), attempts=(*first.attempts, open_attempt(NOW, fence="other"))
    )
    assert after(save(outcome), second) == (second, LeaseLost())


def test_a_late_refusal_closes_its_attempt_and_nothing_else() -> None:
    """It proves that nothing was issued; the other one's lease and waits are not ours to touch."""
    first = claimed()
    other = open_attempt(NOW + 21.0, fence="other")
    second = replace(first, lease=Lease("other", NOW + 41.0), attempts=(*first.attempts, other))
    made, answer = after(save(Refused(40125)), second, NOW + 30.0)
    assert answer == LeaseLost()
    assert made.attempts == (other,)
    assert (made.lease, made.retry) == (second.lease, Retry())


def test_an_answer_to_the_former_secret_makes_its_successor_wait_for_nothing() -> None:
    """The account was changed in flight: the lease is void, so a 40125 to the old secret blocks nobody."""
    changed = replace(claimed(), lease=None, revision=2, refresh_at=NOW)
    made, answer = after(save(Refused(40125)), changed)
    assert answer == LeaseLost()
    assert made.retry == Retry()
    assert after(save(NEW), changed) == (changed, LeaseLost())


def test_a_grant_whose_attempt_a_probe_has_closed_is_late_too() -> None:
    """The holder was stopped for minutes; nobody claimed meanwhile, but his attempt was proved harmless."""
    held = claimed(STABLE, build_record(STABLE), NOW + 500.0, force=True)
    credential = held.credential or build_credential()
    looked, _ = after(BeginProbe(SLOT, 1), held, NOW + 871.0)
    looked, _ = after(EndProbe(SLOT, credential.sha256, NOW + 871.0, ProbeVerdict.ALIVE, "probed"), looked, NOW + 871.1)
    assert looked.attempts == ()
    assert after(save(Granted("token-1", 6000), STABLE), looked, NOW + 900.0) == (looked, LeaseLost())


# --- failures


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Refused(-1), "refused"),
        (Refused(40125), "blocked"),
        (Refused(45009), "quota"),
        (NotSent("connect"), "unreachable"),
    ],
)
def test_what_surely_issued_nothing_closes_the_attempt(outcome: Outcome, state: str) -> None:
    """The old token is as good as before; who may try again, and when, is in the record."""
    record = claimed()
    made, answer = after(save(outcome), record, NOW + 1.0)
    assert answer == Failed()
    assert (made.attempts, made.lease) == ((), None)
    assert made.retry.next_try_at > NOW + 1.0
    assert made.retry.trouble is not None
    assert made.retry.trouble.state == state
    assert (made.credential, made.generation, made.condemned) == (record.credential, 1, "")


def test_silence_leaves_the_attempt_open() -> None:
    """The platform may have acted: doubt is the default, and no failure of ours lifts it."""
    record = claimed()
    made, answer = after(save(Ambiguous("timeout")), record, NOW + 10.0)
    assert answer == Failed()
    assert made.attempts == record.attempts
    assert made.lease is None
    assert made.retry.trouble == Trouble("unanswered", errmsg="timeout")


def test_silence_about_what_ends_nothing_is_no_doubt() -> None:
    """A stable ask in normal mode."""
    made, _ = after(save(Ambiguous("timeout"), STABLE), claimed(STABLE), NOW + 10.0)
    assert made.attempts == ()


@pytest.mark.parametrize(("outcome", "answered"), [(Refused(-1), True), (NotSent("x"), False), (Ambiguous("x"), False)])
def test_a_refusal_is_an_answer_and_ends_the_silence(outcome: Outcome, *, answered: bool) -> None:
    """Then the next mint needs no probe before it."""
    made, _ = after(save(outcome), claimed())
    assert (made.probe.answered_at == NOW) is answered


def test_the_same_failure_again_is_no_event() -> None:
    """An hour of outage is one line in the log, not sixty."""
    first = claimed()
    assert [event.code for event in events_of(save(Refused(40164, "invalid ip")), first)] == ["mint_failed"]
    failed, _ = after(save(Refused(40164, "invalid ip")), first)
    again = claimed(record=failed, now=NOW + 300.0)
    assert events_of(save(Refused(40164, "invalid ip 2")), again, NOW + 301.0) == []
    assert [event.code for event in events_of(save(Refused(40125)), again, NOW + 301.0)] == ["mint_failed"]


def test_a_failure_told_twice_counts_once() -> None:
    """The commit of the first was not acknowledged."""
    made, _ = after(save(Refused(-1)), claimed())
    again, answer = after(save(Refused(-1)), made, NOW + 1.0)
    assert answer == Failed()
    assert again is made


# --- lives and strangers


def test_a_stable_life_is_the_longest_seen() -> None:
    """The first answer announced the rest of a token that others use: it is no short-lived one."""
    account = build_account(STABLE, base_url=SANDBOX)
    empty = Record(SLOT, revision=1)
    record, _ = after(Claim(SLOT, account, "mine", 0), empty)
    first, _ = after(Save(SLOT, account, "mine", Granted("token-1", 900)), record)
    assert first.longest == 900
    again, _ = after(Claim(SLOT, account, "next", 1), first, NOW + 895.0)
    second, _ = after(Save(SLOT, account, "next", Granted("token-2", 3600)), again, NOW + 896.0)
    assert second.longest == 3600
    assert second.credential is not None
    assert second.credential.life == 3600


@pytest.mark.parametrize(("left_before_end", "signs"), [(7000.0, 1), (310.0, 1), (304.0, 0), (295.0, 0)])
def test_another_stable_token_before_the_window_is_a_strangers_work(left_before_end: float, signs: int) -> None:
    """Asked in normal mode the platform repeats the current one until then: somebody forced it. 5 s for the clocks."""
    record = build_record(STABLE, refresh_at=NOW, revision=1)
    now = NOW + 7200.0 - left_before_end
    made = claimed(STABLE, record, now)
    codes = [event.code for event in events_of(save(NEW, STABLE), made, now)]
    assert codes.count("foreign_mint") == signs
    assert len(after(save(NEW, STABLE), made, now)[0].contest.seen) == signs


@pytest.mark.parametrize("why", ["condemned", "forced", "another mode"])
def test_another_token_for_a_reason_of_ours_is_no_strangers(why: str) -> None:
    """We asked for it."""
    record = build_record(STABLE, refresh_at=NOW)
    if why == "condemned":
        made = claimed(STABLE, replace(record, condemned="rejected"), NOW + 200.0)
    elif why == "forced":
        made = claimed(STABLE, record, NOW + 200.0, force=True)
    else:
        made = claimed(STABLE, build_record(CLASSIC, refresh_at=NOW), NOW + 200.0)
    assert [event.code for event in events_of(save(NEW, STABLE), made, NOW + 201.0)] == ["minted"]


def test_the_third_sign_within_a_day_begins_a_contest() -> None:
    """Told once, in words."""
    seen = Contest(seen=(NOW + 100.0, NOW + 200.0))
    made = claimed(STABLE, build_record(STABLE, refresh_at=NOW, contest=seen), NOW + 300.0)
    codes = [event.code for event in events_of(save(NEW, STABLE), made, NOW + 300.0)]
    assert codes == ["minted", "foreign_mint", "contested"]


# --- giving back


def test_what_never_left_is_given_back() -> None:
    """The attempt is closed and the lease free; the budget stays counted, for it was reserved in good faith."""
    made, _ = after(GiveBack(SLOT, "mine"), claimed())
    assert (made.attempts, made.lease, made.spent.total) == ((), None, 1)


def test_giving_back_touches_nobody_elses_lease() -> None:
    """Nor another attempt; and twice is once."""
    other = open_attempt(NOW, fence="other")
    record = replace(claimed(), lease=Lease("other", NOW + 20.0))
    record = replace(record, attempts=(*record.attempts, other))
    made, _ = after(GiveBack(SLOT, "mine"), record)
    assert (made.attempts, made.lease) == ((other,), record.lease)
    assert after(GiveBack(SLOT, "mine"), made)[0] is made


def test_what_was_refused_for_its_parent_is_given_back_with_that_and_nobody_waits() -> None:
    """So that the next refusal is not believed as the first was; only who holds the lease may say it."""
    back = GiveBack(SLOT, "mine", Refused(40001, "invalid credential", "rid"))
    made, _ = after(back, claimed(), NOW + 1.0)
    assert made.lease is None
    assert made.retry.trouble == Trouble("refused", 40001, "invalid credential", "rid")
    assert made.retry.holds_until(NOW + 1.0) <= NOW + 1.0
    lost = replace(claimed(), lease=Lease("other", NOW + 20.0))
    assert after(back, lost, NOW + 1.0)[0].retry == lost.retry


# --- whatever the record

outcomes = st.sampled_from(
    [NEW, SAME, Refused(-1), Refused(40125), Refused(45009), NotSent("connect"), Ambiguous("timeout")]
)


@given(records(), moments, outcomes, st.sampled_from(Mode))
def test_a_save_without_its_lease_never_touches_the_credential(
    record: Record, now: float, outcome: Outcome, mode: Mode
) -> None:
    """Whatever the platform told a late one."""
    made, _ = after(save(outcome, mode, "nobody's"), record, now)
    assert (made.credential, made.generation, made.condemned) == (
        record.credential,
        record.generation,
        record.condemned,
    )
    assert made.lease == record.lease


@given(records(), moments, outcomes, st.sampled_from(Mode), st.floats(0.0, 300.0))
def test_no_save_makes_a_generation_fall_or_a_credential_vanish(
    record: Record, now: float, outcome: Outcome, mode: Mode, later: float
) -> None:
    """Granted or not, in time or late, on whatever record."""
    held, answer = after(Claim(SLOT, build_account(mode), "mine", record.generation), record, now)
    made, _ = after(save(outcome, mode), held, now + later)
    assert made.generation - record.generation in (0, 1)
    assert made.credential is not None or record.credential is None
    if isinstance(answer, Claimed):
        still_open = [one for one in made.attempts if one.fence == "mine"]
        assert bool(still_open) == (isinstance(outcome, Ambiguous) and answer.attempt.ends)


def test_a_probe_that_closed_an_attempt_is_no_answer_to_it() -> None:
    """Silence closes nothing, a probe late enough does: the credential is trusted to its end again."""
    lost, _ = after(save(Ambiguous("timeout")), claimed(), NOW + 10.0)
    credential = lost.credential or build_credential()
    looked = EndProbe(SLOT, credential.sha256, NOW + 371.0, ProbeVerdict.ALIVE, "probed")
    assert after(looked, lost, NOW + 371.5)[0].attempts == ()


@pytest.mark.parametrize(
    ("outcome", "is_told"), [(NEW, True), (SAME, True), (Refused(40125), True), (NotSent("connect"), False)]
)
def test_half_of_the_budget_is_told_by_the_answer_that_spent_it(outcome: Outcome, is_told: bool) -> None:  # noqa: FBT001
    """Once, however often the save is sent again; what never left is taken back, and told when it does leave."""
    record = claimed(record=build_due(CLASSIC, spent=Spent(shanghai_day(NOW), 99)))
    save = Save(SLOT, build_account(CLASSIC), "mine", outcome)
    step = save.apply(record, NOW)
    assert ("budget_spent" in [event.code for event in step.events]) is is_told
    assert save.apply(step.record, NOW).events == ()
