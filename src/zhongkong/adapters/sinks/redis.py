"""A Redis key for each account, and a mark of ours beside it. One script reads, compares and writes both."""

from __future__ import annotations

import os
import socket
import ssl
from hashlib import sha1
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from zhongkong.core.model import Account, Kind, Seconds, Secret, Slot
from zhongkong.core.sinks import Aim, Entry, Placed, Placing, Seen, encode, find_stranger
from zhongkong.errors import SinkError, SinkRefused, SinkUnavailable

STEP_WITHIN: Seconds = 3.0
"""For connecting, and for each answer."""
PORT = 6379

_FOR_ALL = {
    "READONLY": "sink_redis_read_only",
    "OOM": "sink_redis_full",
    "MISCONF": "sink_redis_misconfigured",
    "LOADING": "sink_redis_loading",
    "BUSY": "sink_silent",
    "MASTERDOWN": "sink_redis_read_only",
    "NOAUTH": "sink_redis_password",
    "WRONGPASS": "sink_redis_password",
}
"""What a server's refusal begins with where it holds for every write."""

# KEYS: what programs read, our mark. ARGV: generation, sha-256, content, milliseconds, insist, time of writing.
# Returns what came of it, and what a stranger had put there.
_WRITE = """
local found = redis.call('GET', KEYS[1])
local mark = redis.call('HMGET', KEYS[2], 'generation', 'sha256', 'content')
local is_later = mark[1] and tonumber(mark[1]) > tonumber(ARGV[1])
if is_later and ARGV[5] == '0' then return {'older', ''} end
local is_marked = found and mark[3] == redis.sha1hex(found) and not is_later
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('HSET', KEYS[2], 'generation', ARGV[1], 'sha256', ARGV[2], 'content', redis.sha1hex(ARGV[3]), 'at', ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if is_marked then return {mark[2] == ARGV[2] and 'kept' or 'written', ''} end
return {'written', found or ''}
"""

# KEYS as above. ARGV: generation. Returns 1 if what stood there was a hub's, and is gone.
_REMOVE = """
local mark = redis.call('HMGET', KEYS[2], 'generation', 'content')
if not mark[1] or tonumber(mark[1]) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[2])
local found = redis.call('GET', KEYS[1])
if not found or redis.sha1hex(found) ~= mark[2] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class RedisSink:
    """One key for each account on one Redis. Whole when constructed; connects at the first write."""

    def __init__(self, aim: Aim, password: Secret | None, prefix: str) -> None:
        """Take the sink as it is set, its password, and what stands before every key of ours (`store.prefix`)."""
        self._aim = aim
        self._prefix = prefix
        self._place = _place_of(aim.url)
        self._redis: Redis = Redis.from_url(
            aim.url,
            password=password.reveal() if password else None,
            protocol=2,  # also spoken by servers before 6 and by proxies in front of them
            socket_connect_timeout=STEP_WITHIN,
            socket_timeout=STEP_WITHIN,
            retry=Retry(NoBackoff(), 1),  # an idle connection that was cut; whoever is away is the runner's matter
        )
        self._write = self._redis.register_script(_WRITE)
        self._remove = self._redis.register_script(_REMOVE)

    @property
    def name(self) -> str:
        """The name that people gave it."""
        return self._aim.name

    def takes(self, slot: Slot) -> bool:
        """Say whether this slot's credential goes there."""
        return self._aim.takes(slot)

    async def write(self, entry: Entry, *, insist: bool = False) -> Placed:
        """Have the key hold the entry until it expires."""
        arguments: list[Any] = [
            entry.generation,
            entry.sha256,
            encode(self._aim.layout.form, entry),
            entry.expires_in * 1000,
            int(insist),
            int(entry.written_at),
        ]
        try:
            placing, found = await self._write(self._keys(entry.account, entry.kind), arguments)
        except (exceptions.RedisError, OSError) as error:
            raise self._translate(error) from None  # theirs may quote what was sent
        stranger = find_stranger(self._aim.layout.form, found, entry) if found else ""
        return Placed(Placing(placing.decode()), stranger)

    async def remove(self, account: Account, kind: Kind, generation: int) -> bool:
        """Delete the key if it holds what a hub wrote."""
        try:
            return bool(await self._remove(self._keys(account, kind), [generation]))
        except (exceptions.RedisError, OSError) as error:
            raise self._translate(error) from None

    async def look(self, account: Account, kind: Kind) -> Seen:
        """Return what the key holds now."""
        key, mark = self._keys(account, kind)
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                _ = pipeline.get(key)
                _ = pipeline.hmget(mark, ["generation", "content", "at"])
                found, (generation, content, at) = await pipeline.execute()
        except (exceptions.RedisError, OSError) as error:
            raise self._translate(error) from None
        if found is None:
            return Seen(is_there=False, is_ours=False)
        is_ours = content is not None and sha1(found, usedforsecurity=False).hexdigest().encode() == content
        return Seen(is_there=True, is_ours=is_ours, generation=int(generation or 0), written_at=float(at or 0))

    async def reach(self) -> None:
        """Return if the server answers. Raises as `write`."""
        try:
            await self._redis.ping()
        except (exceptions.RedisError, OSError) as error:
            raise self._translate(error) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _keys(self, account: Account, kind: Kind) -> list[str]:
        """Return the key and our mark; braces keep both in one slot of a cluster."""
        key = self._aim.layout.place_of(account, kind)
        return [key, f"{self._prefix}sink:{{{key}}}"]

    def _translate(self, error: Exception) -> SinkError:
        """Return what an error means for us; the library's own words are not passed on."""
        if isinstance(error, exceptions.AuthenticationError) or "unauthenticated" in str(error):  # longer than AUTH
            return SinkUnavailable("sink_redis_password", place=self._place)
        if isinstance(error, exceptions.ConnectionError | OSError):
            return SinkUnavailable("sink_away", place=self._place, why=_why(error))
        if isinstance(error, exceptions.TimeoutError):
            return SinkUnavailable("sink_silent", place=self._place)
        if isinstance(error, exceptions.InvalidResponse):
            return SinkUnavailable("sink_redis_stranger", place=self._place)
        word = _word_of(error)
        if word in _FOR_ALL:
            return SinkUnavailable(_FOR_ALL[word], place=self._place)
        if word == "WRONGTYPE":
            return SinkRefused("sink_redis_other_type", place=self._place, key=self._aim.layout.template)
        return SinkRefused("sink_redis_refused", place=self._place, why=word)


def _place_of(url: str) -> str:
    """Return where the server is, without the name and the password that a URL may hold."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or PORT}"


def _word_of(error: Exception) -> str:
    """Return the word that a server's refusal began with; the library takes some of them off."""
    word = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return word if isinstance(word, str) and word.isupper() else "ERR"


def _why(error: Exception) -> str:
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):
        return cause.reason or "TLS"
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "DNS"
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else "cut"
