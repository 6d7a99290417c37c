"""The system's resolver may hang: that holds up nobody but who asks for names, and not the end of the process."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import pytest

from tests.contract.platform.calls import order_at, platform
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import Wire, answer, refusing_port, sends
from zhongkong.adapters.names import THREADS_MOST, SystemNames
from zhongkong.core.model import NotSent, Outcome
from zhongkong.wechat.answers import Granted

ROOT = Path(__file__).parents[3]

system_names = socket.getaddrinfo


@pytest.fixture
def end_of_silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Have the system's resolver hang, for every name but localhost, until this is set."""
    end = Event()

    def hang(host: str, *rest: Any, **more: Any) -> Any:
        if host != "localhost":
            end.wait(30.0)
        return system_names("localhost", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield end
    end.set()


def test_a_name_is_looked_up(run: Run[Any]) -> None:
    """As everybody else on this machine finds it, whatever its addresses are."""

    async def scenario() -> Outcome:
        async with Wire(sends(answer())) as wire:
            return await platform().mint(order_at(f"http://localhost:{wire.port}"))

    assert isinstance(run(scenario()), Granted)


def test_a_name_that_the_system_does_not_know_is_not_sent(run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own error, as the resolver of the machine raises it."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert run(platform().mint(order_at("http://hub.example"))) == NotSent("name_unknown")


@pytest.mark.usefixtures("end_of_silence")
def test_a_resolver_that_hangs_takes_no_thread_of_the_loop(run: Run[Any]) -> None:
    """More look-ups hang than the loop has threads: each ends at its deadline, and others' work goes on."""

    async def scenario() -> tuple[list[Outcome], float]:
        asked = platform(0.3)
        mints = [asyncio.ensure_future(asked.mint(order_at(f"http://a{number}.example"))) for number in range(60)]
        await asyncio.sleep(0.1)
        began = perf_counter()
        await asyncio.get_running_loop().run_in_executor(None, int)
        waited = perf_counter() - began
        return await asyncio.gather(*mints), waited

    outcomes, waited = run(scenario())
    assert set(outcomes) == {NotSent("connect_timeout")}
    assert waited < 5.0


def test_a_resolver_that_hung_is_asked_again(run: Run[Any], end_of_silence: Event) -> None:
    """Whoever gave up is not looked up for when it speaks again, and who asks then is answered."""

    async def scenario() -> tuple[int, int]:
        names = SystemNames()
        with refusing_port() as port:
            waiting = [asyncio.ensure_future(names.resolve("hub.example", port)) for _ in range(2 * THREADS_MOST)]
            await asyncio.sleep(0.1)
            for one in waiting:
                one.cancel()
            end_of_silence.set()
            found = await names.resolve("hub.example", port)
        return found[0]["port"], port

    found, port = run(scenario())
    assert found == port


def test_a_resolver_that_hangs_does_not_hold_up_the_end() -> None:
    """A command that says that the platform cannot be reached must give the terminal back."""
    program = """
        import asyncio, socket, time
        socket.getaddrinfo = lambda *_, **__: time.sleep(600)
        from tests.contract.platform.calls import order_at, platform
        print(asyncio.run(platform(0.2).mint(order_at("http://hub.example"))))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "NotSent(why='connect_timeout')\n"
