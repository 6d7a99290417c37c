"""When to try again after a mint failed, and what a day may cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, build_record, moments, open_attempt
from zhongkong.core.model import NEVER, Ambiguous, Contest, Mode, NotSent, Retry, Spent, Trouble
from zhongkong.core.retry import (
    CONTEST_STEPS,
    FORCES_A_DAY,
    FORCES_A_DAY_BY_REJECT,
    Asking,
    budget_allows,
    budget_events,
    contest_allows,
    force_allowed_at,
    next_midnight,
    pace,
    retry_after,
    shanghai_day,
    spend,
    unspend,
)
from zhongkong.wechat.answers import Refused

MIDNIGHT = NOW + 8 * 3600.0
ROUND = Asking(Mode.CLASSIC)
REJECT = Asking(Mode.CLASSIC, for_reject=True)
KEY = Asking(Mode.STABLE, forced=True, for_key=True)
FORCED_REJECT = Asking(Mode.STABLE, forced=True, for_reject=True)
failures = st.sampled_from([Refused(-1), Refused(40125), Refused(45009), Refused(99999), NotSent("x"), Ambiguous("x")])


def wait_of(
    failed: Refused | NotSent | Ambiguous,
    tries: int = 0,
    *,
    trust: float = NEVER,
    dice: float = 0.999,
    now: float = NOW,
) -> Retry:
    """Return what follows from a failure after `tries` others."""
    return retry_after(Retry(tries=tries), failed, now=now, trust=trust, dice=dice)


# --- the calendar by which the platform counts


def test_the_day_turns_at_midnight_in_shanghai() -> None:
    """Neither at UTC's nor at the machine's."""
    assert next_midnight(NOW) == MIDNIGHT
    assert datetime.fromtimestamp(MIDNIGHT, timezone(timedelta(hours=8))).strftime("%H:%M:%S") == "00:00:00"
    assert shanghai_day(MIDNIGHT - 0.001) + 1 == shanghai_day(MIDNIGHT)


@given(st.floats(1.6e9, 4e9))
def test_the_next_midnight_is_later_and_a_day_away_at_most(now: float) -> None:
    """At midnight itself the next one is tomorrow's."""
    assert 0.0 < next_midnight(now) - now <= 86_400.0
    assert shanghai_day(next_midnight(now)) == shanghai_day(now) + 1


# --- waits


@pytest.mark.parametrize(
    ("tries", "longest"), [(0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0), (4, 32.0), (5, 60.0), (6, 60.0), (500, 60.0)]
)
@pytest.mark.parametrize("failed", [Refused(-1), Refused(99999), NotSent("connect"), Ambiguous("timeout")])
def test_what_passes_is_tried_again_with_growing_jittered_waits(
    failed: Refused | NotSent | Ambiguous, tries: int, longest: float
) -> None:
    """From 1 to 60 s, full jitter: replicas and accounts must not come back in step."""
    assert wait_of(failed, tries, dice=1.0).next_try_at == NOW + longest
    assert wait_of(failed, tries, dice=0.5).next_try_at == NOW + max(1.0, longest / 2)
    assert wait_of(failed, tries, dice=0.0).next_try_at == NOW + 1.0


def test_while_a_token_is_trusted_no_wait_is_longer_than_a_tenth_of_that() -> None:
    """Six tries at least before it ends; but never a loop without a pause."""
    assert wait_of(Refused(-1), 9, trust=NOW + 100.0, dice=1.0).next_try_at == NOW + 10.0
    assert wait_of(Refused(-1), 9, trust=NOW + 2.0, dice=1.0).next_try_at == NOW + 1.0
    assert wait_of(Refused(-1), 9, trust=NOW - 5.0, dice=1.0).next_try_at == NOW + 60.0


@pytest.mark.parametrize("errcode", [40001, 40002, 40013, 40125, 40164, 40243, 48004, 50004, 89503, 89506])
@pytest.mark.parametrize("tries", [0, 7])
def test_what_a_person_must_mend_is_tried_every_five_minutes(errcode: int, tries: int) -> None:
    """Each try is counted by the platform, some are punished, and none can help."""
    retry = wait_of(Refused(errcode, "invalid", "rid"), tries, trust=NOW + 50.0)
    assert retry == Retry(NOW + 300.0, tries + 1, Trouble("blocked", errcode, "invalid", "rid"))


@pytest.mark.parametrize(("tries", "wait"), [(0, 60.0), (1, 300.0), (2, 900.0), (3, 900.0), (50, 900.0)])
@pytest.mark.parametrize("errcode", [45009, 45011])
def test_a_spent_quota_is_tried_after_1_5_and_then_every_15_minutes(errcode: int, tries: int, wait: float) -> None:
    """It is seen as a minute limit too, so the first wait is short."""
    retry = wait_of(Refused(errcode), tries)
    assert (retry.next_try_at, retry.trouble) == (NOW + wait, Trouble("quota", errcode))


def test_midnight_in_shanghai_ends_the_wait_for_a_quota() -> None:
    """The day's calls are there again; the jitter keeps all accounts from asking in the same second."""
    assert wait_of(Refused(45009), 5, now=MIDNIGHT - 10.0, dice=0.5).next_try_at == MIDNIGHT + 30.0
    assert wait_of(Refused(45009), 0, now=MIDNIGHT - 10.0, dice=0.5).next_try_at == MIDNIGHT + 30.0
    assert wait_of(Refused(45009), 0, now=MIDNIGHT - 600.0, dice=0.5).next_try_at == MIDNIGHT - 540.0


@pytest.mark.parametrize(
    ("failed", "state"),
    [
        (NotSent("connect"), "unreachable"),
        (Ambiguous("timeout"), "unanswered"),
        (Refused(-1), "refused"),
        (Refused(40164), "blocked"),
        (Refused(45009), "quota"),
    ],
)
def test_the_trouble_says_what_happened(failed: Refused | NotSent | Ambiguous, state: str) -> None:
    """Callers and people are told this word's text."""
    trouble = wait_of(failed).trouble
    assert trouble is not None
    assert trouble.state == state


@given(failures, st.integers(0, 100), moments, st.floats(0.0, 1.0, exclude_max=True))
def test_every_failure_is_followed_by_a_wait_and_counted(
    failed: Refused | NotSent | Ambiguous, tries: int, trust: float, dice: float
) -> None:
    """A second at least and fifteen minutes at most: neither a storm nor a forgotten slot."""
    retry = wait_of(failed, tries, trust=trust, dice=dice)
    assert NOW + 1.0 <= retry.next_try_at <= NOW + 900.0
    assert retry.tries == tries + 1
    assert retry.trouble is not None


# --- budgets


@pytest.mark.parametrize(
    ("total", "hurry_until", "apart"),
    [
        (100, NEVER, 0.0),
        (101, NEVER, 8 * 3600.0 / 99),
        (199, NEVER, 3600.0),
        (200, NEVER, 3600.0),
        (101, NOW - 1.0, 8 * 3600.0 / 99),
        (101, NOW + 400.0, 100.0),
        (101, NOW + 4000.0, 8 * 3600.0 / 99),
    ],
    ids=[
        "half is for the first",
        "the rest is spread to midnight",
        "no further than an hour",
        "nothing is left",
        "nothing to lose any more",
        "a quarter of what is to be lost",
        "there is time",
    ],
)
def test_the_pace_of_tries(total: int, hurry_until: float, apart: float) -> None:
    """A day has a budget; an outage may take all day."""
    record = build_record(spent=Spent(shanghai_day(NOW), total))
    assert pace(record, 200, NOW, hurry_until) == pytest.approx(apart)


@given(st.sampled_from([100, 200, 2000]), st.floats(0.0, 86_000.0))
def test_tries_at_this_pace_never_use_up_the_day(budget: int, began: float) -> None:
    """Whenever the outage begins, and however long it is: there is one left for the moment in which it is over."""
    now = MIDNIGHT - 86_400.0 + began
    record = build_record()
    while now < MIDNIGHT - 1.0:
        record = replace(record, spent=spend(record, ROUND, now))
        apart = pace(record, budget, now, NEVER)
        assert record.spent.total < budget
        now += max(30.0, apart)


def spent(asking: Asking, times: int, now: float = NOW) -> Spent:
    """Return the count of a day after so many departures."""
    record = build_record()
    for _ in range(times):
        record = build_record(spent=spend(record, asking, now))
    return record.spent


@pytest.mark.parametrize(
    ("asking", "before", "allowed_at"),
    [
        (ROUND, spent(ROUND, 199), NOW),
        (ROUND, spent(ROUND, 200), MIDNIGHT),
        (ROUND, spent(REJECT, 100), NOW),
        (REJECT, spent(REJECT, 99), NOW),
        (REJECT, spent(REJECT, 100), MIDNIGHT),
        (REJECT, spent(ROUND, 179), NOW),
        (REJECT, spent(ROUND, 180), MIDNIGHT),
        (ROUND, spent(ROUND, 500, MIDNIGHT - 86_401.0), NOW),
    ],
    ids=[
        "rounds spend the day",
        "and no more",
        "what rejects spent is no matter to them while there is something left",
        "rejects spend half",
        "and no more",
        "they leave alone what the rounds still need: 2 an hour and 4",
        "which at eight hours before midnight is 20",
        "yesterday's count is history",
    ],
)
def test_a_budget_of_200(asking: Asking, before: Spent, allowed_at: float) -> None:
    """Callers who reject all day long must not use up what keeps everybody served."""
    assert budget_allows(build_record(spent=before), 200, asking, NOW) == allowed_at


@pytest.mark.parametrize(
    ("asking", "before", "last_force", "allowed_at"),
    [
        (KEY, spent(KEY, 19), NEVER, NOW),
        (KEY, spent(KEY, FORCES_A_DAY), NEVER, MIDNIGHT),
        (FORCED_REJECT, spent(FORCED_REJECT, FORCES_A_DAY_BY_REJECT - 1), NEVER, NOW),
        (FORCED_REJECT, spent(FORCED_REJECT, FORCES_A_DAY_BY_REJECT), NEVER, MIDNIGHT),
        (KEY, spent(FORCED_REJECT, FORCES_A_DAY_BY_REJECT), NEVER, NOW),
        (KEY, spent(KEY, 1), NOW - 10.0, NOW + 25.0),
        (KEY, spent(KEY, 1), NOW - 35.0, NOW),
        (KEY, spent(KEY, 1), NOW + 50.0, NOW + 35.0),
    ],
    ids=[
        "twenty a day",
        "and no more",
        "ten of them for rejects",
        "and no more",
        "the rest is for keys",
        "35 s apart",
        "then again",
        "a clock that stepped back costs 35 s, not the step",
    ],
)
def test_forces(asking: Asking, before: Spent, last_force: float, allowed_at: float) -> None:
    """The platform grants twenty a day, 30 s apart, and says nothing when it does not."""
    record = build_record(spent=before, last_force=last_force)
    allowed = max(budget_allows(record, 2000, asking, NOW), force_allowed_at(record, asking, NOW))
    assert max(allowed, NOW) == allowed_at


@given(st.integers(1, 400), st.lists(st.sampled_from([ROUND, REJECT]), max_size=500))
def test_whatever_is_asked_rejects_never_take_more_than_half(budget: int, askings: list[Asking]) -> None:
    """And all together never more than the budget."""
    record = build_record()
    for asking in askings:
        if budget_allows(record, budget, asking, NOW) <= NOW:
            record = build_record(spent=spend(record, asking, NOW))
    assert record.spent.total <= budget
    assert record.spent.rejects <= budget // 2


@pytest.mark.parametrize(
    ("asking", "counted"),
    [(ROUND, (1, 0, 0, 0)), (REJECT, (1, 1, 0, 0)), (KEY, (1, 1, 1, 0)), (FORCED_REJECT, (1, 1, 1, 1))],
)
def test_what_leaves_is_counted_for_what_it_is(asking: Asking, counted: tuple[int, ...]) -> None:
    """All; those of rejects and keys; the forced ones; those of them that a reject caused."""
    assert spent(asking, 1) == Spent(shanghai_day(NOW), *counted)


def test_a_new_day_is_counted_from_nothing() -> None:
    """Yesterday's count is dropped by the first departure of today."""
    yesterday = build_record(spent=spent(KEY, 12, MIDNIGHT - 86_401.0))
    assert spend(yesterday, ROUND, NOW) == Spent(shanghai_day(NOW), 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("asking", "condemned", "back"),
    [(ROUND, "", (0, 0)), (REJECT, "rejected", (0, 0)), (ROUND, "probed", (0, 0))],
)
def test_what_never_left_is_not_counted(asking: Asking, condemned: str, back: tuple[int, int]) -> None:
    """An outage of the network, hours long, must not use up the day."""
    record = build_record(spent=spent(asking, 1), condemned=condemned)
    after = unspend(record, open_attempt(NOW), NOW + 5.0)
    assert (after.total, after.rejects) == back


@pytest.mark.parametrize(("asking", "insist", "forces"), [(FORCED_REJECT, True, (0, 0)), (KEY, False, (1, 0))])
def test_a_force_that_never_left_is_taken_back_from_who_is_known_to_have_wanted_it(
    asking: Asking, forces: tuple[int, int], *, insist: bool
) -> None:
    """Ten a day are few: an outage of the network while a dead token comes back the same would spend them."""
    record = build_record(Mode.STABLE, spent=spent(asking, 1), condemned="rejected", insist=insist)
    after = unspend(record, open_attempt(NOW, Mode.STABLE, ends=True), NOW + 5.0)
    assert (after.forces, after.forces_by_reject) == forces


def test_what_left_yesterday_is_not_taken_from_today() -> None:
    """And nothing is ever below nothing."""
    record = build_record(spent=spent(ROUND, 1))
    assert unspend(record, open_attempt(MIDNIGHT - 90_000.0), NOW).total == 1
    assert unspend(build_record(), open_attempt(NOW), NOW) == Spent(shanghai_day(NOW))


# --- strangers


@pytest.mark.parametrize(
    ("tries", "minutes"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (40, 30)]
)
def test_in_a_contest_rejects_mint_1_2_4_to_30_minutes_apart(tries: int, minutes: int) -> None:
    """Each of our mints ends the stranger's token and provokes his next: the day's quota is soon gone."""
    contest = Contest(seen=(NOW - 3.0, NOW - 2.0, NOW - 1.0), tries=tries, last_mint=NOW)
    record = build_record(contest=contest)
    assert contest_allows(record, REJECT, NOW) == NOW + 60.0 * minutes


@pytest.mark.parametrize(
    ("asking", "contest"),
    [
        (ROUND, Contest(seen=(NOW - 3.0, NOW - 2.0, NOW - 1.0), tries=3, last_mint=NOW)),
        (FORCED_REJECT, Contest(seen=(NOW - 3.0, NOW - 2.0, NOW - 1.0), tries=3, last_mint=NOW)),
        (REJECT, Contest(seen=(NOW - 2.0, NOW - 1.0), tries=3, last_mint=NOW)),
        (REJECT, Contest(seen=(NOW - 86_400.0, NOW - 2.0, NOW - 1.0), tries=3, last_mint=NOW)),
        (REJECT, Contest(seen=(NOW - 3.0, NOW - 2.0, NOW - 1.0), tries=3, last_mint=NOW + 500.0)),
    ],
    ids=["rounds go on", "stable is isolated", "two signs are no contest", "a day ends it", "the clock stepped back"],
)
def test_what_a_contest_does_not_slow(asking: Asking, contest: Contest) -> None:
    """Only what a reject makes the classic mode mint."""
    assert contest_allows(build_record(contest=contest), asking, NOW) == NOW


def test_the_steps_of_a_contest_end_at_half_an_hour() -> None:
    """As the table says: 1, 2, 4, 8, 16, 30 minutes."""
    assert [step / 60 for step in CONTEST_STEPS] == [1, 2, 4, 8, 16, 30]


@pytest.mark.parametrize("before", [Trouble("unanswered"), Trouble("unreachable"), Trouble("refused", -1)])
def test_a_quota_that_follows_an_outage_is_first_waited_for_a_minute(before: Trouble) -> None:
    """It may be the minute's limit: what failed before it, and why, says nothing about quotas."""
    retry = retry_after(Retry(NOW - 1.0, 9, before), Refused(45009), now=NOW, trust=NEVER, dice=0.5)
    assert retry == Retry(NOW + 60.0, 1, Trouble("quota", 45009))


def test_transient_failures_of_any_kind_are_counted_together() -> None:
    """A platform on its knees is busy, silent and gone by turns."""
    retry = Retry()
    for failed in (Refused(-1), NotSent("x"), Ambiguous("x"), Refused(-1)):
        retry = retry_after(retry, failed, now=NOW, trust=NEVER, dice=0.999)
    assert retry.tries == 4


@pytest.mark.parametrize(("total", "percent"), [(99, 0), (100, 50), (101, 0), (159, 0), (160, 80), (161, 0), (200, 0)])
def test_half_and_four_fifths_of_a_day_are_told_once(total: int, percent: int) -> None:
    """Somebody can look while there is still something left to spend."""
    record = build_record(spent=Spent(shanghai_day(NOW), total))
    told = budget_events(record, 200, NOW)
    values = {"kind": "access_token", "spent": total, "budget": 200, "percent": percent}
    assert [event.values for event in told] == [values] * bool(percent)
