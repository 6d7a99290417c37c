"""What tests are built from, ours and yours: the fake clock and the contract every store must pass."""
