"""Accounts come, change and go; a store's clock steps back; a store is lost: what becomes of the record."""

from __future__ import annotations

from dataclasses import fields, replace
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
    build_record,
    moments,
    open_attempt,
    records,
)
from zhongkong.core.change import UNKNOWN_FENCES, Change, Doubt, Remove, Restamp, WriteBack, change_account
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.freshness import Freshness, judge_freshness, trust_of
from zhongkong.core.model import (
    NEVER,
    Complaint,
    Contest,
    Kind,
    Lease,
    Mode,
    Probe,
    Record,
    Retry,
    Secret,
    Slot,
    Spent,
    Trouble,
    hash_value,
)
from zhongkong.core.retry import shanghai_day
from zhongkong.core.rounds import Action, plan
from zhongkong.core.save import Save
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.errcodes import ProbeVerdict

BLOCKED = Retry(NOW + 200.0, 3, Trouble("blocked", 40164))

# --- accounts


@pytest.mark.parametrize(
    ("changed", "revision", "moved"),
    [
        ({}, 4, False),
        ({"name": "our shop"}, 4, False),
        ({"secret": Secret("1" * 32)}, 5, False),
        ({"mode": Mode.STABLE}, 5, False),
        ({"base_url": SANDBOX}, 5, True),
    ],
)
def test_the_revision_counts_what_matters_to_minting(changed: dict[str, Any], revision: int, *, moved: bool) -> None:
    """Whatever the caller believes the revision to be."""
    old = build_account(revision=4)
    account, changes = change_account(replace(old, revision=99, **changed), old, [build_record(revision=4)])
    assert account.revision == revision
    assert changes == [Change(SLOT, revision, moved)]


def test_an_account_that_comes_back_goes_on_from_its_tombstone() -> None:
    """What was claimed for the former one must not be saved for this one."""
    account, changes = change_account(build_account(), None, [Record(SLOT, revision=7, removed=True)])
    assert (account.revision, changes) == (8, [Change(SLOT, 8)])


def test_a_change_brings_along_whatever_was_ever_written() -> None:
    """A ticket that nobody asked for has no record, and a change makes none; its tombstone counts like any."""
    card = Record(Slot(SLOT.appid, Kind.WX_CARD_TICKET), revision=9, version=3, removed=True)
    records = [build_record(revision=4), Record(Slot(SLOT.appid, Kind.JSAPI_TICKET), revision=4), card]
    account, changes = change_account(build_account(), None, records)
    assert changes == [Change(SLOT, account.revision), Change(card.slot, account.revision)]
    assert account.revision == 10


def test_a_change_that_matters_voids_the_lease_clears_the_wait_and_makes_the_slot_due() -> None:
    """Who still asks with the former secret has lost; the living token goes on until its successor is there."""
    record = build_record(
        lease=Lease("another", NOW + 10.0), retry=BLOCKED, attempts=(open_attempt(NOW - 1.0),), insist=True, asks=3
    )
    made, _ = after(Change(SLOT, 2), record)
    assert (made.revision, made.lease, made.retry, made.refresh_at) == (2, None, Retry(), NOW)
    assert (made.credential, made.condemned, made.attempts) == (record.credential, "", record.attempts)
    assert judge_freshness(made, NOW) is Freshness.DUE


def test_an_empty_change_clears_the_wait_and_nothing_else() -> None:
    """*Try now*: the person has put the address on the list."""
    record = build_record(lease=Lease("another", NOW + 10.0), retry=BLOCKED)
    made, _ = after(Change(SLOT, 1), record)
    assert made == replace(record, retry=Retry(), version=record.version + 1, changed_at=NOW)


def test_a_token_of_another_platform_is_condemned() -> None:
    """The account's host was changed: what the former one issued is nothing there."""
    made, _ = after(Change(SLOT, 2, moved=True), build_record())
    assert made.condemned == "moved"
    assert after(Change(SLOT, 2, moved=True), Record(SLOT))[0].condemned == ""


def test_a_removed_account_leaves_what_must_never_begin_again() -> None:
    """Its generation and revision, what the day has cost, what may still land, and the hashes of its tokens."""
    lost = open_attempt(NOW - 5.0)
    record = build_record(
        generation=5,
        past=("old",),
        spent=Spent(1, 2, 3, 4, 5),
        retry=BLOCKED,
        attempts=(lost, open_attempt(NOW, Mode.STABLE)),
        last_force=NOW - 9.0,
    )
    made, _ = after(Remove(SLOT), record)
    assert made.removed
    assert (made.generation, made.revision, made.version) == (5, 1, record.version + 1)
    assert (made.past, made.spent) == ((hash_value("token-1"), "old"), record.spent)
    assert (made.attempts, made.last_force) == ((lost,), NOW - 9.0)
    assert (made.credential, made.lease, made.retry) == (None, None, Retry())
    assert plan(made, NOW + 1e6).action is Action.REST


def test_an_account_that_comes_back_counts_on() -> None:
    """A reader that knew generation 5 never sees a 1."""
    gone, _ = after(Remove(SLOT), build_record(generation=5))
    back, _ = after(Change(SLOT, 2), gone)
    assert (back.removed, back.generation, back.revision) == (False, 5, 2)
    assert plan(back, NOW).action is Action.MINT


@given(record=records(), now=moments, revision=st.integers(1, 9), moved=st.booleans())
def test_no_change_makes_a_generation_fall(record: Record, now: float, revision: int, *, moved: bool) -> None:
    """Removed, changed, moved, added again, in any state."""
    for command in (Change(SLOT, revision, moved), Remove(SLOT), Change(SLOT, revision + 1)):
        made, _ = after(command, record, now)
        assert made.generation == record.generation
        record = made


# --- the store's clock steps back


def full_record() -> Record:
    """Return a record in which every instant is set."""
    return build_record(
        attempts=(open_attempt(NOW + 1.0), open_attempt(NOW + 2.0)),
        lease=Lease("another", NOW + 15.0),
        retry=BLOCKED,
        probe=Probe(NOW + 3.0, ProbeVerdict.ALIVE, NOW + 3.0, NOW + 3.0, NOW + 310.0),
        complaints=(Complaint("one", NOW + 4.0, 2),),
        escalated_at=NOW + 5.0,
        last_force=NOW + 6.0,
        contest=Contest((NOW - 60.0, NOW + 7.0), 1, NOW + 8.0, "foreign"),
    )


def test_after_a_step_back_everything_is_as_far_away_as_before() -> None:
    """At the new time the restamped record says what the old one said at the old time."""
    record, by = full_record(), 3600.0
    made, _ = after(Restamp(SLOT, record.version, by), record, NOW - by)
    old, new = record.credential, made.credential
    assert old is not None
    assert new is not None
    assert (new.since, new.left, new.expires_at) == (old.since - by, old.left - by, old.expires_at - by)
    assert [one.left for one in made.attempts] == [NOW + 1.0 - by, NOW + 2.0 - by]
    assert made.lease == Lease("another", NOW + 15.0 - by)
    assert made.retry == BLOCKED._replace(next_try_at=BLOCKED.next_try_at - by)
    assert made.probe == Probe(NOW + 3.0 - by, ProbeVerdict.ALIVE, NOW + 3.0 - by, NOW + 3.0 - by, NOW + 310.0 - by)
    assert made.complaints == (Complaint("one", NOW + 4.0 - by, 2),)
    assert (made.escalated_at, made.last_force) == (NOW + 5.0 - by, NOW + 6.0 - by)
    assert made.contest == Contest((NOW - 60.0 - by, NOW + 7.0 - by), 1, NOW + 8.0 - by, "foreign")
    assert made.refresh_at == record.refresh_at - by
    assert made.generation == record.generation


@given(records(), moments, st.floats(2.0, 1e5))
def test_a_restamp_moves_freshness_plan_and_trust_with_the_clock(record: Record, now: float, by: float) -> None:
    """No credential lives longer, none dies earlier, and no slot is frozen."""
    made, _ = after(Restamp(SLOT, record.version, by), record, now)
    for offset in (0.0, 5.0, 300.0, 4000.0):
        assert judge_freshness(made, now + offset - by) is judge_freshness(record, now + offset) or _is_an_edge(
            record, now + offset
        )
    if record.credential is not None:
        assert made.credential is not None
        assert made.credential.expires_at <= record.credential.expires_at


def _is_an_edge(record: Record, now: float) -> bool:
    """Say whether the judgement turns at this very moment, where the sums of floats may differ."""
    return judge_freshness(record, now - 1e-3) is not judge_freshness(record, now + 1e-3)


def test_two_replicas_that_saw_the_step_restamp_once() -> None:
    """The second one knew a record that is no more."""
    record = full_record()
    first, _ = after(Restamp(SLOT, record.version, 60.0), record)
    assert after(Restamp(SLOT, record.version, 60.0), first)[0] is first


def test_a_record_without_a_credential_is_restamped_too() -> None:
    """Its wait may be an hour in the future."""
    made, _ = after(Restamp(SLOT, 0, 60.0), Record(SLOT, retry=BLOCKED))
    assert made.retry.next_try_at == BLOCKED.next_try_at - 60.0
    assert made.probe == Probe()


def test_every_instant_of_a_record_is_known_to_the_restamp() -> None:
    """A new field that holds an instant must be moved too: this list is to be thought over with each one."""
    moved = {
        "credential",
        "refresh_at",
        "attempts",
        "lease",
        "retry",
        "probe",
        "complaints",
        "escalated_at",
        "last_force",
        "contest",
    }
    left = {"changed_at", "spent"}  # when it was written; a day's count
    others = {"slot", "revision", "version", "removed", "generation", "condemned", "suspected", "asks", "insist"}
    others |= {"longest", "past"}
    assert {one.name for one in fields(Record)} == moved | left | others


# --- a lost store


def test_a_lost_store_is_told_what_a_replica_remembers() -> None:
    """The living credential and all that is known of it, under the new store's own revision; nobody's lease."""
    mine = replace(full_record(), generation=9, credential=build_credential(generation=9))
    made, _ = after(WriteBack(SLOT, mine), Record(SLOT, revision=2, version=1))
    assert (made.generation, made.credential, made.attempts) == (9, mine.credential, mine.attempts)
    assert (made.revision, made.version, made.lease) == (2, 2, None)


def test_generations_go_on_over_the_loss_of_a_store() -> None:
    """The new store has minted already: its credential is the later one, counted on from what was known before."""
    mine = build_record(generation=9, credential=build_credential(generation=9), past=("older",))
    theirs = build_record(credential=build_credential(value="token-2"))
    made, _ = after(WriteBack(SLOT, mine), theirs)
    assert made.credential is not None
    assert (made.generation, made.credential.generation, made.credential.value) == (10, 10, "token-2")
    assert made.past == (hash_value("token-1"), "older")


def test_who_knew_less_gives_way_to_who_knew_more() -> None:
    """One replica missed the last mint and wrote its former token back first: that is no later one."""
    mine = build_record(
        generation=9, credential=build_credential(generation=9, value="token-2"), past=(hash_value("token-1"),)
    )
    made, _ = after(WriteBack(SLOT, mine), build_record(generation=8))
    assert (made.generation, made.credential) == (9, mine.credential)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (build_record(generation=3), build_record(generation=5, credential=build_credential(generation=5))),
        (build_record(generation=3), build_record(generation=3)),
        (Record(SLOT), build_record()),
        (Record(SLOT), Record(SLOT)),
    ],
    ids=["they are ahead", "they were told", "we know nothing", "nobody knows anything"],
)
def test_who_has_nothing_to_tell_changes_nothing(mine: Record, theirs: Record) -> None:
    """Several replicas write back, in any order."""
    assert after(WriteBack(SLOT, mine), theirs)[0] is theirs


def test_a_removed_account_stays_removed_but_its_count_goes_on() -> None:
    """It was removed from the new store before we came."""
    made, _ = after(WriteBack(SLOT, build_record(generation=9)), Record(SLOT, removed=True, generation=1))
    assert (made.removed, made.credential, made.generation) == (True, None, 9)


@pytest.mark.parametrize("mode", [Mode.CLASSIC, Mode.STABLE])
def test_an_account_of_a_sandbox_that_comes_back_may_spend_what_its_short_tokens_cost(mode: Mode) -> None:
    """A token of 60 s is asked for 120 times as often; 200 calls were nothing, and are no reason to go dark now."""
    spent = Spent(shanghai_day(NOW), 2000)
    gone, _ = after(Remove(SLOT), build_record(mode, build_credential(mode, life=60), spent=spent))
    back, _ = after(Change(SLOT, 2), gone)
    account = build_account(mode, base_url=SANDBOX, revision=2)
    assert isinstance(after(Claim(SLOT, account, "mine", 1), back)[1], Claimed)


@pytest.mark.parametrize("mode", [Mode.CLASSIC, Mode.STABLE])
def test_what_an_account_that_comes_back_is_issued_lives_as_long_as_is_announced(mode: Mode) -> None:
    """It may have come back elsewhere, where tokens live a minute: then they are renewed as such."""
    gone, _ = after(Remove(SLOT), build_record(mode, build_credential(mode)))
    back, _ = after(Change(SLOT, 2), gone)
    account = build_account(mode, base_url=SANDBOX, revision=2)
    claimed, _ = after(Claim(SLOT, account, "mine", 1), back)
    saved, _ = after(Save(SLOT, account, "mine", Granted("token-2", 60)), claimed)
    assert saved.credential is not None
    assert (saved.credential.life, saved.longest) == (60, 60 if mode is Mode.STABLE else 0)


@given(records(), records(), moments)
def test_whoever_writes_back_the_generation_never_falls(mine: Record, theirs: Record, now: float) -> None:
    """Neither below what the store knew, nor below what the replica remembers of a credential."""
    made, _ = after(WriteBack(SLOT, mine), theirs, now)
    assert made.generation >= theirs.generation
    if mine.generation:
        assert made.generation >= mine.generation
    assert trust_of(made) >= NEVER


# --- a store of the past


@given(records(), moments)
def test_what_a_mint_may_have_ended_is_doubted_and_nothing_else_changes(record: Record, now: float) -> None:
    """To doubt it again, later, is to doubt it once; who holds the lease keeps it."""
    doubted = Doubt(SLOT).apply(record, now).record
    credential = record.credential
    if credential is None or credential.mode is not Mode.CLASSIC:
        assert doubted is record
        return
    assert trust_of(doubted) == NEVER
    assert replace(doubted, attempts=record.attempts) == record
    again = Doubt(SLOT).apply(doubted, now + 100.0).record
    assert [one.fence for one in again.attempts] == [one.fence for one in doubted.attempts]
    assert {one.left for one in again.attempts if one.fence in UNKNOWN_FENCES} == {now + 100.0}
