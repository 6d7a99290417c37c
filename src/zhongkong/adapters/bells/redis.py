"""A bell in a Redis: PUBLISH and SUBSCRIBE. Nothing is kept there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from zhongkong.adapters.bells.bell import Bell, BellBroken, Line
from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Clock

STEP_WITHIN: Seconds = 3.0
"""For connecting, and for each answer."""
PORT = 6379


class RedisBell(Bell):
    """The bell."""

    def __init__(self, url: Secret, prefix: str, clock: Clock) -> None:
        """Take its URL and the store's prefix.

        Raises: ValueError, TypeError: the URL cannot be read; they may quote it.
        """
        parts = urlsplit(url.reveal())
        _ = Redis.from_url(url.reveal())
        super().__init__(f"{parts.scheme}://{parts.hostname}:{parts.port or PORT}", clock)
        self._url = url
        self._channel = f"{prefix}bell"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Line]:
        redis: Redis = Redis.from_url(
            self._url.reveal(),
            protocol=2,  # as the sinks speak
            socket_connect_timeout=STEP_WITHIN,
            socket_timeout=STEP_WITHIN,  # who only listens waits longer by himself
            retry=Retry(NoBackoff(), 0),  # what breaks is made anew as a whole
        )
        try:
            async with redis, redis.pubsub(ignore_subscribe_messages=True) as listening:
                await listening.subscribe(self._channel)

                async def send(name: str) -> None:
                    await redis.publish(self._channel, name)

                yield Line(send, _names(listening))
        except (exceptions.RedisError, OSError) as error:
            raise BellBroken(_why(error)) from None  # theirs may quote what was sent


async def _names(listening: Any) -> AsyncIterator[str]:  # noqa: ANN401 (the library's)
    async for told in listening.listen():
        yield bytes(told["data"]).decode("ascii", "replace")


def _why(error: Exception) -> str:
    if isinstance(error, exceptions.AuthenticationError):
        return "password"
    if isinstance(error, exceptions.ConnectionError | OSError):
        return "away"
    return "silent" if isinstance(error, exceptions.TimeoutError) else "refused"
