"""Cold start: an account, an empty store, and whoever asks first."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import APPID, MODES, SLOT, Scene
from zhongkong.core.model import Mode, Slot
from zhongkong.errors import AccountUnknown, CredentialUnavailable


@pytest.mark.parametrize("mode", MODES)
def test_the_first_reader_gets_a_token_that_the_platform_just_issued(mode: Mode) -> None:
    """Nothing is there yet; one request brings it."""
    scene = Scene(mode)
    handed = scene.read()
    assert scene.is_alive(handed.value)
    assert (handed.generation, handed.doubtful, handed.stale) == (1, False, False)
    assert [issued.value for issued in scene.issued] == [handed.value]


@pytest.mark.parametrize("mode", MODES)
def test_nobody_need_ask_for_the_first_token(mode: Mode) -> None:
    """The rounds fetch it: a business server that comes later waits for nothing."""
    scene = Scene(mode)
    scene.turn(2.0)
    assert scene.replicas[0].keeper.peek(SLOT) is not None
    assert len(scene.issued) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_crowd_of_first_readers_makes_one_request(mode: Mode) -> None:
    """All of them join the one that runs; each gets what it brought."""
    scene = Scene(mode, replicas=2)
    crowd = [scene.begin(scene.replicas[index % 2].keeper.credential(SLOT)) for index in range(200)]
    scene.turn(5.0)
    assert {task.result().value for task in crowd} == {scene.issued[0].value}
    assert len(scene.line.asked()) == 1


def test_an_account_added_later_is_served_at_once() -> None:
    """A running hub sees what another program put into the store."""
    scene = Scene(account=False)
    scene.turn(30.0)
    scene.change_account()
    before = scene.time()
    assert scene.is_alive(scene.read().value)
    assert scene.time() - before < 1.0


def test_an_account_that_nobody_added_is_unknown_and_costs_nothing() -> None:
    """A wrong appid is the caller's mistake: told at once, and the platform never hears of it."""
    scene = Scene()
    with pytest.raises(AccountUnknown):
        scene.run(scene.replicas[0].keeper.credential(Slot("wxffffffffffffffff")))
    assert {call.what for call in scene.line.journal} <= {"stable_token"}
    assert APPID in scene.world.accounts


def test_whoever_asks_for_accounts_that_nobody_added_leaves_nothing_behind() -> None:
    """Appids come from forms that strangers fill in: no round may go on asking the store for each of them."""
    scene = Scene()
    keeper = scene.replicas[0].keeper
    for number in range(100):
        with pytest.raises(AccountUnknown):
            scene.run(keeper.credential(Slot(f"wx{number:016x}")))
        with pytest.raises(AccountUnknown):
            scene.run(keeper.reject(Slot(f"wx{number:016x}"), "caller", value="no token"))
    scene.turn(5.0)
    assert list(keeper.known.slots()) == [SLOT]


@pytest.mark.parametrize("mode", MODES)
def test_without_a_platform_the_first_reader_is_told_why_and_the_next_is_served(mode: Mode) -> None:
    """There is nothing to hand out, so the error names the cause, within the caller's patience."""
    scene = Scene(mode)
    scene.line.is_unreachable = True
    before = scene.time()
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert caught.value.cause == "unreachable"
    assert caught.value.retry_after
    assert scene.time() - before <= 5.0
    scene.line.is_unreachable = False
    scene.turn(61.0)
    assert scene.is_alive(scene.read().value)
