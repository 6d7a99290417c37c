"""Whatever goes wrong, no secret and no token is in what is logged, printed or raised."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
import warnings
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.platform.calls import ACCOUNT, MODES, SECRET, VALUE, Names, order_at, platform
from tests.contract.platform.certificates import Certificates
from tests.contract.platform.conftest import Run
from tests.contract.platform.test_not_sent import HANDSHAKES, PROXIES
from tests.contract.platform.test_outcomes import AMBIGUOUS, CLEAN
from tests.contract.platform.wire import GRANT, Script, Talk, Wire, refusing_port, says_nothing, sends_then_stalls
from zhongkong.adapters.connections import Answer, Message, Way

PASSWORD = "p+a/s=s&Yv8KsE4qUz7MxJ2d"
HEARTS = {
    SECRET: "Zq7LmN4pXw2RtV8s",
    VALUE: "Hk3TgB9yDc5FjW6n",
    PASSWORD: "Yv8KsE4qUz7MxJ2d",
    "the token": "83_vD-rZ_0kQ",
}
"""What is left of each secret however a URL, a repr or a shell spells the odd characters around it."""


def forms_of(heart: str) -> Iterator[str]:
    """Yield the spellings in which it would still tell the secret; in base64 at each place that a triple may begin."""
    yield from (heart, heart.encode().hex())
    for before in range(3):
        yield b64encode(b"x" * before + heart.encode()).decode()[4:-4]


def found_in(text: str) -> list[str]:
    """Return the secrets that are in `text`, in any spelling."""
    return [secret for secret, heart in HEARTS.items() if any(form in text for form in forms_of(heart))]


class Listener(logging.Handler):
    """Keeps every record of every logger, with tracebacks, and what the loop complains of."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as a file would have it, and its arguments as a collector of errors would."""
        self.lines.append(f"{self.format(record)} {record.args!r}")

    def complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what an event loop would print."""
        self.lines.append(f"{context!r}")
        loop.default_exception_handler(context)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Return what hears all loggers at DEBUG while the test runs."""
    heard = Listener()
    names = ["", "asyncio", *(f"aiohttp.{name}" for name in ("client", "internal", "access", "web", "server"))]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(heard)
    yield heard
    logging.getLogger().removeHandler(heard)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def call_all(url: str, way: Way, deadline: float = 0.1) -> list[object]:
    """Make every kind of call once and return what was told."""
    hub = platform(deadline, way)
    told: list[object] = [await hub.mint(order_at(url, mode)) for mode in MODES]
    return [*told, await hub.probe(replace(ACCOUNT, base_url=url), VALUE)]


async def call_everywhere(listener: Listener, certificates: Certificates) -> list[object]:
    """Call wherever things go well, wrong, or nowhere."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.set_exception_handler(listener.complain)
    told: list[object] = []
    scripts: list[Script] = [script for script, _ in (*CLEAN.values(), *AMBIGUOUS.values())]
    for script in (*scripts, says_nothing, sends_then_stalls(b"HTTP/1.1 200 OK\r\n\r\n{")):
        async with Wire(script) as wire:
            told += await call_all(wire.url, Way())
    for script in HANDSHAKES.values():
        async with Wire(script) as wire:
            told += await call_all(wire.url.replace("http:", "https:"), Way(tls=certificates.trusting))
    for script in (*PROXIES.values(), says_nothing):
        async with Wire(script) as proxy:
            way = Way(proxy=f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}")
            told += [way, *await call_all("https://hub.example", way)]
    with refusing_port() as port:
        for url in (f"http://127.0.0.1:{port}", "http://[", "", "ftp://hub.example", "http://a..b"):
            told += await call_all(url, Way())
        told += await call_all("http://api.weixin.qq.com", Way(resolver=Names({})))
    return told


def test_no_secret_is_logged_or_told(
    run: Run[Any], listener: Listener, certificates: Certificates, recwarn: pytest.WarningsRecorder
) -> None:
    """The client library's errors and warnings quote URLs, and ours carry the secret and the token in their query."""
    warnings.simplefilter("always")
    told = run(call_everywhere(listener, certificates))
    gc.collect()
    seen = "\n".join([*listener.lines, *(str(one.message) for one in recwarn.list), repr(told), str(told)])
    assert len(told) > 150
    assert any("asyncio" in line for line in listener.lines)
    assert found_in(seen) == []
    assert "Unclosed" not in seen
    assert "never retrieved" not in seen


def test_no_secret_is_in_the_traceback_of_a_cancelled_call(run: Run[Any]) -> None:
    """A cancelled task is the one exception that leaves the adapter, and some tasks are logged."""

    async def scenario() -> str:
        async with Wire(says_nothing) as wire:
            mint = asyncio.create_task(platform().mint(order_at(wire.url)))
            await wire.asked.wait()
            mint.cancel()
            await asyncio.wait([mint])
            try:
                mint.result()
            except asyncio.CancelledError as cancelled:
                return f"{mint!r} {cancelled!r} {''.join(traceback.format_exception(cancelled))}"
        return ""

    text = run(scenario())
    assert "CancelledError" in text
    assert found_in(text) == []


def test_no_secret_is_in_a_repr() -> None:
    """A debugger, a failed assertion and a task's name all print values."""
    values = (
        order_at("http://hub.example"),
        Message("GET", f"http://hub.example/?secret={quote(SECRET)}", SECRET.encode()),
        Answer(200, "", GRANT),
        Way(proxy=f"http://me:{quote(PASSWORD)}@hub.example"),
        platform(way=Way(proxy=f"http://me:{PASSWORD}@hub.example")),
    )
    assert found_in(repr(values) + str(values) + "".join(f"{value}" for value in values)) == []


def test_the_search_would_find_what_aiohttp_quotes(run: Run[Any]) -> None:
    """The counter-proof: aiohttp's own error for such a call, printed, is found."""

    async def scenario() -> str:
        import aiohttp  # noqa: PLC0415 (only the counter-proof touches the client itself)

        async def rubbish(talk: Talk) -> None:
            await talk.request()
            talk.send(b"\x00\r\n\r\n")
            talk.close()

        async with Wire(rubbish) as wire, aiohttp.ClientSession() as session:
            try:
                await session.get(f"{wire.url}/cgi-bin/token", params={"secret": SECRET})
            except aiohttp.ClientResponseError as error:
                return f"{error!r}"
        return ""

    assert found_in(run(scenario())) == [SECRET]
    assert found_in(b64encode(f"Basic me:{PASSWORD}".encode()).decode()) == [PASSWORD]
    assert found_in(VALUE.encode().hex()) == [VALUE]
    assert found_in(GRANT.decode()) == ["the token"]
