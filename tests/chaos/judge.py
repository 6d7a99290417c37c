"""The judge: invariants 1, 2, 4 and 7 of docs/correctness.md, against what a run left behind. docs/chaos.md says how.

Each excuse is one that the invariants name, and is taken from the weather that the run made itself: never from the
hub's word. The hub's audit log is believed in one thing, when it saved a proof or a successor.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from typing import NamedTuple

from tests.chaos.evidence import (
    CHANGE,
    PLATFORM,
    PROCESS,
    SERVER,
    STORE,
    Call,
    Evidence,
    Passed,
    Read,
    Rejected,
    Token,
)

CLOCKS = 0.05
"""Between two programs' readings of one clock, with what lies between reading and acting."""
SEEN = 3.25
"""A replica that does not call itself stale asked the store within the last 3 s (two polls and one second)."""
STALE_FOR = 10.0 + SEEN
"""Who could not write looks every 10 s if he can; a replica that begins or wakes up asks at once."""
DEADLINE, LEASE, PATIENCE = 10.0, 20.0, 5.0
TRANSACTIONS_LIVE = 5.0
"""A database server ends a longer one."""
SLACK = 3.0
"""On a busy machine, beyond what the hub promises."""
VERDICT_HOLDS, VERDICT_HOLDS_LONGEST = 10.0, 300.0
FOUND_OUT = VERDICT_HOLDS + 4.0
"""In good weather, with callers who use what they read and reject what is refused, a death is known after this."""
BUGGY = ("doubter", "buggy 0", "buggy 1")
"""Callers who reject what is good: a verdict holds longer for them."""
NEVER = (inf, inf)
DEAD = (40001, 40014, 42001)
CLASSIC, STABLE, PROBE = "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/get_api_domain_ip"
HUB = "127.0.0.1"
"""From where the hub calls; business servers say that they come from elsewhere."""
ENDS_OURS = ("revoke", "force", "storm", "insist", *CHANGE)
"""What ends a token before its time although nobody broke a promise."""
AFTER: dict[str, float] = {"unanswered": 75, "unreachable": 75, "refused": 75, "blocked": 310, "quota": 920}
"""How long after trouble with the platform a credential may be missing, by the cause that is told; else `LEASE`…"""


class Violation(NamedTuple):
    """An invariant that does not hold, and when it was seen."""

    at: float
    rule: str
    text: str


def judge(evidence: Evidence) -> list[Violation]:
    """Return every violation, in the order of time."""
    return sorted(_Judge(evidence).judge_all())


def overlap_of(life: float) -> float:
    """Return how long a replaced token is taken, by the platform's figures as the sandbox scales them."""
    return min(life / 2, max(2.0, min(300.0, life / 24)))


class _Judge:
    """One look at the evidence, with the indexes that the questions need."""

    def __init__(self, evidence: Evidence) -> None:
        self._tokens = evidence.tokens
        self._calls = sorted(evidence.calls)
        self._events = evidence.events
        self._rejects = evidence.rejects
        self._passed = evidence.passed
        self._openids = evidence.openids
        self._weather = evidence.weather
        self._only_reads = evidence.reads
        self._reads = sorted([*evidence.reads, *(one.read for one in evidence.rejects)])
        self._handed = [read for read in self._reads if read.is_handed]
        self._ended_at = max((read.ended for read in self._reads), default=0.0)
        self._values_of: defaultdict[tuple[str, int], dict[str, None]] = defaultdict(dict)
        for read in self._handed:
            self._values_of[read.appid, read.generation][read.value] = None
        self._proved_at = self._when_proved()
        self._gone = self._when_gone()
        self._lines = self._line_up()
        self._known = self._when_known()
        self._doubted: defaultdict[str, list[float]] = defaultdict(list)
        for read in self._handed:
            if read.doubtful:
                self._doubted[read.appid].append(read.began)

    def judge_all(self) -> Iterator[Violation]:
        yield from self._judge_generations()
        yield from self._judge_dead_handed()
        yield from self._judge_promises()
        yield from self._judge_rejects()
        yield from self._judge_flights()
        yield from self._judge_tokens()
        yield from self._judge_failures()
        yield from self._judge_waits()
        yield from self._judge_passed()

    # --- indexes

    def _when_gone(self) -> dict[tuple[str, int], tuple[float, float]]:
        """Return between when the proof of a generation's death, or its successor, was committed.

        The log is stamped in the transaction; a process stopped in the middle of it commits when it goes on, and one
        whose server is in trouble as late as that lets it.
        """
        gone: dict[tuple[str, int], tuple[float, float]] = {}
        for event in self._events:
            back = {"condemned": 0, "minted": 1}.get(event.code)
            if back is not None:
                stopped = self._weather.between(event.at - 1, event.at + 1, ("stop",))
                is_late = self._weather.was(event.at - 1, event.at + TRANSACTIONS_LIVE, SERVER)
                latest = event.at + TRANSACTIONS_LIVE * is_late
                between = (event.at, max([latest, *(spell.ended for spell in stopped)]))
                key = (event.appid, event.generation - back)
                gone[key] = min(between, gone.get(key, NEVER))
        return gone

    def _when_proved(self) -> dict[str, float]:
        """Return when the hub was told of a token's death by a probe, by value."""
        told: dict[str, float] = {}
        for call in self._calls:
            if call.ip == HUB and call.path == PROBE and call.errcode in DEAD and call.answer == "whole":
                told.setdefault(call.access_token, call.answered_at)
        return told

    def _line_up(self) -> dict[tuple[str, str], list[Token]]:
        """Return the tokens of each account and mode by time of issue."""
        lines: defaultdict[tuple[str, str], list[Token]] = defaultdict(list)
        for token in self._tokens.values():
            lines[token.appid, token.mode].append(token)
        return {key: sorted(line, key=lambda token: token.issued_at) for key, line in lines.items()}

    def _when_known(self) -> dict[str, list[tuple[float, float, int]]]:
        """Return, by appid, when every replica with a memory knew a credential that was alive, and its generation."""
        saved = {(event.appid, event.generation): event.at for event in self._events if event.code == "minted"}
        first: dict[tuple[str, int, str], Read] = {}
        for read in self._handed:
            if not read.doubtful:
                first.setdefault((read.appid, read.generation, read.value), read)
        spans: defaultdict[str, list[tuple[float, float, int]]] = defaultdict(list)
        for (appid, generation, value), read in first.items():
            token, key = self._tokens.get(value), (appid, generation)
            since = max(read.ended, saved.get(key, inf)) + SEEN
            if token is not None:
                spans[appid].append((since, min(token.dies_at, self._gone.get(key, NEVER)[0]), generation))
        return spans

    def _enders(self, token: Token) -> list[Token]:
        """Return what was issued after a replaced token until it ended of that: one, or two in short succession."""
        line = self._lines[token.appid, token.mode]
        later = line[bisect_left([one.issued_at for one in line], token.issued_at) + 1 :][:2]
        return [*later[:1], *(one for one in later[1:] if one.issued_at <= token.dies_at + CLOCKS)]

    def _ending_mint(self, token: Token) -> float:
        """Return when the mint arrived that ended a replaced token."""
        return max((one.issued_at for one in self._enders(token)), default=token.dies_at)

    def _was_ended_elsewhere(self, token: Token) -> bool:
        """A stranger had a part in it."""
        return any(one.ip != HUB for one in self._enders(token))

    # --- 7, and what a generation is

    def _judge_generations(self) -> Iterator[Violation]:
        """For a client that sends its last ETag they never fall; each is one value, and each value is one."""
        latest: dict[str, Read] = {}
        for read in self._handed:
            if read.generation < read.seen:
                yield Violation(read.ended, "7", f"generation {read.generation} of {read.appid} after {read.seen}")
            former = latest.setdefault(read.value, read)
            if former.generation < read.generation:
                latest[read.value] = read
                if not self._came_back(former, read):
                    yield Violation(read.ended, "2", f"a token of {read.appid} was handed out as two generations")
        shared = {key for key, values in self._values_of.items() if len(values) > 1}
        saved: dict[tuple[str, int], str] = {}
        for read in self._handed:
            key = (read.appid, read.generation)
            if key in shared and not self._may_be_unsaved(read) and saved.setdefault(key, read.value) != read.value:
                yield Violation(read.ended, "2", f"generation {read.generation} of {read.appid} is not one value")

    def _came_back(self, former: Read, read: Read) -> bool:
        """The account left a mode and came back to it, and to the token that lived on there."""
        is_another = read.generation > former.generation + 1
        return is_another and self._weather.was(former.began, read.began, ("mode",), read.appid)

    def _may_be_unsaved(self, read: Read) -> bool:
        """It was handed out by one who could not save it yet: if he dies before he can, nobody knows of it."""
        return self._weather.was(read.began - SEEN, read.ended, STORE, hub=read.hub)

    # --- 1

    def _judge_dead_handed(self) -> Iterator[Violation]:
        for read in self._handed:
            token = self._tokens.get(read.value)
            if token is None or token.appid != read.appid:
                yield Violation(read.ended, "1", f"{read.appid} was handed what the platform never issued to it")
            elif token.dies_at < read.began - CLOCKS and not read.doubtful:
                why = self._why_no_excuse(read, token)
                if why:
                    dead = f"a token of {read.appid}, dead for {read.began - token.dies_at:.1f} s ({token.end})"
                    yield Violation(read.ended, "1", f"{dead}, was handed out: {why}")

    def _why_no_excuse(self, read: Read, token: Token) -> str:
        """Return why nothing excuses it that a dead token was handed out unmarked, or nothing."""
        gone = self._gone.get((read.appid, read.generation), NEVER)[1]
        if read.stale:
            could_be = self._weather.was(read.began - STALE_FOR, read.began, STORE | PROCESS, hub=read.hub)
            return "" if could_be else "stale, and nothing kept the hub from its store"
        if read.began > gone + SEEN:
            return f"proof or successor was saved {read.began - gone:.1f} s before"
        if gone < inf:
            return ""
        if token.end == "revoked" or (token.end == "replaced" and self._was_ended_elsewhere(token)):
            return self._why_unproved(read, token)
        if token.end == "replaced":
            ended = self._ending_mint(token)
            was_stopped = self._weather.was(ended - LEASE - DEADLINE, ended, ("stop",))
            return "" if was_stopped else "a request of ours ended it"
        return "it died of age"

    def _why_unproved(self, read: Read, token: Token) -> str:
        """A probe was told of the death, and nothing kept the hub from saving that."""
        if read.began - token.dies_at > FOUND_OUT and not self._is_rough(read.began - FOUND_OUT, read):
            return f"nobody found out in {FOUND_OUT:.0f} s of good weather"
        told = self._proved_at.get(token.value, inf)
        until = told + SEEN + DEADLINE
        if read.began <= until or self._weather.was(told - DEADLINE, until, STORE | PROCESS):
            return ""
        return f"a probe had proved it {read.began - told:.1f} s before"

    def _judge_promises(self) -> Iterator[Violation]:
        """Who uses what he was handed until its announced `expires_in` is never refused."""
        promises: dict[tuple[str, int, bool], tuple[float, Read]] = {}
        for read in self._handed:
            if read.expires_in >= 0 and not read.doubtful:
                until = read.began + read.expires_in
                key = (read.value, int(read.began), read.stale)
                promises[key] = max(promises.get(key, (0.0, read)), (until, read))
        for until, read in promises.values():
            token = self._tokens.get(read.value)
            if token is not None and read.began < token.dies_at < until - CLOCKS and not self._is_aside(read, token):
                short = until - token.dies_at
                yield Violation(
                    read.ended, "1", f"a token of {read.appid} died {short:.1f} s before what was announced"
                )

    def _is_aside(self, read: Read, token: Token) -> bool:
        """A reject, a stranger, a force or a changed account, unknown to who promised, or later."""
        if token.end == "revoked" or (token.end == "replaced" and self._was_ended_elsewhere(token)):
            return True
        if token.end != "replaced":
            return False
        first, *second = self._enders(token) or [token]
        if second and first.end == "revoked":  # its successor died at once, and the next one ended both
            return True
        since = read.began - (LEASE + overlap_of(token.life) if read.stale else SEEN)
        ended = self._ending_mint(token)
        for held_up in self._weather.between(ended - DEADLINE, ended, ("stop", *STORE)):
            if held_up.kind != "stop" or held_up.ended < ended + 1:  # what was asked of a hub then is done afterwards
                since = min(since, held_up.began)
        return self._weather.was(since, ended, ENDS_OURS, token.appid)

    def _judge_rejects(self) -> Iterator[Violation]:
        """Decided on the store's record: never the same value as a successor; no life for what is long dead."""
        for one in self._rejects:
            is_same, read = one.value == one.read.value, one.read
            if read.is_handed and is_same != (one.outcome == "still_valid"):
                other = "the very value it named" if is_same else "another value"
                yield Violation(read.ended, "1", f"a reject for {read.appid} was answered {one.outcome} with {other}")
            if one.outcome == "still_valid" and not read.doubtful:
                yield from self._judge_still_valid(one)
            if (
                read.is_handed
                and not is_same
                and not read.stale
                and self._gone.get((read.appid, read.generation), NEVER)[1] < read.began - CLOCKS
            ):
                text = f"a reject for {read.appid} was answered with a token whose end had been saved before"
                yield Violation(read.ended, "1", text)

    def _judge_still_valid(self, one: Rejected) -> Iterator[Violation]:
        """Who rejects only what was refused holds one verdict of before the death, at most, for its time."""
        token = self._tokens.get(one.value)
        dead = one.read.began - token.dies_at if token is not None else inf
        holds = VERDICT_HOLDS_LONGEST if one.caller in BUGGY else VERDICT_HOLDS
        if dead > holds + SLACK and not self._is_rough(one.read.began - holds - SLACK, one.read):
            text = f"a token of {one.read.appid}, dead for {dead:.0f} s, was called still valid ({one.caller})"
            yield Violation(one.read.ended, "1", text)

    def _is_rough(self, since: float, read: Read) -> bool:
        return self._weather.was(since, read.ended, STORE | PROCESS | PLATFORM, read.appid)

    # --- 2

    def _judge_flights(self) -> Iterator[Violation]:
        """At most one request that can end a token is between departure and min(answer, D)."""
        flights: defaultdict[str, list[Call]] = defaultdict(list)
        for call in self._calls:
            if call.ip == HUB and _can_end(call):
                flights[call.appid].append(call)
        for appid, calls in flights.items():
            for first, second in pairwise(calls):
                since = first.at - LEASE
                is_over = min(first.answered_at, first.at + DEADLINE) <= second.at
                if is_over or self._weather.was(since, second.at, ("stop", *CHANGE), appid):
                    continue
                yield Violation(second.at, "2", f"two requests that end a token are under way for {appid}")

    def _judge_tokens(self) -> Iterator[Violation]:
        """New tokens that a mint brought which ends the former: each is a generation, and each was needed."""
        minted = {call.issued: call for call in self._calls if call.ip == HUB and call.issued and _can_end(call)}
        handed = {read.value for read in self._handed}
        for (appid, _mode), line in self._lines.items():
            for former, token, later in zip([None, *line], line, [*line[1:], None], strict=False):
                call = minted.get(token.value)
                if call is None:
                    continue
                if token.value not in handed and not self._may_be_lost(call, later):
                    yield Violation(call.at, "2", f"a token was issued for {appid} and is no generation")
                if former is not None and former.value in minted and not self._was_needed(former, token, minted):
                    yield Violation(call.at, "2", f"{appid}: a token was replaced that nobody had reason to replace")

    def _may_be_lost(self, call: Call, later: Token | None) -> bool:
        """Its answer did not arrive in time, its holder could not save it, or nobody had the time to read it."""
        next_at = min(later.issued_at if later else inf, self._ended_at)
        return (
            call.answer != "whole"
            or call.answered_at > call.at + DEADLINE - 0.5
            or next_at < call.answered_at + SLACK
            or self._weather.was(call.at - 1, call.answered_at + SLACK, STORE | PROCESS | CHANGE, call.appid)
        )

    def _was_needed(self, former: Token, token: Token, minted: dict[str, Call]) -> bool:
        """The former was dead, due, or not known to be there; or a person or two callers wanted another."""
        since, at = former.issued_at - 1, token.issued_at
        return (
            (former.end == "revoked" and former.dies_at < at)
            or at > former.issued_at + 0.7 * former.life
            or minted[token.value].at <= minted[former.value].at  # overtaken on its way
            or self._may_be_lost(minted[former.value], None)
            or self._weather.was(since, at, ("force", *CHANGE), token.appid)
            or self._weather.was(at - LEASE - DEADLINE, at, ("stop",))  # between the check and the departure
            or any(
                one.code == "replaced_unprobed" and one.appid == token.appid and since < one.at < at
                for one in self._events
            )
        )

    # --- 4

    def _judge_failures(self) -> Iterator[Violation]:
        """No read fails while a live credential is known; nothing fails without a reason."""
        for read in self._reads:
            why = "" if read.is_handed else self._why_failed(read)
            if why:
                yield Violation(read.ended, "4", f"{read.appid}: {why} ({read.status} {read.problem})")
        for read in self._only_reads:
            if not read.is_handed and read.status and self._is_withheld(read, read.ended):
                yield Violation(read.ended, "4", f"{read.appid}: a live credential was withheld ({read.problem})")

    def _why_failed(self, read: Read) -> str:
        if read.status == 0:
            return "" if self._was_process(read) else "no answer came"
        if read.status not in (429, 503):
            return "an answer that no weather explains"
        bound = AFTER.get(read.problem, LEASE + DEADLINE + PATIENCE)
        is_explained = self._weather.was(
            read.began - bound, read.ended, STORE | PROCESS | PLATFORM | CHANGE, read.appid
        )
        return "" if is_explained else "it failed without a reason"

    def _is_withheld(self, read: Read, until: float) -> bool:
        """A credential was known, from the beginning of the read until then, and none later to the reader.

        A replica that began while the store was away has no memory, and one that was cut off knows of nothing that was
        saved meanwhile: that is aside.
        """
        if not any(
            since <= read.began and until < end and generation >= read.seen and not self._was_cut_off(read, since)
            for since, end, generation in self._known.get(read.appid, ())
        ):
            return False
        has_no_memory = all(
            self._weather.was(read.began - LEASE, read.ended, kinds, hub=read.hub) for kinds in (STORE, PROCESS)
        )
        return not (read.problem.startswith("store_") and has_no_memory)

    def _was_cut_off(self, read: Read, since: float) -> bool:
        """Who was asked may not have heard from the store between then and the read."""
        was_away = self._weather.was(read.began - STALE_FOR, since, SERVER | {"full"}, hub=read.hub)
        return was_away or self._weather.fair(since - SEEN, read.began, SERVER | {"full", "stop"}, hub=read.hub) < SEEN

    def _was_process(self, asked: Read | Passed) -> bool:
        """Who was asked was killed or stopped meanwhile, or just before."""
        return self._weather.was(asked.began - 1, asked.ended + CLOCKS, PROCESS, hub=asked.hub)

    def _judge_waits(self) -> Iterator[Violation]:
        """Nobody waits beyond his deadline, nor for long while a credential is there that nobody doubts."""
        for read in self._only_reads:
            waited = read.ended - read.began
            if waited < SLACK or self._was_process(read):
                continue
            if waited > PATIENCE + SLACK:
                yield Violation(read.ended, "4", f"a caller waited {waited:.1f} s for {read.appid}")
            elif self._is_withheld(read, read.began + SLACK) and not self._was_doubted(read):
                yield Violation(read.ended, "4", f"{read.appid}: a live credential was withheld for {waited:.1f} s")

    def _was_doubted(self, read: Read) -> bool:
        """Somebody was handed the account's credential marked, a while before or after."""
        times = self._doubted[read.appid]
        at = bisect_left(times, read.began - PATIENCE)
        return at < len(times) and times[at] <= read.ended + PATIENCE

    # --- the gateway

    def _judge_passed(self) -> Iterator[Violation]:
        """No SDK sees a refused token, nor another account's answer; what cannot be served is -1, for a reason."""
        for one in self._passed:
            if why := self._why_not_passed(one):
                text = f"{one.appid}, through the gateway: {why} ({one.status} {one.errcode} {one.said})"
                yield Violation(one.ended, "gateway", text)

    def _why_not_passed(self, one: Passed) -> str:
        if one.status == 0:
            return "" if self._was_process(one) else "no answer came"
        if one.errcode == 0:
            return "" if one.openids == (self._openids[one.appid],) else "another account's answer"
        if one.errcode in DEAD:
            return "a good virtual token was refused"
        since = one.began - max([LEASE + DEADLINE + PATIENCE, *(AFTER[why] for why in AFTER if why in one.said)])
        if self._weather.was(since, one.ended, STORE | PROCESS | PLATFORM | CHANGE, one.appid):
            return ""
        # A verdict of before the death holds a while, and a token may be ended again while a call is repeated.
        may_be_over = any(why in one.said for why in ("still_valid", "refused_again"))
        if may_be_over and self._weather.was(one.began - VERDICT_HOLDS - SLACK, one.ended, ENDS_OURS, one.appid):
            return ""
        return "an errcode that nothing explains" if one.errcode != -1 else "-1 without a reason"


def _can_end(call: Call) -> bool:
    return call.path == CLASSIC or (call.path == STABLE and call.force_refresh)
