"""What becomes of a command whose stdout is closed, full, or read by nobody: it ends as other programs do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenario.cli.house import PROGRAM, SOON, Terminal, clean_environ

FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="this platform has no device that is always full")
CREATE = ("key", "create", "shop", "--appid", "*")


def _run(home: Path, *words: str, by: str, **environ: str) -> tuple[int, str]:
    """Return how a command ends, and what it has to say on stderr; `by` is how the shell starts it."""
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {by}', "sh", sys.executable, "-c", PROGRAM, *words],
        cwd=home,
        env={**clean_environ(home), "PYTHONUNBUFFERED": "", **environ},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def test_stdout_that_is_closed_is_told_in_words(home: Path) -> None:
    """A script that closes what it does not want to see did not ask for a traceback."""
    code, complained = _run(home, "events", "--help", by=">&-")
    assert code == 1
    assert "Stdout cannot be written" in complained


@needs_full_device
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_that_is_full_is_told_and_is_no_mistake_of_ours(home: Path, unbuffered: str) -> None:
    """What was asked is done or not; only the answer is lost. In a container nothing is buffered."""
    code, complained = _run(home, "doctor", "--json", by=f">{FULL}", PYTHONUNBUFFERED=unbuffered)
    (line,) = complained.splitlines()
    assert (code, json.loads(line)["code"]) == (1, "output_lost")


@needs_full_device
def test_a_key_that_nobody_has_seen_is_named(terminal: Terminal, home: Path) -> None:
    """It would stay for ever, known to nobody: who made it is told to revoke it."""
    code, complained = _run(home, *CREATE, by=f">{FULL}")
    (made,) = terminal.read("key", "list")["keys"]
    assert code == 1
    assert f"zhongkong key revoke {made['id']} --yes" in complained
    assert not re.search(r"zk_\w+", complained)


def test_a_reader_who_had_enough_ends_a_command_without_a_word(home: Path) -> None:
    """`events | head -1` is how one reads the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "doctor"],
        cwd=home,
        env=clean_environ(home),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=SOON,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")


def test_stdin_and_stderr_that_are_closed_are_empty_and_silent(home: Path) -> None:
    """As a daemon is started."""
    code, complained = _run(home, "account", "add", "wx0123456789abcdef", by="<&-")
    assert code == 2
    assert "nothing in stdin" in complained
    assert _run(home, "events", "--help", by=">/dev/null 2>&-") == (0, "")
