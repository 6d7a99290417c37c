"""Tickets: how they are issued, kept, and rejected. Their rule is one row of the table of modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SANDBOX, SLOT, after, build_account, build_credential, build_record, events_of
from zhongkong.core.change import Change, Remove
from zhongkong.core.claim import Claim, Claimed, Faster, NotYet
from zhongkong.core.freshness import Freshness, judge_freshness, promised_until, trust_of
from zhongkong.core.issuing import first_refresh_at, mode_now, next_ask_at
from zhongkong.core.model import ACCOUNT_MODES, TICKETS, Credential, Kind, Mode, Record, Slot, Spent, Trouble
from zhongkong.core.reject import AlreadyNewer, Join, Reject, StillValid
from zhongkong.core.retry import next_midnight, shanghai_day
from zhongkong.core.rounds import Action, is_vouched, needs_mint, plan
from zhongkong.core.save import Failed, Save, Saved
from zhongkong.wechat.answers import Granted, Refused

TICKET = Slot(SLOT.appid, Kind.JSAPI_TICKET)
ACCOUNT = build_account(Mode.STABLE)


def build_ticket(left: float = NOW, **changed: Any) -> Record:
    """Return the record of a ticket that was issued at `left`."""
    credential = build_credential(Mode.TICKET, value="ticket-1", left=left)
    due = first_refresh_at(TICKET, credential)
    return replace(build_record(Mode.TICKET, credential), slot=TICKET, refresh_at=due, **changed)


def claimed(record: Record, now: float, beyond: int = 1) -> Record:
    """Return the record after a claim that was granted."""
    record, answer = after(Claim(TICKET, ACCOUNT, f"fence at {now}", beyond), record, now)
    assert isinstance(answer, Claimed)
    return record


def fence(record: Record) -> str:
    """Return the fence of its lease."""
    assert record.lease is not None
    return record.lease.fence


def saved(record: Record, value: str, now: float, expires_in: int = 7200) -> Record:
    """Return the record after the claim's answer."""
    record, answer = after(Save(TICKET, ACCOUNT, fence(record), Granted(value, expires_in)), record, now)
    assert answer == Saved()
    return record


def current(record: Record) -> Credential:
    """Return the credential; there must be one."""
    assert record.credential is not None
    return record.credential


# --- issued


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("mode", ACCOUNT_MODES)
def test_a_ticket_is_issued_in_one_way_whatever_the_accounts_mode_unless_a_leader_is_asked(
    kind: Kind, mode: Mode
) -> None:
    """Follow is followed for every kind."""
    wanted = Mode.TICKET if kind in TICKETS and mode is not Mode.FOLLOW else mode
    assert mode_now(build_account(mode), Record(Slot(SLOT.appid, kind)), NOW) is wanted


def test_a_first_ticket_opens_a_generation_and_ends_nothing() -> None:
    """Its attempt threatens no credential, so no trust is lost while it is under way."""
    record = claimed(Record(TICKET, revision=1), NOW, beyond=0)
    assert [(one.mode, one.ends) for one in record.attempts] == [(Mode.TICKET, False)]
    record = saved(record, "ticket-1", NOW + 0.1)
    assert (record.generation, record.attempts, current(record).expires_at) == (1, (), NOW + 7200)
    assert trust_of(claimed(record, NOW + 5700)) == NOW + 7200


def test_a_ticket_is_promised_to_its_end() -> None:
    """Nothing ends it before."""
    record = build_ticket()
    assert promised_until(record, seen=NOW, trust=trust_of(record)) == NOW + 7200


def test_a_ticket_is_due_a_quarter_of_its_life_ahead() -> None:
    """An outage of the platform may last that long, if asking brings another one."""
    record = build_ticket()
    assert NOW + 5400 < record.refresh_at < NOW + 5400 + 180 + 1
    assert judge_freshness(record, record.refresh_at) is Freshness.DUE
    assert plan(record, record.refresh_at).action is Action.MINT


def test_another_ticket_is_the_next_generation_and_nobodys_sign() -> None:
    """Whoever else asks for tickets does no harm."""
    due = build_ticket().refresh_at
    record = saved(claimed(build_ticket(), due), "ticket-2", due + 0.1)
    assert (record.generation, record.contest.seen, record.refresh_at > due + 5000) == (2, (), True)


def test_a_ticket_that_is_repeated_is_asked_for_few_times_and_at_its_end() -> None:
    """A day allows 100 calls, twelve lives make 48; and at its end there is another one."""
    record, asks = build_ticket(), []
    while record.generation == 1:
        now = record.refresh_at
        left = NOW + 7200 - now
        asks.append(left)
        if left >= 1:
            record = saved(claimed(record, now), "ticket-1", now + 0.1, expires_in=int(left))
            assert current(record).life == 7200
        else:
            record = saved(claimed(record, now), "ticket-2", now + 0.1)
    assert len(asks) == 4
    assert (asks[0] > 1600, 0 <= asks[-1] < 1) == (True, True)


@given(st.floats(0.0, 7199.0))
def test_a_ticket_first_seen_late_in_its_life_is_asked_for_again_before_its_end(age: float) -> None:
    """What others fetched long ago comes with what is left of it."""
    credential = build_credential(Mode.TICKET, left=NOW - age)
    at, _ = next_ask_at(TICKET, credential, 0, NOW)
    assert NOW < at <= max(credential.expires_at, NOW + 30)


# --- rejected


def rejected(record: Record, now: float, caller: str = "shop", value: str = "") -> tuple[Record, object]:
    """Return what becomes of a reject of the current ticket."""
    sha256 = value or current(record).sha256
    return after(Reject(TICKET, caller, sha256=sha256), record, now)


def test_a_reject_asks_again_and_takes_nothing_from_anybody_meanwhile() -> None:
    """There is no probe, and a caller's word is no proof: readers go on, the round and the caller fetch."""
    record, answer = rejected(build_ticket(), NOW + 100)
    assert answer == Join()
    assert judge_freshness(record, NOW + 100) is Freshness.DUE
    assert needs_mint(record, NOW + 100)
    assert record.probe == build_ticket().probe


def test_the_same_ticket_came_so_it_is_still_valid_for_a_minute_whoever_asks() -> None:
    """At most one fetch in 60 s, however many report it."""
    record, _ = rejected(build_ticket(), NOW + 100)
    record = saved(claimed(record, NOW + 100), "ticket-1", NOW + 100.2, expires_in=7100)
    assert (record.generation, record.suspected, is_vouched(record, NOW + 101)) == (1, False, True)
    for second, caller in ((101, "shop"), (130, "another"), (159, "shop")):
        same, answer = rejected(record, NOW + second, caller)
        assert answer == StillValid(NOW + 160)
        assert same is record
    assert rejected(record, NOW + 160)[1] == Join()


def test_a_ticket_that_was_just_brought_is_still_valid() -> None:
    """To ask again at once would bring the same, and cost one of 100 calls."""
    assert rejected(build_ticket(), NOW + 59)[1] == StillValid(NOW + 60)


def test_another_ticket_came_so_who_rejected_the_former_is_told_so() -> None:
    """Also who comes late."""
    record, _ = rejected(build_ticket(), NOW + 100)
    record = saved(claimed(record, NOW + 100), "ticket-2", NOW + 100.2)
    assert (record.generation, record.suspected) == (2, False)
    assert rejected(record, NOW + 101, value=current(build_ticket()).sha256)[1] == AlreadyNewer()


def test_a_strangers_ticket_is_no_sign_of_a_contest() -> None:
    """It ends none of ours; a third one must not move a classic account to another mode."""
    reject = Reject(TICKET, "shop", sha256="f" * 64)
    assert events_of(reject, build_ticket(), NOW) == []
    assert after(reject, build_ticket(), NOW) == (build_ticket(), AlreadyNewer())


def test_a_fetch_that_failed_leaves_the_ticket_in_use_and_its_wait_to_all() -> None:
    """An outage costs those who reject a wait, and readers nothing."""
    record, _ = rejected(build_ticket(), NOW + 100)
    record = claimed(record, NOW + 100)
    record, answer = after(Save(TICKET, ACCOUNT, fence(record), Refused(-1)), record, NOW + 101)
    assert answer == Failed()
    assert judge_freshness(record, NOW + 101) is Freshness.DUE
    assert not is_vouched(record, NOW + 101)
    _, waits = after(Claim(TICKET, ACCOUNT, "other", 1), record, NOW + 101)
    assert isinstance(waits, NotYet)
    assert waits.trouble == Trouble("refused", -1)


def test_rejects_take_at_most_half_of_a_day() -> None:
    """The other half is the rounds'."""
    record, _ = rejected(build_ticket(), NOW + 100)
    spent = Spent(shanghai_day(NOW), 50, rejects=50)
    _, answer = after(Claim(TICKET, ACCOUNT, "mine", 1), replace(record, spent=spent), NOW + 100)
    assert answer == NotYet(next_midnight(NOW), Trouble("budget"))
    due = replace(record, spent=spent, refresh_at=NOW + 100)
    assert isinstance(after(Claim(TICKET, ACCOUNT, "mine", 1), due, NOW + 100)[1], Claimed)
    counted = claimed(replace(record, spent=spent._replace(rejects=49)), NOW + 100)
    assert counted.spent.rejects == 50


def test_who_is_late_finds_nothing_to_do() -> None:
    """Two replicas, one fetch: the second one's claim looks at the record."""
    record, _ = rejected(build_ticket(), NOW + 100)
    record = saved(claimed(record, NOW + 100), "ticket-1", NOW + 100.2, expires_in=7100)
    assert after(Claim(TICKET, ACCOUNT, "other", 1), record, NOW + 100.3)[1] == Faster()


# --- refused, spent, changed


@pytest.mark.parametrize(
    ("errcode", "state"),
    [(48001, "blocked"), (45009, "quota"), (-1, "refused"), (40001, "refused"), (42001, "refused"), (12345, "refused")],
)
def test_what_a_refusal_means_is_the_tickets_own_table(errcode: int, state: str) -> None:
    """40001 is no wrong secret here: the access_token is replaced, so it passes."""
    record = claimed(Record(TICKET, revision=1), NOW, beyond=0)
    record, _ = after(Save(TICKET, ACCOUNT, fence(record), Refused(errcode)), record, NOW + 1)
    assert record.retry.trouble is not None
    assert record.retry.trouble.state == state


@pytest.mark.parametrize(("base_url", "budget"), [(ACCOUNT.base_url, 100), (SANDBOX, 100)])
def test_a_day_allows_100_calls(base_url: str, budget: int) -> None:
    """The platform calls their number very limited, and names none."""
    account = replace(ACCOUNT, base_url=base_url)
    spent = Spent(shanghai_day(NOW), budget)
    record = build_ticket(left=NOW - 8000, spent=spent)
    assert after(Claim(TICKET, account, "mine", 1), record)[1] == NotYet(next_midnight(NOW), Trouble("budget"))
    record = replace(record, spent=spent._replace(total=budget - 1))
    assert isinstance(after(Claim(TICKET, account, "mine", 1), record)[1], Claimed)


def test_a_ticket_of_an_account_that_moved_is_condemned_until_it_comes_again() -> None:
    """The sandbox's ticket signs nothing on the platform; the same value proves itself."""
    record, _ = after(Change(TICKET, 2, moved=True), build_ticket())
    assert judge_freshness(record, NOW) is Freshness.DEAD
    account = replace(ACCOUNT, revision=2)
    record, _ = after(Claim(TICKET, account, "mine", 1), record)
    record, _ = after(Save(TICKET, account, "mine", Granted("ticket-1", 7000)), record, NOW + 1)
    assert (record.condemned, record.generation) == ("", 1)


def test_a_removed_ticket_leaves_its_generation() -> None:
    """It never begins again."""
    record, _ = after(Remove(TICKET), build_ticket())
    assert (record.removed, record.generation, record.credential) == (True, 1, None)
