"""What the store holds of one account cannot be unsealed at one replica: it lives on there by memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.scenario.keeper.scene import SLOT, Reader, Replica, Scene
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.command import AnswerT, Applied, Command
from zhongkong.core.model import Account, Instant, Mode, Record, Secret, Slot
from zhongkong.core.ports import Changes
from zhongkong.errors import WrongSeal
from zhongkong.hub.health import WELL, WRONG_SEAL, health_of_all
from zhongkong.keeper.keeper import Keeper

WELL_SLOT = Slot("wx-well")


class SealedStore:
    """A way to the scene's store on which `sealed` accounts cannot be unsealed."""

    def __init__(self, scene: Scene) -> None:
        self.store: MemoryStore = scene.store
        self.sealed: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply them all, or none."""
        for command in commands:
            self._open(command.slot.appid)
        return await self.store.apply(commands)

    async def load(self, slot: Slot) -> Record:
        """Load one."""
        self._open(slot.appid)
        return await self.store.load(slot)

    async def account(self, appid: str) -> Account | None:
        """Return one."""
        self._open(appid)
        return await self.store.account(appid)

    async def changes(self, after: Instant) -> Changes:
        """Tell what can be told, and name the rest."""
        told = await self.store.changes(after)
        return replace(
            told,
            records=tuple(one for one in told.records if one.slot.appid not in self.sealed),
            accounts=tuple(one for one in told.accounts if one.appid not in self.sealed),
            unreadable_records=tuple(one.slot for one in told.records if one.slot.appid in self.sealed),
            unreadable_accounts=tuple(one.appid for one in told.accounts if one.appid in self.sealed),
        )

    def _open(self, appid: str) -> None:
        if appid in self.sealed:
            raise WrongSeal("wrong_seal", appid=appid)


class Play:
    """Two replicas and two accounts; the second replica is the one that cannot read everything."""

    def __init__(self, mode: Mode) -> None:
        self.scene = scene = Scene(mode)
        scene.world.add_account(WELL_SLOT.appid, "f" * 32)
        scene.run(scene.store.put_account(replace(scene.account, appid=WELL_SLOT.appid, secret=Secret("f" * 32))))
        self.store = SealedStore(scene)
        self.replica = Replica(scene, 1)
        self.replica.keeper = Keeper(
            self.store, self.replica.platform, scene.clock, random=Random(1), poll_seconds=scene.poll_seconds
        )
        _ = scene.begin(self.replica.keeper.run(), self.replica)
        scene.turn(400.0)

    def seat_reader(self) -> Reader:
        """Let a business server read the first account there."""
        reader = Reader(self.scene, self.replica, 3.0)
        _ = self.scene.begin(reader.run())
        return reader

    def states(self) -> dict[str, str]:
        """Return how the replica says that its slots are."""
        return {health.slot.appid: health.state for health in health_of_all(self.replica.keeper.known)}


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_what_memory_holds_of_it_is_handed_out_as_far_as_it_can_hold(mode: Mode) -> None:
    """Others renew it meanwhile, unheard: readers get what is good, or are told that it is doubtful."""
    play = Play(mode)
    reader = play.seat_reader()
    play.store.sealed = {SLOT.appid}
    for _ in range(3000):
        play.scene.turn(3.0)
        handed = play.replica.keeper.peek(SLOT)
        assert handed is None or handed.doubtful or play.scene.is_alive(handed.value)
    assert play.scene.record.generation > 1
    assert reader.marks == ({"stale"} if mode is Mode.STABLE else {"stale", "doubtful"})
    if mode is Mode.STABLE:
        assert reader.failed == []
    else:
        assert {error.code for _, error in reader.failed} <= {"credential_unavailable", "wrong_seal"}
    play.store.sealed = set()
    play.scene.turn(70.0)
    served, failed = reader.served, len(reader.failed)
    reader.marks.clear()
    play.scene.turn(200.0)
    assert (reader.served > served, len(reader.failed), reader.marks) == (True, failed, set())
    assert play.states() == {SLOT.appid: WELL, WELL_SLOT.appid: WELL}


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_the_other_accounts_go_on(mode: Mode) -> None:
    """Served unmarked, renewed, kept in the store; and it is told which one is not well, and why."""
    play = Play(mode)
    play.store.sealed = {SLOT.appid}
    keeper = play.replica.keeper
    handed = play.scene.run(keeper.credential(WELL_SLOT))
    before = handed.generation
    for _ in range(100):
        play.scene.turn(90.0)
        handed = play.scene.run(keeper.credential(WELL_SLOT))
        assert (handed.stale, handed.doubtful) == (False, False)
        assert play.scene.is_alive(handed.value)
    assert handed.generation > before
    assert play.states() == {SLOT.appid: WRONG_SEAL, WELL_SLOT.appid: WELL}


def test_nothing_of_it_is_minted_that_ends_a_token() -> None:
    """The replica cannot know whether somebody else is at it."""
    play = Play(Mode.CLASSIC)
    play.store.sealed = {SLOT.appid}
    play.scene.line.departed.clear()
    play.scene.turn(7000.0)
    renewed = play.scene.record.generation - 1
    assert renewed == 1
    assert play.scene.line.asked("token")
    with pytest.raises(WrongSeal) as caught:
        play.scene.run(play.replica.keeper.reject(SLOT, "caller", generation=1))
    assert caught.value.values["appid"] == SLOT.appid
    assert len(play.scene.issued) == 2


def test_a_replica_that_begins_without_it_says_so_and_serves_the_others() -> None:
    """Not that there is no such account: somebody would add it anew."""
    play = Play(Mode.STABLE)
    store = SealedStore(play.scene)
    store.sealed = {SLOT.appid}
    keeper = Keeper(store, play.replica.platform, play.scene.clock, random=Random(2))
    assert play.scene.run(keeper.poll()) is True
    assert play.scene.run(keeper.credential(WELL_SLOT)).stale is False
    with pytest.raises(WrongSeal):
        play.scene.run(keeper.credential(SLOT))
    assert {one.slot.appid: (one.state, one.serving) for one in health_of_all(keeper.known)} == {
        SLOT.appid: (WRONG_SEAL, False),
        WELL_SLOT.appid: (WELL, True),
    }


def test_what_is_owed_to_the_store_of_others_is_told_all_the_same() -> None:
    """The clock stepped back, and every record is to be restamped: one that cannot be read holds up none."""
    play = Play(Mode.STABLE)
    play.store.sealed = {SLOT.appid}
    play.scene.turn(10.0)
    before = play.scene.run(play.scene.store.load(WELL_SLOT)).credential
    play.scene.clock.loop.stop_process(play.scene.replicas[0].process)
    play.scene.store.step = -100.0
    play.scene.turn(10.0)
    after = play.scene.run(play.scene.store.load(WELL_SLOT)).credential
    assert before is not None
    assert after is not None
    assert after.expires_at == pytest.approx(before.expires_at - 100.0, abs=1.0)


def test_another_store_that_holds_of_it_what_cannot_be_unsealed_is_told_of_the_others() -> None:
    """It was lost and made anew, and somebody with another seal was there first: he keeps what is his."""
    play = Play(Mode.STABLE)
    scene = play.scene
    scene.clock.loop.stop_process(scene.replicas[0].process)
    new = MemoryStore(scene.clock.wall, incarnation="another")
    scene.run(new.put_account(replace(scene.account, secret=Secret("theirs"))))
    play.store.store, play.store.sealed = new, {SLOT.appid}
    scene.turn(70.0)
    assert play.states() == {SLOT.appid: WRONG_SEAL, WELL_SLOT.appid: WELL}
    assert (scene.run(new.load(WELL_SLOT)).generation, scene.run(new.load(SLOT)).generation) == (1, 0)
