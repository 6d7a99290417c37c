"""Which key may enter. Only hashes are known here; a change in the store is seen within two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import ceil

from zhongkong.core.grants import Key, hash_key
from zhongkong.core.model import Instant, Seconds
from zhongkong.core.ports import Clock, Keys
from zhongkong.errors import AccessDenied, StoreError, StoreUnavailable

REFRESH_EVERY: Seconds = 1.0
"""With the time that a reading takes: a revoked key is dead within 2 s."""
NOTE_EVERY: Seconds = 30.0
"""Last uses are written to the store this often, all keys at once."""


@dataclass(slots=True)
class _Bucket:
    """What is left of a key's rate; it fills evenly and holds a minute's worth."""

    tokens: float
    filled_at: Seconds

    def take(self, rate: int, now: Seconds) -> Seconds:
        """Take one request and return 0, or return how long to wait for it."""
        self.tokens = min(float(rate), self.tokens + (now - self.filled_at) * rate / 60)
        self.filled_at = now
        if self.tokens < 1:
            return (1 - self.tokens) * 60 / rate
        self.tokens -= 1
        return 0.0


class Keyring:
    """The keys as the store said lately, their rates on this replica, and when each was last used.

    `now` is the store's time, or raises StoreUnavailable where that is not known. Empty until `refresh` was answered;
    `run` keeps it up to date until cancelled.
    """

    def __init__(self, store: Keys, clock: Clock, now: Callable[[], Instant]) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._keys: Mapping[str, Key] | None = None
        """By sha-256. How long a look-up takes tells nothing of a key: nobody can choose what his guess hashes to."""
        self._keys_by_id: Mapping[str, Key] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._used: dict[str, Instant] = {}
        self._noted_at: Seconds = clock.boot()

    async def run(self) -> None:
        """Read the keys again and again, and note their uses. While the store is away memory stands as it was."""
        while True:
            try:
                await self.refresh()
                if self._clock.boot() - self._noted_at >= NOTE_EVERY:
                    await self.note_uses()
            except StoreError:
                pass
            await asyncio.sleep(REFRESH_EVERY)

    async def refresh(self) -> None:
        """Read the keys from the store.

        Raises: StoreError.
        """
        keys = await self._store.keys()
        self._keys = {key.sha256: key for key in keys}
        self._keys_by_id = {key.id: key for key in keys}
        for key_id in self._buckets.keys() - {key.id for key in keys}:
            del self._buckets[key_id]

    async def note_uses(self) -> None:
        """Tell the store when keys were last used.

        Raises: StoreError: what was not told is told the next time.
        """
        used, self._used = self._used, {}
        self._noted_at = self._clock.boot()
        if not used:
            return
        try:
            await self._store.used_keys(used)
        except StoreError:
            self._used = used | self._used
            raise

    def identify(self, authorization: str) -> Key:
        """Return the key in an Authorization header; whether it may enter, `admit` says.

        Raises: AccessDenied: `key_missing`, `key_unknown`. StoreUnavailable: the keys could not be read yet.
        """
        key = self.find(_bearer(authorization))
        if key is None:
            raise AccessDenied("key_unknown")
        return key

    def find(self, text: str) -> Key | None:
        """Return the key of this text, or None.

        Raises: StoreUnavailable: the keys could not be read yet.
        """
        if self._keys is None:
            raise StoreUnavailable("store_unavailable", retry_after=REFRESH_EVERY)
        return self._keys.get(hash_key(text))

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the key of this id, or None; raises as `find`."""
        if self._keys is None:
            raise StoreUnavailable("store_unavailable", retry_after=REFRESH_EVERY)
        return self._keys_by_id.get(key_id)

    def keys(self) -> Collection[Key]:
        """Return all keys, as the store said lately."""
        return self._keys_by_id.values()

    def admit(self, key: Key, address: str) -> None:
        """Let a request in that showed `key`, and count it against the key's rate; who is refused is not counted.

        `address` is the client's, or empty where nobody knows it.

        Raises: AccessDenied: `key_expired`, `key_not_from_here`, `key_too_often`. StoreUnavailable: as `now`.
        """
        now = self._now()
        if key.is_expired(now):
            raise AccessDenied("key_expired")
        if key.networks and not (address and key.accepts_from(address)):
            raise AccessDenied("key_not_from_here", address=address or "?")
        if key.rate:
            self._limit(key)
        self._used[key.id] = now

    def holds(self, key: Key) -> bool:
        """Say whether the key is still good as it is: for answers that take long."""
        held = (self._keys or {}).get(key.sha256)
        is_same = held is not None and replace(held, last_used_at=key.last_used_at) == key
        return is_same and not key.is_expired(self._now())

    def _limit(self, key: Key) -> None:
        now = self._clock.boot()
        bucket = self._buckets.setdefault(key.id, _Bucket(key.rate, now))
        wait = bucket.take(key.rate, now)
        if wait:
            raise AccessDenied("key_too_often", retry_after=wait, rate=key.rate, seconds=ceil(wait))


def _bearer(authorization: str) -> str:
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise AccessDenied("key_missing")
    return text.strip()
