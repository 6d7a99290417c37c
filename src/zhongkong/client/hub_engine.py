"""The engine over a hub: it reads on condition, hears of news by a long poll, and remembers while the hub is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import TypeAlias

from zhongkong.client.answers import Answer, Given, Refused, Troubled, Unchanged
from zhongkong.client.engine import Held, Publish
from zhongkong.client.source import Credential, Rejected
from zhongkong.client.wire import Reply, Wire
from zhongkong.errors import AccountUnknown, CredentialUnavailable, RequestRefused, ZhongkongError

POLLS_AT_ONCE = 4
"""Each keeps a connection to the hub busy; the slots beyond them are read every `refresh_in` seconds."""
POLL_WAIT = 30
POLLS_APART = 1.0
"""Seconds from one poll of a slot to the next: a hub that is about to end answers them at once."""
SLACK = 5.0
"""Seconds that the next answer may come later than `refresh_in` says before readers ask for it themselves."""
LET_GO_AFTER = 3600.0
"""Seconds after which a slot that nobody asks for is no longer kept fresh."""
REFUSAL_HOLDS = 2.0
"""Seconds for which a refusal that only a person can lift is repeated without asking again."""
RETRY_LONGEST = 5.0
"""The same for one that passes: whatever the hub waits for, a person may mend it meanwhile."""
UNHEARD_LONGEST = 15.0
"""Seconds that a question may be under way. Who was not told anything for longer after he should have been is not
followed: he was let go, stopped, or forked."""
LOOK = 1.0
"""Seconds for which a reader of such a slot is kept, at most, while the hub is asked what happened meanwhile."""
DOUBTFUL_FOR = 1.0
"""Seconds for which a doubtful credential is handed out again: the hub has no news sooner."""

SlotName: TypeAlias = tuple[str, str]
"""Account and kind."""

_APPID = re.compile(r"[\x21-\x7e]{1,128}")
_KIND = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class Kept:
    """The last credential of a slot, and when the request for it left."""

    credential: Credential
    etag: str
    departed: float
    fresh_until: float = 0.0
    is_withdrawn: bool = False
    """The hub would not hand it out. It may again: then it says that nothing changed."""

    @property
    def holds_until(self) -> float:
        """Return when its promise ends; one that is doubtful promises nothing, and is not asked for twice a second."""
        if self.is_withdrawn or self.credential.doubtful:
            return self.fresh_until
        return self.departed + self.credential.expires_in

    @property
    def heard_until(self) -> float:
        """Return till when it is handed out without a look at the hub; a slot that is followed is told of before."""
        return min(self.fresh_until + UNHEARD_LONGEST, self.holds_until)

    def held(self, *, is_away: bool = False) -> Held:
        """Return it for the readers."""
        credential, ends = self.credential, self.holds_until
        if is_away:
            return Held(replace(credential, stale=True), credential.value, ends, ends, ends)
        return Held(credential, credential.value, min(self.fresh_until, ends), self.heard_until, ends)


class _Line:
    """A slot that is being kept fresh, and who waits for it."""

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.wake = asyncio.Event()
        """Somebody waits: nothing that he may have is held."""
        self.next: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.refused: ZhongkongError | None = None
        self.refused_at = 0.0

    def settle(self, answer: Answer) -> None:
        """Tell all who wait; whoever comes from now on waits for the next answer."""
        self.wake.clear()
        self.next.set_result(answer)
        self.next = asyncio.get_running_loop().create_future()

    def raise_refusal(self, now: float) -> None:
        """Raise what the hub said a moment ago, as long as it is no use to ask again."""
        if self.refused is None or now - self.refused_at >= _holds_for(self.refused):
            return
        repeated = copy(self.refused)
        if repeated.retry_after is not None:
            repeated.retry_after = max(1.0, repeated.retry_after - (now - self.refused_at))
        raise repeated

    async def rest(self, seconds: float) -> bool:
        """Sleep, until somebody waits; return whether somebody does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        return self.wake.is_set()


class HubEngine:
    """Keeps what was asked for lately in step with a hub. One task per slot asks; all readers wait for its answers."""

    def __init__(self, wire: Wire, memory: dict[SlotName, Kept], boot: Callable[[], float]) -> None:
        self._wire = wire
        self._memory = memory
        self._boot = boot
        self._publish: Publish = _publish_nothing
        self._lines: dict[SlotName, _Line] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._reports: dict[tuple[SlotName, str], asyncio.Task[Reply]] = {}
        self._polls = 0

    async def run(self, publish: Publish) -> None:
        """Publish what the slots' tasks learn; on leaving, end them and close the connections."""
        self._publish = publish
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tasks = [*self._watches, *self._reports.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._wire.close()

    async def credential(self, appid: str, kind: str, patience: float) -> Held:
        """Return the credential, waiting for the hub only if none is held whose promise holds."""
        slot, now = self._read_slot(appid, kind), self._boot()
        line = self._line(slot)
        line.asked_at = now
        kept = self._memory.get(slot)
        if kept is not None and now < kept.heard_until:
            return kept.held()
        if kept is not None and now < kept.holds_until:
            return await self._look_first(slot, line, min(patience, LOOK))
        line.raise_refusal(now)
        self._fail_fast(slot, patience)
        line.wake.set()
        try:
            async with asyncio.timeout(patience):
                while isinstance(answer := await asyncio.shield(line.next), Troubled):
                    pass  # the hub is away, and may be back before the patience ends
        except TimeoutError:
            raise self._wire.lacking(*slot) from None
        if isinstance(answer, Refused):
            raise copy(answer.error)
        return self._memory[slot].held()

    async def _look_first(self, slot: SlotName, line: _Line, patience: float) -> Held:
        """Return what was promised long ago, if the hub does not say otherwise within `patience` seconds."""
        line.wake.set()
        answer: Answer | None = None
        if self._wire.away is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    answer = await asyncio.shield(line.next)
        if isinstance(answer, Refused) and answer.withdraws:
            raise copy(answer.error)
        held = self._memory[slot].held(is_away=not isinstance(answer, Given | Unchanged))
        self._publish(held)
        return held

    async def reject(self, appid: str, kind: str, value: str, patience: float) -> Rejected:
        """Report the value; all who report it at the same time share one request."""
        slot = self._read_slot(appid, kind)
        self._fail_fast(slot, patience)
        report = self._reports.get((slot, value))
        if report is None:
            report = asyncio.create_task(self._report(slot, value))
            self._reports[slot, value] = report
            report.add_done_callback(lambda _task: self._reports.pop((slot, value), None))
        try:
            async with asyncio.timeout(patience):
                answer = (await asyncio.shield(report)).answer
        except TimeoutError:
            raise self._wire.lacking(*slot) from None
        if isinstance(answer, Refused):
            raise copy(answer.error)
        if isinstance(answer, Given) and answer.outcome is not None:
            return Rejected(answer.outcome, answer.credential)
        raise self._wire.lacking(*slot)

    async def _report(self, slot: SlotName, value: str) -> Reply:
        reply = await self._wire.report(*slot, value)
        if isinstance(reply.answer, Given):
            self._keep(slot, reply.departed, reply.answer)
        elif slot in self._lines:
            self._lines[slot].wake.set()  # what is held may be dead: see what the hub says of it
        return reply

    def _fail_fast(self, slot: SlotName, patience: float) -> None:
        """Let nobody wait for a hub that has been away for longer than he would."""
        away = self._wire.away
        if away is not None and self._boot() - away.since > patience:
            raise self._wire.lacking(*slot)

    def _read_slot(self, appid: str, kind: str) -> SlotName:
        """Return the slot. Raises: AccountUnknown, RequestRefused: no hub has anything of that name."""
        if not _APPID.fullmatch(appid):
            raise AccountUnknown(appid)
        if not _KIND.fullmatch(kind):
            raise RequestRefused("kind_not_served", hub=self._wire.url, kind=kind)
        return appid, kind

    # --- keeping a slot fresh

    def _line(self, slot: SlotName) -> _Line:
        line = self._lines.get(slot)
        if line is None:
            line = self._lines[slot] = _Line(self._boot())
            watch = asyncio.create_task(self._watch(slot, line))
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)
        return line

    async def _watch(self, slot: SlotName, line: _Line) -> None:
        """Ask again and again as long as the slot is asked for, unless only a person can help."""
        may_poll, is_wanted = False, True
        try:
            while is_wanted:
                departing = self._boot()
                reply = await self._look(slot, line, may_poll=may_poll)
                self._learn(slot, line, reply)
                line.settle(reply.answer)
                may_poll = isinstance(reply.answer, Given | Unchanged)
                if _is_final(reply.answer):
                    is_wanted = await line.rest(REFUSAL_HOLDS)
                elif isinstance(reply.answer, Troubled) or self._boot() - line.asked_at <= LET_GO_AFTER:
                    await line.rest(self._pause(slot, reply.answer, departing))
                else:
                    is_wanted = False
                    self._let_go(slot)
        finally:
            del self._lines[slot]

    async def _look(self, slot: SlotName, line: _Line, *, may_poll: bool) -> Reply:
        """Return the hub's answer: at once, or when there is news."""
        kept = self._memory.get(slot)
        etag = kept.etag if kept else ""
        wait = self._poll_seconds(kept) if may_poll and self._polls < POLLS_AT_ONCE else 0
        if not wait:
            return await self._wire.read(*slot, etag)
        self._polls += 1
        poll = asyncio.create_task(self._wire.read(*slot, etag, wait))
        woken = asyncio.create_task(line.wake.wait())
        try:
            await asyncio.wait((poll, woken), return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else await self._wire.read(*slot, etag)
        finally:
            self._polls -= 1
            poll.cancel()
            woken.cancel()

    def _poll_seconds(self, kept: Kept | None) -> int:
        """Return how long to wait for news, 0 not to wait.

        Never longer than a reader should go without looking: what comes of a long wait counts from its beginning.
        """
        if kept is None or not kept.etag:
            return 0
        return max(0, int(min(POLL_WAIT, kept.credential.refresh_in, kept.holds_until - self._boot())))

    def _learn(self, slot: SlotName, line: _Line, reply: Reply) -> None:
        line.refused = None
        match reply.answer:
            case Given() as given:
                self._keep(slot, reply.departed, given)
            case Unchanged(refresh_in):
                kept = self._memory[slot]
                credential = replace(kept.credential, refresh_in=refresh_in or kept.credential.refresh_in)
                self._hand_out(slot, replace(kept, credential=credential, is_withdrawn=False))
            case Refused(error, withdraws):
                line.refused, line.refused_at = error, self._boot()
                if withdraws:
                    self._withdraw(slot)
                else:
                    self._go_on_without([slot])
            case Troubled():
                self._go_on_without(self._lines)

    def _keep(self, slot: SlotName, departed: float, given: Given) -> None:
        """Keep what was given, unless an answer to a later question told of a later one."""
        kept = self._memory.get(slot)
        if kept and departed < kept.departed and given.credential.generation <= kept.credential.generation:
            return
        self._hand_out(slot, Kept(given.credential, given.etag, departed))

    def _hand_out(self, slot: SlotName, kept: Kept) -> None:
        fresh_for = DOUBTFUL_FOR if kept.credential.doubtful else kept.credential.refresh_in + SLACK
        self._memory[slot] = replace(kept, fresh_until=self._boot() + fresh_for)
        self._publish(self._memory[slot].held())

    def _withdraw(self, slot: SlotName) -> None:
        """Hand out no more what the hub would not: the account or the key is gone, or the credential is dead."""
        kept = self._memory.get(slot)
        if kept is not None:
            self._memory[slot] = replace(kept, is_withdrawn=True, fresh_until=0.0)
            self._publish(self._memory[slot].held())

    def _let_go(self, slot: SlotName) -> None:
        """Have the next reader ask for it, since all who read what is fresh leave no trace."""
        kept = self._memory.get(slot)
        if kept is not None:
            self._memory[slot] = replace(kept, fresh_until=min(kept.fresh_until, self._boot()))
            self._publish(self._memory[slot].held())

    def _go_on_without(self, slots: Iterable[SlotName]) -> None:
        """The hub is away: what was promised of these, which are followed, is handed out, marked, till it says more."""
        for kept in filter(None, map(self._memory.get, slots)):
            if self._boot() < kept.holds_until:
                self._publish(kept.held(is_away=True))

    def _pause(self, slot: SlotName, answer: Answer, departed: float) -> float:
        """Return how long to rest before the next question; a hub that is away is spared by the wire."""
        match answer:
            case Troubled():
                return 0.0
            case Refused(error):
                return _holds_for(error)
        kept = self._memory[slot]
        if self._poll_seconds(kept) and self._polls < POLLS_AT_ONCE:
            return max(0.0, departed + POLLS_APART - self._boot())
        return float(kept.credential.refresh_in)


def _publish_nothing(_held: Held) -> None:
    """Nobody reads yet."""


def _is_final(answer: Answer) -> bool:
    """Say whether only a person can change what the hub said."""
    return isinstance(answer, Refused) and not isinstance(answer.error, CredentialUnavailable)


def _holds_for(refusal: ZhongkongError) -> float:
    """Return for how many seconds a refusal is repeated without asking again."""
    return REFUSAL_HOLDS if refusal.retry_after is None else min(refusal.retry_after, RETRY_LONGEST)
