"""The contract of a store: every law in the docstrings of `core.ports`, as tests.

Whoever writes an engine subclasses `StoreContract` and gives it a pytest fixture `harness`:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def harness(self, tmp_path): return MyHarness(tmp_path)

`pytest.register_assert_rewrite("zhongkong.testing.store_contract")` in a conftest.py makes failures tell what they saw.
"""

from __future__ import annotations

from zhongkong.testing.store_contract.accounts import AccountContract
from zhongkong.testing.store_contract.callbacks import CallbackContract
from zhongkong.testing.store_contract.events import EventContract
from zhongkong.testing.store_contract.keys import KeyContract
from zhongkong.testing.store_contract.leases import LeaseContract
from zhongkong.testing.store_contract.pushes import PushContract
from zhongkong.testing.store_contract.records import RecordContract
from zhongkong.testing.store_contract.seals import SealContract
from zhongkong.testing.store_contract.stories import Harness

__all__ = ["Harness", "StoreContract"]


class StoreContract(
    RecordContract,
    LeaseContract,
    AccountContract,
    KeyContract,
    EventContract,
    CallbackContract,
    PushContract,
    SealContract,
):
    """All of it."""
