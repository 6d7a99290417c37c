"""What a key may do. A key is what a business server authenticates with; only its sha-256 is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from random import Random
from string import ascii_letters, digits

from zhongkong.core.model import Instant, Secret

ID_LENGTH = 8
SECRET_LENGTH = 43
"""256 bits in an alphabet of 62."""

_ALPHABET = ascii_letters + digits
PATH_PATTERN = r"/[A-Za-z0-9_.~*/-]{1,127}"
"""What a pattern of paths is written with, as a regular expression: `/cgi-bin/message/**`."""
_KEY = re.compile(r"zk_([A-Za-z0-9]{8})_[A-Za-z0-9_-]{20,52}")


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
    paths: tuple[str, ...] = ()
    """Patterns of the calls it may send through the gateway; empty for all of them."""

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

    def allows_path(self, path: str) -> bool:
        """Say whether a call to the platform's `path` may be sent with it."""
        return not self.paths or any(_pattern(pattern).fullmatch(path) for pattern in self.paths)

    def is_expired(self, now: Instant) -> bool:
        """Say whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at


def create_key(  # noqa: PLR0913 (all that a key holds)
    random: Random,
    now: Instant,
    *,
    name: str,
    grants: Iterable[Grant],
    appids: Iterable[str] = (),
    expires_at: Instant | None = None,
    networks: Iterable[IPv4Network | IPv6Network] = (),
    rate: int = 0,
    paths: Iterable[str] = (),
) -> tuple[Key, Secret]:
    """Return a new key, and its text to show once: at most 64 characters, random from the fourth on.

    `random` is a `SystemRandom` wherever the key is to be one; `now` is the store's time.
    """
    key_id = _draw(random, ID_LENGTH)
    text = f"zk_{key_id}_{_draw(random, SECRET_LENGTH)}"
    key = Key(
        id=key_id,
        sha256=hash_key(text),
        name=name,
        grants=frozenset(grants),
        appids=frozenset(appids),
        created_at=now,
        expires_at=expires_at,
        networks=tuple(networks),
        rate=rate,
        paths=tuple(paths),
    )
    return key, Secret(text)


def parse_key_id(text: str) -> str | None:
    """Return the id of the key that `text` claims to be, or None if it has not the form of one."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def hash_key(text: str) -> str:
    """Return what is stored of a key: its sha-256, lower-case hex. A key is random, so it needs no salt."""
    return sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches a pattern of paths: `*` is within one part, `**` is any number of parts."""
    parts = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(parts.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*)", pattern)))


def _draw(random: Random, length: int) -> str:
    return "".join(random.choice(_ALPHABET) for _ in range(length))
