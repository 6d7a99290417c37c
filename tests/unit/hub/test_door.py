"""Where a client comes from."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from zhongkong.hub.door import find_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["10.0.0.1"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["1.1.1.1", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["192.0.2.1:55555"], "192.0.2.1"),
        ("10.0.0.1", ["[2001:db9::1]:443"], "2001:db9::1"),
        ("10.0.0.1", ["2001:db9::1"], "2001:db9::1"),
        ("2001:db8::7", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1, unknown"], ""),
        ("10.0.0.1", [""], ""),
        ("", ["192.0.2.1"], ""),
    ],
)
def test_the_client_is_the_first_that_is_no_trusted_proxy(peer: str, forwarded: list[str], address: str) -> None:
    """From the right; what he wrote himself stands further left, and what cannot be read is nobody."""
    assert find_address(peer, forwarded, PROXIES) == address


def test_without_trusted_proxies_only_the_connection_counts() -> None:
    """The default trusts nobody."""
    assert find_address("10.0.0.1", ["192.0.2.1"], ()) == "10.0.0.1"
