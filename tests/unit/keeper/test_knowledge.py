"""What a replica knows: the store's clock beside its own, records by their versions, what it remembers meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SLOT, build_account, build_credential, build_record
from zhongkong.core.change import Restamp, WriteBack
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.freshness import Freshness
from zhongkong.core.model import Account, Mode, Record, Slot
from zhongkong.core.ports import Changes
from zhongkong.core.save import Save
from zhongkong.keeper.knowledge import DRIFT, STEP, Knowledge
from zhongkong.testing.fake_clock import FakeClock
from zhongkong.wechat.answers import Granted


class Hands:
    """A boot-time clock whose hands a test sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def boot(self) -> float:
        """Return what it shows."""
        return self.at

    def wall(self) -> float:
        """Return something wrong: nothing may depend on it."""
        return 0.0


@pytest.fixture
def clock() -> Hands:
    """Return a clock that says 1000 s after boot."""
    return Hands()


@pytest.fixture
def known(clock: Hands) -> Knowledge:
    """Return the knowledge of a replica that was just begun."""
    return Knowledge(clock, stale_after=3.0)


def changes(now: float, *records: Record, accounts: tuple[Account, ...] = (), incarnation: str = "one") -> Changes:
    """Return an answered poll."""
    return Changes(now, incarnation, records, accounts)


# --- the store's clock


@given(asked_at=st.floats(0.0, 1e6), took=st.floats(0.0, 5.0), way=st.floats(0.0, 1.0), ahead=st.floats(-1e9, 2e9))
def test_the_stores_time_is_known_to_half_a_round_trip(asked_at: float, took: float, way: float, ahead: float) -> None:
    """Wherever within it the store read its clock."""
    clock = Hands()
    known = Knowledge(clock, stale_after=3.0)
    answered_at = asked_at + took
    known.learn_changes(changes(asked_at + took * way + ahead), asked_at, answered_at)
    clock.at = answered_at
    assert abs(known.now() - (answered_at + ahead)) <= took / 2 + 1e-5


def test_what_is_announced_allows_for_what_is_not_known_of_the_clock(known: Knowledge, clock: Hands) -> None:
    """Half the round trip, and the drift since: a promise must not be a second too long."""
    record = build_record(Mode.STABLE, refresh_at=NOW + 7200.0)
    known.learn_changes(changes(NOW, record), 1000.0, 1004.0)
    clock.at = 1002.0
    handed = known.hand_out(record, Freshness.FRESH)
    assert handed.expires_in == int(7200.0 - 2.0 - DRIFT * 2.0)


def test_a_change_lies_in_the_past_whatever_the_clock_was_taken_for(known: Knowledge, clock: Hands) -> None:
    """The store's clock stepped on after the poll; what was saved since is not announced as living longer for it."""
    known.learn_changes(changes(NOW), 1000.0, 1000.0)
    saved = build_credential(Mode.STABLE, expires_at=NOW + 3600.0 + 7200.0)
    record = replace(build_record(Mode.STABLE, saved, refresh_at=NOW + 9000.0), changed_at=NOW + 3600.0)
    known.learn(record)
    clock.at = 1001.0
    assert known.hand_out(record, Freshness.FRESH).expires_in == 7199
    known.learn_changes(changes(NOW + 3601.0), 1001.0, 1001.0)
    assert known.stepped == pytest.approx(3600.0)
    assert known.hand_out(record, Freshness.FRESH).expires_in == 7199


@pytest.mark.parametrize(
    ("step", "took", "is_step"),
    [
        (-STEP - 0.1, 0.0, True),
        (-STEP + 0.1, 0.0, False),
        (-3600.0, 1.0, True),
        (-2.4, 1.0, False),
        (3600.0, 0.0, False),
    ],
    ids=["back by more than 2 s", "less", "by an hour", "as the round trip may explain", "forward"],
)
def test_a_clock_that_stepped_back_has_every_record_restamped(
    known: Knowledge, clock: Hands, step: float, took: float, *, is_step: bool
) -> None:
    """Forward needs nothing: everything is merely older than it was."""
    record = build_record()
    assert known.learn_changes(changes(NOW, record), 1000.0, 1000.0) == []
    clock.at = 1001.0
    restamps = known.learn_changes(changes(NOW + 1.0 + step), 1001.0 - took / 2, 1001.0 + took / 2)
    assert [(one.slot, one.version, round(one.by, 3)) for one in restamps] == (
        [(SLOT, record.version, round(-step, 3))] if is_step else []
    )
    assert known.now() == NOW + 1.0 + step
    assert all(isinstance(one, Restamp) for one in restamps)
    assert known.stepped == (pytest.approx(step) if abs(step) > STEP + took / 2 else 0.0)


def test_the_first_poll_is_no_step(known: Knowledge) -> None:
    """Before it nothing was known of the store's clock."""
    assert known.is_blind
    assert known.learn_changes(changes(-1e9), 1000.0, 1000.0) == []
    assert not known.is_blind


def test_a_store_is_stale_when_it_was_not_reached_for_a_while(known: Knowledge, clock: Hands) -> None:
    """Counted from when we asked, on our own clock."""
    assert known.is_stale
    known.learn_changes(changes(NOW), 1000.0, 1002.0)
    clock.at = 1003.0
    assert not known.is_stale
    clock.at = 1003.1
    assert known.is_stale


def test_a_classic_token_is_doubtful_to_who_lost_the_store(known: Knowledge, clock: Hands) -> None:
    """A lease and an overlap after the last answered poll; a stable one is not."""
    known.learn_changes(changes(NOW), 1000.0, 1000.0)
    clock.at = 1000.0 + 319.9
    assert known.freshness(build_record(Mode.CLASSIC)) is Freshness.FRESH
    clock.at = 1000.0 + 320.0
    assert known.freshness(build_record(Mode.CLASSIC)) is Freshness.DOUBTFUL
    assert known.freshness(build_record(Mode.STABLE)) is Freshness.FRESH


# --- records and accounts


@pytest.mark.parametrize(("version", "is_learnt"), [(6, False), (7, False), (8, True)])
def test_a_record_is_replaced_only_by_a_later_version(known: Knowledge, version: int, *, is_learnt: bool) -> None:
    """Answers of a store may overtake each other."""
    told: list[Slot] = []
    known.learn(build_record(version=7))
    known.on_change(told.append)
    other = build_record(version=version, asks=3)
    known.learn(other)
    assert (known.record(SLOT) is other) is is_learnt
    assert told == ([SLOT] if is_learnt else [])


def test_a_removed_account_is_forgotten(known: Knowledge) -> None:
    """Its tombstone says so, whoever reads it first."""
    known.learn_changes(changes(NOW, build_record(), accounts=(build_account(),)), 1000.0, 1000.0)
    assert known.account(SLOT.appid) is not None
    known.learn(Record(SLOT, version=9, removed=True))
    assert known.account(SLOT.appid) is None


def test_an_account_read_on_its_own_is_not_replaced_by_an_older_one(known: Knowledge) -> None:
    """Two reads may come back in the wrong order."""
    known.learn_account(build_account(revision=2))
    known.learn_account(build_account(revision=1))
    account = known.account(SLOT.appid)
    assert account is not None
    assert account.revision == 2


# --- another store


def test_another_store_is_recognised_and_told_what_we_remember(known: Knowledge) -> None:
    """It was lost and made anew under the same address."""
    record, account = build_record(), build_account()
    known.learn_changes(changes(NOW, record, accounts=(account,)), 1000.0, 1000.0)
    assert not known.is_estranged(changes(NOW))
    assert known.is_estranged(changes(NOW, incarnation="two"))
    assert known.remembered() == ([account], [WriteBack(SLOT, record)])
    known.forget_store()
    assert known.record(SLOT) is None
    assert not known.is_estranged(changes(NOW, incarnation="two"))


def test_a_new_replica_takes_the_store_it_finds(known: Knowledge) -> None:
    """There is no other that it could miss."""
    assert not known.is_estranged(changes(NOW, incarnation="whatever"))


# --- while the store is away


def pretend_mint(known: Knowledge, value: str, fence: str = "mine") -> Record:
    """Claim and save in memory alone, for a stable account."""
    account = build_account(Mode.STABLE)
    claimed = known.pretend(Claim(SLOT, account, fence, 99))
    assert isinstance(claimed.answer, Claimed)
    return known.pretend(Save(SLOT, account, fence, Granted(value, 7200))).record


@pytest.fixture
def away(known: Knowledge, clock: Hands) -> Knowledge:
    """Return what is known while the store is away and a stable token is due."""
    record = build_record(Mode.STABLE, refresh_at=NOW)
    known.learn_changes(changes(NOW, record), 1000.0, 1000.0)
    clock.at = 1000.0 + 6000.0
    return known


def test_what_was_minted_without_the_store_is_known_to_us_and_marked_stale(away: Knowledge) -> None:
    """Handed out and planned by; the store's own record is kept beside it."""
    mine = pretend_mint(away, "token-2")
    assert away.record(SLOT) is mine
    assert away.planned(SLOT) is mine
    assert mine.generation == 2
    assert away.hand_out(mine, away.freshness(mine)).stale


def test_however_long_it_is_away_memory_is_one_generation_ahead(away: Knowledge, clock: Hands) -> None:
    """Else the generations would fall when the store comes back and counts one."""
    for number in range(2, 6):
        mine = pretend_mint(away, f"token-{number}", f"fence {number}")
        assert mine.generation == 2
        assert mine.credential is not None
        assert (mine.credential.value, mine.credential.generation) == (f"token-{number}", 2)
        clock.at += 6950.0


def test_the_stores_newer_credential_replaces_what_we_remember(away: Knowledge, clock: Hands) -> None:
    """It is back, and somebody saved the next generation there."""
    pretend_mint(away, "token-2")
    theirs = build_record(Mode.STABLE, build_credential(Mode.STABLE, generation=2, value="token-3"), version=9)
    away.learn_changes(changes(NOW + 6000.0, theirs), clock.at, clock.at)
    assert away.record(SLOT) is theirs


def test_ours_stays_until_the_store_was_told(away: Knowledge, clock: Hands) -> None:
    """It is the better one: what the store has is about to expire. Rounds go by the store's own again."""
    mine = pretend_mint(away, "token-2")
    away.learn_changes(changes(NOW + 6000.0), clock.at, clock.at)
    assert away.record(SLOT) is mine
    planned = away.planned(SLOT)
    assert planned is not None
    assert planned.generation == 1
    away.forget_unsaved(SLOT)
    assert away.record(SLOT) is planned


def test_what_only_we_noted_of_the_same_credential_gives_way(away: Knowledge, clock: Hands) -> None:
    """A look of our own while the store was away: the store's record stands again."""
    account = build_account(Mode.STABLE)
    away.pretend(Claim(SLOT, account, "mine", 99))
    away.learn_changes(changes(NOW + 6000.0), clock.at, clock.at)
    record = away.record(SLOT)
    assert record is not None
    assert (record.lease, record.attempts) == (None, ())


def test_it_gives_way_as_soon_as_the_store_can_be_written_again(away: Knowledge, clock: Hands) -> None:
    """The poll that found the store back came before that, and the next one may be a minute away."""
    for _ in range(2):
        away.write_failed()
        clock.at += 10.0
    away.pretend(Claim(SLOT, build_account(Mode.STABLE), "mine", 99))
    away.learn_changes(changes(NOW + 6020.0), clock.at, clock.at)
    assert away.is_unwritable
    away.wrote()
    record = away.record(SLOT)
    assert record is not None
    assert (record.lease, record.attempts) == (None, ())


def test_what_is_asked_without_the_store_is_stamped_early_but_not_before_the_last_look(
    away: Knowledge, clock: Hands
) -> None:
    """What came of the look is older than what was asked for after it, whatever the doubt about the clock."""
    away.learn_changes(changes(NOW + 6000.0), clock.at - 2.0, clock.at + 2.0)
    record = away.record(SLOT)
    assert record is not None
    away.learn(replace(record, version=9, probe=record.probe._replace(began_at=away.now() - 1.0)))
    away.pretend(Claim(SLOT, build_account(Mode.STABLE), "mine", 99))
    after = away.record(SLOT)
    assert after is not None
    (attempt,) = after.attempts
    assert attempt.left == after.probe.began_at < away.now()


def test_a_change_of_the_account_reaches_what_only_we_know(away: Knowledge) -> None:
    """Else it would be claimed for under a revision that is no more; the secret's change ends no credential."""
    mine = pretend_mint(away, "token-2")
    theirs = build_record(Mode.STABLE, version=9, revision=mine.revision + 1)
    assert away.learn(theirs)
    record = away.record(SLOT)
    assert record is not None
    assert (record.revision, record.condemned, record.credential) == (theirs.revision, "", mine.credential)


@pytest.mark.parametrize("later", [{"condemned": "moved"}, {"removed": True}])
def test_an_account_that_lives_elsewhere_or_is_gone_takes_along_what_only_we_know(
    away: Knowledge, later: dict[str, Any]
) -> None:
    """A token of the former place must not be handed out for the new one."""
    mine = pretend_mint(away, "token-2")
    assert away.learn(build_record(Mode.STABLE, version=9, revision=mine.revision + 1, **later))
    record = away.record(SLOT)
    assert record is not None
    assert (record.condemned, record.removed) == (later.get("condemned", ""), later.get("removed", False))


# --- watching


def test_who_watches_a_slot_hears_of_its_next_change_and_of_no_other() -> None:
    """A long poll costs nothing while nothing happens."""
    clock = FakeClock()
    known = Knowledge(clock, stale_after=3.0)
    watcher = clock.begin(known.changed(SLOT))
    clock.turn(1.0)
    known.learn(replace(build_record(), slot=Slot("wxother")))
    clock.turn(1.0)
    assert not watcher.done()
    known.learn(build_record())
    clock.turn(0.0)
    assert watcher.done()


def test_who_gives_up_watching_leaves_nothing_behind() -> None:
    """Callers come and go by the thousand."""
    clock = FakeClock()
    known = Knowledge(clock, stale_after=3.0)

    async def give_up() -> None:
        await asyncio.wait_for(known.changed(SLOT), 1.0)

    with pytest.raises(TimeoutError):
        clock.run(give_up())
    known.learn(build_record())
