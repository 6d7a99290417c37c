"""The end of the audit log: what is logged while the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from zhongkong.core.ports import KeptEvent
from zhongkong.errors import StoreUnavailable
from zhongkong.hub.tail import Tail


class Away:
    """A store that cannot be reached."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def last_events(self, _count: int) -> Sequence[KeptEvent]:
        """Fail, as a database that is not there does."""
        self.asked.set()
        raise StoreUnavailable("store_server_away", place="mysql://db/z", user="hub", why="timed out")

    async def events(self, _after: int, _limit: int) -> Sequence[KeptEvent]:
        """Fail likewise."""
        raise AssertionError


def test_a_store_that_is_away_is_logged_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads a log at night knows no codes."""

    async def story() -> None:
        store = Away()
        running = asyncio.create_task(Tail(store, "en").run())  # type: ignore[arg-type]  # no more is asked of it
        await store.asked.wait()
        running.cancel()

    asyncio.run(story())
    assert "The database mysql://db/z cannot be reached (timed out)" in caplog.text
