"""A token that the platform refused is reported to the keeper, once for all calls that it failed."""

from __future__ import annotations

import asyncio

from zhongkong.core.handing import Handed
from zhongkong.core.model import Slot
from zhongkong.keeper.keeper import Keeper, Rejected, RejectOutcome


class Healer:
    """Finds the token to repeat a call with."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._running: dict[tuple[Slot, str], asyncio.Task[Rejected]] = {}

    async def heal(self, slot: Slot, refused: Handed, caller: str) -> str | None:
        """Return another token than the one that was refused; None where the platform takes that one after all.

        Raises: CredentialUnavailable. StoreError.
        """
        now = self._keeper.peek(slot)
        if now is not None and now.generation > refused.generation:
            return now.value
        name = (slot, refused.value)
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(self._keeper.reject(slot, caller, value=refused.value))
            self._running[name] = task
            task.add_done_callback(lambda done: self._end(name, done))
        rejected = await asyncio.shield(task)
        return None if rejected.outcome is RejectOutcome.STILL_VALID else rejected.handed.value

    def _end(self, name: tuple[Slot, str], done: asyncio.Task[Rejected]) -> None:
        del self._running[name]
        if not done.cancelled():
            done.exception()  # seen, also if nobody waits for it any more
