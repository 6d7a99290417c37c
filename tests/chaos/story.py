"""The story of a violation: what happened to the account around it, from the evidence and the hub's log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tests.chaos.evidence import Evidence, Read, Rejected, concerns
from tests.chaos.judge import HUB, Violation

SHOWN = 20
BEFORE, AFTER = 60, 8
"""Lines of the story."""
_FIGURE = re.compile(r"\d+(\.\d+)?(?= s\b)")
_LOGGED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z (warning|error) +(.*)")


class _Line(NamedTuple):
    at: float
    who: str
    text: str


def tell_violations(violations: Sequence[Violation], began: float) -> str:
    """Return the violations as lines, those that say the same as one, instants counted from the first read."""
    kinds: dict[tuple[str, str], list[Violation]] = {}
    for one in violations:
        kinds.setdefault((one.rule, _FIGURE.sub("…", one.text)), []).append(one)
    lines = [
        f"  {ones[0].at - began:8.2f} s  invariant {ones[0].rule}: {ones[0].text}"
        + (f" (and {len(ones) - 1} times more)" if len(ones) > 1 else "")
        for ones in list(kinds.values())[:SHOWN]
    ]
    if len(kinds) > SHOWN:
        lines.append(f"  and {len(kinds) - SHOWN} other kinds")
    return "\n".join(lines)


def tell_story(directory: Path, evidence: Evidence, violation: Violation) -> str:
    """Return what happened to the violation's account before it, and a little of what did after."""
    appid = next((one for one in {token.appid for token in evidence.tokens.values()} if one in violation.text), "")
    began = evidence.began
    others = {token.appid for token in evidence.tokens.values()} - {appid}
    log = [line for line in _read_logs(directory) if not any(other in line.text for other in others)]
    lines = sorted([*_tell(evidence, appid), *_once(log)])
    before = [one for one in lines if one.at <= violation.at][-BEFORE:]
    after = [one for one in lines if one.at > violation.at][:AFTER]
    seen = _Line(violation.at, "judge", f"!!! invariant {violation.rule}: {violation.text}")
    return "\n".join(f"  {one.at - began:8.2f} s  {one.who:<9} {one.text}" for one in [*before, seen, *after])


def _once(lines: Iterable[_Line]) -> Iterator[_Line]:
    """Yield the first of those in a row that say the same."""
    for _, alike in groupby(lines, key=lambda line: line.text):
        yield next(alike)


def _tell(evidence: Evidence, appid: str) -> Iterator[_Line]:
    """Yield what concerns the account, and everybody."""
    tokens = [one for one in sorted(evidence.tokens.values(), key=lambda one: one.issued_at) if one.appid == appid]
    names = {one.value: f"T{number}" for number, one in enumerate(tokens, 1)}
    for token in tokens:
        yield _Line(token.issued_at, "platform", f"{names[token.value]} begins ({token.mode}, {token.life} s)")
        yield _Line(token.dies_at, "platform", f"{names[token.value]} ends ({token.end})")
    for spell in evidence.weather.spells:
        if concerns(spell, appid):
            yield _Line(spell.began, "chaos", f"{spell.kind} for {spell.ended - spell.began:.1f} s {spell.told}")
    for call in evidence.calls:
        if call.appid == appid and call.ip == HUB:
            told = " ".join(filter(None, (names.get(call.access_token), "force" if call.force_refresh else "")))
            came = f"{names.get(call.issued, call.errcode)}, {call.answer}, after {call.answered_at - call.at:.2f} s"
            yield _Line(call.at, "call", f"{call.path} {told} -> {came}")
    for event in evidence.events:
        if event.appid == appid:
            yield _Line(event.at, "event", f"{event.code} {event.generation or ''}")
    yield from _tell_reads([one for one in sorted(evidence.reads) if one.appid == appid], names)
    yield from _tell_rejects([one for one in evidence.rejects if one.read.appid == appid], names)


def _tell_reads(reads: Sequence[Read], names: dict[str, str]) -> Iterator[_Line]:
    """Yield what was answered in a second, where it is not the same as in the second before."""
    said: set[str] = set()
    for _, in_a_second in groupby(reads, key=lambda one: int(one.began)):
        ones = list(in_a_second)
        told = {_name_answer(one, names) for one in ones}
        if told != said:
            longest = max(one.ended - one.began for one in ones)
            yield _Line(ones[0].began, "read", f"-> {'; '.join(sorted(told))} (the longest after {longest:.2f} s)")
        said = told


def _tell_rejects(rejects: Sequence[Rejected], names: dict[str, str]) -> Iterator[_Line]:
    def name(one: Rejected) -> str:
        return f"{names.get(one.value)} by {one.caller} -> {one.outcome} {_name_answer(one.read, names)}"

    for what, alike in groupby(sorted(rejects, key=lambda one: (name(one), one.read.began)), key=name):
        ones = list(alike)
        began, ended = ones[0].read.began, max(one.read.ended for one in ones)
        yield _Line(began, "reject", f"{what}, {len(ones)} times, the last one answered {ended - began:.2f} s later")


def _name_answer(read: Read, names: dict[str, str]) -> str:
    if not read.is_handed:
        return f"{read.status or 'no answer'} {read.problem}"
    marks = [mark for mark in ("doubtful", "stale") if getattr(read, mark)]
    return " ".join([names.get(read.value, "a token of nobody"), f"as generation {read.generation}", *marks])


def _read_logs(directory: Path) -> Iterator[_Line]:
    """Yield what hubs warned of."""
    for log in sorted(directory.glob("hub*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if found := _LOGGED.match(line):
                at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp()
                yield _Line(at, f"{log.stem} {found[2]}", found[3])
