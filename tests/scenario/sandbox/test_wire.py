"""Faults that only a real connection has: what a client's socket sees, on both event loops."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.scenario.sandbox.desk import until
from zhongkong.sandbox.faults import GARBAGE, Fault
from zhongkong.sandbox.server import Running, open_sandbox

PATIENCE_SECONDS = 20
HEAD_END = b"\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Return what runs a coroutine to its end on a loop of its own."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run_to_the_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(coroutine, PATIENCE_SECONDS))

    return run_to_the_end


def mint(sandbox: Running) -> bytes:
    """Return a classic call as bytes."""
    account = sandbox.account
    assert account
    query = f"grant_type=client_credential&appid={account.appid}&secret={account.secret}"
    return f"GET /cgi-bin/token?{query} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode()


async def ask_until_closed(sandbox: Running, request: bytes) -> bytes:
    """Return everything that comes before the server closes the connection; the client never closes first."""
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("acts", [False, True])
def test_a_dropped_call_ends_without_one_byte(
    run: Callable[..., Any], caplog: pytest.LogCaptureFixture, *, acts: bool
) -> None:
    """Before or after the platform acted: the caller cannot tell, and that is the point. The server sees no error."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="/cgi-bin/token", answer="drop", acts=acts))
            assert await ask_until_closed(sandbox, mint(sandbox)) == b""
            assert sandbox.account
            assert sandbox.account.classic.made == acts
            [entry] = sandbox.journal.read()
            assert (entry.errcode, entry.answer) == (0 if acts else None, "drop")

    run(story())
    assert not caplog.records


def test_a_post_is_dropped_too(run: Callable[..., Any]) -> None:
    """Its body was read before, so the end is a clean one and no reset."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", answer="drop", acts=False))
            request = b"POST /cgi-bin/stable_token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
            assert await ask_until_closed(sandbox, request) == b""

    run(story())


def test_a_cut_answer_ends_in_the_middle_of_what_it_announced(run: Callable[..., Any]) -> None:
    """The head is whole, the token is lost on the way."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", answer="cut"))
            head, _, body = (await ask_until_closed(sandbox, mint(sandbox))).partition(HEAD_END)
            assert sandbox.account
            assert sandbox.account.classic.made == 1
            length = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            assert len(body) == length // 2
            assert body.startswith(b'{"access_token":"83_')

    run(story())


def test_a_kept_connection_is_dropped_at_its_second_call(run: Callable[..., Any]) -> None:
    """The case in which HTTP clients send again by themselves: the journal counts what arrived."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
            writer.write(mint(sandbox))
            head = await reader.readuntil(HEAD_END)
            length = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(length)
            sandbox.faults.add(Fault(path="*", answer="drop", acts=False))
            writer.write(mint(sandbox))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            assert [entry.answer for entry in sandbox.journal.read()] == ["whole", "drop"]

    run(story())


def test_garbage_comes_whole_and_the_connection_stays(run: Callable[..., Any]) -> None:
    """It is labelled as the platform's JSON, and is none."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", answer="garbage", times=1))
            reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
            writer.write(mint(sandbox))
            head = await reader.readuntil(HEAD_END)
            assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json; encoding=utf-8\r\n")
            assert await reader.readexactly(len(GARBAGE)) == GARBAGE
            writer.write(mint(sandbox))
            assert (await reader.readuntil(b"}")).endswith(b'"expires_in":7200}')
            writer.close()
            await writer.wait_closed()

    run(story())


def test_a_slow_call_is_carried_out_for_a_caller_who_left(run: Callable[..., Any]) -> None:
    """The platform does not know that nobody waits any more: that is how tokens are lost."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", latency=0.05))
            _, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
            writer.write(mint(sandbox))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            await until(lambda: sandbox.journal.last)
            [entry] = sandbox.journal.read()
            assert entry.issued
            assert entry.acted_at
            assert entry.acted_at >= entry.at + 0.04  # event loops round

    run(story())


def test_a_late_answer_is_late_and_the_call_was_prompt(run: Callable[..., Any]) -> None:
    """Latency before and after acting are different accidents."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", answer="drop", answer_latency=0.05))
            began = asyncio.get_running_loop().time()
            await ask_until_closed(sandbox, mint(sandbox))
            assert asyncio.get_running_loop().time() - began >= 0.04
            [entry] = sandbox.journal.read()
            assert entry.acted_at
            assert entry.acted_at < entry.at + 0.05

    run(story())


def test_a_sandbox_ends_soon_though_a_fault_keeps_a_call_waiting(run: Callable[..., Any]) -> None:
    """Ctrl-C must not take an hour."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            sandbox.faults.add(Fault(path="*", latency=3600))
            _, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
            writer.write(mint(sandbox))
            await until(lambda: next(iter(sandbox.faults)).met)
        writer.close()

    run(story())
