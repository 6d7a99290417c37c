"""What a call through the gateway costs: the hub beside nginx and an aiohttp proxy that send on, and the way direct.

    .bench/venv/bin/python bench/bench_gateway.py [--seconds 3] [--rounds 5] [--only NAME …]

A call is a `GET /cgi-bin/user/get`, answered with 300 bytes, or a POST of 1 KiB; one quick nginx is the platform.
One worker each, on one CPU; the load, and the platform, on the other. Throughput is that of 64 connections that stay,
latency that of one, where nothing waits for anything else. `CPU` is what the worker used for a call, user and system: a
busy machine changes that least.
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

import httpx
import peers
import servers
from measuring import end_in_order, first_line, interleave, keep, medians, milliseconds, show

MANY = 64
POST = 'wrk.method = "POST"\nwrk.body = \'{"content":"\' .. string.rep("x", 1010) .. \'"}\'\n'
CALLS = ("GET", "POST 1 KiB")
DIRECT, NGINX, AIOHTTP, OURS = "direct", "nginx, proxy_pass", "aiohttp proxy", "zhongkong"
PROXIES = {NGINX: servers.nginx_proxy, AIOHTTP: servers.aiohttp_proxy, OURS: servers.gateway}
GOALS = [(AIOHTTP, 1.15), (NGINX, 0.35)]
ADDED = 0.4
"""Milliseconds that the gateway may add at one connection."""


@dataclass(frozen=True)
class Load:
    """A call that is sent to a server again and again."""

    served: servers.Served
    script: Path | None

    def run(self, seconds: float) -> dict[str, float]:
        """Return what came of it: calls a second at 64 connections, milliseconds at one, microseconds of CPU a call."""
        before = self.served.cpu_seconds()
        many = self._wrk(MANY, seconds)
        used = self.served.cpu_seconds() - before
        one = self._wrk(1, seconds)
        return {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", many)[1]),
            "p50": milliseconds(one, "50%"),
            "p99": milliseconds(one, "99%"),
            "cpu": used / int(re.search(r"(\d+) requests in", many)[1]) * 1e6,
        }

    def _wrk(self, connections: int, seconds: float) -> str:
        script = ["-s", str(self.script)] if self.script else []
        command = [peers.need("wrk"), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", *script]
        aside = (os.cpu_count() or 1) > 1 and peers.find("taskset")
        command = [*(["taskset", "-c", str(servers.ASIDE)] if aside else []), *command, self.served.url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if refused := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", said):
            raise RuntimeError(f"{self.served.url.partition('?')[0]}: {refused[0]}")
        return said


def start(stack: ExitStack, directory: Path, names: list[str]) -> dict[str, servers.Served]:
    """Start the servers, and see that each answers a call as the platform does."""
    platform = stack.enter_context(servers.platform(directory))
    origin = str(httpx.URL(platform.url).copy_with(path="", query=None))
    started = {DIRECT: platform}
    for name in names:
        started[name] = stack.enter_context(PROXIES[name](directory, origin))
    for name, served in started.items():
        if (told := served.read().text) != servers.USERS:
            raise RuntimeError(f"{name} answers {told}")
    return started


def main() -> None:
    """Measure, print and keep."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", nargs="+", choices=PROXIES, default=list(PROXIES))
    chosen = options.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="zhongkong-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        (script := directory / "post.lua").write_text(POST)
        loads = {
            (call, name): Load(served, script if call != "GET" else None)
            for name, served in start(stack, directory, chosen.only).items()
            for call in CALLS
        }
        for load in loads.values():
            load.run(1.0)  # whatever is made at the first call is made
        cases = {f"{name}, {call}": partial(load.run, chosen.seconds) for (call, name), load in loads.items()}
        came = interleave(cases, chosen.rounds)
    figures = {name: medians(runs) for name, runs in came.items()}
    for call in CALLS:
        _tell(call, {name: figures[f"{name}, {call}"] for name in (DIRECT, *chosen.only)})
    versions = {"nginx": first_line(peers.need("nginx"), "-v"), "wrk": first_line(peers.need("wrk"), "-v")}
    keep("gateway", {"medians": figures, "rounds": came}, **versions)


def _tell(call: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    base, direct = figures.get(AIOHTTP), figures[DIRECT]
    head = ["", "calls/s", f"× {AIOHTTP}", "CPU µs", "p50 ms", "p50 added", "p99 ms"]
    rows = [
        [
            name,
            one["rate"],
            one["rate"] / base["rate"] if base else "",
            one["cpu"],
            one["p50"],
            one["p50"] - direct["p50"],
            one["p99"],
        ]
        for name, one in figures.items()
    ]
    show(f"{call}: 64 connections (calls/s, CPU), one connection (p50, p99)", head, rows)
    ours = figures.get(OURS)
    if ours is None:
        return
    goals = [
        [f">= {bound:g} × {other}'s rate", ratio, "yes" if ratio >= bound else "no"]
        for other, bound in GOALS
        if other in figures
        for ratio in [ours["rate"] / figures[other]["rate"]]
    ]
    added = ours["p50"] - direct["p50"]
    goals.append([f"<= {ADDED:g} ms added to p50", added, "yes" if added <= ADDED else "no"])
    show(f"Goals, {call}", [OURS, "", "met"], goals)


if __name__ == "__main__":
    main()
