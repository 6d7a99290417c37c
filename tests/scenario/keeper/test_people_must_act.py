"""What no retry heals: the wrong secret, an address that is not allowed, spent quotas."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import APPID, MODES, Scene, gaps
from zhongkong.core.model import Mode, Secret
from zhongkong.core.retry import next_midnight
from zhongkong.errors import CredentialUnavailable


@pytest.mark.parametrize("mode", MODES)
def test_a_reset_secret_blocks_the_account_until_somebody_brings_the_new_one(mode: Mode) -> None:
    """Reset → the old token lives on → blocked, and why → the new secret is put in → well, within seconds."""
    scene = Scene(mode)
    scene.read()
    secret = scene.world.reset_secret(APPID, scene.clock.wall())
    scene.turn_to(scene.record.refresh_at + 10.0)
    assert scene.is_alive(scene.read().value)
    trouble = scene.record.retry.trouble
    assert trouble is not None
    assert (trouble.state, trouble.errcode) == ("blocked", 40125)
    assert scene.events[-1] == "mint_failed"
    scene.turn(7200.0)
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert (caught.value.cause, caught.value.values["errcode"]) == ("blocked", 40125)
    scene.change_account(secret=Secret(secret))
    scene.turn(4.0)
    assert scene.is_alive(scene.read().value)
    assert scene.record.retry.trouble is None


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_to_the_old_secret_does_not_block_the_new_one(mode: Mode) -> None:
    """The new secret is put in while a request with the old one is on its way: its 40125 comes too late to matter."""
    scene = Scene(mode)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 0.5)
    secret = scene.world.reset_secret(APPID, scene.clock.wall())
    before = len(scene.line.departed)
    while len(scene.line.departed) == before:
        scene.turn(0.001)
    scene.change_account(secret=Secret(secret))
    scene.turn(5.0)
    assert [call.errcode for call in scene.line.asked()] == [0, 40125, 0]
    assert scene.record.retry.trouble is None
    assert scene.read().generation == 2


def test_a_wrong_secret_is_tried_every_five_minutes_and_no_more() -> None:
    """Each try costs quota and cannot help: callers are told at once, and cause none."""
    scene = Scene(account=False)
    scene.change_account(secret=Secret("f" * 32))
    scene.turn(1.0)
    for _ in range(60):
        before = scene.time()
        with pytest.raises(CredentialUnavailable) as caught:
            scene.read()
        assert scene.time() - before < 0.2
        assert caught.value.retry_after is not None
        assert caught.value.retry_after <= 300.0
        scene.turn(60.0)
    assert 12 <= len(scene.line.asked()) <= 13
    assert min(gaps(scene.line.asked())) >= 300.0


def test_try_now_needs_no_waiting() -> None:
    """The person put the address on the allow-list and saves the account as it is: the wait is over."""
    scene = Scene(Mode.CLASSIC, account=False)
    scene.world.account(APPID).set_allow_list(["192.0.2.1"])
    scene.change_account()
    scene.turn(2.0)
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert (caught.value.cause, caught.value.values["errcode"]) == ("blocked", 40164)
    assert "10.0.0.1" in str(caught.value.values["errmsg"])
    scene.world.account(APPID).set_allow_list(["10.0.0.1"])
    scene.change_account()
    scene.turn(4.0)
    assert scene.is_alive(scene.read().value)


def test_an_allowed_address_is_noticed_without_anybody_saying_so() -> None:
    """Whoever forgets to press the button waits five minutes at most."""
    scene = Scene(account=False)
    scene.world.account(APPID).set_allow_list(["192.0.2.1"])
    scene.change_account()
    scene.turn(10.0)
    scene.world.account(APPID).set_allow_list(["10.0.0.1"])
    scene.turn(300.0)
    assert scene.is_alive(scene.read().value)


def test_an_address_off_the_list_withholds_no_living_token() -> None:
    """Renewal is refused; what is alive is handed out to its last second, unmarked."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.world.account(APPID).set_allow_list(["192.0.2.1"])
    scene.turn_to(scene.credential.expires_at - 62.0)
    assert (reader.failed, reader.refused, reader.marks) == ([], [], set())


def test_a_minute_quota_passes_after_a_minute() -> None:
    """45009 is seen for the minute too: the first wait is short."""
    scene = Scene(Mode.CLASSIC)
    scene.line.refusal = 45009
    scene.turn(1.0)
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert (caught.value.cause, caught.value.values["errcode"]) == ("quota", 45009)
    scene.line.refusal = None
    scene.turn(61.0)
    assert scene.is_alive(scene.read().value)


def test_a_spent_day_is_asked_ever_more_slowly_and_again_at_midnight_in_shanghai() -> None:
    """One, five, then every fifteen minutes; the day there ends the wait."""
    scene = Scene(Mode.CLASSIC, poll_seconds=5.0)
    scene.world.account(APPID).set_quota("/cgi-bin/token", daily=0)
    midnight = next_midnight(scene.clock.wall())
    scene.turn_to(midnight - 1.0)
    first, second, *others = gaps(scene.line.asked())
    assert first == pytest.approx(60.0, abs=6.0)
    assert second == pytest.approx(300.0, abs=6.0)
    assert others == pytest.approx([900.0] * len(others), abs=6.0)
    scene.world.account(APPID).set_quota("/cgi-bin/token", daily=2000)
    scene.turn_to(midnight + 66.0)
    assert scene.is_alive(scene.read().value)
