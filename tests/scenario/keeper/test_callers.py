"""What callers may ask besides reading: to be told of a change, to force one; and accounts that come and go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import product

import pytest

from tests.scenario.keeper.scene import APPID, MODES, SLOT, Scene, gaps
from zhongkong.core.model import ACCOUNT_MODES, Mode, Secret
from zhongkong.core.retry import FORCE_APART, FORCES_A_DAY
from zhongkong.errors import AccountUnknown, CredentialUnavailable
from zhongkong.keeper.keeper import Keeper, RejectOutcome


@pytest.mark.parametrize("replica", [0, 1])
def test_a_long_poll_returns_when_there_is_another_token(replica: int) -> None:
    """Whichever replica minted it: within a poll of the save."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.turn(2.0)
    scene.turn_to(scene.record.refresh_at - 10.0)
    handed = scene.read(replica)
    before = scene.time()
    after = scene.run(scene.replicas[replica].keeper.changed(SLOT, handed, 30.0))
    assert after.generation == 2
    assert scene.time() - before < 13.0


def test_a_long_poll_without_news_ends_with_the_same_token() -> None:
    """The caller asks again; nothing was missed."""
    scene = Scene(Mode.STABLE)
    handed = scene.read()
    before = scene.time()
    after = scene.run(scene.replicas[0].keeper.changed(SLOT, handed, 30.0))
    assert (after.value, after.generation) == (handed.value, handed.generation)
    assert scene.time() - before == pytest.approx(30.0)


@pytest.mark.parametrize("replica", [0, 1])
def test_a_long_poll_returns_when_less_of_the_token_holds(replica: int) -> None:
    """A force whose answer was lost leaves an overlap of two hours: who caches by those must hear of that at once."""
    scene = Scene(Mode.STABLE, replicas=2)
    scene.turn(100.0)
    handed = scene.read(replica)
    waiting = scene.begin(scene.replicas[replica].keeper.changed(SLOT, handed, 600.0))
    scene.turn(10.0)
    scene.line.answers_to_lose = 1
    before = scene.time()
    _ = scene.begin(scene.replicas[0].keeper.force(SLOT))
    after = scene.run(asyncio.wait_for(waiting, 600.0))
    assert scene.time() - before < 4.0
    assert (after.value, after.generation, after.doubtful) == (handed.value, handed.generation, False)
    assert after.expires_at - scene.clock.wall() < 301.0
    assert handed.expires_at - scene.clock.wall() > 7000.0


def test_news_from_before_the_wait_is_not_missed() -> None:
    """The caller holds an older one than he knows: he is told at once."""
    scene = Scene(Mode.CLASSIC)
    old = scene.read()
    scene.turn_to(scene.record.refresh_at + 5.0)
    before = scene.time()
    after = scene.run(scene.replicas[0].keeper.changed(SLOT, old, 30.0))
    assert after.generation == 2
    assert scene.time() == before


def test_a_force_replaces_a_good_stable_token() -> None:
    """A leaked token is exchanged at once; the former one lives out its overlap."""
    scene = Scene(Mode.STABLE)
    old = scene.read()
    scene.turn(100.0)
    forced = scene.run(scene.replicas[0].keeper.force(SLOT))
    assert forced.outcome is RejectOutcome.REFRESHED
    assert forced.handed.generation == old.generation + 1
    assert scene.is_alive(forced.handed.value)
    assert scene.line.asked()[-1].forced


def test_forces_are_spaced_and_counted() -> None:
    """Sooner than 35 s the platform would not rotate and not say so; twenty a day is all it grants."""
    scene = Scene(Mode.STABLE, poll_seconds=5.0)
    scene.read()
    scene.turn(400.0)
    keeper = scene.replicas[0].keeper
    refusals: list[CredentialUnavailable] = []
    for _ in range(600):
        try:
            scene.run(keeper.force(SLOT))
        except CredentialUnavailable as error:
            refusals.append(error)
        scene.turn(5.0)
    forced = [call for call in scene.line.asked() if call.forced]
    assert len(forced) == FORCES_A_DAY
    assert min(gaps(forced)) >= FORCE_APART
    assert {error.cause for error in refusals} == {"too_soon", "budget"}
    assert {error.code for error in refusals} == {"force_refused"}
    assert all(error.retry_after for error in refusals)
    assert scene.is_alive(scene.read().value)


@pytest.mark.parametrize("mode", MODES)
def test_who_forces_in_vain_all_the_time_keeps_no_round_from_its_work(mode: Mode) -> None:
    """The day's forces are spent at once; that is his affair, and none of what is due later."""
    scene = Scene(mode)
    scene.read()
    _ = scene.begin(_force_for_ever(scene.replicas[0].keeper), scene.replicas[0])
    for _ in range(360):
        scene.turn(60.0)
        assert scene.clock.wall() < scene.record.refresh_at + 30.0


async def _force_for_ever(keeper: Keeper) -> None:
    while True:
        with suppress(CredentialUnavailable):
            await keeper.force(SLOT)
        await asyncio.sleep(20.0)


def test_an_account_that_went_is_forgotten_and_one_that_comes_back_counts_on() -> None:
    """A reader that knows generation 2 must never see a 1 again."""
    scene = Scene(Mode.CLASSIC, poll_seconds=1.0)
    scene.read()
    scene.turn_to(scene.record.refresh_at + 5.0)
    assert scene.read().generation == 2
    scene.run(scene.store.remove_account(APPID))
    scene.turn(2.0)
    with pytest.raises(AccountUnknown):
        scene.read()
    scene.turn(3600.0)
    assert len(scene.issued) == 2
    scene.run(scene.store.put_account(scene.account))
    scene.turn(2.0)
    handed = scene.read()
    assert handed.generation == 3
    assert scene.is_alive(handed.value)


def test_a_replica_that_is_behind_never_hands_out_an_older_generation() -> None:
    """The caller saw a newer one elsewhere: the store is asked before he gets anything."""
    scene = Scene(Mode.CLASSIC, replicas=2, poll_seconds=60.0)
    scene.turn(61.0)
    old = scene.read(1)
    scene.revoke_all()
    assert scene.reject(old.value, replica=0).handed.generation == 2
    assert scene.read(1).generation == 1
    handed = scene.run(scene.replicas[1].keeper.credential(SLOT, seen=2))
    assert handed.generation == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [*product([mode for mode in ACCOUNT_MODES if mode is not Mode.WECOM], repeat=2), (Mode.WECOM, Mode.WECOM)],
)
def test_a_change_of_mode_or_secret_costs_no_read(before: Mode, after: Mode) -> None:
    """The living token goes on under the rules of the mode that issued it until the next one is there."""
    scene = Scene(before)
    scene.read()
    reader = scene.seat_reader()
    scene.turn(400.0)
    secret = scene.world.reset_secret(scene.slot.appid, scene.clock.wall())
    scene.change_account(mode=after, secret=Secret(secret))
    scene.turn(60.0)
    assert (reader.failed, reader.refused) == ([], [])
    credential = scene.credential
    assert credential.mode is after
