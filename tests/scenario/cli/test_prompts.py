"""What a person types at a terminal: secrets are not echoed, and Ctrl-C is quiet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenario.cli.house import PROGRAM, SOON, Platform, clean_environ

pty = pytest.importorskip("pty", reason="this platform has no terminals to play with")


@dataclass
class Screen:
    """A program at a terminal of its own, and all it has shown so far."""

    process: subprocess.Popen[bytes]
    keyboard: int
    shown: str = ""

    def wait_for(self, text: str) -> None:
        """Return once `text` is shown."""
        while text not in self.shown:
            self.shown += os.read(self.keyboard, 4096).decode()

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.keyboard, text.encode())

    def end(self) -> int:
        """Return the exit code; all is shown by then."""
        with suppress(OSError):  # Linux: the terminal is gone with its last program
            while read := os.read(self.keyboard, 4096):
                self.shown += read.decode()
        return self.process.wait(SOON)


@contextmanager
def at_terminal(*words: str, home: Path, lang: str = "en") -> Iterator[Screen]:
    """Start `zhongkong` at a terminal."""
    keyboard, screen = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, *words]
    environ = {**clean_environ(home, lang), "TERM": "dumb"}
    process = subprocess.Popen(
        command, cwd=home, env=environ, stdin=screen, stdout=screen, stderr=screen, start_new_session=True
    )
    os.close(screen)
    try:
        yield Screen(process, keyboard)
    finally:
        process.kill()
        process.wait(SOON)
        os.close(keyboard)


def test_a_secret_that_is_typed_is_not_shown(home: Path, platform: Platform) -> None:
    """People share screens."""
    with at_terminal("account", "add", platform.appid, "--base-url", platform.url, home=home) as screen:
        screen.wait_for("AppSecret (not shown")
        screen.type(f"{platform.secret}\n")
        assert screen.end() == 0
    assert "is well" in screen.shown
    assert platform.secret not in screen.shown


def test_a_wrong_name_is_told_before_the_secret_is_asked_for(home: Path) -> None:
    """Nobody looks a Secret up for nothing."""
    with at_terminal("account", "add", "--kind", "wecom", home=home) as screen:
        screen.wait_for("Corpid")
        screen.type("ww0123456789abcdef\n")
        screen.wait_for("A name of yours")
        screen.type("My CRM\n")
        assert screen.end() == 2
    assert "corpid:name" in screen.shown
    assert "Secret of the application" not in screen.shown


def test_a_question_is_answered_at_the_terminal(home: Path, shop: str) -> None:
    """No is no, without a word more."""
    with at_terminal("account", "remove", shop, home=home) as screen:
        screen.wait_for("[y/N] ")
        screen.type("n\n")
        assert screen.end() == 130
    assert screen.shown.endswith("[y/N] n\r\n")


def test_a_question_is_answered_in_ones_own_language(home: Path, shop: str) -> None:
    """Who is asked in Chinese may answer in it, and is told in it what an answer is."""
    with at_terminal("account", "remove", shop, home=home, lang="zh_CN.UTF-8") as screen:
        screen.wait_for("否 N] ")
        screen.type("也许\n")
        screen.wait_for("请回答")
        screen.type("是\n")
        assert screen.end() == 0
    assert "已删除账号" in screen.shown
    assert "Error" not in screen.shown


def test_what_is_not_there_is_said_before_anybody_is_asked(home: Path, shop: str) -> None:
    """Who said yes to a typo would look for what he did."""
    assert shop
    for words in (("account", "remove", "wx0000000000001111"), ("key", "revoke", "nobody00")):
        with at_terminal(*words, home=home) as screen:
            assert screen.end() == 3
        assert "?" not in screen.shown


def test_ctrl_c_at_a_question_is_quiet(home: Path) -> None:
    """Somebody changed his mind: that is no mistake to be told about."""
    with at_terminal("account", "add", "wx1111", home=home) as screen:
        screen.wait_for("AppSecret (not shown")
        screen.process.send_signal(2)
        assert screen.end() == 130
    assert screen.shown.split("type):")[1].strip() == ""


IMPATIENT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Impatient:
    def find_spec(self, name, *rest):
        if name == "zhongkong.cli.program":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
from zhongkong.cli import main
main()
"""


def test_ctrl_c_while_the_program_is_loaded_is_quiet(home: Path) -> None:
    """That takes a second, in which somebody sees what he mistyped; to a shell this is 130."""
    command = [sys.executable, "-c", IMPATIENT, "doctor"]
    ended = subprocess.run(command, cwd=home, env=clean_environ(home), capture_output=True, timeout=SOON, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")
