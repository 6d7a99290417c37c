"""One account on a fresh world, and a caller who asks it for tokens."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.caller import Caller, build_caller
from zhongkong.sandbox.world import World


@pytest.fixture
def caller() -> Caller:
    """Return a caller of a verified official account whose tokens live 7200 s."""
    return build_caller()


@pytest.fixture
def world(caller: Caller) -> World:
    """Return the caller's world."""
    return caller.world
