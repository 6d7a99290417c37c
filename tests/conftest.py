"""How Hypothesis works here: without deadlines or a measure of slowness (machines differ), in CI always the same way.

The contract suites are shipped with the package; their failures shall tell as much as those of our own tests.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import Databases
from tests.own_databases import OwnServers

pytest.register_assert_rewrite("zhongkong.testing.store_contract")

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
settings.register_profile("laptop", PATIENT)
settings.register_profile("ci", PATIENT, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture(scope="session")
def own_servers() -> Iterator[OwnServers]:
    """Return this run's own database servers, which may be stopped and started."""
    servers = OwnServers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def databases(own_servers: OwnServers) -> Iterator[Databases]:
    """Return this run's databases on real servers."""
    databases = Databases(lambda engine: own_servers.of(engine).root_url)
    yield databases
    databases.close()
