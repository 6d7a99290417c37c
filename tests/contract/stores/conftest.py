"""The contract suites are shipped with the package; their failures shall tell as much as those of our own tests."""

import pytest

pytest.register_assert_rewrite("zhongkong.testing.store_contract")
