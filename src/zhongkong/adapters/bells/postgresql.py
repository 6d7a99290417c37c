"""A bell in the store's own PostgreSQL: LISTEN and NOTIFY, on two connections beside the store's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql

from zhongkong.adapters.bells.bell import Bell, BellBroken, Line
from zhongkong.adapters.stores.addresses import ServerAddress
from zhongkong.adapters.stores.server_dialects import postgresql_options
from zhongkong.adapters.stores.server_errors import judge_postgresql
from zhongkong.core.ports import Clock


class PostgresqlBell(Bell):
    """The bell. The server tells it to whoever listens, in the moment of the commit."""

    def __init__(self, address: ServerAddress, prefix: str, clock: Clock) -> None:
        """Take the store's address and prefix: stores in one database have bells of their own."""
        super().__init__(str(address), clock)
        self._address = address
        self._channel = f"{prefix}bell"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Line]:
        try:
            async with await self._connect() as listening, await self._connect() as ringing:
                await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))

                async def send(name: str) -> None:
                    await ringing.execute("SELECT pg_notify(%s, %s)", [self._channel, name])

                yield Line(send, (told.payload async for told in listening.notifies()))
        except (psycopg.Error, OSError) as error:
            state = getattr(error, "sqlstate", None) or ""
            raise BellBroken(state or judge_postgresql("", str(error)).name.lower()) from None

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(**postgresql_options(self._address))
