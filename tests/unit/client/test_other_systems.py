"""The client where there is nothing of Linux: no fork, no clock of that name, no selector but the plainest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ABSENT = """
import os, selectors, signal, time
for module, names in {
    os: ["fork", "forkpty", "register_at_fork", "geteuid", "getuid", "fchmod", "kill", "O_CLOEXEC", "uname"],
    time: ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime"],
    signal: ["SIGKILL", "SIGHUP", "SIGUSR1", "SIGCHLD", "set_wakeup_fd", "pthread_sigmask", "siginterrupt"],
    selectors: ["EpollSelector", "PollSelector"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
selectors.DefaultSelector = selectors.SelectSelector
"""
PROGRAM = """
import asyncio
import httpx
import zhongkong
from tests.scenario.client.platform import APPID, Platform
from zhongkong.client.faces import AsyncFace, SyncFace
from zhongkong.client.hub import Hub

body = {"appid": APPID, "access_token": "token-1", "generation": 1, "expires_in": 7000, "refresh_in": 60}
later = {**body, "access_token": "token-2", "generation": 2, "outcome": "refreshed"}

def answer(request):
    return httpx.Response(200, json=later if request.method == "POST" else body, headers={"ETag": '"1.0"'})

hub = Hub("https://hub.test", "zk_x", transport=lambda: httpx.MockTransport(answer))
platform = Platform()
platform.alive = "token-2"
with SyncFace(hub.make_engine, hub.url) as source:
    print(source.access_token(APPID))
    with httpx.Client(auth=zhongkong.WeChatAuth(source, APPID)) as client:
        print(client.get(platform.url + "/cgi-bin/user/get").json()["errmsg"])
    print(source.access_token(APPID))
platform.close()
print(asyncio.run(AsyncFace(hub.make_engine, hub.url).access_token(APPID)))
try:
    zhongkong.connect("http://127.0.0.1:9", key="zk_x", patience=2).access_token(APPID)
except zhongkong.CredentialUnavailable as error:
    print(error.cause)
"""


def test_a_program_reads_calls_and_ends_without_what_only_linux_has() -> None:
    """Windows and macOS: threads, sockets and the plainest selector are all that is asked of a system."""
    command = [sys.executable, "-W", "error", "-c", ABSENT + PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["token-1", "ok", "token-2", "token-2", "hub_unreachable"]
