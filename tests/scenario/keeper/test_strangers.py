"""Somebody else mints with the same secret: each of us ends the other's classic token."""

from __future__ import annotations

import pytest

from tests.scenario.keeper.scene import STRANGER, Scene, gaps
from zhongkong.core.model import Mode, hash_value
from zhongkong.errors import CredentialUnavailable
from zhongkong.keeper.keeper import RejectOutcome


def kill_by_stranger(scene: Scene) -> None:
    """Let a stranger mint twice: the second one ends our token at once (two slots)."""
    scene.mint_as_stranger()
    scene.mint_as_stranger()


def test_a_token_that_a_stranger_ended_is_replaced_when_a_caller_says_so() -> None:
    """One reject, one probe, one mint; the event names the sign."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    scene.turn(400.0)
    kill_by_stranger(scene)
    rejected = scene.reject(value)
    assert rejected.outcome is RejectOutcome.REFRESHED
    assert scene.is_alive(rejected.handed.value)
    assert scene.events[1:] == ["condemned", "foreign_mint", "minted"]


def test_a_stable_account_does_not_notice_a_classic_stranger() -> None:
    """The two modes are two lines: adopting the hub breaks nobody, and nobody breaks the hub."""
    scene = Scene(Mode.STABLE)
    value = scene.read().value
    for _ in range(10):
        scene.mint_as_stranger()
        scene.turn(100.0)
    assert scene.reject(value).outcome is RejectOutcome.STILL_VALID
    assert scene.is_alive(value)


def test_three_signs_in_a_day_make_a_contest_and_stable_tokens_end_it() -> None:
    """From then on callers get what a stranger cannot end; his own tokens are left alone too."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    for _ in range(3):
        scene.turn(700.0)
        kill_by_stranger(scene)
        value = scene.reject(value).handed.value
    assert "contested" in scene.events
    assert scene.credential.mode is Mode.STABLE
    mine = [issued for issued in scene.issued if issued.ip != STRANGER]
    stranger = [issued for issued in scene.issued if issued.ip == STRANGER][-1]
    reader = scene.seat_reader()
    for _ in range(20):
        kill_by_stranger(scene)
        scene.turn(60.0)
    assert (reader.failed, reader.refused) == ([], [])
    assert len([issued for issued in scene.issued if issued.ip != STRANGER]) == len(mine)
    assert stranger.ended_by in (None, STRANGER)


def test_a_contest_that_stays_classic_spaces_what_rejects_may_cost() -> None:
    """1, 2, 4 … 30 minutes apart: an arms race would use up the day's quota for both."""
    scene = Scene(Mode.CLASSIC, on_contest=Mode.CLASSIC, poll_seconds=5.0)
    scene.turn(1.0)
    began = scene.time()
    refusals: list[CredentialUnavailable] = []
    while scene.time() < began + 4 * 3600.0:
        kill_by_stranger(scene)
        try:
            scene.reject(scene.credential.value)
        except CredentialUnavailable as error:
            refusals.append(error)
        scene.turn(20.0)
    assert len(scene.line.asked()) < 20
    contested = gaps(scene.line.asked())[3:]
    assert contested == pytest.approx([60, 120, 240, 480, 960, *[1800] * 6], abs=25.0)
    assert {error.cause for error in refusals} == {"contested"}
    assert all(error.retry_after for error in refusals)


def test_a_foreign_token_is_one_event_however_many_reject_it() -> None:
    """A program that still fetches its own token reports it: told once, and it gets the right one."""
    scene = Scene(Mode.CLASSIC)
    mine = scene.read()
    scene.mint_as_stranger()
    foreign = scene.issued[-1].value
    for index in range(50):
        rejected = scene.reject(foreign, f"caller {index}")
        assert (rejected.outcome, rejected.handed.value) == (RejectOutcome.ALREADY_NEWER, mine.value)
    assert scene.events.count("foreign_token") == 1
    assert scene.record.contest.foreign_sha256 == hash_value(foreign)
    assert scene.line.asked("probe") == []


@pytest.mark.parametrize("signs", [1, 2])
def test_one_or_two_signs_are_no_contest(signs: int) -> None:
    """A person who tried the API by hand once is no reason to change how tokens are issued."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    for _ in range(signs):
        scene.turn(700.0)
        kill_by_stranger(scene)
        value = scene.reject(value).handed.value
    assert "contested" not in scene.events
    assert scene.credential.mode is Mode.CLASSIC
