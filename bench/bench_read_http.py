"""How many reads a second over HTTP, and how long each takes: the hub beside nginx, the ancestor, and FastAPI.

    .bench/venv/bin/python bench/bench_read_http.py [--seconds 5] [--rounds 5] [--only NAME …]

64 connections that stay, one worker each, on a CPU of its own where there are two; the load comes from the other. All
servers run the whole time and are asked in turns. `CPU` is what the server's processes used for a request, user and
system: a busy machine changes that least.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import peers
import servers
from measuring import end_in_order, first_line, interleave, keep, medians, milliseconds, show

CONNECTIONS = 64
REFERENCE = "nginx, a file"
OURS = "zhongkong"
CASES: dict[str, servers.Start] = {
    REFERENCE: partial(servers.nginx, access_log=False),
    "nginx, a file, access log": partial(servers.nginx, access_log=True),
    "uvicorn, fixed bytes": servers.raw_asgi,
    OURS: partial(servers.hub, access_log=False),
    "zhongkong, access log": partial(servers.hub, access_log=True),
    "FastAPI + redis.asyncio": servers.fastapi_over_redis,
    "the ancestor, mod_wsgi embedded": servers.ancestor,
}
NOT_MODIFIED = "zhongkong, 304"
GOALS = [  # (what is compared, with whom, how, at least or at most)
    ("rate", REFERENCE, ">=", 0.5),
    ("p99", REFERENCE, "<=", 3.0),
    ("rate", "the ancestor, mod_wsgi embedded", ">=", 8.0),
    ("rate", "FastAPI + redis.asyncio", ">=", 10.0),
]


@dataclass(frozen=True)
class Load:
    """What is asked of a server, again and again."""

    served: servers.Served
    headers: Mapping[str, str]

    def run(self, seconds: float) -> dict[str, float]:
        """Return what came of it: requests a second, milliseconds, and microseconds of CPU for a request."""
        before = self.served.cpu_seconds()
        said = _wrk(self.served.url, self.headers, seconds)
        used = self.served.cpu_seconds() - before
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", said)
        if refused:
            raise RuntimeError(f"{self.served.url}: {refused[0]}")
        return {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
            "p50": milliseconds(said, "50%"),
            "p99": milliseconds(said, "99%"),
            "cpu": used / int(re.search(r"(\d+) requests in", said)[1]) * 1e6,
        }


def _wrk(url: str, headers: Mapping[str, str], seconds: float) -> str:
    asked = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = [peers.need("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", *asked, url]
    aside = (os.cpu_count() or 1) > 1 and peers.find("taskset")
    return subprocess.run(
        [*(["taskset", "-c", "1"] if aside else []), *command], capture_output=True, text=True, check=True
    ).stdout


def start(stack: ExitStack, directory: Path, names: list[str]) -> dict[str, Load]:
    """Start the servers; one that does not start is left out, aloud."""
    loads = {}
    for name in names:
        try:
            served = stack.enter_context(CASES[name](directory))
        except (RuntimeError, OSError) as error:
            print(f"left out: {name}: {error}")
            continue
        loads[name] = Load(served, served.headers)
        if name == OURS:
            loads[NOT_MODIFIED] = Load(served, {**served.headers, "If-None-Match": served.read().headers["etag"]})
    return loads


def main() -> None:
    """Measure, print and keep."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    chosen = options.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="zhongkong-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        loads = start(stack, directory, chosen.only)
        for load in loads.values():
            load.run(1.0)  # whatever is made at the first request is made
        came = interleave({name: partial(load.run, chosen.seconds) for name, load in loads.items()}, chosen.rounds)
    figures = {name: medians(runs) for name, runs in came.items()}
    _tell(figures, came)
    versions = {"nginx": first_line(peers.need("nginx"), "-v"), "wrk": first_line(peers.need("wrk"), "-v")}
    keep("read_http", {"medians": figures, "rounds": came}, **versions)


def _tell(figures: Mapping[str, Mapping[str, float]], came: Mapping[str, list[dict[str, float]]]) -> None:
    base = figures.get(REFERENCE)
    head = ["", "req/s", f"× {REFERENCE}", "p50 ms", "p99 ms", "CPU µs", "lowest – highest req/s"]
    rows = [
        [
            name,
            one["rate"],
            one["rate"] / base["rate"] if base else "",
            one["p50"],
            one["p99"],
            one["cpu"],
            f"{min(run['rate'] for run in came[name]):,.0f} – {max(run['rate'] for run in came[name]):,.0f}",
        ]
        for name, one in figures.items()
    ]
    show(f"{CONNECTIONS} connections, one worker", head, rows)
    goals = [
        [f"{what} {sign} {bound:g} × {other}", ratio, "yes" if (ratio >= bound) == (sign == ">=") else "no"]
        for what, other, sign, bound in GOALS
        if other in figures and OURS in figures
        for ratio in [figures[OURS][what] / figures[other][what]]
    ]
    show("Goals", ["zhongkong", "ratio", "met"], goals)


if __name__ == "__main__":
    main()
