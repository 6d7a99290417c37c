"""How the sandbox asks the servers of its accounts: once, and no longer than it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

LONGEST = 1_048_576


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back; `status` None: nothing did, and `why` says what is known of that."""

    status: int | None
    body: bytes = b""
    why: str = ""


Fetch = Callable[[str, str, str, bytes, float], Awaitable[Fetched]]
"""Method, URL, content type, body, and the seconds that an answer may take."""


async def fetch(method: str, url: str, content_type: str, body: bytes, patience: float) -> Fetched:
    """Return what a server answers, all of it within `patience` seconds; redirects are not followed."""
    headers = {"Content-Type": content_type} if body else {}
    try:
        async with (
            asyncio.timeout(patience),
            aiohttp.ClientSession(trust_env=False) as session,
            session.request(method, url, data=body or None, headers=headers, allow_redirects=False) as answer,
        ):
            return Fetched(answer.status, await answer.content.read(LONGEST))
    except TimeoutError:
        return Fetched(None, why="timeout")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Fetched(None, why=type(error).__name__)
