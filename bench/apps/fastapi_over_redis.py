"""A token page as one writes it today: FastAPI, a dependency that checks the key, the token from Redis."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from redis.asyncio import Redis

KEYS = {sha256(os.environ["KEY"].encode()).hexdigest(): "bench"}
redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@asynccontextmanager
async def keep_fresh(_app: FastAPI) -> AsyncIterator[None]:
    """Have a fresh token in Redis."""
    kept = {"access_token": os.environ["TOKEN"], "expires_at": int(time.time()) + 7000}
    await redis.hset(f"token:{os.environ['APPID']}", mapping=kept)
    yield


app = FastAPI(lifespan=keep_fresh)


def check_key(authorization: Annotated[str, Header()]) -> str:
    """Return whose key it is."""
    known = KEYS.get(sha256(authorization.removeprefix("Bearer ").encode()).hexdigest())
    if known is None:
        raise HTTPException(401)
    return known


@app.get("/v1/accounts/{appid}/access_token")
async def read(appid: str, _key: Annotated[str, Depends(check_key)]) -> dict[str, str | int]:
    """Return the token."""
    kept = await redis.hgetall(f"token:{appid}")
    if not kept:
        raise HTTPException(404)
    left = int(kept["expires_at"]) - int(time.time())
    return {
        "appid": appid,
        "access_token": kept["access_token"],
        "expires_in": left,
        "expires_at": int(kept["expires_at"]),
    }
