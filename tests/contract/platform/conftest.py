"""What every claim about the platform adapter is tried with: both event loops, and TLS of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import pytest

from tests.contract.platform.certificates import Certificates

T = TypeVar("T")
Run: TypeAlias = Callable[[Coroutine[Any, Any, T]], T]

PATIENCE = 20.0
"""Seconds. Nothing here should take one; what does has left a connection behind, and that is the failure."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Return what runs a coroutine to its end on a loop of its own, within `PATIENCE`."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    async def patiently(coroutine: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    def run_to_the_end(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(patiently(coroutine))

    return run_to_the_end


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a CA of our own and what it vouches for."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
