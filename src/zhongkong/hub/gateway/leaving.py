"""Work for a client that is given up when he leaves."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from zhongkong.core.model import Seconds
from zhongkong.hub.gateway.bodies import ClientGone

A_MOMENT: Seconds = 0.02
"""Most calls are over before: nobody needs to listen for those."""


class WhileThere:
    """A block that is cancelled when the client leaves, and raises ClientGone then. His body was read before.

    The block runs in the request's own task. One that takes more than a moment gets another task, which listens.
    """

    __slots__ = ("_beginning", "_cancelled_before", "_is_gone", "_listening", "_receive", "_task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_gone = False
        self._listening: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (narrows a type: a coroutine runs in one)
        self._task = task
        self._cancelled_before = task.cancelling()
        self._beginning = asyncio.get_running_loop().call_later(A_MOMENT, self._begin)

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._beginning.cancel()
        if self._listening is not None:
            self._listening.cancel()
        if not self._is_gone:
            return
        others = self._task.uncancel() > self._cancelled_before
        if isinstance(error, asyncio.CancelledError) and not others:
            raise ClientGone from None

    def _begin(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._task.cancel()
