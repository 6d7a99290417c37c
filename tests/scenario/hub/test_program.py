"""The hub as a program: it listens, drains at SIGTERM, and its workers are replaced when they die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has no annotations
import pytest

from zhongkong.errors import SettingInvalid
from zhongkong.hub import server
from zhongkong.hub.server import address_of, bind, serve_http
from zhongkong.sandbox.faults import Fault
from zhongkong.sandbox.server import Running, open_sandbox

ROOT = Path(__file__).parents[3]
SOON = 30.0


class Program:
    """A running hub."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told
        headers = {"Authorization": f"Bearer {told['key']}"}
        self.client = httpx.AsyncClient(base_url=told["url"], headers=headers, timeout=SOON)

    @property
    def workers(self) -> set[int]:
        """Return the process ids of its workers."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return {one.pid for one in children if "spawn_main" in " ".join(one.cmdline())}
        return set()

    async def ended(self) -> tuple[int, str]:
        """Return exit code and log once it is over."""
        _, log = await asyncio.wait_for(self.process.communicate(), SOON)
        assert self.process.returncode is not None
        return self.process.returncode, log.decode()


@asynccontextmanager
async def running(directory: Path, workers: int = 1) -> AsyncIterator[Program]:
    """Run a hub over a store in `directory`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.scenario.hub.program",
        str(directory),
        str(workers),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), SOON)
        assert line, (await process.communicate())[1].decode()
        program = Program(process, json.loads(line))
        async with program.client:
            yield program
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def with_account(program: Program) -> AsyncIterator[tuple[Running, str]]:
    """Run a sandbox beside the hub and add its account; yield it, and where the token is read."""
    async with open_sandbox(port=0, seed=1) as sandbox:
        account = sandbox.account
        assert account is not None
        body = {"appid": account.appid, "secret": account.secret, "base_url": sandbox.url}
        answer = await program.client.post("/v1/accounts", json=body)
        assert answer.status_code == 201, answer.text
        yield sandbox, f"/v1/accounts/{account.appid}/access_token"


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(SOON):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.05)


def test_a_hub_serves_from_an_empty_directory_and_ends_in_order(tmp_path: Path) -> None:
    """The first hour, and the end: a poller is answered, not cut, and the exit code is that of success."""

    async def story() -> None:
        async with running(tmp_path / "data") as program, with_account(program) as (_, path):
            assert program.told["seal_made"] is True
            first = await program.client.get(path)
            assert first.status_code == 200
            assert first.headers["date"]
            assert "server" not in first.headers
            headers = {"If-None-Match": first.headers["etag"]}
            waiting = asyncio.ensure_future(program.client.get(f"{path}?wait=60", headers=headers))
            await asyncio.sleep(0.3)
            program.process.terminate()
            assert (await waiting).status_code == 304
            code, log = await program.ended()
            assert code == 0, log
            assert first.json()["access_token"] not in log
            assert program.told["key"] not in log
        async with running(tmp_path / "data") as again:
            assert (again.told["key"], again.told["seal_made"]) == (None, False)
            headers = {"Authorization": f"Bearer {program.told['key']}"}
            second = await again.client.get(path, headers=headers)
            assert second.json()["access_token"] == first.json()["access_token"]

    asyncio.run(story())


def test_what_is_under_way_at_the_end_is_finished_and_saved(tmp_path: Path) -> None:
    """The platform acted; if its answer were lost, the next hub would begin in doubt."""

    async def story() -> None:
        async with running(tmp_path / "data") as program, with_account(program) as (sandbox, path):
            body = {"access_token": (await program.client.get(path)).json()["access_token"]}
            sandbox.world.revoke(body["access_token"], sandbox.clock.now())
            sandbox.faults.add(Fault(path="/cgi-bin/stable_token", latency=1.5))
            rejecting = asyncio.ensure_future(
                program.client.post(f"{path}/reject", json={"rejected": body["access_token"]})
            )
            await asyncio.sleep(0.5)
            program.process.terminate()
            answer = await rejecting
            assert (answer.status_code, answer.json()["outcome"]) == (200, "refreshed")
            assert (await program.ended())[0] == 0

    asyncio.run(story())


def test_a_worker_that_dies_is_replaced_and_all_end_together(tmp_path: Path) -> None:
    """Nobody notices the death of one, and nothing is left behind at the end."""

    async def story() -> None:
        async with running(tmp_path / "data", workers=2) as program, with_account(program) as (_, path):
            await until(lambda: is_up(program, 2))
            before = program.workers
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            await until(lambda: is_replaced(program, victim))
            for _ in range(20):
                assert (await program.client.get(path, headers={"Connection": "close"})).status_code == 200
            async with httpx.AsyncClient() as prometheus:
                metrics = await prometheus.get(f"{program.told['metrics']}/metrics")
            assert 'zhongkong_reads_total{outcome="fresh"}' in metrics.text
            program.process.terminate()
            code, log = await program.ended()
            assert code == 0, log
            assert "SIGKILL" in log
            assert not [pid for pid in before if psutil.pid_exists(pid)]

    asyncio.run(story())


def test_the_counts_of_all_workers_are_one(tmp_path: Path) -> None:
    """Whichever worker is asked; else counters would jump from one scrape to the next."""

    async def story() -> None:
        async with running(tmp_path / "data", workers=2) as program, with_account(program) as (_, path):
            await until(lambda: is_up(program, 2))
            for _ in range(40):
                await program.client.get(path, headers={"Connection": "close"})
            seen = set()
            for _ in range(10):
                text = (await program.client.get("/metrics", headers={"Connection": "close"})).text
                seen.add(next(line for line in text.splitlines() if line.startswith("zhongkong_reads_total")))
            assert seen == {'zhongkong_reads_total{outcome="fresh"} 40.0'}

    asyncio.run(story())


def test_workers_end_when_their_supervisor_is_gone(tmp_path: Path) -> None:
    """After `kill -9` of the parent nobody would ever stop them, and the port would stay taken."""

    async def story() -> None:
        async with running(tmp_path / "data", workers=2) as program:
            await until(lambda: is_up(program, 2))
            workers = program.workers
            program.process.kill()

            async def are_gone() -> bool:
                return not [
                    pid for pid in workers if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"
                ]

            await until(are_gone)

    asyncio.run(story())


def test_workers_that_cannot_start_end_the_program(tmp_path: Path) -> None:
    """With the reason, instead of dying for ever."""

    async def story() -> None:
        async with running(tmp_path / "data", workers=2) as program:
            await until(lambda: is_up(program, 2))
            (tmp_path / "data" / "zhongkong.seal").chmod(0o644)
            os.kill(min(program.workers), signal.SIGKILL)
            code, log = await program.ended()
            assert code != 0
            assert "chmod 600" in log

    asyncio.run(story())


async def is_up(program: Program, count: int) -> bool:
    """Say whether so many workers are there and one of them answers."""
    if len(program.workers) < count:
        return False
    with suppress(httpx.HTTPError):
        return (await program.client.get("/healthz")).status_code == 200
    return False


async def is_replaced(program: Program, victim: int) -> bool:
    """Say whether there are two workers again."""
    return victim not in program.workers and await is_up(program, 2)


def test_a_port_that_is_taken_is_named() -> None:
    """And what to do: the commonest way to fail at the start."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingInvalid) as refused:
            bind("127.0.0.1", port)
    assert (refused.value.code, refused.value.values) == ("port_taken", {"host": "127.0.0.1", "port": port})


def test_an_address_that_is_not_here_is_named() -> None:
    """192.0.2.0/24 is nobody's."""
    with pytest.raises(SettingInvalid) as refused:
        bind("192.0.2.1", 0)
    assert refused.value.code == "host_not_here"


async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer 200 and nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve nothing, and yield a connection to it."""
    stop, sock = asyncio.Event(), bind("127.0.0.1", 0)
    host, port = address_of(sock)
    serving = asyncio.ensure_future(serve_http(nothing, [sock], stop))
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        stop.set()
        await serving


def test_a_head_without_end_is_refused() -> None:
    """A header is collected in memory until it is complete."""

    async def story() -> bytes:
        async with listening() as (reader, writer):
            with suppress(ConnectionError):
                writer.write(b"GET / HTTP/1.1\r\nX: ")
                for _ in range(200):
                    writer.write(b"x" * 4096)
                    await writer.drain()
                    await asyncio.sleep(0)
            with suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(), SOON)
            return b"reset"

    answer = asyncio.run(story())
    assert answer.startswith((b"HTTP/1.1 431 ", b"reset"))


def test_a_connection_may_carry_any_number_of_requests() -> None:
    """Only a head counts, not the sum of them: pollers keep their connection for weeks."""

    async def story() -> int:
        async with listening() as (reader, writer):
            for _ in range(300):
                writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000 + b"\r\n\r\n")
            writer.write(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
            answers = await asyncio.wait_for(reader.read(), SOON)
            return answers.count(b"HTTP/1.1 200 OK")

    assert asyncio.run(story()) == 301


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nX:"])
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    """Half-open connections are the cheapest attack there is."""
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.2)

    async def story() -> bytes:
        async with listening() as (reader, writer):
            writer.write(beginning)
            return await asyncio.wait_for(reader.read(), SOON)

    assert asyncio.run(story()) == b""
