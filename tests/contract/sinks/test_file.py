"""A file as a sink: always whole, only the owner's, of the latest generation, and in words when it fails."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import pytest

from tests.contract.sinks.entries import ACCOUNT, APPID, NOW, aim, entry, value_of
from zhongkong.adapters.sinks import file
from zhongkong.adapters.sinks.file import FileSink
from zhongkong.core.model import Kind, hash_value
from zhongkong.core.sinks import Aim, Form, Layout, Placed, Placing, Seen, SinkKind
from zhongkong.errors import SinkError, SinkRefused, SinkUnavailable
from zhongkong.messages import LANGUAGES
from zhongkong.wechat.advice import explain_error

T = TypeVar("T")
ROOT = Path(__file__).parents[3]


def aim_at(path: Path, form: Form = Form.PLAIN, mode: int = 0o600) -> Aim:
    """Return a sink that is this file for every account."""
    return aim(kind=SinkKind.FILE, layout=Layout(str(path), form), mode=mode)


def work(aimed: Aim, do: Callable[[FileSink], Coroutine[Any, Any, T]]) -> T:
    """Return what `do` returns, done with a sink."""

    async def working() -> T:
        sink = FileSink(aimed)
        try:
            return await do(sink)
        finally:
            await sink.close()

    return asyncio.run(working())


def write(path: Path, *generations: int, insist: bool = False, **given: Any) -> Placed:
    """Write these generations; return what came of the last."""

    async def writing(sink: FileSink) -> Placed:
        return [await sink.write(entry(one), insist=insist) for one in generations][-1]

    return work(aim_at(path, **given), writing)


def fail(path: Path) -> SinkError:
    """Return how a write fails; it can be told in both languages, and tells no token."""
    with pytest.raises(SinkError) as caught:
        write(path, 7)
    for lang in LANGUAGES:
        assert value_of(7) not in explain_error(caught.value, lang)
    return caught.value


def mark_of(path: Path) -> Path:
    """Return where our mark of the file is."""
    return path.with_name(f".{path.name}.zhongkong")


# --- what is written


def test_the_file_holds_the_token_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """Whatever umask the hub was started with."""
    path = tmp_path / "token"
    before = os.umask(0)
    try:
        assert write(path, 1) == Placed(Placing.WRITTEN)
    finally:
        os.umask(before)
    assert path.read_text() == value_of(1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert mark_of(path).stat().st_mode & 0o777 == 0o600
    assert value_of(1) not in mark_of(path).read_text()
    assert {one.name for one in tmp_path.iterdir()} == {"token", ".token.zhongkong"}


def test_another_mode_can_be_set(tmp_path: Path) -> None:
    """The program that reads it may be another user of the same group; a narrow umask does not take that away."""
    before = os.umask(0o077)
    try:
        write(tmp_path / "token", 1, mode=0o640)
    finally:
        os.umask(before)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o640


def test_as_json_it_holds_value_and_expire(tmp_path: Path) -> None:
    """What scripts kept for themselves."""
    write(tmp_path / "token.json", 1, form=Form.JSON)
    assert json.loads((tmp_path / "token.json").read_text()) == {"value": value_of(1), "expire": NOW + 7000}


def test_generations_only_go_up_unless_it_insists(tmp_path: Path) -> None:
    """The same law as everywhere."""
    path = tmp_path / "token"
    assert write(path, 1, 1).placing is Placing.KEPT
    assert write(path, 5).placing is Placing.WRITTEN
    assert write(path, 4) == Placed(Placing.OLDER)
    assert path.read_text() == value_of(5)
    assert write(path, 4, insist=True) == Placed(Placing.WRITTEN, hash_value(value_of(5)))


def test_strangers_are_told_and_our_own_former_values_are_none(tmp_path: Path) -> None:
    """Also where there was a file before the first hub came."""
    path = tmp_path / "token"
    path.write_text("stranger-1\n")
    assert write(path, 1) == Placed(Placing.WRITTEN, hash_value("stranger-1"))
    path.write_text("stranger-2")
    assert write(path, 1) == Placed(Placing.WRITTEN, hash_value("stranger-2"))
    path.write_text(value_of(1) + "\n")
    assert write(path, 2) == Placed(Placing.WRITTEN)
    path.unlink()
    assert write(path, 2) == Placed(Placing.WRITTEN)
    assert path.read_text() == value_of(2)


def test_it_is_taken_back_if_it_is_ours(tmp_path: Path) -> None:
    """With the mark; a stranger's stays."""
    path = tmp_path / "token"

    def remove(generation: int) -> bool:
        return work(aim_at(path), lambda sink: sink.remove(ACCOUNT, Kind.ACCESS_TOKEN, generation))

    assert remove(9) is False
    assert list(tmp_path.iterdir()) == []
    write(path, 3)
    assert remove(2) is False
    assert remove(3) is True
    assert list(tmp_path.iterdir()) == []
    write(path, 3)
    path.write_text("stranger")
    assert remove(3) is False
    assert path.read_text() == "stranger"


def test_who_only_looks_changes_nothing(tmp_path: Path) -> None:
    """Nothing, ours, a stranger's."""
    path = tmp_path / "token"

    async def look(sink: FileSink) -> Seen:
        await sink.reach()
        return await sink.look(ACCOUNT, Kind.ACCESS_TOKEN)

    assert work(aim_at(path), look) == Seen(is_there=False, is_ours=False)
    assert list(tmp_path.iterdir()) == []
    path.write_text("x")
    assert work(aim_at(path), look) == Seen(is_there=True, is_ours=False)
    write(path, 2)
    assert work(aim_at(path), look) == Seen(is_there=True, is_ours=True, generation=2, written_at=NOW)
    path.write_text("x")
    assert work(aim_at(path), look).is_ours is False


# --- at every moment


def test_whoever_reads_finds_a_whole_token_at_every_moment(tmp_path: Path) -> None:
    """Never half of one, never none: it is renamed into its place."""
    path = tmp_path / "token"
    write(path, 1)
    whole = {value_of(one) for one in range(1, 301)}
    seen: list[str] = []
    is_over = Event()

    def read() -> None:
        while not is_over.is_set():
            seen.append(path.read_text())

    reader = Thread(target=read)
    reader.start()
    try:
        write(path, *range(2, 301))
    finally:
        is_over.set()
        reader.join()
    assert len(set(seen)) > 10
    assert set(seen) <= whole
    assert seen == sorted(seen)


def _spawn(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """Start Python with `code`; it has the names of this module."""
    head = f"from tests.contract.sinks.test_file import *\npath = Path({str(tmp_path / 'token')!r})\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_hubs_on_one_file_never_take_it_back_to_an_older_generation(tmp_path: Path) -> None:
    """Two processes write all generations in their own order; a reader sees them only grow."""
    code = """
        import random
        generations = list(range(1, 151))
        random.Random({seed}).shuffle(generations)
        async def writing(sink):
            return [await sink.write(entry(one)) for one in generations]
        work(aim_at(path), writing)
    """
    hubs = [_spawn(tmp_path, code.replace("{seed}", str(seed))) for seed in (1, 2)]
    seen: list[str] = []
    while any(hub.poll() is None for hub in hubs):
        if (tmp_path / "token").exists():
            seen.append((tmp_path / "token").read_text())
    assert [hub.wait() for hub in hubs] == [0, 0]
    for hub in hubs:
        hub.communicate()
    assert seen == sorted(seen)
    assert (tmp_path / "token").read_text() == value_of(150)


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("os.fsync = lambda _: os._exit(9)", value_of(1)),
        ("Path.replace = lambda *_: os._exit(9)", value_of(1)),
        ("file._write_mark = lambda *_: os._exit(9)", value_of(2)),
    ],
    ids=["before it is on disk", "before the rename", "before the mark"],
)
def test_a_crash_leaves_a_whole_file_and_the_next_write_is_as_any_other(tmp_path: Path, point: str, left: str) -> None:
    """The process is gone between two lines: no half token, no lock that stays, no stranger, nothing left behind."""
    path = tmp_path / "token"
    write(path, 1)
    crashed = _spawn(tmp_path, f"{point}\nwrite(path, 2)")
    crashed.communicate()
    assert crashed.returncode == 9
    assert path.read_text() == left
    assert write(path, 3) == Placed(Placing.WRITTEN)
    assert path.read_text() == value_of(3)
    assert {one.name for one in tmp_path.iterdir()} == {"token", ".token.zhongkong"}


def test_a_mark_that_was_cut_short_is_no_mark(tmp_path: Path) -> None:
    """Then what is found is judged by its value."""
    path = tmp_path / "token"
    write(path, 1)
    mark_of(path).write_text('{"generation": 1, "sha')
    assert write(path, 2) == Placed(Placing.WRITTEN)
    assert write(path, 2) == Placed(Placing.KEPT)


@pytest.mark.parametrize("generation", ["3", None, "x"], ids=str)
def test_a_mark_that_somebody_wrote_over_stops_no_sink(tmp_path: Path, generation: object) -> None:
    """It is read as far as it has a meaning; what has none is no mark."""
    path = tmp_path / "token"
    write(path, 2)
    mark = json.loads(mark_of(path).read_text())
    mark_of(path).write_text(json.dumps({**mark, "generation": generation}))
    assert write(path, 2).placing is (Placing.OLDER if generation == "3" else Placing.WRITTEN)
    assert path.read_text() == value_of(2)


def test_a_lock_that_was_taken_away_while_waiting_for_it_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever held it removed the account and the lock with it: a mark in a file without a name would be lost."""
    path = tmp_path / "token"
    write(path, 1)
    flock = fcntl.flock
    taken: list[int] = []

    def take_away(lock: int, how: int) -> None:
        if not taken:
            mark_of(path).unlink()
        taken.append(lock)
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", take_away)
    assert write(path, 1) == Placed(Placing.WRITTEN)
    assert len(taken) == 2
    assert write(path, 1) == Placed(Placing.KEPT)


# --- failures


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    """And taken once it is there."""
    path = tmp_path / "not" / "there" / "token"
    error = fail(path)
    assert (error.code, error.values) == ("sink_file_no_directory", {"directory": str(path.parent)})
    with pytest.raises(SinkRefused) as caught:
        work(aim_at(path), lambda sink: sink.reach())
    assert caught.value.code == "sink_file_no_directory"
    path.parent.mkdir(parents=True)
    assert write(path, 1).placing is Placing.WRITTEN


@contextmanager
def nobody() -> Iterator[None]:
    """Have no rights, also where the tests run as the one who has all."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The file in it stays as it was."""
    path = tmp_path / "token"
    write(path, 1)
    mark_of(path).unlink()
    tmp_path.chmod(0o555)
    with nobody():
        assert fail(path).code == "sink_file_forbidden"
        with pytest.raises(SinkRefused) as caught:
            work(aim_at(path), lambda sink: sink.reach())
    tmp_path.chmod(0o755)
    assert caught.value.code == "sink_file_forbidden"
    assert path.read_text() == value_of(1)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_refused_and_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe that nobody reads would hold the thread for ever."""
    make(tmp_path / "token")
    assert fail(tmp_path / "token").code == "sink_file_failing"


def test_a_full_disk_is_told_and_the_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft does not fit; what is there is still whole."""
    path = tmp_path / "token"
    write(path, 1)

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    error = fail(path)
    assert (error.code, type(error)) == ("sink_file_no_room", SinkUnavailable)
    assert path.read_text() == value_of(1)


def test_a_lock_that_somebody_keeps_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another hub that hangs must not hang this one; when it is gone, its lock is."""
    monkeypatch.setattr(file, "LOCKED_WITHIN", 0.3)
    write(tmp_path / "token", 1)
    keeper = _spawn(
        tmp_path,
        """
        with file._locked(path):
            print("locked", flush=True)
            input()
        """,
    )
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "locked\n"
    assert fail(tmp_path / "token").code == "sink_file_locked"
    keeper.kill()
    keeper.communicate()
    assert write(tmp_path / "token", 2).placing is Placing.WRITTEN


def test_a_file_system_that_hangs_holds_up_nobody_but_its_sink(tmp_path: Path) -> None:
    """Who gives up gets on with his work, the event loop's own threads stay free, and closing waits for nothing."""
    release = Event()

    async def live() -> str:
        sink = FileSink(aim_at(tmp_path / "token"))
        hanging = asyncio.create_task(sink._thread.do(release.wait))  # noqa: SLF001 (stands in for a dead mount)
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sink.write(entry(1))
        other = FileSink(aim_at(tmp_path / "other"))
        await other.write(entry(1))
        await other.close()
        await sink.close()
        told = await asyncio.to_thread(lambda: "free")
        release.set()
        await hanging
        return told

    assert asyncio.run(live()) == "free"
    assert (tmp_path / "other").read_text() == value_of(1)
    assert not (tmp_path / "token").exists()


def test_each_account_has_its_own_file(tmp_path: Path) -> None:
    """By the template of the path."""
    write(tmp_path / "{appid}.{kind}", 1)
    assert (tmp_path / f"{APPID}.access_token").read_text() == value_of(1)
