"""A small disk of our own: a tmpfs that can be filled to the last byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

CHUNKS = (1 << 20, 1 << 12, 1)
"""Bytes written at once, until nothing of that size fits any more."""


class Disk:
    """A directory; `is_small` if it is a disk of its own, which may be filled."""

    def __init__(self, path: Path, *, is_small: bool) -> None:
        self.path = path
        self.is_small = is_small
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no room on the disk."""
        assert self.is_small, "the machine's own disk is not ours to fill"
        ballast = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for chunk in CHUNKS:
                _write_until_full(ballast, bytes(chunk))
        finally:
            os.close(ballast)

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)


def _write_until_full(file: int, chunk: bytes) -> None:
    try:
        while True:
            os.write(file, chunk)
    except OSError as error:
        if error.errno != ENOSPC:
            raise


@contextmanager
def open_disk(path: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a small disk at `path` while the block runs; where that is not allowed, make a plain directory."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(path)]
    try:
        is_small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_small = False
    try:
        yield Disk(path, is_small=is_small)
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(path)], check=False)
