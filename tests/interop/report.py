"""What came of the trials: one table for people, one file for programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.interop.program import Told
from tests.interop.trial import Trial

HEAD = ("SDK", "version", "flows", "after revoking", "healed", "by name", "failures", "lines changed")


def tell(trials: Sequence[Trial]) -> str:
    """Return the table, and below it everything that is wrong."""
    rows = [HEAD, *(_row(trial) for trial in trials)]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    wrong = [f"{trial.sdk.name}: {text}" for trial in trials for text in trial.wrong]
    return "\n".join([*lines, *wrong])


def rows_of_readme(trials: Sequence[Trial]) -> list[str]:
    """Return the rows that the READMEs show, the same in both."""
    return [
        f"| [{trial.sdk.name}](docs/sdk/{trial.sdk.name}.md) | {trial.sdk.version} | {len(trial.plain)} "
        f"| {len(trial.revoked)} | {len(trial.failures)} | {count_lines(trial.sdk.lines)} |"
        for trial in trials
    ]


def find_other_rows(trials: Sequence[Trial], readmes: Sequence[Path]) -> list[str]:
    """Return what the READMEs do not say as these trials came out."""
    pages = [(page.name, page.read_text("utf-8").splitlines()) for page in readmes]
    return [f"{name} lacks: {row}" for name, lines in pages for row in rows_of_readme(trials) if row not in lines]


def write_results(trials: Sequence[Trial], file: Path) -> None:
    """Write the same for programs."""
    file.write_text(json.dumps([_describe(trial) for trial in trials], ensure_ascii=False, indent=1) + "\n", "utf-8")


def _row(trial: Trial) -> tuple[str, ...]:
    failures = f"{len(trial.failures)} ended" if trial.failures else "–"
    return (
        trial.sdk.name,
        trial.sdk.version,
        _count(trial.plain),
        _count(trial.revoked),
        str(trial.healed),
        _count(trial.by_name),
        failures,
        str(count_lines(trial.sdk.lines)),
    )


def count_lines(lines: Sequence[str]) -> int:
    """Return how many lines a user changes or adds, blank ones aside."""
    return sum(bool(line.strip()) for line in lines)


def _count(told: Sequence[Told]) -> str:
    return f"{sum(one.ok for one in told)}/{len(told)}" if told else "–"


def _describe(trial: Trial) -> dict[str, Any]:
    return {
        "sdk": trial.sdk.name,
        "version": trial.sdk.version,
        "language": trial.sdk.language,
        "flows": {one.flow: str(one) for one in trial.plain},
        "after_revoking": {one.flow: str(one) for one in trial.revoked},
        "healed": trial.healed,
        "by_name": {one.flow: str(one) for one in trial.by_name},
        "failures": trial.failures,
        "lines_changed": count_lines(trial.sdk.lines),
        "wrong": trial.wrong,
    }


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
