"""A source across forks, in child processes, and at the interpreter's end: whole programs, with warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.client.stubs import SOON

ROOT = Path(__file__).parents[3]
BEGIN = """
import asyncio, gc, multiprocessing, os, sys, threading
from tests.unit.client.stubs import SILENT, Stub, threads_of_ours
from zhongkong.client.faces import AsyncFace, SyncFace
engine = Stub()
source = SyncFace(engine.make, "stub")
"""
WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
"""From 3.12 on Python warns of a fork beside threads; that is what is tested here."""
has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def run(program: str, *, before: str = "") -> list[str]:
    """Run a program to its end, which must be good and silent; return the lines it wrote."""
    command = [sys.executable, *WARNINGS, "-c", before + BEGIN + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


# --- forks

FORK = """
parents = source.access_token("wx1")
child = os.fork()
if not child:
    print(source.access_token("wx1") == parents, source.access_token("wx2") == f"wx2-{os.getpid()}-2", flush=True)
    sys.exit()
print(os.waitpid(child, 0)[1], flush=True)
print(source.access_token("wx3") == f"wx3-{os.getpid()}-2")
"""


@has_fork
def test_a_child_keeps_what_was_held_and_asks_by_itself() -> None:
    """A thread does not cross a fork; what it knew does, and the parent's goes on."""
    assert run(FORK) == ["True True", "0", "True"]


@has_fork
def test_a_system_that_tells_nobody_of_forks_is_met_by_process_id() -> None:
    """The hook may be missing, or passed over by whoever forks."""
    before = "import asyncio, concurrent.futures.thread, logging, os, random; del os.register_at_fork\n"
    assert run(FORK, before=before) == ["True True", "0", "True"]


@has_fork
def test_children_forked_while_the_thread_is_busy_are_free() -> None:
    """A server that forks its workers after it read a token: whatever was under way is the parent's."""
    lines = run("""
engine.gate.clear()
waiting = threading.Thread(target=lambda: print(source.access_token("wx1").startswith("wx1-")))
waiting.start()
engine.await_question()
children = []
for _ in range(20):
    child = os.fork()
    if not child:
        engine.gate = threading.Event()
        engine.gate.set()
        ok = source.access_token("wx1").split("-")[1] == str(os.getpid()) and len(threads_of_ours()) == 1
        source.close()
        os._exit(0 if ok else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children] == [0] * 20, flush=True)
engine.gate.set()
waiting.join()
""")
    assert lines == ["True", "True"]


@has_fork
def test_a_child_forked_while_a_lock_was_held_waits_for_nobody() -> None:
    """Who held it does not exist in the child."""
    lines = run("""
source.access_token("wx1")
life = source._thread._lives[os.getpid()]
life._lock.acquire()
child = os.fork()
if not child:
    print(source.access_token("wx2").startswith("wx2-"), flush=True)
    source.close()
    os._exit(0)
print(os.waitpid(child, 0)[1])
life._lock.release()
""")
    assert lines == ["True", "0"]


INSIDE = """
taken, inside, go = threading.Lock(), threading.Event(), threading.Event()
answer = engine.credential
async def step(appid, kind, patience):
    with taken:
        inside.set()
        go.wait()
    return await answer(appid, kind, patience)
engine.credential = step
reading = threading.Thread(target=source.access_token, args=["wx1"], daemon=True)
reading.start()
inside.wait()
"""


@has_fork
def test_a_fork_waits_until_the_thread_is_inside_nothing() -> None:
    """An import, OpenSSL, a log: the child would find their locks taken by nobody."""
    lines = run(f"""{INSIDE}
threading.Timer(0.05, go.set).start()
child = os.fork()
if not child:
    print(go.is_set(), taken.acquire(timeout=1), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(len(threads_of_ours()), taken.acquire(timeout=1))
""")
    assert lines == ["True True", "1 True"]


@has_fork
def test_a_fork_does_not_wait_for_ever() -> None:
    """Whatever goes on in there: a server that cannot fork is worse."""
    lines = run(f"""{INSIDE}
from zhongkong.client import thread
thread.FORK_WAITS = 0.05
child = os.fork()
if not child:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go.set()
reading.join()
""")
    assert lines == ["7"]


@has_fork
def test_a_child_that_ends_does_not_end_its_parents_thread() -> None:
    """To close what was inherited would reach into the parent's selector: then its next question would never leave."""
    lines = run("""
source.access_token("wx1")
for _ in range(5):
    child = os.fork()
    if not child:
        source.close()
        del source, engine
        gc.collect()
        sys.exit()
    os.waitpid(child, 0)
print(all(source.access_token(f"wx{number}") for number in range(100)))
""")
    assert lines == ["True"]


@has_fork
def test_grandchildren_are_processes_like_any_other() -> None:
    """A worker may fork too."""
    lines = run("""
def descend(depth):
    print(source.access_token(f"wx{depth}").split("-")[1] == str(os.getpid()), flush=True)
    if depth < 3:
        child = os.fork()
        if not child:
            descend(depth + 1)
            sys.exit()
        os.waitpid(child, 0)

descend(0)
""")
    assert lines == ["True"] * 4


@has_fork
def test_coroutines_in_a_forked_child_are_served() -> None:
    """Also when the parent's coroutines were served before."""
    lines = run("""
awaited = AsyncFace(Stub, "stub")
print(asyncio.run(awaited.access_token("wx1")).startswith("wx1-"), flush=True)
child = os.fork()
if not child:
    print(asyncio.run(awaited.access_token("wx2")).startswith("wx2-"), flush=True)
    sys.exit()
os.waitpid(child, 0)
print(asyncio.run(awaited.access_token("wx3")).startswith("wx3-"))
""")
    assert lines == ["True"] * 3


POOL = """
import multiprocessing
from tests.unit.client.stubs import Stub
from zhongkong.client.faces import SyncFace

source = SyncFace(Stub, "stub")

def read(number):
    return source.access_token(f"wx{number % 7}").partition("-")[0]

if __name__ == "__main__":
    source.access_token("wx0")
    context = multiprocessing.get_context("METHOD")
    with context.Pool(4) as pool:
        print(set(pool.map(read, range(200))) == {f"wx{number}" for number in range(7)})
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_workers_of_a_pool_read_what_their_module_connected(method: str, tmp_path: Path) -> None:
    """Each of them with a thread of its own, however it was begun."""
    import multiprocessing  # noqa: PLC0415 (its methods differ by system)

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {method}")
    program = tmp_path / "program.py"
    program.write_text(POOL.replace("METHOD", method), encoding="utf-8")
    command = [sys.executable, *WARNINGS, str(program)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SOON * 2, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


# --- the interpreter's end


def test_a_program_that_closes_nothing_ends_by_itself() -> None:
    """Most scripts."""
    assert run("print(source.access_token('wx1').startswith('wx1-'))") == ["True"]


def test_the_engine_gets_to_end_what_is_under_way() -> None:
    """A credential that is on its way when the program ends is saved all the same."""
    assert run("""
import atexit
atexit.register(lambda: print("goodbye"))
async def last(publish):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("saved")
engine.run = last
source.access_token("wx1")
""") == ["goodbye", "saved"]


@pytest.mark.parametrize("ending", ["", "sys.exit()", "del source; gc.collect()"])
def test_a_program_may_end_with_daemon_threads_waiting(ending: str) -> None:
    """They end with it: no traceback, no hang."""
    lines = run(f"""
for _ in range(8):
    threading.Thread(target=source.access_token, args=[SILENT], daemon=True).start()
    engine.await_question()
print("over", flush=True)
{ending}
""")
    assert lines == ["over"]


def test_a_program_may_end_with_a_loop_in_a_daemon_thread_waiting() -> None:
    """The same for coroutines."""
    lines = run("""
awaited = AsyncFace(engine.make, "stub")
threading.Thread(target=lambda: asyncio.run(awaited.access_token(SILENT)), daemon=True).start()
engine.await_question()
print("over", flush=True)
""")
    assert lines == ["over"]


def test_a_name_server_that_is_silent_does_not_hold_up_the_end() -> None:
    """Names are looked up in threads, and nobody waits for those."""
    lines = run("""
looking = threading.Event()
async def look_up(appid, kind, patience):
    def silent():
        looking.set()
        threading.Event().wait()
    await asyncio.get_running_loop().run_in_executor(None, silent)
engine.credential = look_up
threading.Thread(target=source.access_token, args=["wx1"], daemon=True).start()
looking.wait()
print("over", flush=True)
""")
    assert lines == ["over"]


def test_what_is_read_while_the_interpreter_ends_is_answered_or_refused() -> None:
    """Somebody's own farewell may want a token; it must neither hang nor crash."""
    lines = run("""
import atexit
def farewell():
    print(source.access_token("wx1").startswith("wx1-"), flush=True)
source.access_token("wx1")
atexit.register(farewell)
""")
    assert lines == ["True"]
    late = run(
        "",
        before="""
import atexit
def farewell():
    try:
        print(source.access_token("wx1")[:4])
    except RuntimeError:
        print("no more threads")
atexit.register(farewell)
""",
    )
    assert late in (["wx1-"], ["no more threads"])  # as the version of Python has it


@pytest.mark.skipif(sys.platform == "win32", reason="there os.kill ends a process")
def test_a_signal_may_close_a_source_that_is_just_being_begun() -> None:
    """A server is told to end at its first request: the handler runs in the thread that it interrupts."""
    lines = run("""
import signal
from zhongkong.client.thread import SourceClosed
begin = threading.Thread.start
def begin_interrupted(thread):
    signal.raise_signal(signal.SIGTERM)
    begin(thread)
    interrupted.append(thread)
interrupted = []
signal.signal(signal.SIGTERM, lambda *_: source.close())
threading.Thread.start = begin_interrupted
try:
    source.access_token("wx1")
except SourceClosed:
    print("closed")
interrupted[0].join(5)
print(threads_of_ours())
""")
    assert lines == ["closed", "[]"]


def test_a_question_put_while_the_thread_takes_its_last_step_is_refused_not_forgotten() -> None:
    """Between the loop's last turn and its end nothing takes questions up any more."""
    lines = run("""
from zhongkong.client.thread import SourceClosed
source.access_token("wx1")
life, = source._thread._lives.values()
close, told = life._loop.close, []
async def question(engine):
    raise AssertionError("nobody takes it up")
def close_late():
    life.ask(question, lambda *answer: told.append(answer))
    close()
life._loop.close = close_late
source.close()
life.ask(question, lambda *answer: told.append(answer))
print([(value, type(error) is SourceClosed) for value, error in told])
""")
    assert lines == ["[(None, True), (None, True)]"]


@pytest.mark.skipif(sys.platform == "win32", reason="there os.kill ends a process")
def test_a_program_that_is_interrupted_while_it_waits_ends_at_once() -> None:
    """Ctrl-C in a script: the wait ends with KeyboardInterrupt, as every wait does."""
    lines = run("""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # who was begun in the background may have it ignored
patient = SyncFace(engine.make, "stub", patience=600)
def interrupt():
    engine.await_question()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    patient.access_token(SILENT)
except KeyboardInterrupt:
    print("interrupted")
""")
    assert lines == ["interrupted"]
