"""The store is away: what memory knows is served and marked, and nothing that could end a token leaves."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.keeper.scene import MODES, SECRET, SLOT, Scene
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.model import DEADLINE, LEASE, Mode, Secret, Slot
from zhongkong.errors import CredentialUnavailable, StoreUnavailable
from zhongkong.keeper.keeper import PATIENCE, RejectOutcome

OVERLAP = 300.0


@pytest.mark.parametrize("mode", MODES)
def test_memory_is_served_and_marked_stale(mode: Mode) -> None:
    """A credential is not withheld because a database restarts."""
    scene = Scene(mode)
    value = scene.read().value
    reader = scene.seat_reader()
    scene.turn(60.0)
    scene.store.is_away = True
    scene.turn(11.0)
    handed = scene.read()
    assert (handed.value, handed.stale, handed.doubtful) == (value, True, False)
    scene.turn(120.0)
    assert (reader.failed, reader.refused, reader.longest_wait) == ([], [], 0.0)


def test_a_blink_is_not_even_marked() -> None:
    """One missed poll proves nothing."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.store.is_away = True
    scene.turn(1.5)
    assert not scene.read().stale
    scene.store.is_away = False
    scene.turn(2.0)
    assert not scene.read().stale


def test_a_stable_account_is_renewed_although_nothing_can_be_written() -> None:
    """Asking in normal mode ends nothing, so it needs nobody's leave: the default mode does not go dark."""
    scene = Scene(Mode.STABLE)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 600.0)
    scene.store.is_away = True
    scene.turn(3600.0)
    assert (reader.failed, reader.refused) == ([], [])
    assert len(scene.issued) == 2
    handed = scene.read()
    assert (handed.value, handed.stale, handed.doubtful) == (scene.issued[1].value, True, False)
    assert scene.record.generation == 1


def test_a_store_that_hangs_keeps_no_reader_waiting_beyond_his_patience() -> None:
    """He saw a newer generation elsewhere, or asks for what was never seen here: the store is asked, in vain."""
    scene = Scene(replicas=2)
    generation = scene.read(1).generation
    scene.store.answers_after = 60.0
    reader = scene.replicas[1].keeper
    for slot, seen in ((SLOT, generation + 1), (Slot("wxelsewhere"), 0)):
        began = scene.time()
        with pytest.raises(StoreUnavailable):
            scene.run(reader.credential(slot, seen=seen))
        assert scene.time() - began <= PATIENCE + 0.1


def test_a_slow_store_and_a_silent_platform_share_a_readers_patience() -> None:
    """He waits for the store first and for a refresh then, and no longer for both than for one."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    handed = scene.read(1)
    scene.line.is_cut = True
    scene.turn_to(handed.expires_at + 3600.0)
    scene.store.answers_after = 4.0
    began = scene.time()
    with pytest.raises((StoreUnavailable, CredentialUnavailable)):
        scene.run(scene.replicas[1].keeper.credential(SLOT, seen=handed.generation + 1))
    assert scene.time() - began <= PATIENCE + 0.1


@pytest.mark.parametrize("is_full", [True, False])
def test_what_could_not_be_saved_is_promised_no_longer_than_others_leave_it_alone(*, is_full: bool) -> None:
    """If its holder dies, nobody knows of it: somebody mints after the lease, and it ends an overlap later."""
    scene = Scene(Mode.CLASSIC, poll_seconds=1.0)
    value = scene.read().value
    scene.turn(10.0)
    scene.revoke_all()
    scene.line.latency = 2.0
    _ = scene.begin(scene.replicas[0].keeper.reject(SLOT, "caller", value=value), scene.replicas[0])
    scene.turn(3.0)
    assert scene.record.condemned
    scene.store.is_full, scene.store.is_away = is_full, not is_full
    scene.turn(1.5)
    handed = scene.read()
    assert handed.value == scene.issued[-1].value != value
    assert scene.record.generation == handed.generation - 1
    assert 0 < handed.expires_in <= LEASE + OVERLAP


def test_what_was_asked_meanwhile_is_saved_when_the_store_is_back() -> None:
    """The same token becomes the store's next generation; the generations never fall."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 600.0)
    scene.store.is_away = True
    scene.turn(1200.0)
    seen = [scene.read(index) for index in range(2)]
    assert {handed.value for handed in seen} == {scene.issued[1].value}
    scene.store.is_away = False
    scene.turn(70.0)
    assert len(scene.issued) == 2
    for index in range(2):
        handed = scene.read(index)
        assert handed.value == scene.issued[1].value
        assert handed.generation >= seen[index].generation
        assert not handed.stale
    assert scene.credential.value == scene.issued[1].value


def test_a_classic_token_is_doubtful_a_lease_and_an_overlap_after_the_last_contact() -> None:
    """Another replica, which reaches the store, may have claimed right after our last look."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.turn(60.0)
    scene.store.is_away = True
    scene.turn(LEASE + OVERLAP - 5.0)
    assert not scene.read().doubtful
    scene.turn(10.0)
    handed = scene.read()
    assert (handed.doubtful, handed.stale, handed.expires_in) == (True, True, 0)
    assert scene.is_alive(handed.value)


def test_nothing_that_ends_a_token_leaves_while_the_store_is_away() -> None:
    """Due, doubtful, whatever: without a claim nobody mints."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 60.0)
    scene.store.is_away = True
    scene.turn(1700.0)
    assert len(scene.line.asked()) == 1
    assert (reader.failed, reader.refused) == ([], [])
    assert reader.longest_wait <= 5.0


def test_a_doubtful_token_found_alive_is_handed_out_without_waiting() -> None:
    """One probe vouches for it for a tenth of the overlap; a crowd does not make more of them."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.turn(60.0)
    scene.store.is_away = True
    scene.turn(LEASE + OVERLAP + 5.0)
    probes = len(scene.line.asked("probe"))
    crowd = [scene.begin(scene.replicas[0].keeper.credential(SLOT)) for _ in range(100)]
    scene.turn(1.0)
    assert all(task.result().doubtful for task in crowd)
    before = scene.time()
    for _ in range(20):
        scene.read()
        scene.turn(1.0)
    assert scene.time() - before == pytest.approx(20.0, abs=0.2)
    assert len(scene.line.asked("probe")) - probes <= 2


def test_a_reject_needs_the_store() -> None:
    """It is decided on the record, never on memory: 503, and nothing is asked of the platform."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    scene.turn(400.0)
    scene.store.is_away = True
    scene.turn(10.0)
    with pytest.raises(StoreUnavailable):
        scene.reject(value)
    assert scene.line.asked("probe") == []


def test_a_reject_waits_no_longer_than_its_patience_for_a_store_that_hangs() -> None:
    """Its caller is told that it is the store; what was begun goes on, and is judged when the store answers."""
    scene = Scene()
    value = scene.read().value
    scene.revoke_all()
    scene.store.answers_after = 9.0
    began = scene.time()
    with pytest.raises(StoreUnavailable):
        scene.reject(value)
    assert scene.time() - began < PATIENCE + 0.1
    scene.store.answers_after = 0.0
    scene.turn(30.0)
    assert scene.is_alive(scene.read().value)


def test_a_reject_with_a_slow_store_and_a_slow_platform_ends_a_probes_time_after_its_patience() -> None:
    """It waits for both in turns, several times; whoever passes rejects on can tell from when a hub is dead."""
    scene = Scene()
    value = scene.read().value
    scene.revoke_all()
    scene.store.answers_after, scene.line.latency = 4.5, 9.5
    began = scene.time()
    with pytest.raises((StoreUnavailable, CredentialUnavailable)):
        scene.reject(value)
    assert scene.time() - began < DEADLINE + PATIENCE + 0.1
    scene.store.answers_after, scene.line.latency = 0.0, 0.1
    scene.turn(60.0)
    assert scene.is_alive(scene.read().value)


@pytest.mark.parametrize("replica", [0, 1])
def test_a_reject_of_what_the_store_does_not_know_yet_is_never_answered_with_the_same(replica: int) -> None:
    """A stable token that was asked for while the store was away, rejected in the moment in which it is back."""
    scene = Scene(Mode.STABLE, replicas=2, poll_seconds=1.0)
    scene.turn(5.0)
    credential = scene.credential
    scene.store.is_away = True
    scene.turn_to(credential.expires_at + 5.0)
    value = scene.read().value
    assert value != credential.value
    scene.store.is_away = False
    with pytest.raises(CredentialUnavailable) as caught:
        scene.reject(value, replica=replica)
    assert caught.value.retry_after == 1.0
    scene.turn(10.0)
    assert scene.reject(value, replica=replica).outcome is RejectOutcome.STILL_VALID


@pytest.mark.parametrize("mode", MODES)
def test_when_the_store_is_back_all_is_as_before(mode: Mode) -> None:
    """No mark, full trust, and what is due is renewed within seconds."""
    scene = Scene(mode)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 60.0)
    scene.store.is_away = True
    scene.turn(500.0)
    scene.store.is_away = False
    scene.turn(10.0)
    handed = scene.read()
    assert (handed.stale, handed.doubtful) == (False, False)
    assert handed.value == scene.issued[-1].value
    assert len(scene.issued) == 2


def test_an_answer_that_could_not_be_saved_is_saved_later() -> None:
    """The store went away between claim and save: the token is handed out at once, and kept when it can be."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 0.5)
    while len(scene.line.departed) == 1:
        scene.turn(0.0005)
    scene.store.is_away = True
    scene.turn(30.0)
    assert scene.read().value == scene.issued[1].value
    assert scene.record.generation == 1
    scene.store.is_away = False
    scene.turn(5.0)
    credential = scene.credential
    assert (credential.generation, credential.value) == (2, scene.issued[1].value)
    assert len(scene.line.asked()) == 2
    assert (reader.failed, reader.refused) == ([], [])


def test_a_crowd_at_a_replica_that_never_saw_its_store_polls_it_no_more_than_the_rounds_do() -> None:
    """A hub that begins while its database is down must not ask it once for every caller, all of everything."""
    scene = Scene(Mode.STABLE, poll_seconds=1.0)
    scene.store.is_away = True
    before, keeper = scene.store.polls, scene.replicas[0].keeper

    async def crowd() -> list[object]:
        return list(await asyncio.gather(*(keeper.credential(SLOT) for _ in range(50)), return_exceptions=True))

    for _ in range(10):
        assert {type(error) for error in scene.run(crowd())} == {StoreUnavailable}
    assert scene.store.polls - before <= 2 + scene.time()
    scene.store.is_away = False
    scene.turn(1.1)
    assert scene.is_alive(scene.read().value)


def test_a_store_put_in_place_of_ours_is_not_asked_without_rest_until_a_poll_finds_out() -> None:
    """There the account was changed less often than here: each claim is told to read it again, and none gets on."""
    scene = Scene(Mode.STABLE, poll_seconds=30.0)
    scene.change_account(secret=Secret("1" * 32))
    scene.change_account(secret=Secret(SECRET))
    scene.turn(61.0)
    value = scene.read().value
    MemoryStore.__init__(scene.store, scene.clock.wall, incarnation="another")
    scene.run(scene.store.put_account(scene.account))
    loads = scene.store.loads
    with pytest.raises(CredentialUnavailable) as caught:
        scene.run(scene.replicas[0].keeper.force(SLOT))
    assert (caught.value.code, caught.value.values["cause"]) == ("force_refused", "refreshing")
    assert scene.store.loads - loads <= 2
    assert scene.read().value == value
    scene.turn(31.0)
    assert scene.run(scene.replicas[0].keeper.force(SLOT)).handed.generation == 2


def test_who_saw_a_newer_one_is_not_given_the_former_where_that_is_doubtful_either() -> None:
    """What another replica handed out died with it, unsaved: until the next is saved there is nothing to give him."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.line.is_cut = True
    scene.turn_to(scene.record.refresh_at + 500.0)
    handed = scene.read()
    assert handed.doubtful
    with pytest.raises(StoreUnavailable, match="store_behind"):
        scene.run(scene.replicas[0].keeper.credential(SLOT, seen=handed.generation + 1))
