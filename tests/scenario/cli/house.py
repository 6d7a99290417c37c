"""A command line to type on, a sandbox to talk to, and programs to start: all of it in a directory of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from zhongkong.cli.program import program
from zhongkong.sandbox.server import Running, open_sandbox

SOON = 60.0
OURS = ("ZHONGKONG_", "LC_", "LANG", "HOME", "XDG_", "COLUMNS")
ValueT = TypeVar("ValueT")

PROGRAM = """
import signal
from zhongkong.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore them, which is inherited
signal.signal(signal.SIGHUP, signal.SIG_DFL)
main()
"""


def clean_environ(home: Path, lang: str = "en") -> dict[str, str]:
    """Return the variables of a person who lives in `home`, and set nothing of ours."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**others, "HOME": str(home), "LANG": lang, "PYTHONUNBUFFERED": "1"}


@dataclass
class Terminal:
    """Types commands. What they say is looked through for `secrets`, unless a command is meant to show one."""

    secrets: set[str] = field(default_factory=set)

    def type(self, *words: str, stdin: str = "", code: int = 0, shows: bool = False) -> Result:
        """Return what a command said; it ends with `code`."""
        result = CliRunner().invoke(program, words, input=stdin)
        assert result.exit_code == code, (words, result.exit_code, result.output, result.exception)
        if not shows:
            for secret in self.secrets:
                assert secret not in result.output
        if code not in (0, 130) and "doctor" not in words and "--json" not in words:
            assert "zhongkong doctor" in result.stderr
        return result

    def read(self, *words: str, stdin: str = "", code: int = 0, shows: bool = False) -> Any:
        """Return what a command said as JSON."""
        return json.loads(self.type(*words, "--json", stdin=stdin, code=code, shows=shows).stdout)


@dataclass
class Platform:
    """A sandbox that is served from another thread, so that commands may block."""

    running: Running
    loop: asyncio.AbstractEventLoop

    def do(self, change: Callable[[Running], ValueT]) -> ValueT:
        """Return what `change` returns, done where the sandbox runs."""

        async def doing() -> ValueT:
            return change(self.running)

        return asyncio.run_coroutine_threadsafe(doing(), self.loop).result(SOON)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.running.url

    @property
    def appid(self) -> str:
        """The test account in it."""
        assert self.running.account is not None
        return self.running.account.appid

    @property
    def secret(self) -> str:
        """That account's secret."""
        assert self.running.account is not None
        return self.running.account.secret

    def token(self) -> str:
        """Return the stable token that the account has now."""
        return self.do(lambda running: running.world.accounts[self.appid].stable.current.value)  # type: ignore[union-attr]


@contextmanager
def serving_platform() -> Iterator[Platform]:
    """Serve a sandbox while the block runs."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    sandbox = open_sandbox(port=0, seed=7)
    try:
        running = asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(SOON)
        yield Platform(running, loop)
        asyncio.run_coroutine_threadsafe(sandbox.__aexit__(None, None, None), loop).result(SOON)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SOON)
        loop.close()


@contextmanager
def started(*words: str, home: Path, lang: str = "en") -> Iterator[subprocess.Popen[str]]:
    """Start `zhongkong` as a program of its own; it is gone afterwards."""
    command = [sys.executable, "-c", PROGRAM, *words]
    process = subprocess.Popen(
        command,
        cwd=home,
        env=clean_environ(home, lang),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=SOON)


def end(process: subprocess.Popen[str], by: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    """End a program as Ctrl-C does; return exit code, and what it had still to say."""
    process.send_signal(by)
    said, complained = process.communicate(timeout=SOON)
    return process.returncode, said, complained
