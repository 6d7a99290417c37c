"""Real programs over one real file, against a sandbox that is spoken to over HTTP; its journal says what happened."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.scenario.library.acts import CHILDREN
from zhongkong.sandbox.faults import Fault
from zhongkong.sandbox.server import Running, open_sandbox

ROOT = Path(__file__).parents[3]
SOON = 60.0
TOKEN = "/cgi-bin/stable_token"
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@pytest.fixture
def sandbox() -> Iterator[Running]:
    """A sandbox on a port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    opening = open_sandbox(port=0, seed=1)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop).result(SOON)
    yield running
    asyncio.run_coroutine_threadsafe(opening.__aexit__(None, None, None), loop).result(SOON)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SOON)
    loop.close()


class Told:
    """A program that acts, and what it told."""

    def __init__(self, act: str, sandbox: Running, directory: Path, **environment: str) -> None:
        account = sandbox.account
        assert account is not None
        words = {"APPID": account.appid, "SECRET": account.secret, "PLATFORM": sandbox.url, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.scenario.library.acts", act],
            cwd=directory,
            env={**os.environ, "ZHONGKONG_LANG": "en", **words, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> Any:
        """Return the next line that it tells."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline() or '"nothing"')

    def end(self, code: int = 0) -> tuple[list[Any], str]:
        """Return all lines and its log once it has ended as it should."""
        out, err = self.process.communicate(timeout=SOON)
        assert self.process.returncode == code, err
        return [json.loads(line) for line in out.splitlines()], err


@forking
def test_programs_and_their_children_that_begin_cold_on_one_file_mint_once(sandbox: Running, tmp_path: Path) -> None:
    """Two programs with four workers of twenty-five threads each: they make the file and the seal, and mint, once."""
    programs = [Told("read_cold", sandbox, tmp_path) for _ in range(2)]
    ended = [program.end() for program in programs]
    tokens = {token for lines, _ in ended for told in lines for token in told}
    assert len(tokens) == 1
    assert [entry.path for entry in sandbox.journal.read()] == [TOKEN]
    assert sandbox.world.is_alive(tokens.pop(), sandbox.clock.now())
    logs = "".join(log for _, log in ended).splitlines()
    assert len([line for line in logs if "master key" in line]) == 1


@forking
def test_a_source_that_was_used_goes_on_in_parent_and_children(sandbox: Running, tmp_path: Path) -> None:
    """As after `gunicorn --preload`. A child reads what its parent knew, and asks by a thread of its own."""
    ([told], log) = Told("read_preloaded", sandbox, tmp_path).end()
    assert len(told["children"]) == CHILDREN
    for child in told["children"]:
        assert child["began"] == told["before"]
        assert child["threads_at_first"] == 1
        assert child["outcome"] in ("still_valid", "already_newer", "refreshed")
        assert child["names"].count("zhongkong") == 1
    assert told["after"] in ("still_valid", "already_newer", "refreshed")
    assert len([entry for entry in sandbox.journal.read() if entry.path == TOKEN]) <= 2
    assert "Traceback" not in log


def test_a_program_ends_at_once(sandbox: Running, tmp_path: Path) -> None:
    """A cron script reads a token and is done; the file is left whole, with no log beside it."""
    program = Told("read_and_end", sandbox, tmp_path)
    assert program.line().startswith("83_")
    began = perf_counter()
    assert program.end() == ([], program_log(tmp_path))
    assert perf_counter() - began < 5.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wx.db", "wx.seal"]
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def program_log(directory: Path) -> str:
    """Return all that a first program has to log."""
    return (
        f"The master key {directory / 'wx.seal'} was made. Back it up apart from the store: without it the store "
        "cannot be read, and accounts have to be entered again.\n"
    )


def test_a_refresh_that_hangs_does_not_keep_a_program_from_ending(sandbox: Running, tmp_path: Path) -> None:
    """The platform takes half a minute: the program is told after its second and ends soon after."""
    sandbox.faults.add(Fault(path=TOKEN, answer_latency=30.0))
    program = Told("end_while_it_mints", sandbox, tmp_path)
    assert program.line() == "credential_unavailable"
    began = perf_counter()
    _, log = program.end()
    assert perf_counter() - began < 8.0
    assert "Traceback" not in log
    assert "pending" not in log


def test_the_next_program_goes_on_with_what_the_last_one_kept(sandbox: Running, tmp_path: Path) -> None:
    """Begun anew it reads the file, whose seal it has, and asks the platform nothing."""
    tokens = {Told("read_and_end", sandbox, tmp_path).end()[0][0] for _ in range(2)}
    assert len(tokens) == 1
    assert len(list(sandbox.journal.read())) == 1


def test_a_killed_program_leaves_a_file_that_others_go_on_with(sandbox: Running, tmp_path: Path) -> None:
    """Killed beside a running one, which goes on; and so does one that begins after."""
    killed, stays = Told("stay", sandbox, tmp_path), Told("stay", sandbox, tmp_path)
    token = killed.line()
    assert stays.line() == token
    killed.process.kill()
    killed.process.communicate()
    assert Told("read_and_end", sandbox, tmp_path).end()[0] == [token]
    assert stays.end()[0] == [token]
    assert len(list(sandbox.journal.read())) == 1


def test_what_a_program_dies_of_is_told_in_words(sandbox: Running, tmp_path: Path) -> None:
    """A wrong secret, then an address that is not allowed: the last lines of the traceback say who does what."""
    _, log = Told("fail", sandbox, tmp_path, SECRET="f" * 32).end(1)
    assert "40125" in log
    assert "correct it there and restart the hub or program" in log.splitlines()[-1]
    assert "f" * 32 not in log
    sandbox.account.set_allow_list(["203.0.113.9"]) if sandbox.account else None
    _, log = Told("fail", sandbox, tmp_path).end(1)
    assert "127.0.0.1" in log.splitlines()[-1]
    assert "40164" in log


def test_it_works_where_there_is_nothing_of_linux(sandbox: Running, tmp_path: Path) -> None:
    """No fork, no boot-time clock, no users, no signals: as on a Windows machine."""
    ([(token, outcome)], log) = Told("do_without", sandbox, tmp_path).end()
    assert (token[:3], outcome) == ("83_", "still_valid")
    assert "Traceback" not in log
