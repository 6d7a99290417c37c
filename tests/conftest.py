"""How Hypothesis works here: without deadlines or a measure of slowness (machines differ), in CI always the same way.

The contract suites are shipped with the package; their failures shall tell as much as those of our own tests.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("zhongkong.testing.store_contract")

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
settings.register_profile("laptop", PATIENT)
settings.register_profile("ci", PATIENT, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
