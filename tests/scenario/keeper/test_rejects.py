"""Callers say that a token was refused: never believed unseen, never ignored."""

from __future__ import annotations

import gc
from typing import Literal

import pytest

from tests.scenario.keeper.scene import MODES, SLOT, Scene, gaps
from zhongkong.core.model import Mode
from zhongkong.errors import CredentialUnavailable
from zhongkong.keeper.keeper import RejectOutcome
from zhongkong.sandbox.switches import Switches


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_thousand_rejects_of_a_revoked_token_are_one_probe_and_one_mint(mode: Mode, replicas: int) -> None:
    """The platform ended it behind our back and everybody's call fails in the same second."""
    scene = Scene(mode, replicas=replicas)
    scene.turn(2.0)
    value = scene.read().value
    scene.turn(400.0)
    scene.revoke_all()
    crowd = [
        scene.begin(scene.replicas[index % replicas].keeper.reject(SLOT, f"caller {index}", value=value))
        for index in range(1000)
    ]
    scene.turn(10.0)
    results = [task.result() for task in crowd]
    assert {result.outcome for result in results} <= {RejectOutcome.REFRESHED, RejectOutcome.ALREADY_NEWER}
    assert {result.handed.value for result in results} == {scene.issued[-1].value}
    assert len(scene.line.asked("probe")) == 1
    assert (len(scene.issued), len(scene.line.asked())) == (2, 2)
    assert scene.store.loads <= 20 * replicas  # who waits for the same verdict looks for it together


@pytest.mark.parametrize("mode", MODES)
def test_a_successor_that_is_ended_at_once_is_replaced_too(mode: Mode) -> None:
    """Probes are 5 s apart, so of the successor nobody may ask yet: that is no silence of the platform's."""
    scene = Scene(mode)
    scene.turn(60.0)
    for generation in (2, 3):
        value = scene.read().value
        scene.revoke_all()
        began = scene.time()
        rejected = scene.reject(value)
        assert (rejected.outcome, rejected.handed.generation) == (RejectOutcome.REFRESHED, generation)
        assert scene.is_alive(rejected.handed.value)
        assert scene.time() - began < 6.0
    assert min(gaps(scene.line.asked("probe"))) >= 5.0


def test_a_good_token_stays_whoever_rejects_it() -> None:
    """A buggy caller rejects whatever he is handed, all day: hardly a probe, never a mint."""
    scene = Scene(Mode.CLASSIC)
    handed = scene.read()
    scene.turn(200.0)
    for _ in range(400):
        assert scene.reject(handed.value).outcome is RejectOutcome.STILL_VALID
        scene.turn(10.0)
    assert len(scene.issued) == 1
    assert len(scene.line.asked("probe")) < 25


def test_a_living_token_that_was_rejected_is_looked_at_once_more() -> None:
    """The platform's nodes may disagree for as long as an overlap: 310 s later one probe asks again, unasked."""
    scene = Scene(Mode.CLASSIC)
    handed = scene.read()
    scene.turn(200.0)
    scene.reject(handed.value)
    rejected_at = scene.time()
    scene.turn(900.0)
    probes = [call.at - rejected_at for call in scene.line.asked("probe")]
    assert len(probes) == 2
    assert probes[1] == pytest.approx(310.0, abs=2.0)


def test_a_death_found_by_the_second_look_is_mended_without_a_caller() -> None:
    """It was alive when it was rejected and died since: the probe condemns it, the round replaces it."""
    scene = Scene(Mode.CLASSIC)
    handed = scene.read()
    scene.turn(200.0)
    assert scene.reject(handed.value).outcome is RejectOutcome.STILL_VALID
    scene.revoke_all()
    scene.turn(320.0)
    assert scene.read().generation == 2


def test_an_older_token_is_answered_with_the_current_one_and_no_probe() -> None:
    """Who used it too long has a newer one waiting."""
    scene = Scene(Mode.CLASSIC)
    old = scene.read().value
    scene.turn_to(scene.record.refresh_at + 5.0)
    new = scene.read().value
    rejected = scene.reject(old)
    assert (rejected.outcome, rejected.handed.value) == (RejectOutcome.ALREADY_NEWER, new)
    assert scene.line.asked("probe") == []


def test_a_reject_is_compared_with_the_store_and_not_with_memory() -> None:
    """This replica has not heard of the second token yet: it must not take it for an older one than its own."""
    scene = Scene(Mode.CLASSIC, replicas=2, poll_seconds=60.0)
    scene.turn(61.0)
    first = scene.read(1).value
    scene.turn(320.0)
    scene.revoke_all()
    second = scene.reject(first, replica=0).handed.value
    assert scene.read(1).value == first
    scene.turn(6.0)
    scene.revoke_all()
    rejected = scene.reject(second, replica=1)
    assert rejected.outcome is RejectOutcome.REFRESHED
    assert rejected.handed.generation == 3
    assert scene.is_alive(rejected.handed.value)


def test_a_token_named_by_its_generation_or_its_sha256_is_the_same_token() -> None:
    """A caller need not send the token itself."""
    scene = Scene(Mode.CLASSIC)
    handed = scene.read()
    credential = scene.credential
    scene.turn(400.0)
    scene.revoke_all()
    keeper = scene.replicas[0].keeper
    first = scene.run(keeper.reject(SLOT, "caller", sha256=credential.sha256))
    assert first.outcome is RejectOutcome.REFRESHED
    second = scene.run(keeper.reject(SLOT, "caller", generation=handed.generation))
    assert (second.outcome, second.handed.generation) == (RejectOutcome.ALREADY_NEWER, 2)


def test_two_callers_who_insist_are_believed_unprobed_once_in_ten_minutes() -> None:
    """Both were told `still_valid` and both come again: the probe may reach another node than they do."""
    scene = Scene(Mode.STABLE)
    handed = scene.read()
    scene.turn(200.0)
    value = handed.value
    for _ in range(6):
        scene.run(scene.replicas[0].keeper.reject(SLOT, "one", value=value))
        scene.run(scene.replicas[0].keeper.reject(SLOT, "two", value=value))
        scene.turn(11.0)
        if scene.read().generation > 1:
            break
    assert scene.record.generation == 2
    assert scene.events.count("replaced_unprobed") == 1
    value = scene.read().value
    for _ in range(20):
        scene.run(scene.replicas[0].keeper.reject(SLOT, "one", value=value))
        scene.run(scene.replicas[0].keeper.reject(SLOT, "two", value=value))
        scene.turn(11.0)
    assert scene.record.generation == 2


def test_a_silent_platform_gets_no_mint_for_a_reject() -> None:
    """The probe proved nothing, so nothing is done: 503, and when to come again."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    scene.turn(400.0)
    scene.revoke_all()
    scene.line.is_cut = True
    with pytest.raises(CredentialUnavailable) as caught:
        scene.reject(value)
    assert (caught.value.cause, caught.value.retry_after) == ("unanswered", 5.0)
    assert scene.record.spent.total == 1
    scene.line.is_cut = False
    scene.turn(5.0)
    assert scene.reject(value).outcome is RejectOutcome.REFRESHED


@pytest.mark.parametrize(("revoked_stable", "forced"), [("new", [False, False]), ("same", [False, False, True])])
def test_a_revoked_stable_token_is_forced_only_if_the_same_one_comes(
    revoked_stable: Literal["new", "same"], forced: list[bool]
) -> None:
    """A force is one of twenty a day: it is not spent where asking is enough."""
    scene = Scene(Mode.STABLE, switches=Switches(revoked_stable=revoked_stable))
    value = scene.read().value
    scene.turn(400.0)
    scene.revoke_all()
    rejected = scene.reject(value)
    assert rejected.outcome is RejectOutcome.REFRESHED
    assert scene.is_alive(rejected.handed.value)
    assert [call.forced for call in scene.line.asked()] == forced


@pytest.mark.parametrize("hung_up_after", [0.0, 0.0005, 0.0015, 0.05])
def test_who_hangs_up_takes_nobodys_verdict_with_him(hung_up_after: float) -> None:
    """The one to whom it fell to probe goes away at whatever he awaits: all others are answered as if he had not."""
    scene = Scene(Mode.CLASSIC)
    scene.turn(60.0)
    value = scene.read().value
    scene.revoke_all()
    first = scene.begin(scene.replicas[0].keeper.reject(SLOT, "hasty", value=value))
    scene.turn(hung_up_after)
    first.cancel()
    began = scene.time()
    rejected = scene.reject(value)
    assert rejected.outcome in (RejectOutcome.REFRESHED, RejectOutcome.ALREADY_NEWER)
    assert scene.is_alive(rejected.handed.value)
    assert scene.time() - began < 1.0


def test_a_reject_that_fails_after_its_caller_left_is_not_complained_of() -> None:
    """Nobody is there to be told: asyncio would log it as an error that a program forgot."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    scene.store.is_away = True
    hasty = scene.clock.begin(scene.replicas[0].keeper.reject(SLOT, "hasty", value=value))
    scene.turn(0.0005)
    hasty.cancel()
    scene.turn(10.0)
    del hasty  # it holds what it waited for
    gc.collect()
    assert scene.clock.loop.failures == []
