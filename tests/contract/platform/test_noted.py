"""What the adapter notes beside the outcome: how long calls took, and what the platform takes the time to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.platform.calls import ACCOUNT, VALUE, order_at
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    DATE,
    GRANT,
    REFUSAL,
    Script,
    Wire,
    answer,
    closes_at_once,
    refusing_port,
    sends,
)
from zhongkong.adapters.platform import AiohttpPlatform, Stamp
from zhongkong.core.model import Mode
from zhongkong.core.ports import Platform


class StepClock:
    """A clock whose boot time moves by two seconds at every look, and whose wall stands."""

    def __init__(self) -> None:
        self.now = 0.0

    def boot(self) -> float:
        """Return two seconds more than before."""
        self.now += 2.0
        return self.now

    def wall(self) -> float:
        """Return the same instant always."""
        return 1_763_701_207.5


@pytest.mark.parametrize(
    ("script", "outcome"),
    [(sends(answer()), "granted"), (sends(answer(REFUSAL)), "refused"), (closes_at_once, "ambiguous")],
)
def test_each_call_is_observed_with_its_outcome(run: Run[Any], script: Script, outcome: str) -> None:
    """A metric per endpoint and outcome tells an outage from a wrong secret."""
    observed: list[tuple[str, str, float]] = []

    async def scenario() -> None:
        async with Wire(script) as wire:
            hub = AiohttpPlatform(StepClock(), deadline=600.0, observe=lambda *told: observed.append(told))
            await hub.mint(order_at(wire.url, Mode.CLASSIC))
            await hub.mint(order_at(wire.url, Mode.STABLE))

    run(scenario())
    assert [(path, what) for path, what, _ in observed] == [
        ("/cgi-bin/token", outcome),
        ("/cgi-bin/stable_token", outcome),
    ]
    assert all(seconds >= 2.0 for _, _, seconds in observed)


def test_what_never_left_and_what_was_probed_is_observed_too(run: Run[Any]) -> None:
    """Silence of ours and verdicts of the platform are on the same dial."""
    observed: list[tuple[str, str]] = []
    hub = AiohttpPlatform(StepClock(), deadline=600.0, observe=lambda path, what, _: observed.append((path, what)))

    async def scenario(port: int) -> None:
        await hub.mint(order_at(f"http://127.0.0.1:{port}"))
        await hub.probe(replace(ACCOUNT, base_url=f"http://127.0.0.1:{port}"), VALUE)

    with refusing_port() as port:
        run(scenario(port))
    assert observed == [("/cgi-bin/token", "not_sent"), ("/cgi-bin/get_api_domain_ip", "unknown")]


@pytest.mark.parametrize(
    "date", [DATE, b"Fri, 21-Nov-25 05:00:00 GMT", b"yesterday", b"", b"Mon, 99 Nov 2025 99:99:99 GMT"]
)
def test_the_platforms_date_is_kept_beside_our_own(run: Run[Any], date: bytes) -> None:
    """*doctor* compares the two; a date that is none is passed over, the answer counts all the same."""

    async def scenario() -> tuple[AiohttpPlatform, str]:
        async with Wire(sends(answer(GRANT).replace(DATE, date))) as wire:
            hub = AiohttpPlatform(StepClock(), deadline=600.0)
            told = await hub.mint(order_at(wire.url))
        return hub, type(told).__name__

    hub, told = run(scenario())
    assert told == "Granted"
    readable = b"Nov" in date and b"99" not in date
    assert hub.last_dates == ({"127.0.0.1": Stamp(1_763_701_207.5, 1_763_701_200.0)} if readable else {})


def test_it_is_the_platform_that_the_keeper_asks_for() -> None:
    """The type checker compares the adapter with the port here."""
    hub: Platform = AiohttpPlatform(StepClock())
    assert callable(hub.mint)
    assert callable(hub.probe)


def test_one_adapter_serves_one_loop_after_another(run: Run[Any]) -> None:
    """Nothing is held between calls, so a library's thread, a fork or a test may begin a new loop."""
    hub = AiohttpPlatform(StepClock(), deadline=600.0)

    async def scenario() -> str:
        async with Wire(sends(answer())) as wire:
            return type(await hub.mint(order_at(wire.url))).__name__

    assert [run(scenario()), run(scenario())] == ["Granted", "Granted"]
