"""Reject and probe: one table for what a caller says, one for what a probe proved."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.core.records import (
    NOW,
    SLOT,
    after,
    build_due,
    build_record,
    events_of,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.freshness import Freshness, judge_freshness, trust_of
from zhongkong.core.issuing import ISSUING
from zhongkong.core.model import Complaint, Contest, Mode, Probe, Record, hash_value
from zhongkong.core.reject import (
    COMPLAINTS_KEPT,
    CROWD,
    AlreadyNewer,
    BeginProbe,
    EndProbe,
    Join,
    ProbeNow,
    ProbeRecent,
    Reject,
    StillValid,
    with_complaint,
)
from zhongkong.wechat.errcodes import ProbeVerdict

CLASSIC, STABLE = Mode.CLASSIC, Mode.STABLE
ALIVE, DEAD, UNKNOWN = ProbeVerdict.ALIVE, ProbeVerdict.DEAD, ProbeVerdict.UNKNOWN
CURRENT = hash_value("token-1")
T = NOW + 500.0
"""When callers reject what was issued at NOW."""


def reject(sha256: str = CURRENT, caller: str = "one", generation: int = 0) -> Reject:
    """Return a caller's reject of the current token."""
    return Reject(SLOT, caller, sha256, generation)


def looked(verdict: ProbeVerdict, began_at: float = T, caller: str = "", reason: str = "rejected") -> EndProbe:
    """Return what a probe of the current token proved."""
    return EndProbe(SLOT, CURRENT, began_at, verdict, reason, caller)


def rejected_and_alive(record: Record, caller: str, now: float) -> Record:
    """Return the record after a caller's reject that a probe found unfounded."""
    begun, answer = after(reject(caller=caller), record, now)
    if isinstance(answer, ProbeNow):
        begun, _ = after(looked(ALIVE, now, caller), begun, now + 0.1)
    return begun


# --- what a caller says


@pytest.mark.parametrize(
    ("record", "asked", "answer"),
    [
        (Record(SLOT), reject(), Join()),
        (build_record(past=("old",)), reject("old"), AlreadyNewer()),
        (build_record(generation=3), reject("", generation=2), AlreadyNewer()),
        (build_record(contest=Contest(foreign_sha256="foreign")), reject("foreign"), AlreadyNewer()),
        (build_record(condemned="probed"), reject(), Join()),
        (build_record(suspected=True), reject(), Join()),
        (build_record(attempts=(open_attempt(NOW + 100.0), open_attempt(NOW + 120.0))), reject(), Join()),
        (build_record(probe=Probe(began_at=T - 4.9)), reject(), ProbeRecent()),
    ],
    ids=[
        "nothing there",
        "an older one",
        "an older one, by its generation",
        "a foreign one, reported before",
        "dead",
        "suspected",
        "in doubt",
        "somebody looked just now",
    ],
)
def test_what_needs_no_probe_of_its_own_changes_nothing(record: Record, asked: Reject, answer: object) -> None:
    """A thousand such rejects are a thousand reads."""
    step = asked.apply(record, T)
    assert step.answer == answer
    assert step.record is record
    assert step.events == ()


@pytest.mark.parametrize("asked", [reject(), reject("", generation=1)])
@pytest.mark.parametrize("probe", [Probe(), Probe(began_at=T - 5.0), Probe(began_at=T + 100.0)])
def test_the_current_one_is_probed(asked: Reject, probe: Probe) -> None:
    """By the caller who gets the right to it, once in 5 s; a clock that stepped back keeps nobody from it."""
    made, answer = after(asked, build_record(probe=probe), T)
    assert answer == ProbeNow(T)
    assert (made.probe.began_at, made.probe.last) == (T, None)
    assert after(reject(caller="two"), made, T + 4.9)[1] == ProbeRecent()
    assert after(reject(caller="two"), made, T + 5.0)[1] == ProbeNow(T + 5.0)


def test_a_foreign_token_is_told_once_and_counts_as_a_sign() -> None:
    """A value that was never ours: the caller still fetches his own."""
    made, answer = after(reject("foreign"), build_record(), T)
    assert answer == AlreadyNewer()
    assert (made.contest.seen, made.contest.foreign_sha256) == ((T,), "foreign")
    (event,) = events_of(reject("foreign"), build_record(), T)
    assert (event.code, event.values) == ("foreign_token", {"sha256": "foreign", "caller": "one"})
    assert after(reject("foreign", caller="two"), made, T + 1.0)[0] is made


def test_the_third_foreign_token_of_a_day_makes_a_contest() -> None:
    """As any three signs do."""
    record = build_record(contest=Contest(seen=(T - 900.0, T - 60.0)))
    assert [event.code for event in events_of(reject("foreign"), record, T)] == ["foreign_token", "contested"]


def test_a_storm_of_foreign_tokens_is_one_sign() -> None:
    """A caller who sends nonsense a thousand times, each time another, is no three strangers."""
    made, _ = after(reject("foreign"), build_record(), T)
    assert after(reject("another"), made, T + 59.9) == (made, AlreadyNewer())
    assert len(after(reject("another"), made, T + 60.0)[0].contest.seen) == 2


# --- how long a verdict holds


@pytest.mark.parametrize(
    ("times", "holds"), [(1, 10.0), (2, 20.0), (3, 40.0), (4, 80.0), (5, 160.0), (6, 300.0), (7, 300.0), (99, 300.0)]
)
def test_a_verdict_holds_ever_longer_for_who_keeps_rejecting_a_living_token(times: int, holds: float) -> None:
    """10 s, doubling to 300: a caller in a loop is answered from the record."""
    record = build_record(complaints=(Complaint("one", T + 0.5, times),), probe=Probe(T, ALIVE, T, T))
    step = reject().apply(record, T + holds - 0.1)
    assert step.answer == StillValid(T + holds)
    assert step.record is record
    assert after(reject(), record, T + holds)[1] == ProbeNow(T + holds)


def test_a_verdict_holds_ten_seconds_for_everybody() -> None:
    """Another caller's probe is as good as one's own; he is noted as one who complained."""
    record = rejected_and_alive(build_record(), "one", T)
    made, answer = after(reject(caller="two"), record, T + 9.0)
    assert isinstance(answer, StillValid)
    assert [(one.caller, one.times) for one in made.complaints] == [("one", 1), ("two", 1)]
    assert after(reject(caller="three"), record, T + 10.0)[1] == ProbeNow(T + 10.0)


def test_a_clock_that_stepped_back_makes_no_verdict_hold_longer() -> None:
    """A complaint from the future is none that was made within the last ten seconds."""
    record = build_record(complaints=(Complaint("one", T + 3600.0, 6),), probe=Probe(alive_at=T + 3600.0))
    assert after(reject(), record, T)[1] == ProbeNow(T)


def test_a_verdict_is_everybodys_whoever_asked_for_it() -> None:
    """Callers who are refused together are patient together: their probes do not add up."""
    record = rejected_and_alive(build_record(), "one", T)
    record, _ = after(reject(caller="two"), record, T + 1.0)
    record = rejected_and_alive(record, "one", T + 10.0)
    made, answer = after(reject(caller="three"), record, T + 12.0)
    assert answer == StillValid(T + 20.0)
    record, answer = after(replace(reject(), caller="one"), made, T + 29.9)
    assert answer == StillValid(T + 30.0)
    assert record is made


def test_complaints_are_bounded() -> None:
    """The record must not grow with the number of callers: those for whom there is no room share one."""
    complaints: tuple[Complaint, ...] = ()
    for number in range(100):
        complaints = with_complaint(complaints, f"caller {number}", NOW + number)
    assert len(complaints) == COMPLAINTS_KEPT + 1
    assert complaints[-1] == Complaint(CROWD, NOW + 99, 100 - COMPLAINTS_KEPT)
    assert with_complaint(complaints, "caller 5", NOW + 99)[-1] == Complaint("caller 5", NOW + 99, 2)


@pytest.mark.parametrize("callers", [1, 2, 9, COMPLAINTS_KEPT, 500])
def test_however_many_reject_a_living_token_they_cost_what_one_of_them_does(callers: int) -> None:
    """An hour of callers in a loop, each a little behind the other: probes, writes and the record stay small."""
    record = build_record(STABLE, escalated_at=T)
    probes = writes = 0
    for number in range(3600 * 2):
        now, caller = T + 600.0 + number / 2, f"caller {number * 7 % callers}"
        before = record
        record, answer = after(reject(caller=caller), replace(record, escalated_at=now), now)
        writes += record.complaints != before.complaints
        if isinstance(answer, ProbeNow):
            probes += 1
            record, _ = after(looked(ALIVE, now, caller), record, now + 0.1)
    patient = 6 + 3600 / 300
    crowd = 3 + 3600 / 60 if callers > COMPLAINTS_KEPT else 0
    assert probes <= patient + crowd + 1
    assert writes <= (min(callers, COMPLAINTS_KEPT) + 1) * (probes + 1)
    assert len(record.complaints) <= COMPLAINTS_KEPT + 1


@pytest.mark.parametrize(("known", "waits"), [(COMPLAINTS_KEPT - 1, 10.0), (COMPLAINTS_KEPT, 60.0)])
def test_who_never_complained_before_is_heard_soon_whatever_the_others_do(known: int, waits: float) -> None:
    """He may be the first whom the death of the token reaches; the longest patience is for those who cry wolf."""
    complaints = tuple(Complaint(f"caller {number}", T + 1.0, 9) for number in range(known))
    crowd = (Complaint(CROWD, T + 1.0, 9),) if known == COMPLAINTS_KEPT else ()
    record = build_record(complaints=complaints + crowd, probe=Probe(T, ALIVE, T, T))
    assert after(reject(caller="honest"), record, T + waits - 0.1)[1] == StillValid(T + waits)
    assert after(reject(caller="honest"), record, T + waits)[1] == ProbeNow(T + waits)
    assert isinstance(after(reject(caller="caller 3"), record, T + waits)[1], StillValid)


# --- two callers who insist


def insisting(now: float = T) -> Record:
    """Return a record which two callers rejected twice each, and which each time was found alive."""
    record = rejected_and_alive(build_record(STABLE), "one", now)
    record = rejected_and_alive(record, "two", now + 1.0)
    return rejected_and_alive(record, "one", now + 11.0)


def crowded(*complaints: Complaint) -> tuple[Complaint, ...]:
    """Return the complaints, and so many more that there is no room for another caller."""
    return (*(Complaint(f"caller {number}", T - 500.0, 1) for number in range(COMPLAINTS_KEPT)), *complaints)


def test_two_callers_who_come_again_are_believed_unprobed() -> None:
    """The probe may reach another node of the platform than they do."""
    made, answer = after(reject(caller="two"), insisting(), T + 12.0)
    assert answer == Join()
    assert (made.suspected, made.escalated_at, made.condemned) == (True, T + 12.0, "")
    assert judge_freshness(made, T + 12.0) is Freshness.DOUBTFUL
    assert [event.code for event in events_of(reject(caller="two"), insisting(), T + 12.0)] == ["replaced_unprobed"]


@pytest.mark.parametrize(
    ("record", "caller", "at"),
    [
        (insisting(), "one", T + 40.0),
        (insisting(), "three", T + 22.0),
        (insisting(), "two", T + 72.0),
        (replace(insisting(), escalated_at=T - 500.0), "two", T + 22.0),
        (rejected_and_alive(rejected_and_alive(insisting(T - 400.0), "two", T), "one", T + 1.0), "two", T + 22.0),
        (
            build_record(complaints=crowded(Complaint("one", T, 2, again=True), Complaint(CROWD, T, 9))),
            "three",
            T + 2.0,
        ),
        (insisting(), "two", T + 1.0 - 0.5),
    ],
    ids=[
        "alone",
        "a third one, for the first time",
        "more than a minute later",
        "within ten minutes of the last",
        "the other one came twice long ago, and once now",
        "one of a crowd",
        "a clock that stepped back",
    ],
)
def test_what_is_no_insisting(record: Record, caller: str, at: float) -> None:
    """One buggy caller, however stubborn, replaces nothing; nor do two more than once in ten minutes."""
    made, answer = after(reject(caller=caller), record, at)
    assert not made.suspected
    assert not isinstance(answer, Join)


# --- probes


def test_a_probe_asked_for_another_generation_is_not_begun() -> None:
    """There is a newer one by now."""
    assert after(BeginProbe(SLOT, 1), build_record(generation=2), T)[1] == Join()
    assert after(BeginProbe(SLOT, 0), Record(SLOT), T)[1] == Join()
    assert after(BeginProbe(SLOT, 1), build_record(), T)[1] == ProbeNow(T)


def test_alive_is_remembered_for_this_generation() -> None:
    """By its departure: what it proves, it proves of then."""
    record = build_record(probe=Probe(began_at=T))
    made, _ = after(looked(ALIVE), record, T + 3.0)
    assert made.probe == Probe(T, ALIVE, T, T, None)
    assert made.complaints == ()


def test_alive_after_a_reject_is_looked_at_once_more() -> None:
    """At overlap + 10 s the platform's nodes agree; the complaint is noted."""
    made, _ = after(looked(ALIVE, caller="one"), build_record(probe=Probe(began_at=T)), T + 3.0)
    assert made.probe.again_at == T + 3.0 + 310.0
    assert made.complaints == (Complaint("one", T + 3.0, 1),)
    again, _ = after(looked(ALIVE, T + 313.0), replace(made, probe=made.probe._replace(began_at=T + 313.0)), T + 313.2)
    assert again.probe.again_at is None


def test_a_second_complaint_does_not_put_the_second_look_off() -> None:
    """Else a caller in a loop would keep it away for ever."""
    made, _ = after(looked(ALIVE, caller="one"), build_record(probe=Probe(began_at=T)), T)
    later, _ = after(looked(ALIVE, T + 100.0, caller="one"), made, T + 100.0)
    assert later.probe.again_at == T + 310.0


@pytest.mark.parametrize(
    ("began_at", "still_open"), [(T + 369.0, True), (T + 370.0, True), (T + 370.001, False), (T + 1000.0, False)]
)
def test_alive_late_enough_closes_an_attempt(began_at: float, *, still_open: bool) -> None:
    """Later than 10 + 60 + 300 s after its departure: had it landed, the token would be dead."""
    record = build_due(attempts=(open_attempt(T),))
    made, _ = after(looked(ALIVE, began_at), record, began_at + 0.1)
    assert bool(made.attempts) is still_open


def test_alive_closes_only_what_could_have_ended_this_token() -> None:
    """An attempt in the other mode says nothing about it, and it nothing about the attempt."""
    other = open_attempt(T, STABLE, ends=True)
    record = build_due(CLASSIC, attempts=(open_attempt(T), other))
    made, _ = after(looked(ALIVE, T + 400.0), record, T + 400.1)
    assert made.attempts == (other,)
    assert trust_of(made) == trust_of(build_due(CLASSIC))


def test_dead_condemns_and_says_why() -> None:
    """Every replica stops handing it out before the mint is even asked for."""
    made, _ = after(looked(DEAD), build_record(probe=Probe(began_at=T, again_at=T + 300.0)), T + 0.2)
    assert (made.condemned, made.probe.again_at, made.probe.last) == ("rejected", None, DEAD)
    assert judge_freshness(made, T + 0.2) is Freshness.DEAD
    assert made.credential is not None


@pytest.mark.parametrize(
    ("record", "at", "codes"),
    [
        (build_record(), T, ["condemned", "foreign_mint"]),
        (build_record(attempts=(open_attempt(NOW + 100.0),)), T, ["condemned"]),
        (build_record(), NOW + 7200.0, ["condemned"]),
        (build_record(contest=Contest(seen=(T - 9.0, T - 8.0))), T, ["condemned", "foreign_mint", "contested"]),
        (build_record(condemned="probed"), T, []),
    ],
    ids=["before its time", "we may have done it ourselves", "of age", "the third sign", "known already"],
)
def test_death_before_its_time_with_nothing_open_is_a_strangers_work(
    record: Record, at: float, codes: list[str]
) -> None:
    """Our own lost request explains it as well, so then it is no sign."""
    assert [event.code for event in events_of(looked(DEAD, at), record, at)] == codes


def test_unknown_proves_nothing_and_is_no_answer() -> None:
    """The platform stays silent, the token as it was; who waits for this verdict learns that there is none."""
    record = build_record(probe=Probe(began_at=T))
    made, _ = after(looked(UNKNOWN, caller="one"), record, T + 10.0)
    assert made.probe == Probe(began_at=T, last=UNKNOWN)
    assert (made.condemned, made.complaints) == ("", ())


def test_a_condemned_token_found_alive_is_handed_out_again() -> None:
    """The proof was one node's; but what belongs to another platform stays condemned."""
    probe = Probe(began_at=T)
    assert after(looked(ALIVE), build_record(condemned="rejected", probe=probe), T)[0].condemned == ""
    assert after(looked(ALIVE), build_record(condemned="moved", probe=probe), T)[0].condemned == "moved"


def test_an_older_probes_good_news_does_not_lift_a_newer_ones_proof() -> None:
    """It left before the death."""
    record = build_record(condemned="rejected", probe=Probe(began_at=T + 50.0, last=DEAD))
    made, _ = after(looked(ALIVE, T), record, T + 51.0)
    assert (made.condemned, made.probe.last) == ("rejected", DEAD)


@pytest.mark.parametrize("verdict", [ALIVE, DEAD])
def test_a_probe_of_a_former_token_only_proves_that_the_platform_answers(verdict: ProbeVerdict) -> None:
    """It must condemn nobody else, nor vouch for anybody else."""
    record = build_record(probe=Probe(began_at=T))
    made, _ = after(EndProbe(SLOT, "former", T, verdict, "rejected", "one"), record, T + 1.0)
    assert (made.condemned, made.complaints, made.probe.alive_at) == ("", (), record.probe.alive_at)
    assert made.probe.answered_at == T


# --- whatever the record

verdicts = st.sampled_from(ProbeVerdict)


@given(records(), moments, st.sampled_from(["", CURRENT, "foreign"]), st.sampled_from(["one", "two"]))
def test_a_reject_alone_condemns_nothing_and_opens_nothing(
    record: Record, now: float, sha256: str, caller: str
) -> None:
    """Only a probe's proof does."""
    made, _ = after(reject(sha256, caller, 3), record, now)
    assert (made.condemned, made.credential, made.attempts, made.lease) == (
        record.condemned,
        record.credential,
        record.attempts,
        record.lease,
    )


@given(records(), moments, verdicts, st.floats(0.0, 60.0), st.sampled_from(["", "one"]))
def test_no_probe_makes_a_credential_vanish_or_opens_an_attempt(
    record: Record, now: float, verdict: ProbeVerdict, took: float, caller: str
) -> None:
    """It closes attempts or leaves them; the token itself stays where it is."""
    made, _ = after(looked(verdict, now, caller), record, now + took)
    assert made.credential == record.credential
    assert set(made.attempts) <= set(record.attempts)
    assert trust_of(made) >= trust_of(record)


@given(
    records(),
    moments,
    st.lists(st.tuples(st.floats(0.0, 700.0), st.sampled_from(["one", "two", "three"])), max_size=25),
)
def test_however_often_it_is_rejected_a_living_token_is_probed_once_in_5_s_and_replaced_once_in_10_min(
    record: Record, now: float, rejects: list[Any]
) -> None:
    """Any number of callers, in any order, all of them wrong; of what has no probe `test_tickets` tells."""
    assume(record.credential is None or ISSUING[record.credential.mode].has_probe)
    probes: list[float] = []
    replaced: list[float] = []
    for pause, caller in rejects:
        now += pause
        before = record
        record, answer = after(reject(caller=caller), record, now)
        if isinstance(answer, ProbeNow):
            probes.append(now)
            record, _ = after(looked(ALIVE, now, caller), record, now)
        if record.suspected and not before.suspected:
            replaced.append(now)
            record = replace(record, suspected=False)
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(probes))
    assert all(later - earlier >= 600.0 for earlier, later in pairwise(replaced))
