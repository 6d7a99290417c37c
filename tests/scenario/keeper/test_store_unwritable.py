"""The store can be read and not written: full, read-only, locked. The default mode does not go dark."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.keeper.scene import MODES, SLOT, Scene
from zhongkong.core.model import Mode, Secret
from zhongkong.errors import CredentialUnavailable, StoreUnavailable
from zhongkong.sandbox.switches import Switches


def test_a_stable_account_is_renewed_although_its_store_is_full() -> None:
    """Asking in normal mode ends nothing, so it needs nobody's leave: a full disk is no reason to go dark."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 600.0)
    reader = scene.seat_reader()
    scene.store.is_full = True
    scene.turn(3600.0)
    assert (reader.failed, reader.refused) == ([], [])
    assert len(scene.issued) == 2
    handed = scene.read()
    assert (handed.value, handed.stale, handed.doubtful) == (scene.issued[1].value, True, False)
    assert (handed.generation, scene.record.generation) == (2, 1)


@pytest.mark.parametrize("seconds", [5.0, 12.0, 25.0])
def test_a_stable_account_is_renewed_however_long_its_store_takes_to_refuse(seconds: float) -> None:
    """What the claim costs is not taken off the time that the request has."""
    scene = Scene(Mode.STABLE)
    scene.turn_to(scene.read().expires_at - 600.0)
    reader = scene.seat_reader()
    scene.store.is_full, scene.store.refuses_after = True, seconds
    scene.turn(3600.0)
    assert (reader.failed, reader.refused, len(scene.issued)) == ([], [], 2)


def test_a_store_that_takes_its_time_to_refuse_is_read_all_the_same() -> None:
    """A lock held by another program is found out after seconds: the polls go on beside it."""
    scene = Scene(Mode.STABLE, poll_seconds=1.0)
    scene.turn_to(scene.read().expires_at - 600.0)
    reader = scene.seat_reader()
    scene.store.is_full, scene.store.refuses_after = True, 5.0
    keeper = scene.replicas[0].keeper
    for _ in range(600):
        scene.turn(2.0)
        assert not keeper.known.is_stale
    assert (reader.failed, reader.refused, len(scene.issued)) == ([], [], 2)


def test_the_platform_is_not_asked_more_often_because_nothing_can_be_written() -> None:
    """Memory goes by what it was answered: two replicas ask a handful of times in a window, as ever."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.turn_to(scene.read().expires_at - 600.0)
    scene.store.is_full = True
    asked = len(scene.line.journal)
    scene.turn(3600.0)
    assert len(scene.line.journal) - asked <= 2 * 4


def test_what_was_asked_meanwhile_is_saved_once_there_is_room() -> None:
    """It becomes the store's next generation within seconds, by itself; an event says for how long nothing was kept."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.turn_to(scene.read().expires_at - 600.0)
    reader = scene.seat_reader()
    scene.store.is_full = True
    scene.turn(1200.0)
    handed = scene.read()
    scene.store.is_full = False
    scene.turn(15.0)
    assert scene.record.generation == 2
    credential = scene.record.credential
    assert credential is not None
    assert credential.value == handed.value
    assert not scene.read().stale
    assert (reader.failed, reader.refused) == ([], [])
    assert "store_written_again" in {kept.event.code for kept in scene.run(scene.store.events(0, 100))}


@pytest.mark.parametrize("mode", MODES)
def test_a_write_that_fails_once_cuts_nobody_off(mode: Mode) -> None:
    """A locked moment is no outage: nothing is marked, and nothing is asked in memory alone."""
    scene = Scene(mode)
    value = scene.read().value
    scene.store.is_full = True
    with pytest.raises(StoreUnavailable):
        scene.reject(value)
    scene.store.is_full = False
    scene.turn(60.0)
    assert not scene.read().stale


@pytest.mark.parametrize("mode", MODES)
def test_two_writes_that_fail_hours_apart_cut_nobody_off(mode: Mode) -> None:
    """Nobody had anything to write in between: that is no store that cannot be written for hours."""
    scene = Scene(mode)
    value = scene.read().value
    for _ in range(2):
        scene.store.is_full = True
        with pytest.raises(StoreUnavailable):
            scene.reject(value)
        assert not scene.read().stale
        scene.store.is_full = False
        scene.turn(4000.0)
    assert "store_written_again" not in scene.events


@pytest.mark.parametrize("refuses_after", [0.0, 10.0])
def test_who_polls_once_a_minute_does_not_forget_that_nothing_can_be_kept(refuses_after: float) -> None:
    """Between two polls he does not try: that is no reason to take the store for well."""
    scene = Scene(Mode.CLASSIC, poll_seconds=60.0)
    scene.read()
    scene.turn_to(scene.record.refresh_at)
    scene.store.is_full, scene.store.refuses_after = True, refuses_after
    scene.turn(600.0)
    for _ in range(90):
        scene.turn(10.0)
        assert scene.read().stale


def test_who_polls_once_a_minute_finds_out_at_his_next_poll_that_it_can_be_written() -> None:
    """Also where his last try was refused late, after the poll that made it was over."""
    scene = Scene(Mode.CLASSIC, poll_seconds=60.0)
    scene.read()
    scene.turn_to(scene.record.refresh_at)
    scene.store.is_full, scene.store.refuses_after = True, 5.0
    polls = scene.store.polls
    while not (scene.read().stale and scene.store.polls > polls + 5):
        scene.turn(1.0)
    scene.turn(2.0)  # what the last poll tried is under way
    scene.store.is_full = False
    scene.turn(62.0)
    assert not scene.read().stale


def test_what_is_asked_while_the_store_answers_late_is_promised_no_longer_than_it_lives() -> None:
    """Its time is then known to seconds only: what memory stamps goes by the earliest moment that it may be."""
    scene = Scene(Mode.STABLE)
    scene.turn_to(scene.read().expires_at - 600.0)
    scene.store.is_full, scene.store.answers_after = True, 4.0
    while len(scene.issued) < 2:
        scene.turn(60.0)
    scene.store.answers_after = 0.0
    scene.turn(30.0)
    handed = scene.read()
    assert handed.generation == 2
    assert 0 < handed.expires_in <= scene.issued[1].expires_at - scene.clock.wall()


@pytest.mark.parametrize("asked_meanwhile", [False, True])
def test_a_clock_that_steps_back_meanwhile_makes_no_promise_longer(*, asked_meanwhile: bool) -> None:
    """That the store cannot be told to restamp its records is no reason to go by what was stamped before."""
    scene = Scene(Mode.STABLE)
    scene.turn_to(scene.read().expires_at - 600.0)
    scene.store.is_full = True
    scene.turn(1200.0 if asked_meanwhile else 60.0)
    reader = scene.seat_reader()
    left = scene.read().expires_in
    scene.store.step = -1800.0
    scene.turn(10.0)
    assert left - 15 <= scene.read().expires_in <= left - 10
    scene.turn(8000.0)
    assert (reader.failed, reader.refused) == ([], [])


def test_a_classic_account_is_served_to_its_end_and_not_minted_for() -> None:
    """Whoever mints ends the former, so nobody does without the store's word; the old one lives on."""
    scene = Scene(Mode.CLASSIC)
    first = scene.read()
    ends_at = scene.record.credential.expires_at  # type: ignore[union-attr]
    scene.turn_to(scene.record.refresh_at - 10.0)
    scene.store.is_full = True
    reader = scene.seat_reader()
    scene.turn_to(ends_at - 5.0)
    assert (len(scene.issued), reader.failed, reader.refused) == (1, [], [])
    assert scene.read().value == first.value
    scene.turn(60.0)
    with pytest.raises(StoreUnavailable, match="store_full"):
        scene.run(scene.replicas[0].keeper.credential(SLOT))
    scene.store.is_full = False
    scene.turn(15.0)
    assert scene.read().generation == 2


def test_who_waits_for_a_store_that_does_not_refuse_in_time_is_told_that_it_is_the_store() -> None:
    """Nothing is being refreshed: what is waited for is leave to ask."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    ends_at = scene.record.credential.expires_at  # type: ignore[union-attr]
    scene.store.is_full, scene.store.refuses_after = True, 10.0
    scene.turn_to(ends_at + 60.0)
    keeper = scene.replicas[0].keeper
    for asked in (keeper.credential(SLOT), keeper.force(SLOT)):
        with pytest.raises(StoreUnavailable):
            scene.run(asked)


def test_a_dead_stable_token_that_must_be_forced_waits_for_the_store_and_says_so() -> None:
    """Only a force brings another one, a force is nobody's without the store's word, and callers are told that."""
    scene = Scene(Mode.STABLE, switches=Switches(revoked_stable="same"))
    value = scene.read().value
    scene.revoke_all()
    scene.line.refusal = 40125
    with pytest.raises(CredentialUnavailable):
        scene.reject(value)
    scene.store.is_full, scene.store.refuses_after = True, 10.0
    scene.line.refusal = None
    scene.turn(600.0)
    assert scene.line.asked()[-1].errcode == 0  # in memory alone, and the same token came
    with pytest.raises(StoreUnavailable):
        scene.read()
    scene.store.is_full = False
    scene.turn(60.0)
    assert scene.is_alive(scene.read().value)


@pytest.mark.parametrize("change", [{"base_url": "http://elsewhere.test"}, {"secret": Secret("another")}])
def test_an_account_that_was_changed_meanwhile_is_kept_by_its_new_revision(change: dict[str, Any]) -> None:
    """A write got through in between: what only memory knows follows it, and no claim is made again and again."""
    scene = Scene(Mode.STABLE)
    scene.turn_to(scene.read().expires_at - 600.0)
    scene.store.is_full = True
    scene.turn(3600.0)
    before = scene.read()
    scene.change_account(**change)
    loads, asked = scene.store.loads, len(scene.line.journal)
    scene.turn(60.0)
    assert scene.store.loads - loads < 60
    assert scene.record.generation == 1
    handed = scene.read()
    assert handed.generation >= before.generation
    assert scene.is_alive(handed.value)
    assert 1 <= len(scene.line.journal) - asked <= 3
