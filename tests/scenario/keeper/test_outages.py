"""The platform is away: shorter than the margin nobody notices, longer and everybody is told why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenario.keeper.scene import MODES, SECRET, Scene
from zhongkong.core.model import Mode, Slot
from zhongkong.errors import CredentialUnavailable

BRIDGED = {Mode.CLASSIC: 0.85 * 1800.0, Mode.STABLE: 0.9 * 300.0 - 15.0}
"""The longest outage that must be bridged, in seconds: invariant 4."""


@pytest.mark.parametrize("offset", [-1200.0, -30.0, 0.0, 20.0])
@pytest.mark.parametrize("how", ["is_cut", "is_unreachable"])
@pytest.mark.parametrize("mode", MODES)
def test_an_outage_within_the_margin_costs_no_read(mode: Mode, how: str, offset: float) -> None:
    """It begins around the worst moment, when the token becomes due; every read is answered within its patience."""
    scene = Scene(mode)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at + offset)
    setattr(scene.line, how, True)
    scene.turn(BRIDGED[mode])
    setattr(scene.line, how, False)
    scene.turn(600.0)
    assert (reader.failed, reader.refused) == ([], [])
    assert reader.longest_wait <= 5.0
    assert scene.is_alive(scene.read().value)


def test_a_platform_that_cannot_be_reached_raises_no_doubt() -> None:
    """Not a byte left, so nothing can have ended the token: it is handed out unmarked, and nobody waits."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.is_unreachable = True
    scene.turn(1500.0)
    assert (reader.failed, reader.refused, reader.marks) == ([], [], set())
    assert reader.longest_wait == 0.0
    assert scene.record.attempts == ()


@pytest.mark.parametrize("mode", MODES)
def test_an_outage_beyond_the_margin_is_told_and_ends_by_itself(mode: Mode) -> None:
    """Every token has an end; callers then get the cause and when to ask again, and are served soon after."""
    scene = Scene(mode)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.is_cut = True
    scene.turn_to(scene.credential.expires_at + 60.0)
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert caught.value.cause == "unanswered"
    assert caught.value.retry_after is not None
    scene.line.is_cut = False
    scene.turn(61.0)
    handed = scene.read()
    assert scene.is_alive(handed.value)
    assert not handed.doubtful


def test_a_silent_platform_gets_one_request_that_can_end_a_token() -> None:
    """The first went unanswered; until something is answered only probes leave, however long the silence lasts."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.is_cut = True
    scene.turn(1500.0)
    assert len(scene.record.attempts) == 1
    assert scene.record.spent.total == 2


def test_busy_answers_are_tried_again_and_raise_no_doubt() -> None:
    """-1 is an answer: nothing was issued, the tries come ever more slowly, the old token is as good as before."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.refusal = -1
    scene.turn(900.0)
    busy = [call for call in scene.line.asked() if call.errcode == -1]
    assert 15 < len(busy) < 120
    scene.line.refusal = None
    scene.turn(61.0)
    assert (reader.failed, reader.refused, reader.marks) == ([], [], set())
    assert scene.read().generation == 2
    assert scene.events.count("mint_failed") == 1


def test_a_silent_platform_is_asked_for_each_account_no_more_often_than_doubt_asks() -> None:
    """The second account becomes due when the first one's request went unanswered: every 30 s is enough for it too."""
    scene = Scene(Mode.CLASSIC)
    other = Slot("wx00000000000000ff")
    scene.world.add_account(other.appid, SECRET)
    scene.run(scene.store.put_account(replace(scene.account, appid=other.appid)))
    scene.read()
    scene.run(scene.replicas[0].keeper.credential(other))
    scene.line.is_cut = True
    scene.turn_to(scene.credential.expires_at - 600.0)
    scene.line.probed.clear()
    scene.turn(300.0)
    assert len(scene.line.probed) <= 2 * 11
