"""What a key may do, for which accounts, from where, and until when."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.unit.core.records import NOW
from zhongkong.core.grants import PATH_PATTERN, Grant, Key

KEY = Key(
    id="abcdefgh",
    sha256="0" * 64,
    name="shop",
    grants=frozenset({Grant.READ}),
    appids=frozenset({"wx1"}),
    created_at=NOW,
)


@pytest.mark.parametrize(
    ("appids", "covers"), [({"wx1"}, True), ({"wx2"}, False), ({"wx1", "wx2"}, True), (set(), True)]
)
def test_a_key_is_good_for_its_accounts_or_for_all(appids: set[str], *, covers: bool) -> None:
    """An empty list is the star."""
    assert replace(KEY, appids=frozenset(appids)).covers("wx1") is covers


@pytest.mark.parametrize("grant", Grant)
def test_a_key_has_the_powers_it_was_given(grant: Grant) -> None:
    """And `admin` has them all."""
    assert KEY.allows(grant) is (grant is Grant.READ)
    assert replace(KEY, grants=frozenset({Grant.ADMIN})).allows(grant)
    assert not replace(KEY, grants=frozenset()).allows(grant)


@pytest.mark.parametrize(
    ("networks", "ip", "accepted"),
    [
        ([], "203.0.113.9", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8", "203.0.113.9/32"], "203.0.113.9", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "10.1.2.3", False),
        (["10.0.0.0/8"], "2001:db8::1", False),
    ],
)
def test_a_key_may_be_bound_to_networks(networks: list[str], ip: str, *, accepted: bool) -> None:
    """A stolen one is worth nothing elsewhere."""
    key = replace(KEY, networks=tuple(ip_network(network) for network in networks))
    assert key.accepts_from(ip) is accepted


@pytest.mark.parametrize(("expires_at", "expired"), [(None, False), (NOW + 0.1, False), (NOW, True), (NOW - 1.0, True)])
def test_a_key_may_end(expires_at: float | None, *, expired: bool) -> None:
    """At its very instant."""
    assert replace(KEY, expires_at=expires_at).is_expired(NOW) is expired


@pytest.mark.parametrize(
    ("patterns", "path", "allowed"),
    [
        ((), "/cgi-bin/menu/create", True),
        (("/cgi-bin/menu/create",), "/cgi-bin/menu/create", True),
        (("/cgi-bin/menu/create",), "/cgi-bin/menu/create/", False),
        (("/cgi-bin/menu/create",), "/cgi-bin/menu/created", False),
        (("/cgi-bin/menu/create",), "/x/cgi-bin/menu/create", False),
        (("/cgi-bin/menu/*",), "/cgi-bin/menu/create", True),
        (("/cgi-bin/menu/*",), "/cgi-bin/menu/x/y", False),
        (("/cgi-bin/menu/*",), "/cgi-bin/menu", False),
        (("/cgi-bin/get_*",), "/cgi-bin/get_api_domain_ip", True),
        (("/cgi-bin/**",), "/cgi-bin/menu/x/y", True),
        (("/**/send",), "/cgi-bin/message/template/send", True),
        (("/cgi.bin/menu",), "/cgi-bin/menu", False),
        (("/a-z/x",), "/b/x", False),
        (("/sns/*", "/cgi-bin/user/*"), "/cgi-bin/user/info", True),
        (("/sns/*", "/cgi-bin/user/*"), "/cgi-bin/menu/get", False),
    ],
)
def test_a_key_may_be_bound_to_calls(patterns: tuple[str, ...], path: str, *, allowed: bool) -> None:
    """A star stays within one part of the path, two do not; the rest is meant as it stands."""
    assert replace(KEY, paths=patterns).allows_path(path) is allowed


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/cgi-bin/message/**", True),
        ("/**", True),
        ("/wxa/get_*", True),
        ("cgi-bin/x", False),
        ("/", False),
        ("/cgi-bin/x?y", False),
        ("/cgi-bin/[a]", False),
        ("/" + "x" * 128, False),
    ],
)
def test_patterns_are_written_with_the_letters_of_paths(text: str, *, written: bool) -> None:
    """And two stars more."""
    assert (re.fullmatch(PATH_PATTERN, text) is not None) is written
