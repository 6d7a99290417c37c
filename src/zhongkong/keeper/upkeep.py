"""What goes on for as long as a keeper does, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable

from zhongkong.core.callbacks import PUSHES_KEPT
from zhongkong.core.model import NEVER, Seconds
from zhongkong.core.ports import Events, Pushes
from zhongkong.errors import ZhongkongError
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.wechat.answers import clean_errmsg

SWEEP_EVERY: Seconds = 3600.0
SWEEP_PUSHES_EVERY: Seconds = 120.0
EVENTS_KEPT: Seconds = 90 * 86_400.0
BEGIN_AGAIN: Seconds = 1.0


async def run_for_ever(name: str, run: Callable[[], Awaitable[None]], logger: logging.Logger) -> None:
    """Have `run` run, and run again when it fails: nothing that goes wrong with the store may end who serves.

    What went wrong is logged, once as long as it is the same.
    """
    said = ""
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 (whatever it was: it is in the log, and tried again)
            why = str(error) if isinstance(error, ZhongkongError) else describe_bug(error)
            if why != said:
                logger.error("%s: %s", name, why)  # noqa: TRY400 (in our own words)
            said = why
        await asyncio.sleep(BEGIN_AGAIN)


async def sweep_for_ever(store: Events, known: Knowledge) -> None:
    """Delete old events again and again, in small batches."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        deleted = 1 if known.seen > NEVER else 0
        while deleted:
            deleted = await store.sweep_events(known.now() - EVENTS_KEPT)
            await asyncio.sleep(0.1)


async def sweep_pushes_for_ever(store: Pushes, known: Knowledge) -> None:
    """Delete again and again, in small batches, what pushes are told apart by."""
    while True:
        await asyncio.sleep(SWEEP_PUSHES_EVERY)
        deleted = 1 if known.seen > NEVER else 0
        while deleted:
            deleted = await store.sweep_pushes(known.now() - PUSHES_KEPT)
            await asyncio.sleep(0.1)


def describe_bug(error: BaseException) -> str:
    """Return what broke and where, and of what it says nothing that looks like a secret."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{type(error).__name__}: {clean_errmsg(str(error))}\n{frames}"
