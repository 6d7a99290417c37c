"""One run: many tries in lanes beside each other, most over ASGI, a share over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from random import Random

from tests.fuzz.clients import Got, call_over_asgi, call_over_wire
from tests.fuzz.judge import judge
from tests.fuzz.outcome import Outcome, heard_bugs
from tests.fuzz.platforms import Names, ScriptedUpstream, Tries, WirePlatform, watched_connections
from tests.fuzz.scene import Hub
from tests.fuzz.tries import Shown, Try, draw_try
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import Way
from zhongkong.adapters.upstream import AiohttpUpstream
from zhongkong.hub.server import bind, serve_http

LANES, WIRE_LANES = 96, 32
WIRE_EVERY = 20
"""How many tries of which one goes over real sockets."""
REMEMBERED = 1000
"""Tries that are over: a call of a client who left may still arrive."""
ROTATES_EVERY = 1.0
QUIET = 6.0


async def play(count: int, seed: int, *, only: int | None = None) -> Outcome:
    """Make `count` tries, or `only` one of them; return what came of it."""
    outcome = Outcome(count, seed)
    hub = Hub(Random(seed))
    tries = Tries(hub.minting)
    platform, listening, stop = WirePlatform(tries), bind("127.0.0.1", 0), asyncio.Event()
    port = listening.getsockname()[1]
    names = Names({"platform-a.test", "platform-b.test"}, tries.strange)
    over = AiohttpUpstream(MachineClock(), way=Way(resolver=names), quiet_longest=QUIET)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(platform.serving())
        stack.push_async_callback(over.close)
        stack.enter_context(watched_connections({port, platform.port}, tries.strange))
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of what is no HTTP nothing is heard
        stack.enter_context(heard_bugs(outcome.wrong))
        await stack.enter_async_context(hub.running())
        on_wire = [await hub.open_account(f"wxa{one}", f"http://platform-{one}.test:{platform.port}") for one in "ab"]
        await hub.open_account("wxc", "https://api.weixin.qq.com")
        await hub.wait_until_kept()
        (app, scripted), (wired_app, wired) = hub.build(ScriptedUpstream(tries)), hub.build(over)
        serving = asyncio.create_task(serve_http(wired_app, [listening], stop))
        rotating = asyncio.create_task(_rotate(hub))
        lanes = _Lanes(outcome, tries)
        numbers = range(count) if only is None else [only]
        over_wire = iter([number for number in numbers if not number % WIRE_EVERY])
        over_asgi = iter([number for number in numbers if number % WIRE_EVERY])
        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(lanes.run(partial(call_over_asgi, app), hub.accounts, over_asgi))
            for _ in range(WIRE_LANES):
                group.create_task(lanes.run(partial(call_over_wire, port), on_wire, over_wire))
        rotating.cancel()
        stop.set()
        await serving
    outcome.wrong += [f"under way when all is over: {left}" for one in (scripted, wired) if (left := one._under_way)]
    outcome.wrong += tries.strange
    outcome.judge_memory()
    return outcome


class _Lanes:
    """Lanes on which one try follows the other."""

    def __init__(self, outcome: Outcome, tries: Tries) -> None:
        self._outcome = outcome
        self._tries = tries
        self._over: deque[int] = deque()

    async def run(
        self, call: Callable[[Try], Awaitable[Got]], accounts: Sequence[Shown], numbers: Iterator[int]
    ) -> None:
        """Make the tries of these numbers, as far as no other lane has made them."""
        for number in numbers:
            one = draw_try(Random(f"{self._outcome.seed} {number}"), number, accounts)
            self._tries.running[number] = one
            try:
                wrong = list(judge(one, got := await call(one)))
            except TimeoutError:
                wrong, got = ["it never ends"], Got()
            self._outcome.wrong += [f"try {number}: {text}\n    {_describe(one)}" for text in wrong]
            self._note(one, got)
            self._over.append(number)
            if len(self._over) > REMEMBERED:
                del self._tries.running[self._over.popleft()]

    def _note(self, one: Try, got: Got) -> None:
        self._outcome.seen[f"forwarded {len(one.seen)} times" if one.seen else "not forwarded"] += 1
        self._outcome.seen["plain"] += one.is_plain
        self._outcome.seen["healed"] += len(one.seen) > 1 and not one.seen[-1].refused and bool(got.status)
        self._outcome.note_done()


def _describe(one: Try) -> str:
    path, query = one.path[:200], one.query[:300]
    how = f"{one.shown}, {one.framing}, {one.client}, {one.answer}, {one.breakage or 'unbroken'}"
    return f"{one.method} {one.absolute!r} {path!r} ? {query!r} ({how}) {[name for name, _ in one.headers]}"


async def _rotate(hub: Hub) -> None:
    """End accounts' tokens behind the hub's back, one after the other."""
    while True:
        for shown in hub.accounts:
            hub.minting.rotate(shown.appid)
            await asyncio.sleep(ROTATES_EVERY)
