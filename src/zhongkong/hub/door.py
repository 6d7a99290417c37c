"""Who calls: the address behind the proxies we trust, the key, and whether it may do what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, TypeAlias

from starlette.requests import Request

from zhongkong.core.grants import Grant, Key
from zhongkong.errors import AccessDenied
from zhongkong.hub.keys import Keyring

Network: TypeAlias = IPv4Network | IPv6Network

CALLER = "zhongkong.caller"
"""Where the scope of a request keeps its `Caller`, for the access log."""


class Caller(NamedTuple):
    """A client that showed a key that is known here."""

    key: Key
    address: str

    @property
    def name(self) -> str:
        """What tells one caller from another: two servers may share a key."""
        return f"{self.key.id} {self.address}".rstrip()


class Door:
    """Lets in who may enter."""

    def __init__(self, keyring: Keyring, trusted_proxies: Sequence[Network] = ()) -> None:
        self._keyring = keyring
        self._trusted = tuple(trusted_proxies)

    def admit(self, request: Request, grant: Grant | None = None, appid: str | None = None) -> Caller:
        """Return the caller, if his key is good, and as `judge` says.

        Raises: AccessDenied. StoreUnavailable.
        """
        client, headers = request.client, request.headers
        peer, forwarded = client.host if client else "", headers.getlist("x-forwarded-for")
        caller = self.recognise(peer, forwarded, headers.get("authorization", ""))
        request.scope[CALLER] = caller  # before he is let in: whose key fails is to be seen too
        self.count(caller)
        self.judge(caller, grant, appid)
        return caller

    def recognise(self, peer: str, forwarded: Sequence[str], authorization: str) -> Caller:
        """Return who calls, as `find_address` and `Keyring.identify` say; nothing is counted yet.

        Raises: AccessDenied. StoreUnavailable.
        """
        return Caller(self._keyring.identify(authorization), find_address(peer, forwarded, self._trusted))

    def count(self, caller: Caller) -> None:
        """Let the caller's request in, as `Keyring.admit` says.

        Raises: AccessDenied: then it is not counted.
        """
        self._keyring.admit(caller.key, caller.address)

    def judge(self, caller: Caller, grant: Grant | None = None, appid: str | None = None) -> None:
        """Let the caller pass if his key has the grant and covers the account; "" for a matter of all accounts.

        Raises: AccessDenied.
        """
        key = caller.key
        if grant is not None and not key.allows(grant):
            raise AccessDenied("grant_missing", grant=grant.value)
        if appid is not None and not (key.covers(appid) if appid else not key.appids):
            raise AccessDenied("account_not_granted", appid=appid or "*")

    def still_admits(self, caller: Caller) -> bool:
        """Say whether the caller's key is still what it was when he came in."""
        return self._keyring.holds(caller.key)


def find_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address, or "" when it is not known.

    `peer` is the other end of the connection, `forwarded` the X-Forwarded-For headers. Each proxy adds whom it saw at
    the right; so from the right the first that is no trusted proxy is the client. What is further left he wrote.
    """
    if not forwarded:
        return _written(peer)
    hops, hop = [hop for header in forwarded for hop in header.split(",")], peer
    while hops and (address := _parse(hop)) is not None and any(address in network for network in trusted):
        hop = hops.pop()
    return _written(hop)


@lru_cache(maxsize=4096)
def _written(text: str) -> str:
    address = _parse(text)
    return str(address) if address is not None else ""


@lru_cache(maxsize=4096)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as proxies write it, perhaps with its port; one of IPv4 in IPv6's clothes is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
