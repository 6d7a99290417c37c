"""A file for each account, always whole: written beside and renamed, under a lock that other hubs see.

Beside `token.txt` stands `.token.txt.zhongkong`: the lock, and in it our mark (generation, hashes, when). A network
file system will do if it has locks.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from zhongkong.core.model import Account, Instant, Kind, Seconds, Slot
from zhongkong.core.sinks import Aim, Entry, Placed, Placing, Seen, encode, find_stranger, names_in
from zhongkong.errors import SinkError, SinkRefused, SinkUnavailable

if sys.platform == "win32":
    fcntl = None  # no locks there: one hub to a file
else:
    import fcntl

LOCKED_WITHIN: Seconds = 5.0
LOCK_EVERY: Seconds = 0.05

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a hub wrote last."""

    generation: int
    sha256: str
    """Of the credential."""
    content: str
    """The sha-256 of the file as it was written."""
    at: Instant


class FileSink:
    """One file for each account. Whole when constructed; its thread starts with the first write."""

    def __init__(self, aim: Aim) -> None:
        """Take the sink as it is set."""
        self._aim = aim
        self._thread = _OneByOne(f"sink {aim.name}")

    @property
    def name(self) -> str:
        """The name that people gave it."""
        return self._aim.name

    def takes(self, slot: Slot) -> bool:
        """Say whether this slot's credential goes there."""
        return self._aim.takes(slot)

    async def write(self, entry: Entry, *, insist: bool = False) -> Placed:
        """Have the file hold the entry."""
        path = self._path(entry.account, entry.kind)
        return await self._when_unlocked(path, lambda: self._write(path, entry, insist=insist))

    async def remove(self, account: Account, kind: Kind, generation: int) -> bool:
        """Delete the file if it holds what a hub wrote."""
        path = self._path(account, kind)
        return await self._when_unlocked(path, lambda: _remove(path, generation))

    async def look(self, account: Account, kind: Kind) -> Seen:
        """Return what the file holds now."""
        path = self._path(account, kind)
        return await self._thread.do(lambda: _translated(path, lambda: _look(path)))

    async def reach(self) -> None:
        """Return if files can be made in the directory, as far as it is the same for all accounts."""
        path = Path(self._aim.layout.template)
        if not names_in(str(path.parent)):
            await self._thread.do(lambda: _translated(path, lambda: _enter(path.parent)))

    async def close(self) -> None:
        """Have the thread end once it can."""
        self._thread.close()

    def _path(self, account: Account, kind: Kind) -> Path:
        return Path(self._aim.layout.place_of(account, kind))

    async def _when_unlocked(self, path: Path, do: Callable[[], AnswerT]) -> AnswerT:
        """Return what `do` returns, tried again while somebody else has the lock; the thread waits for nobody."""
        tries = int(LOCKED_WITHIN / LOCK_EVERY)
        for _ in range(tries):
            with suppress(_Locked):
                return await self._thread.do(lambda: _translated(path, do))
            await asyncio.sleep(LOCK_EVERY)
        raise SinkRefused("sink_file_locked", path=str(_mark_of(path)))

    def _write(self, path: Path, entry: Entry, *, insist: bool) -> Placed:
        with _locked(path) as lock:
            mark = _read_mark(lock)
            is_later = mark is not None and mark.generation > entry.generation
            if is_later and not insist:
                return Placed(Placing.OLDER)
            found = _read(path)
            content = encode(self._aim.layout.form, entry)
            _replace(path, content, self._aim.mode)
            _write_mark(lock, _Mark(entry.generation, entry.sha256, _digest(content), entry.written_at))
        if found is None:
            return Placed(Placing.WRITTEN)
        if mark is not None and mark.content == _digest(found) and not is_later:
            return Placed(Placing.KEPT if mark.sha256 == entry.sha256 else Placing.WRITTEN)
        return Placed(Placing.WRITTEN, find_stranger(self._aim.layout.form, found, entry))


# --- in the thread


class _OneByOne:
    """A thread that does one thing after the other. On a file system that hangs it hangs alone.

    It is no thread of a pool: those that hang keep a program from ending, and others from their turn.
    """

    def __init__(self, name: str) -> None:
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)

    async def do(self, do: Callable[[], AnswerT]) -> AnswerT:
        """Return what `do` returns; if it is given up before its turn, it is not done."""
        if self._thread.ident is None:
            self._thread.start()
        future: Future[AnswerT] = Future()
        self._waiting.put((future, do))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End after what waits now."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            future, do = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(do())
            except BaseException as error:  # noqa: BLE001 (who asked hears of it, the others go on)
                future.set_exception(error)


class _Locked(Exception):
    """Somebody else has the lock."""


def _remove(path: Path, generation: int) -> bool:
    if not _mark_of(path).exists():
        return False
    with _locked(path) as lock:
        mark = _read_mark(lock)
        if mark is None or mark.generation > generation:
            return False
        _mark_of(path).unlink()
        found = _read(path)
        if found is None or _digest(found) != mark.content:
            return False
        path.unlink()
        return True


def _enter(directory: Path) -> None:
    directory.stat()
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _look(path: Path) -> Seen:
    found = _read(path)
    if found is None:
        return Seen(is_there=False, is_ours=False)
    mark = None
    with suppress(FileNotFoundError), _mark_of(path).open("rb") as file:
        mark = _read_mark(file.fileno())
    if mark is None:
        return Seen(is_there=True, is_ours=False)
    is_ours = mark.content == _digest(found)
    return Seen(is_there=True, is_ours=is_ours, generation=mark.generation, written_at=mark.at)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock, whose file has our mark in it; it is made where there is none.

    Raises: _Locked: somebody else holds it.
    """
    lock = os.open(_mark_of(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise _Locked from error
            if not _is_still(lock, _mark_of(path)):
                raise _Locked  # whoever held it before took the file away
        yield lock
    finally:
        os.close(lock)


def _is_still(lock: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), path.stat())
    return False


def _mark_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.zhongkong")


def _read_mark(lock: int) -> _Mark | None:
    """Return the mark; None for none, or one that is cut short or broken: what is found is judged by its value then."""
    os.lseek(lock, 0, os.SEEK_SET)
    try:
        told = json.loads(os.read(lock, 4096))
        return _Mark(int(told["generation"]), str(told["sha256"]), str(told["content"]), float(told["at"]))
    except (ValueError, TypeError, LookupError):
        return None


def _write_mark(lock: int, mark: _Mark) -> None:
    os.lseek(lock, 0, os.SEEK_SET)
    os.ftruncate(lock, 0)
    os.write(lock, json.dumps(asdict(mark)).encode())


def _read(path: Path) -> bytes | None:
    """Return what stands there; what is no file is never opened: some of it would not let go again."""
    with suppress(FileNotFoundError):
        if not path.is_file() and path.exists():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        return path.read_bytes()
    return None


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Put `content` in place of the file at once; a crash leaves the former one, and a draft for the next write."""
    draft = path.with_name(f".{path.name}.zhongkong.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _translated(path: Path, do: Callable[[], AnswerT]) -> AnswerT:
    """Return what `do` returns.

    Raises: SinkError: in words of ours, for what the file system refuses. _Locked.
    """
    try:
        return do()
    except OSError as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: OSError) -> SinkError:
    why = error.strerror or type(error).__name__
    if error.errno == errno.ENOENT:
        return SinkRefused("sink_file_no_directory", directory=str(path.parent))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SinkRefused("sink_file_forbidden", path=str(path), why=why)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SinkUnavailable("sink_file_no_room", path=str(path))
    return SinkRefused("sink_file_failing", path=str(path), why=why)
