"""The hub as a program: it listens, drains at SIGTERM, and its workers are replaced when they die."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has no annotations
import pytest

from tests.scenario.hub.processes import SOON, is_replaced, is_up, running, until, with_account
from zhongkong.errors import SettingInvalid
from zhongkong.hub import server
from zhongkong.hub.server import address_of, bind, serve_http
from zhongkong.sandbox.faults import Fault


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


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_the_moment_in_which_it_says_that_it_listens_ends_it_in_order(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    """Whoever started it may stop it as soon as he reads that: a script, a supervisor that changed its mind."""

    async def story() -> None:
        async with running(tmp_path / "data", workers, str(int(number))) as program:
            code, log = await program.ended()
            assert code == 0, log
            assert "Traceback" not in log

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


def test_a_worker_that_dies_after_the_store_was_moved_ends_nobody_else(tmp_path: Path) -> None:
    """Its successor cannot begin on the closed store; the others hand out the tokens that they have meanwhile."""

    async def story() -> None:
        async with running(tmp_path / "data", workers=2) as program, with_account(program) as (_, path):
            await until(lambda: is_up(program, 2))
            for _ in range(20):
                assert (await program.client.get(path, headers={"Connection": "close"})).status_code == 200
            with closing(sqlite3.connect(tmp_path / "data" / "zhongkong.db")) as connection:
                connection.execute("UPDATE zhongkong_meta SET moved_to = 'mysql://db/hub'")
                connection.commit()
            seen = program.workers
            os.kill(min(seen), signal.SIGKILL)

            async def has_tried_again() -> bool:
                seen.update(program.workers)
                return len(seen) >= 4

            await until(has_tried_again)
            assert (await program.client.get(path, headers={"Connection": "close"})).status_code == 200
            program.process.terminate()
            code, log = await program.ended()
            assert code == 0, log
            assert "reopen" in log

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


def test_a_port_that_is_taken_is_named() -> None:
    """And what to do: the commonest way to fail at the start."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingInvalid) as refused:
            bind("127.0.0.1", port, flag="--tls-port")
    told = {"host": "127.0.0.1", "port": port, "flag": "--tls-port"}
    assert (refused.value.code, refused.value.values) == ("port_taken", told)


def test_an_address_that_is_not_here_is_named() -> None:
    """192.0.2.0/24 is nobody's."""
    with pytest.raises(SettingInvalid) as refused:
        bind("192.0.2.1", 0)
    assert refused.value.code == "host_not_here"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_answers_leave_at_once(host: str) -> None:
    """Nagle would keep them 40 ms; asyncio turns it off only where a listening socket says TCP by name."""

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sock = transport.get_extra_info("socket")
            noted.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def story() -> None:
        try:
            listening = bind(host, 0)
        except SettingInvalid:
            pytest.skip(f"{host} is no address of this machine")
        async with await asyncio.get_running_loop().create_server(Noting, sock=listening):
            reader, writer = await asyncio.open_connection(*address_of(listening))
            await asyncio.wait_for(reader.read(), SOON)
            writer.close()

    noted: list[int] = []
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(story())
    assert [one != 0 for one in noted] == [True]


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
