"""How many tokens are fetched when many want one at once: cold, at its end, and by a caller who is refused for ever.

    .bench/venv/bin/python bench/bench_stampede.py [--seconds 20]

Counted by the sandbox, which stands for the platform and takes 0.3 s for every token. A generation is what one fetch is
due for: a first token, or the successor of one that ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import aiohttp
import httpx
import peers
import servers
from measuring import end_in_order, keep, show
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient, WeChatException

import zhongkong

THREADS, COROUTINES, READERS = 8, 200, 1000
FAR = 0.3
"""Seconds that the platform takes for a token."""
PLENTY = 1_000_000
"""So that a quota ends no storm."""
SHORT = 6
"""Seconds that a token lives that is to end many times."""

numbers = itertools.count()


@dataclass(frozen=True)
class Account:
    """An account of the sandbox that nobody else uses."""

    base: str
    appid: str
    secret: str

    @property
    def declared(self) -> dict[str, dict[str, str]]:
        """Return it as `connect` wants it."""
        return {self.appid: {"secret": self.secret, "base_url": self.base}}

    @property
    def told(self) -> dict[str, str]:
        """Return it as the servers here want it."""
        return {"appid": self.appid, "secret": self.secret, "sandbox_url": self.base, "base": self.base}

    def fetches(self) -> int:
        """Return how often the platform was asked for a token."""
        asked = {"appid": self.appid, "path": "/cgi-bin/*token", "limit": 10_000}
        return len(httpx.get(f"{self.base}/sandbox/v1/journal", params=asked).json()["calls"])

    def wechatpy(self) -> WeChatClient:
        """Return a client of wechatpy for it."""
        client = WeChatClient(self.appid, self.secret)
        client.API_BASE_URL = f"{self.base}/cgi-bin/"
        client._http.mount("https://api.weixin.qq.com", _To(self.base))  # noqa: SLF001 (it has no other way)
        return client


class _To(HTTPAdapter):
    """Sends to the sandbox what is meant for the platform."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: PreparedRequest, **given: Any) -> Response:
        """Send."""
        request.url = request.url.replace("https://api.weixin.qq.com", self._base)
        return super().send(request, **given)


class Platform:
    """A sandbox."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._post("faults", {"path": "/cgi-bin/user/get", "errcode": 40001})

    def open_account(self, expires_in: int, *, refused: bool) -> Account:
        """Return a new account; `refused` has 40001 answered to whoever wants a token for it."""
        quotas = {path: {"daily": PLENTY, "per_minute": PLENTY} for path in ("/cgi-bin/token", "/cgi-bin/user/get")}
        opened = self._post("accounts", {"expires_in": expires_in, "quotas": quotas})
        fault = {
            "path": "/cgi-bin/*token",
            "appid": opened["appid"],
            **({"errcode": 40001} if refused else {"latency": FAR}),
        }
        self._post("faults", fault)
        return Account(self.base, opened["appid"], opened["secret"])

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, str]:
        return httpx.post(f"{self.base}/sandbox/v1/{path}", json=body).raise_for_status().json()


# --- all at once


def at_once(read: Callable[[], object], threads: int = THREADS) -> None:
    """Have so many threads read in the same moment."""
    barrier = Barrier(threads)

    def come() -> None:
        barrier.wait()
        read()

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(come) for _ in range(threads)]:
            future.result()


def again_and_again(read: Callable[[], object], seconds: float) -> None:
    """Have the threads read for so long, ten times a second each."""
    until = time.monotonic() + seconds

    def go_on() -> None:
        while time.monotonic() < until:
            read()
            time.sleep(0.1)

    at_once(go_on)


async def coroutines(source: zhongkong.AsyncSource, appid: str, seconds: float = 0.0) -> None:
    """Have the coroutines read once, and then for so long, ten times a second each."""
    until = time.monotonic() + seconds

    async def go_on() -> None:
        await source.access_token(appid)
        while time.monotonic() < until:
            await source.access_token(appid)
            await asyncio.sleep(0.1)

    async with source:
        await asyncio.gather(*(go_on() for _ in range(COROUTINES)))


async def readers(served: servers.Served, seconds: float = 0.0) -> None:
    """Have the readers ask a server once, and then for so long, once a second each."""
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=served.headers) as session:

        async def go_on() -> None:
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):  # the ancestor's Apache drops some
                    async with session.get(served.url) as answer:
                        answer.raise_for_status()
                        await answer.read()
                if time.monotonic() >= until:
                    return
                await asyncio.sleep(1.0)

        await asyncio.gather(*(go_on() for _ in range(READERS)))


# --- the cases: each returns the fetches, and the generations there were


def library(directory: Path) -> str:
    """Return the URL of a file of its own."""
    return f"sqlite:///{directory}/{next(numbers)}.db"


def our_threads(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Threads over one file."""
    with zhongkong.connect(library(directory), accounts=account.declared) as source:
        at_once(lambda: source.access_token(account.appid))
        if seconds:
            again_and_again(lambda: source.access_token(account.appid), seconds)
        return account.fetches(), source.credential(account.appid).generation


def our_coroutines(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Coroutines over one file."""
    url = library(directory)
    asyncio.run(coroutines(zhongkong.connect_async(url, accounts=account.declared), account.appid, seconds))
    fetches = account.fetches()
    with zhongkong.connect(url) as source:
        return fetches, source.credential(account.appid).generation


def our_readers(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Readers of a hub."""
    home = directory / str(next(numbers))
    home.mkdir()
    with servers.serve(home, account.told) as served:
        asyncio.run(readers(served, seconds))
        return account.fetches(), served.read().json()["generation"]


def wechatpy_threads(_directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Threads over one client; for a token that ends, three times what it does when one does."""
    client = account.wechatpy()
    at_once(lambda: client.access_token)
    before, ends = account.fetches(), 3
    if not seconds:
        return before, 1
    for _ in range(ends):
        client.expires_at = time.time() + 59  # when it fetches anew
        at_once(lambda: client.access_token)
    return account.fetches() - before, ends


def co_wechat_api(_directory: Path, account: Account, _seconds: float) -> tuple[int, int]:
    """As many promises as there are coroutines."""
    _node(account, str(COROUTINES))
    return account.fetches(), 1


def ancestor_readers(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Readers of the ancestor."""
    home = directory / str(next(numbers))
    home.mkdir()
    home.chmod(0o755)
    with servers.ancestor(home, account.told) as served:
        asyncio.run(readers(served, seconds))
        return account.fetches(), 1 + int(seconds // SHORT)


def our_storm(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Calls that are refused again and again."""
    with zhongkong.connect(library(directory), accounts=account.declared) as source:
        client = httpx.Client(base_url=account.base, auth=zhongkong.WeChatAuth(source, account.appid))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            client.get("/cgi-bin/user/get")
        return account.fetches(), source.credential(account.appid).generation


def wechatpy_storm(_directory: Path, account: Account, _seconds: float) -> tuple[int, int]:
    """One call that is refused."""
    with contextlib.suppress(RecursionError):  # so it ends
        account.wechatpy().user.get_followers()
    return account.fetches(), 1


def co_wechat_api_storm(_directory: Path, account: Account, _seconds: float) -> tuple[int, int]:
    """One call that is refused."""
    _node(account, "storm")
    return account.fetches(), 1


def our_refusal(directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """Threads that want a token all the while."""
    with zhongkong.connect(library(directory), accounts=account.declared) as source:
        again_and_again(suppressing(lambda: source.access_token(account.appid)), seconds)
    return account.fetches(), 1


def wechatpy_refusal(_directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """The same threads."""
    client = account.wechatpy()
    again_and_again(suppressing(lambda: client.access_token), seconds)
    return account.fetches(), 1


def co_wechat_api_refusal(_directory: Path, account: Account, seconds: float) -> tuple[int, int]:
    """One promise."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        _node(account, "1", seconds)
    return account.fetches(), 1


def suppressing(read: Callable[[], object]) -> Callable[[], None]:
    """Return a read that may fail."""

    def attempt() -> None:
        with contextlib.suppress(zhongkong.ZhongkongError, WeChatException):
            read()

    return attempt


def _node(account: Account, count: str, seconds: float = 60.0) -> None:
    script = servers.APPS / "stampede.js"
    command = [peers.need("node"), script, account.base, account.appid, account.secret, count]
    subprocess.run(command, check=True, env={"NODE_PATH": str(peers.NODE / "node_modules")}, timeout=seconds)


Case = Callable[[Path, Account, float], tuple[int, int]]


class Section(NamedTuple):
    """Cases that are counted alike."""

    title: str
    cases: dict[str, Case]
    seconds: float = 0.0
    life: int = 7200
    refused: bool = False


def sections(seconds: float) -> list[Section]:
    """Return what is counted, what takes its time for so long."""
    readers: dict[str, Case] = {
        f"zhongkong, {THREADS} threads": our_threads,
        f"zhongkong, {COROUTINES} coroutines": our_coroutines,
        f"zhongkong, {READERS:,} HTTP readers": our_readers,
        f"wechatpy, {THREADS} threads": wechatpy_threads,
        f"the ancestor, {READERS:,} HTTP readers": ancestor_readers,
    }
    storm: dict[str, Case] = {
        "zhongkong, calls one after the other": our_storm,
        "wechatpy, one call": wechatpy_storm,
        "co-wechat-api, one call": co_wechat_api_storm,
    }
    refusal: dict[str, Case] = {
        f"zhongkong, {THREADS} threads": our_refusal,
        f"wechatpy, {THREADS} threads": wechatpy_refusal,
        "co-wechat-api, one promise": co_wechat_api_refusal,
    }
    cold = {**readers, f"co-wechat-api, {COROUTINES} promises": co_wechat_api}
    return [
        Section("Cold: nobody has a token yet", cold),
        Section(f"At its end: tokens live {SHORT} s", readers, seconds, SHORT),
        Section("Storm: a call is answered 40001 whatever token it bears", storm, seconds),
        Section("Refused: 40001 is the answer to the request for a token, for 3 s", refusal, 3.0, refused=True),
    ]


def main() -> None:
    """Count, print and keep."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--seconds", type=float, default=20.0, help="how long tokens are read that end again and again"
    )
    chosen = options.parse_args()
    end_in_order()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="zhongkong-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with servers.sandbox(directory) as told:
            platform = Platform(told["sandbox_url"])
            for section in sections(chosen.seconds):
                rows = list(_count(directory, platform, section))
                show(section.title, ["", "fetches", "generations", "fetches a generation"], rows)
                figures[section.title] = rows
    keep("stampede", figures)


def _count(directory: Path, platform: Platform, section: Section) -> Iterator[list[str | float]]:
    for name, case in section.cases.items():
        account = platform.open_account(section.life, refused=section.refused)
        try:
            fetches, generations = case(directory, account, section.seconds)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"left out: {name}: {error}")
        else:
            yield [name, fetches, generations, fetches / generations]


if __name__ == "__main__":
    main()
