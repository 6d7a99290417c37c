"""Starlette: the application opens a source when it starts, and requests find it.

app = Starlette(routes=…, lifespan=open_source("https://hub.internal:8600"))
token = await get_source(request).access_token(APPID)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypedDict

import zhongkong
from zhongkong.client.explaining import speaking
from zhongkong.client.source import AsyncSource
from zhongkong.integrations import needing, read_options
from zhongkong.messages import render

with needing("starlette"):
    from starlette.requests import HTTPConnection


class State(TypedDict):
    """What the lifespan gives to requests; one of your own yields it together with what else there is."""

    zhongkong: AsyncSource


def open_source(url: str = "", **options: Any) -> Callable[[object], AbstractAsyncContextManager[State]]:
    """Return a lifespan with a source that is connected by what is given here, as to `connect_async`, and closed after.

    Without a URL it is that of the environment, ZHONGKONG_HUB.

    Raises: SettingInvalid: when the application starts.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[State]:
        async with zhongkong.connect_async(**read_options({"url": url, **options}, "open_source")) as source:
            yield {"zhongkong": source}

    return lifespan


def get_source(connection: HTTPConnection) -> AsyncSource:
    """Return the source of the application that serves this request or websocket."""
    found: AsyncSource | None = getattr(connection.state, "zhongkong", None)
    if found is None:
        raise RuntimeError(render("integration_not_started", speaking()))
    return found
