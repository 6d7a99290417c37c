"""What a key may do. A key is what a business server authenticates with; only its sha-256 is kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address

from zhongkong.core.model import Instant


class Grant(StrEnum):
    """A power of a key."""

    READ = "read"
    """Read credentials, and reject them."""
    GATEWAY = "gateway"
    FORCE = "force"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored: `zk_<id>_<secret>` without its secret."""

    id: str
    sha256: str
    name: str
    grants: frozenset[Grant]
    appids: frozenset[str]
    """Empty for all of them (`*`)."""
    created_at: Instant
    expires_at: Instant | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where it may come from; empty for everywhere."""
    rate: int = 0
    """Requests per minute on each replica; 0 for no limit."""
    last_used_at: Instant | None = None

    def covers(self, appid: str) -> bool:
        """Say whether the key is good for the account."""
        return not self.appids or appid in self.appids

    def allows(self, grant: Grant) -> bool:
        """Say whether the key has the power; `admin` has them all."""
        return grant in self.grants or Grant.ADMIN in self.grants

    def accepts_from(self, ip: str) -> bool:
        """Say whether a client at `ip` may use it."""
        if not self.networks:
            return True
        address = ip_address(ip)
        return any(address in network for network in self.networks)

    def is_expired(self, now: Instant) -> bool:
        """Say whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at
