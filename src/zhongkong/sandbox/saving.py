"""A sandbox kept in a directory, so that the test account is the same tomorrow."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.world import World

if sys.platform == "win32":
    fcntl = None  # no locks there: one sandbox to a directory
else:
    import fcntl

FILE_NAME = "sandbox.json"
VERSION = 1
PAUSE_SECONDS = 0.5  # changes come in crowds: one write for a crowd
SKIPPED_DRAWS = 1_000_000
_log = logging.getLogger(__name__)


class DataUnreadable(ValueError):
    """The kept file is no sandbox that this version can read. It was not touched: a person moves it away."""


class DataTaken(ValueError):
    """Another sandbox that runs keeps its world there: each would write over what the other kept."""


@contextmanager
def taking(directory: Path) -> Iterator[None]:
    """Keep other sandboxes out of the directory, which is made if it is not there, while the block runs.

    The lock is the directory's own, so nothing is left of it, whatever ends us. Raises DataTaken, or OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    opened = os.open(directory, os.O_RDONLY)
    try:
        _lock(opened, directory)
        yield
    finally:
        os.close(opened)


def _lock(opened: int, directory: Path) -> None:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataTaken(f"another sandbox keeps its world in {directory}") from error
    except OSError:
        pass  # a file system without locks, as some on a network are


def load_world(directory: Path, world: World) -> float | None:
    """Let `world` be the one kept in `directory` and return its time; None, and nothing done, when there is none.

    Some draws are skipped: what was drawn after the last save of a sandbox that was killed never comes again.
    Raises DataUnreadable, or OSError.
    """
    path = directory / FILE_NAME
    try:
        kept = json.loads(path.read_bytes())
        if kept["version"] != VERSION:
            raise DataUnreadable(f"{path} was written by another version of the sandbox; move it away to begin anew")
        kept["world"]["draws"] += SKIPPED_DRAWS
        world.restore(kept["world"])
        return float(kept["now"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataUnreadable):
            raise
        raise DataUnreadable(f"{path} is damaged: {error!r}; mend it, or move it away to begin anew") from error


class Saver:
    """Writes the world soon after it changed, and once more at the end."""

    def __init__(self, directory: Path, world: World, clock: Clock, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._path = directory / FILE_NAME
        self._world = world
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._changed = asyncio.Event()

    def note_change(self) -> None:
        """Remember that there is something to write."""
        self._changed.set()

    async def run(self) -> None:
        """Save after each crowd of changes, for ever. What could not be written is tried again at the next change."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._pause_seconds)
            self._changed.clear()
            try:
                self.save()
            except OSError as error:
                _log.warning("the sandbox could not be kept in %s: %s", self._path, error.strerror)

    def save(self) -> None:
        """Write the world as it is now; nothing else runs for milliseconds, or some tenths of a second with much media.

        Raises OSError.
        """
        kept = {"version": VERSION, "now": self._clock.now(), "world": self._world.snapshot()}
        write_whole(self._path, json.dumps(kept))


def write_whole(path: Path, text: str) -> None:
    """Write the file so that it is, whatever happens, the old one or the new one; nobody else may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with open(draft, "w", encoding="utf-8", opener=_open_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
