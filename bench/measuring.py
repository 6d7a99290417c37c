"""What the benches share: interleaved runs and their medians, tables, what ran on what, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = (
    *("zhongkong", "uvicorn", "uvloop", "httptools", "starlette", "aiohttp", "sqlalchemy", "httpx", "requests"),
    *("fastapi", "redis", "wechatpy", "web.py"),
)


def end_in_order() -> None:
    """Have SIGTERM end the bench as an error does: with all that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def interleave(cases: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run every case once a round, so that what disturbs the machine disturbs them all; return all that came of it."""
    came: dict[str, list[T]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, run in cases.items():
            if sys.stdout.isatty():
                print(f"\r{number + 1}/{rounds} {name:<60}", end="\r", flush=True)
            came[name].append(run())
    return came


def medians(came: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: median(one[name] for one in came) for name in came[0]}


def milliseconds(said: str, share: str) -> float:
    """Return what share of requests (`50%`) took at most so long, as wrk says it."""
    found = re.search(rf"^\s*{share}\s+([\d.]+)(us|ms|s)$", said, re.MULTILINE)
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, as Markdown has it."""
    lines = [[_written(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, [("-" * width if not column else "-" * (width - 1) + ":") for column, width in enumerate(widths)])
    print(f"\n{title}\n")
    for line in lines:
        aligned = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(f"| {' | '.join(aligned)} |")


def keep(name: str, figures: object, **versions: str) -> None:
    """Write what was measured beside what the other benches measured, with the machine it was measured on."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[name] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "on": describe_machine(),
        **versions,
        "figures": figures,
    }
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"\n→ {RESULTS}")


def describe_machine() -> dict[str, Any]:
    """Return what figures depend on."""
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def first_line(*command: str) -> str:
    """Return the first line that a command writes: its version, as a rule."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _written(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"  # noqa: PLR2004
    return str(cell)
