"""Those who wait for somebody else's probe: they hear of a successor at once, and never turn in circles."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.keeper.scene import SLOT, Scene
from zhongkong.core.model import Account, Ambiguous, Kind, Mode, Outcome
from zhongkong.core.ports import Order
from zhongkong.errors import CredentialUnavailable
from zhongkong.keeper.keeper import RejectOutcome
from zhongkong.wechat.errcodes import ProbeVerdict


def test_a_crowd_that_waits_for_a_slow_probe_gets_the_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mint may be saved between two of their looks: then no verdict on the former one is ever seen again."""
    scene = Scene(Mode.CLASSIC)
    scene.turn(5.0)
    dead = scene.read()
    scene.turn(200.0)
    scene.revoke_all()
    platform = scene.replicas[0].platform
    probe_at_once = platform.probe

    async def probe(account: Account, value: str, _caller: str = "", _kind: Kind = Kind.ACCESS_TOKEN) -> ProbeVerdict:
        await asyncio.sleep(0.45)
        return await probe_at_once(account, value)

    monkeypatch.setattr(platform, "probe", probe)
    scene.line.latency = 0.02
    keeper, before = scene.replicas[0].keeper, scene.time()
    crowd = [scene.begin(keeper.reject(SLOT, f"caller {one}", value=dead.value)) for one in range(20)]
    answers = [scene.run(asyncio.wait_for(one, 30.0)) for one in crowd]
    assert {answer.outcome for answer in answers} == {RejectOutcome.REFRESHED}
    assert scene.time() - before < 2.0


def test_a_verdict_from_before_the_silence_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next probe is 5 s away: to claim again and again until then would be a thousand transactions a second."""
    scene = Scene(Mode.CLASSIC)
    scene.turn(5.0)
    dead = scene.read()
    scene.turn(200.0)
    scene.revoke_all()

    async def mint(_order: Order) -> Outcome:
        await asyncio.sleep(0.2)
        return Ambiguous("reset")

    monkeypatch.setattr(scene.replicas[0].platform, "mint", mint)
    with pytest.raises(CredentialUnavailable):
        scene.reject(dead.value)
    scene.turn(1.3)
    before = scene.time()
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert caught.value.cause == "unanswered"
    assert scene.time() - before < 0.1


def test_a_probe_of_the_former_one_is_none_of_its_successor() -> None:
    """It left between claim and save: who rejects the successor waits until one of it may leave and hears the truth."""
    scene = Scene(Mode.CLASSIC)
    former = scene.read()
    scene.line.latency = 0.2
    scene.turn_to(scene.record.refresh_at - 1.0)
    while scene.record.lease is None:
        scene.turn(0.02)
    _ = scene.begin(scene.replicas[0].keeper.reject(SLOT, "another", value=former.value))
    while scene.record.generation == former.generation:
        scene.turn(0.02)
    successor = scene.read()
    assert scene.reject(successor.value).outcome is RejectOutcome.STILL_VALID
    assert len(scene.line.probed) == 2
