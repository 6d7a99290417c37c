"""The story of a violation: what happened before it, from the logs of the run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.judge import Violation

LINES = 50
SHOWN = 20
_STAMP = re.compile(r"(?:\d{4}-\d\d-\d\dT)?(\d\d:\d\d:\d\d\.\d{3})Z? (.*)")
_ROUTINE = re.compile(r"GET /\S+ (200|304) ")


def tell_violations(violations: Sequence[Violation], began: float) -> str:
    """Return the violations as lines, instants counted from the beginning of the load."""
    lines = [f"  {one.at - began:8.2f} s  invariant {one.rule}: {one.text}" for one in violations[:SHOWN]]
    if len(violations) > SHOWN:
        lines.append(f"  and {len(violations) - SHOWN} more")
    return "\n".join(lines)


def tell_story(directory: Path, at: float) -> str:
    """Return the last lines of all logs before `at`, and the first ones after it."""
    until = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
    lines = sorted(line for name in ("story", "hub", "sandbox") for line in _read(directory / f"{name}.log", name))
    before = [line for line in lines if line[0] <= until]
    after = [line for line in lines if line[0] > until]
    told = [*before[-LINES:], (until, "", "!!! the violation was seen"), *after[:5]]
    return "\n".join(f"  {stamp}  {name:<7} {text}" for stamp, name, text in told)


def _read(log: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield a log's lines with their time of day; those of a traceback stay with their first one."""
    stamp = ""
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        found = _STAMP.match(line)
        stamp, text = (found[1], found[2]) if found else (stamp, line)
        if not _ROUTINE.search(text):
            yield stamp, name, text
