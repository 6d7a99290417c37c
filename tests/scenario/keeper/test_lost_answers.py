"""The platform acted, and its answer never came: did it end the token that is in use, or did it not?"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.scenario.keeper.scene import SLOT, Scene, gaps
from zhongkong.core.freshness import threats, trust_of
from zhongkong.core.model import Mode
from zhongkong.errors import CredentialUnavailable
from zhongkong.keeper.keeper import Keeper


@pytest.fixture
def scene() -> Scene:
    """Return a scene in which the answer to a classic renewal was just lost."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.answers_to_lose = 1
    scene.turn(20.0)
    assert len(scene.issued) == 2
    return scene


def test_the_old_token_is_trusted_for_the_overlap_and_no_longer(scene: Scene) -> None:
    """The platform may have replaced it at the very departure, so from there on it has the overlap's time."""
    (attempt,) = threats(scene.record)
    assert trust_of(scene.record) == attempt.left + 300.0
    handed = scene.read()
    assert (handed.generation, handed.doubtful) == (1, False)
    assert handed.expires_at <= attempt.left + 300.0


def test_nobody_mints_again_while_the_old_one_is_trusted(scene: Scene) -> None:
    """A second mint would end the old token at once, and with it what readers were promised."""
    (attempt,) = threats(scene.record)
    scene.turn_to(attempt.left + 299.0)
    assert len(scene.line.asked()) == 2
    assert scene.is_alive(scene.read().value)


def test_when_trust_ends_the_next_one_is_fetched(scene: Scene) -> None:
    """The hold costs one overlap of the margin, and no more."""
    (attempt,) = threats(scene.record)
    scene.turn_to(attempt.left + 310.0)
    handed = scene.read()
    assert handed.generation == 2
    assert scene.is_alive(handed.value)
    assert len(scene.line.asked()) == 3


def test_the_successor_is_trusted_only_for_an_overlap_until_the_lost_one_cannot_land_any_more(scene: Scene) -> None:
    """The lost request may still arrive and replace the successor: a probe late enough proves that it did not."""
    (attempt,) = threats(scene.record)
    scene.turn_to(attempt.left + 310.0)
    credential = scene.credential
    assert trust_of(scene.record) == credential.left + 300.0
    scene.turn_to(attempt.left + 10.0 + 60.0 + 300.0 + 10.0)
    assert scene.record.attempts == ()
    assert trust_of(scene.record) == credential.expires_at


def test_readers_notice_nothing_of_a_lost_answer() -> None:
    """Not one call is refused and no read fails: what is announced holds through all of it."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.answers_to_lose = 1
    scene.turn(1800.0)
    assert (reader.failed, reader.refused) == ([], [])
    assert reader.longest_wait <= 5.0


def test_who_lost_the_answer_waits_for_another_replica_that_asks_already() -> None:
    """The platform was silent to the one and answers the other: a request on its way is no silence."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.answers_to_lose = 1
    scene.turn(20.0)
    (attempt,) = threats(scene.record)
    scene.line.latency = 2.0
    readers = [scene.seat_reader(replica, every=0.25) for replica in range(2)]
    scene.turn_to(attempt.left + 330.0)
    assert scene.record.generation == 2
    assert [reader.failed for reader in readers] == [[], []]
    assert max(reader.longest_wait for reader in readers) <= 5.0


def test_three_lost_answers_in_a_row_cost_seconds_and_are_told() -> None:
    """The first leaves a token that ends; each further try waits for a probe's proof, then the next one leaves."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.answers_to_lose = 3
    scene.turn(1800.0)
    assert reader.refused == []
    assert {error.values["cause"] for _, error in reader.failed} == {"unanswered"}
    assert reader.failed[-1][0] - reader.failed[0][0] < 30.0
    assert scene.is_alive(scene.read().value)
    assert scene.record.attempts == ()


def test_a_dead_token_does_not_wait_for_the_doubt_to_end() -> None:
    """The platform revoked it and lost the answer to the mint: once a probe proves the death, the next mint leaves."""
    scene = Scene(Mode.CLASSIC)
    value = scene.read().value
    scene.turn(400.0)
    scene.revoke_all()
    scene.line.answers_to_lose = 1
    with pytest.raises(CredentialUnavailable) as caught:
        scene.reject(value)
    assert caught.value.retry_after is not None
    scene.turn(20.0)
    assert scene.is_alive(scene.read().value)
    assert [call.what for call in scene.line.journal] == ["token", "probe", "token", "probe", "token"]


def test_a_lost_stable_answer_is_asked_for_again_at_once() -> None:
    """Asking in normal mode ends nothing: no doubt, and the same token comes."""
    scene = Scene(Mode.STABLE)
    scene.read()
    reader = scene.seat_reader()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.answers_to_lose = 1
    scene.turn(60.0)
    assert (reader.failed, reader.refused, reader.marks) == ([], [], set())
    assert len(scene.issued) == 2
    assert scene.read().value == scene.issued[1].value


@pytest.mark.parametrize("every", [20.0, 3600.0])
def test_a_doubt_is_looked_into_every_tenth_of_the_overlap_whatever_else_waits(every: float) -> None:
    """A mint went astray and the next ones are refused for hours: neither that nor who rejects puts off the probes."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.turn_to(scene.record.refresh_at - 5.0)
    scene.line.is_cut = True
    scene.turn(20.0)
    (attempt,) = threats(scene.record)
    scene.line.is_cut = False
    scene.line.refusal = 40164
    scene.turn_to(attempt.left + 299.0)
    _ = scene.begin(_reject_for_ever(scene.replicas[0].keeper, every), scene.replicas[0])
    since = scene.time()
    scene.turn(100.0)
    probes = [call for call in scene.line.asked("probe") if call.at > since]
    assert max(gaps(probes)) < 32.0
    assert scene.record.attempts == ()


async def _reject_for_ever(keeper: Keeper, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        with suppress(CredentialUnavailable):
            await keeper.reject(SLOT, "caller", generation=1)
