"""Stores on servers: each module has one in each engine, with tables of its own."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.stores.servers import ServerHarness
from tests.databases import ENGINES, Databases


@pytest.fixture(scope="module", params=ENGINES)
def server_of_module(databases: Databases, request: pytest.FixtureRequest) -> ServerHarness:
    """Return a store that the module's tests use one after the other."""
    prefix = f"{request.module.__name__.rpartition('.')[2].removeprefix('test_')}_"
    harness = ServerHarness(databases.url(request.param), prefix)
    asyncio.run(_make(harness))
    return harness


async def _make(harness: ServerHarness) -> None:
    await (await harness.open()).close()


@pytest.fixture
def server(server_of_module: ServerHarness) -> ServerHarness:
    """Return it, empty."""
    server_of_module.empty()
    return server_of_module
