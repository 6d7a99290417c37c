"""How Hypothesis works here: without deadlines (machines differ), and in CI with the same examples every time.

The contract suites are shipped with the package; their failures shall tell as much as those of our own tests.
"""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("zhongkong.testing.store_contract")

settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
