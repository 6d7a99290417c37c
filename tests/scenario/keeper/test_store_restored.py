"""The store is put back to what it was, by whatever tool, under keepers that run: they notice, and nobody goes back."""

from __future__ import annotations

import copy
from typing import Any

from tests.scenario.keeper.scene import Scene
from zhongkong.core.change import Doubt
from zhongkong.core.model import Mode
from zhongkong.keeper.keeper import COMPARE_EVERY

KEPT = ("_records", "_accounts", "_events", "_told")


def backup(scene: Scene) -> dict[str, Any]:
    """Return what the store holds."""
    return {name: copy.copy(getattr(scene.store, name)) for name in KEPT}


def restore(scene: Scene, held: dict[str, Any]) -> None:
    """Put it back as a database's own tool does: nothing says so."""
    vars(scene.store).update({name: copy.copy(value) for name, value in held.items()})


def test_a_store_put_back_by_hand_is_told_what_keepers_remember_within_a_minute() -> None:
    """Its incarnation is the old one; that its records are older than they were gives it away."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.read()
    held = backup(scene)
    scene.turn_to(scene.record.refresh_at + 1200.0)
    now, minted = scene.credential, len(scene.issued)
    assert now.generation == 2
    reader = scene.seat_reader()
    restore(scene, held)
    scene.turn(2 * COMPARE_EVERY)
    assert (scene.credential.value, scene.record.generation) == (now.value, 2)
    assert {scene.read(index).value for index in range(2)} == {now.value}
    assert len(scene.issued) == minted
    assert "store_replaced" in scene.events
    assert (reader.refused, reader.failed) == ([], [])


def test_an_account_that_the_backup_did_not_know_is_there_again() -> None:
    """Its record is missed although no record that is there is too old."""
    scene = Scene(Mode.CLASSIC, account=False)
    scene.turn(2 * COMPARE_EVERY)
    held = backup(scene)
    scene.change_account()
    value = scene.read().value
    scene.turn(60.0)
    restore(scene, held)
    scene.turn(2 * COMPARE_EVERY)
    assert scene.credential.value == value
    assert len(scene.issued) == 1


def test_a_classic_token_of_the_past_is_looked_at_before_it_is_trusted() -> None:
    """Restored while no hub ran: if it lives it is served, marked until that is certain; if not it is replaced."""
    for is_dead in (False, True):
        scene = Scene(Mode.CLASSIC, replicas=1)
        value = scene.read().value
        scene.turn(600.0)
        if is_dead:
            scene.revoke_all()
        for applied in scene.run(scene.store.apply([Doubt(scene.slot)])):
            assert len(applied.record.attempts) == 2
        scene.turn(60.0)
        handed = scene.read()
        assert (handed.value == value, scene.line.probed != []) == (not is_dead, True)
        scene.turn(900.0)
        handed = scene.read()
        assert not handed.doubtful
        assert scene.is_alive(handed.value)
        assert len(scene.issued) == 1 + is_dead


def test_a_stable_token_of_the_past_is_trusted_as_before() -> None:
    """No mint ends it."""
    scene = Scene(Mode.STABLE)
    scene.read()
    before = scene.record
    scene.run(scene.store.apply([Doubt(scene.slot)]))
    assert scene.record == before
