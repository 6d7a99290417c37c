"""The rules for a credential that a leader hands on: when to ask again, what its word changes, who judges a reject."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SLOT, after, build_account, build_credential, build_record, events_of
from zhongkong.core.change import Change
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.freshness import Freshness, judge_freshness, promised_until, trust_of
from zhongkong.core.handing import hand_out
from zhongkong.core.issuing import ISSUING, daily_budget, told_refresh_at
from zhongkong.core.model import (
    LEASE,
    Ambiguous,
    Attempt,
    Complaint,
    HandedOn,
    Instant,
    Lease,
    Mode,
    NotSent,
    Probe,
    Record,
    Retry,
    Trouble,
    Withheld,
)
from zhongkong.core.reject import AlreadyNewer, EndProbe, Join, ProbeNow, Reject, StillValid
from zhongkong.core.retry import PERSON_WAIT, retry_after, unjudged
from zhongkong.core.rounds import is_vouched, needs_mint, plan
from zhongkong.core.save import DOUBT_HELD, HEARD_BY_ALL, Failed, Save, Saved
from zhongkong.wechat.errcodes import ProbeVerdict

HUB = "https://hub.internal:8600"
ACCOUNT = build_account(Mode.FOLLOW, base_url=HUB)
FENCE = "ours"


def handed_on(value: str = "token-1", expires_in: int = 5000, refresh_in: int = 57, **marks: bool) -> HandedOn:
    """Return what a leader answered."""
    return HandedOn(value, expires_in, refresh_in, 3, **marks)


def followed(**changed: Any) -> Record:
    """Return a record whose credential a leader handed on just now."""
    return replace(build_record(Mode.FOLLOW), **changed)


def save(outcome: Any, record: Record, left: Instant = NOW, now: Instant | None = None) -> tuple[Record, Any]:
    """Save what became of an ask that left at `left`."""
    fence = f"fence at {left}"
    attempts = (*record.attempts, Attempt(fence, left, Mode.FOLLOW, ends=False))
    claimed = replace(record, attempts=attempts, lease=Lease(fence, left + LEASE))
    return after(Save(SLOT, ACCOUNT, fence, outcome), claimed, left + 0.1 if now is None else now)


# --- the promise


def test_nothing_is_promised_beyond_what_the_leader_promised_when_it_was_asked() -> None:
    """Counted from before the request left, so its age is taken off."""
    record, answer = save(handed_on(expires_in=240), followed(), left=NOW + 100.0, now=NOW + 109.0)
    assert answer == Saved()
    assert record.credential is not None
    assert record.credential.expires_at == trust_of(record) == NOW + 340.0
    assert promised_until(record, seen=NOW + 109.0, trust=trust_of(record)) == NOW + 340.0


def test_a_shorter_promise_of_the_same_value_takes_effect() -> None:
    """The leader knows why: an attempt is open, a person forced."""
    record, _ = save(handed_on(expires_in=250), followed(), left=NOW + 60.0)
    assert record.credential is not None
    assert record.credential.expires_at == NOW + 310.0
    assert (record.generation, record.credential.since, record.credential.life) == (1, NOW, 7200)


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_the_same_value_by_another_mode_goes_on_under_that_modes_rules(mode: Mode) -> None:
    """The account was moved behind a leader that hands on the very token we had."""
    record, _ = save(handed_on(), build_record(mode, condemned="moved", refresh_at=NOW + 9999.0))
    assert record.credential is not None
    assert (record.credential.mode, record.generation, record.condemned) == (Mode.FOLLOW, 1, "")
    assert record.refresh_at == NOW + 57.0


# --- when to ask again


@pytest.mark.parametrize(
    ("life", "expires_in", "refresh_in", "wait"),
    [
        (7200, 5000, 57, 57),  # as told
        (7200, 5000, 1, 30),  # a leader that is due itself says 1 for half an hour: an overlap is left whatever happens
        (7200, 100, 57, 50),  # its promise ends soon: half of it
        (7200, 20, 1, 10),
        (7200, 1, 1, 1),
        (60, 50, 1, 1),
        (7200, 0, 57, 57),  # doubtful: there is no promise to be early for
    ],
)
def test_a_leader_is_asked_again_when_it_says_so_within_bounds(
    life: int, expires_in: int, refresh_in: int, wait: float
) -> None:
    """At most every tenth of an overlap, and before what it promised is over."""
    credential = build_credential(Mode.FOLLOW, life=life)
    assert told_refresh_at(credential, handed_on(expires_in=expires_in, refresh_in=refresh_in)) == NOW + wait


@given(st.integers(2, 86_400), st.integers(1, 86_400), st.integers(1, 86_400))
def test_however_short_the_leaders_spans_a_day_of_asks_fits_the_budget(life: int, rest: int, refresh_in: int) -> None:
    """Every second one may fail and be repeated."""
    credential = build_credential(Mode.FOLLOW, life=life)
    wait = told_refresh_at(credential, handed_on(expires_in=86_400, refresh_in=refresh_in)) - NOW
    assert 86_400 / wait <= daily_budget(ACCOUNT, Mode.FOLLOW, life) / 2
    near = told_refresh_at(credential, handed_on(expires_in=rest, refresh_in=refresh_in)) - NOW
    assert 1.0 <= near <= max(1.0, rest / 2)


def test_a_round_asks_as_often_as_it_is_told_to_also_after_a_new_token() -> None:
    """The pause after a new one is for who would mint another."""
    record = followed(refresh_at=NOW + 30.0)
    claim = Claim(SLOT, ACCOUNT, FENCE, 1, in_round=True)
    due, answer = after(replace(claim, account=replace(ACCOUNT, revision=1)), record, NOW + 30.0)
    assert isinstance(answer, Claimed)
    assert not answer.forced
    assert not answer.attempt.ends
    assert judge_freshness(due, NOW + 31.0) is Freshness.DUE


def test_nobody_forces_a_leader() -> None:
    """Whether a key asks for it or the same dead value came: it is asked, and that is all."""
    claim = Claim(SLOT, replace(ACCOUNT, revision=1), FENCE, 1, force=True)
    _, answer = after(claim, followed(insist=True), NOW + 1.0)
    assert isinstance(answer, Claimed)
    assert not answer.forced


# --- marks


def test_a_doubtful_one_is_handed_out_at_once_marked_and_promising_nothing() -> None:
    """As long as the leader was heard of lately, whatever it promised before."""
    record, _ = save(handed_on(expires_in=0, doubtful=True), followed(), left=NOW + 7190.0)
    assert record.credential is not None
    assert record.credential.expires_at == NOW + 7190.0 + DOUBT_HELD
    freshness = judge_freshness(record, NOW + 7195.0)
    assert freshness is Freshness.DOUBTFUL
    assert is_vouched(record, NOW + 7195.0)
    assert not needs_mint(record, NOW + 7195.0)
    handed = hand_out(record, freshness, NOW + 7195.0, seen=NOW + 7195.0, trust=trust_of(record), stale=False)
    assert (handed.doubtful, handed.expires_in) == (True, 0)
    assert judge_freshness(record, NOW + 7190.0 + DOUBT_HELD) is Freshness.DEAD
    well, _ = save(handed_on(expires_in=300), record, left=NOW + 7247.0)
    assert judge_freshness(well, NOW + 7248.0) is Freshness.FRESH


def test_a_stale_one_is_marked_stale() -> None:
    """And no longer when the leader's store is back."""
    record, _ = save(handed_on(stale=True), followed())
    handed = hand_out(record, Freshness.FRESH, NOW + 1.0, seen=NOW, trust=trust_of(record), stale=False)
    assert handed.stale
    record, _ = save(handed_on(), record, left=NOW + 57.0)
    assert not hand_out(record, Freshness.FRESH, NOW + 58.0, seen=NOW, trust=trust_of(record), stale=False).stale


# --- what failed


@pytest.mark.parametrize("state", ["leader_key", "leader_account"])
def test_what_a_person_must_mend_at_the_leader_is_tried_every_five_minutes(state: str) -> None:
    """A key that is refused will be refused again."""
    retry = retry_after(Retry(), Withheld(Trouble(state)), now=NOW, trust=NOW + 9.0, dice=0.0, mode=Mode.FOLLOW)
    assert retry.next_try_at == NOW + PERSON_WAIT


@pytest.mark.parametrize("state", ["blocked", "quota", "refused", "leader_unwell"])
@pytest.mark.parametrize(("told", "wait"), [(1.0, 1.0), (17.0, 17.0), (60.0, 60.0), (299.0, 60.0), (20_000.0, 60.0)])
def test_what_the_leader_says_of_its_wait_is_obeyed_up_to_a_minute(state: str, told: float, wait: float) -> None:
    """It may be mended over there at any time, and asking costs nobody's quota."""
    withheld = Withheld(Trouble(state), told)
    retry = retry_after(Retry(), withheld, now=NOW, trust=NOW + 9999.0, dice=0.0, mode=Mode.FOLLOW)
    assert retry.next_try_at == NOW + wait


def test_a_leader_that_always_says_one_second_is_asked_ever_more_slowly() -> None:
    """A store that is away for a night must not cost the day's budget."""
    retry, now, asks = Retry(), NOW, 0
    while now < NOW + 3600.0:
        withheld = Withheld(Trouble("leader_unwell"), 1.0)
        retry = retry_after(retry, withheld, now=now, trust=NOW, dice=0.5, mode=Mode.FOLLOW)
        now, asks = retry.next_try_at, asks + 1
    assert 100 < asks < 140


@pytest.mark.parametrize("failed", [NotSent("connect_failed"), Ambiguous("timeout")])
def test_a_leader_that_is_away_is_not_called_wechat(failed: NotSent | Ambiguous) -> None:
    """The text that goes with it sends people to the other hub."""
    retry = retry_after(Retry(), failed, now=NOW, trust=NOW, dice=0.5, mode=Mode.FOLLOW)
    assert retry.trouble == Trouble("leader_away", errmsg=failed.why)


def test_a_failed_ask_leaves_no_doubt_behind() -> None:
    """Asking ends nothing, so its answer may be lost."""
    record, answer = save(Ambiguous("timeout"), followed())
    assert answer == Failed()
    assert (record.attempts, trust_of(record)) == ((), NOW + 7200.0)
    record, _ = save(Withheld(Trouble("leader_key", errmsg="key_unknown")), followed())
    assert (record.attempts, record.retry.trouble) == ((), Trouble("leader_key", errmsg="key_unknown"))


def test_a_reject_that_nobody_judged_is_told_by_the_leaders_trouble() -> None:
    """If it is known; never as WeChat's silence."""
    known = Trouble("leader_key", errmsg="key_expired")
    assert unjudged(followed(retry=Retry(NOW, 1, known))) == known
    assert unjudged(followed()).state == "leader_away"
    assert unjudged(build_record(Mode.STABLE, retry=Retry(NOW, 1, known))).state == "unanswered"


# --- rejects


def reject(record: Record, now: Instant = NOW + 100.0, caller: str = "a", value: str = "token-1") -> tuple[Record, Any]:
    """Reject a value."""
    sha256 = build_credential(value=value).sha256
    return after(Reject(SLOT, caller, sha256=sha256), record, now)


def test_a_reject_is_asked_about_at_the_leader_also_of_a_doubtful_one() -> None:
    """It knows what it doubts; here nothing runs that could be joined."""
    assert isinstance(reject(followed())[1], ProbeNow)
    doubtful = followed(credential=build_credential(Mode.FOLLOW, doubtful=True))
    assert isinstance(reject(doubtful)[1], ProbeNow)
    assert isinstance(reject(followed(condemned="rejected"))[1], Join)


def test_who_insists_here_is_the_leaders_to_hear() -> None:
    """Two callers do not replace what is not ours to replace; when the verdict is old, it is asked again."""
    complaints = (Complaint("a", NOW + 90.0, 2, again=True), Complaint("b", NOW + 91.0, 2, again=True))
    record = followed(complaints=complaints, probe=Probe(NOW + 70.0, ProbeVerdict.ALIVE, NOW + 70.0, NOW + 70.0))
    changed, answer = reject(record, NOW + 110.0)
    assert isinstance(answer, ProbeNow)
    assert not changed.suspected


def test_the_leaders_word_that_it_lives_holds_and_is_not_asked_for_twice() -> None:
    """No second look after an overlap: the leader has its own."""
    begun, answer = reject(followed())
    assert isinstance(answer, ProbeNow)
    sha256 = build_credential().sha256
    alive, _ = after(EndProbe(SLOT, sha256, answer.began_at, ProbeVerdict.ALIVE, "rejected", "a"), begun, NOW + 101.0)
    assert alive.probe.again_at is None
    assert isinstance(reject(alive, NOW + 105.0)[1], StillValid)
    assert isinstance(reject(alive, NOW + 115.0, caller="b")[1], ProbeNow)


def test_the_leaders_word_that_it_is_dead_condemns_it_and_accuses_nobody() -> None:
    """Strangers are the leader's to notice."""
    end = EndProbe(SLOT, build_credential().sha256, NOW + 100.0, ProbeVerdict.DEAD, "rejected", "a")
    record, _ = after(end, followed(probe=Probe(NOW + 100.0)), NOW + 101.0)
    assert record.condemned == "rejected"
    assert record.contest.seen == ()
    assert [event.code for event in events_of(end, followed(probe=Probe(NOW + 100.0)), NOW + 101.0)] == ["condemned"]


def test_a_value_that_we_never_had_is_no_sign_of_a_stranger() -> None:
    """The leader may have gone on since."""
    record = followed()
    changed, answer = reject(record, value="token-9")
    assert isinstance(answer, AlreadyNewer)
    assert changed is record


def test_the_same_value_just_after_the_leader_called_it_dead_is_not_believed() -> None:
    """One of its replicas has not heard: the next answer counts."""
    condemned = followed(condemned="rejected", probe=Probe(NOW + 100.0, ProbeVerdict.DEAD, NOW + 100.0))
    record, answer = save(handed_on(), condemned, left=NOW + 100.2)
    assert answer == Failed()
    assert record.condemned == "rejected"
    assert record.retry.next_try_at == NOW + 100.0 + HEARD_BY_ALL
    later, answer = save(handed_on(), record, left=NOW + 100.0 + HEARD_BY_ALL)
    assert answer == Saved()
    assert (later.condemned, later.generation) == ("", 1)
    other, answer = save(handed_on("token-2"), condemned, left=NOW + 100.2)
    assert (answer, other.condemned, other.generation) == (Saved(), "", 2)


def test_another_value_before_its_time_is_the_leaders_business() -> None:
    """It may have been rejected or forced over there."""
    record, answer = save(handed_on("token-2"), followed(), left=NOW + 60.0)
    assert (answer, record.generation, record.contest.seen) == (Saved(), 2, ())


# --- rounds and changes


@given(st.floats(0.0, 7300.0))
def test_a_round_asks_when_it_is_due_and_never_probes(age: float) -> None:
    """To reject at the leader what nobody saw refused would be a lie."""
    record = followed(credential=build_credential(Mode.FOLLOW, doubtful=age > 3000.0), refresh_at=NOW + 57.0)
    planned = plan(record, NOW + age)
    assert (planned.action.value == "mint") == (age >= 57.0)
    assert planned.action.value != "probe"


def test_a_leader_elsewhere_has_lives_of_its_own() -> None:
    """What was the longest over there says nothing about spans here."""
    record, _ = after(Change(SLOT, 2, moved=True), followed(longest=7200), NOW)
    assert (record.longest, record.condemned) == (0, "moved")
    record, _ = after(Change(SLOT, 2), followed(longest=7200), NOW)
    assert (record.longest, record.condemned) == (7200, "")


def test_the_table_says_what_following_is() -> None:
    """Asked again it gives the same with what is left; it ends nothing; it cannot be forced."""
    issuing = ISSUING[Mode.FOLLOW]
    assert (issuing.ends_former, issuing.announces_rest, issuing.can_force) == (False, True, False)
    assert [mode for mode in Mode if ISSUING[mode].is_relayed] == [Mode.FOLLOW]
    assert daily_budget(ACCOUNT, Mode.FOLLOW, 7200) == 6000
