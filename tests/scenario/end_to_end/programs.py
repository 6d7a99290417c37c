"""Programs as a person starts them: in a terminal of their own, far from whatever this machine has set up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import IO, Self

SOON = 60.0
BIN = Path(sys.executable).parent
"""Where `zhongkong` is: the environment that runs the tests."""


def build_environment(directory: Path, lang: str = "zh", path: Path = BIN) -> dict[str, str]:
    """Return what a program sees: a home and a place for temporary files in `directory`, and no settings of ours."""
    for name in ("home", "tmp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PYTHONWARNINGS", "SSL_CERT_FILE") if name in os.environ}
    return {
        **kept,
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(directory / "home"),
        "TMPDIR": str(directory / "tmp"),
        "LANG": "C.UTF-8",
        "ZHONGKONG_LANG": lang,
    }


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Program:
    """A program that runs until it is told to end; what it writes is kept."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], directory: Path) -> None:
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = Condition()
        pipes = ((self._process.stdout, self.out), (self._process.stderr, self.err))
        self._readers = [Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        self._reading = len(self._readers)
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def await_line(self, marker: str, within: float = SOON) -> str:
        """Return the first line on stdout that has `marker` in it, once it is there; `within` is in seconds."""
        with self._news:
            self._news.wait_for(lambda: self._find(marker) or not self._reading, within)
            found = self._find(marker)
        assert found, f"{marker!r} was not written\n{self.told}"
        return found

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Tell it, and whatever it started, to end; return its exit code."""
        os.killpg(self._process.pid, how)
        return self.wait()

    def wait(self) -> int:
        """Return its exit code once it has ended by itself."""
        code = self._process.wait(SOON)
        for reader in self._readers:
            reader.join(SOON)
        return code

    @property
    def told(self) -> str:
        """Whatever it has written so far."""
        return "".join([*self.out, *self.err])

    def _find(self, marker: str) -> str:
        return next((line for line in self.out if marker in line), "")

    def _read(self, pipe: IO[str], lines: list[str]) -> None:
        with pipe:
            for line in pipe:
                with self._news:
                    lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._reading -= 1
            self._news.notify_all()
