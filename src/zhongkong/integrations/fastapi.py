"""FastAPI: the application opens a source when it starts, and what serves a request asks for it.

app = FastAPI(lifespan=open_source("https://hub.internal:8600"))

@app.get("/token")
async def token(source: Source) -> str:
    return await source.access_token(APPID)
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from zhongkong.client.source import AsyncSource
from zhongkong.integrations import needing

with needing("fastapi"):
    from fastapi import Depends

    from zhongkong.integrations.starlette import get_source, open_source

__all__ = ["Source", "get_source", "open_source"]

Source: TypeAlias = Annotated[AsyncSource, Depends(get_source)]
"""What a parameter is declared as that is to be the application's source."""
