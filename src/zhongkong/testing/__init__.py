"""What tests are built from, ours and yours: the fake clock and the contract every store must pass."""

from __future__ import annotations

from zhongkong.testing.fake_clock import FakeClock

__all__ = ["FakeClock"]
