"""A real Redis of our own, on a free port of loopback: it can be killed, stopped and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.scenario.end_to_end.programs import find_free_port

SOON = 30.0


class RedisServer:
    """The server. It keeps nothing over a restart, unless it is told to append to a file."""

    def __init__(self, directory: Path, *options: str, password: str = "") -> None:
        if shutil.which("redis-server") is None:
            if os.environ.get("CI"):
                pytest.fail("redis-server is not installed: the sinks are proved on a real one")
            pytest.skip("redis-server is not installed")
        self.port = find_free_port()
        self._directory = directory
        self._options = (*options, *(("--requirepass", password) if password else ()))
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> Redis:
        """A client as an older program has one: answers are bytes."""
        return Redis(port=self.port, password=self._password or None, protocol=2)

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        bare = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", "")
        self._process = subprocess.Popen(["redis-server", *bare, *self._options], stdout=subprocess.DEVNULL)
        patient = Retry(ConstantBackoff(0.05), int(SOON / 0.05))
        Redis(port=self.port, password=self._password or None, protocol=2, retry=patient).ping()
        return self

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SOON)

    def freeze(self) -> None:
        """Have it neither answer nor go away."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        with suppress(RedisError, OSError):
            self.kill()
