"""The two faces over the one thread: who waits, who is told what, and that nobody harms another."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.unit.client.stubs import GONE, SILENT, SOON, Stub, begin, join, threads_of_ours
from zhongkong.client import faces, thread
from zhongkong.client.faces import AsyncFace, SyncFace
from zhongkong.client.source import AsyncSource, Source
from zhongkong.client.thread import SourceClosed
from zhongkong.errors import CredentialUnavailable


@pytest.fixture
def engine() -> Stub:
    """An engine whose tokens are fresh for long."""
    return Stub()


@pytest.fixture
def source(engine: Stub) -> Iterator[SyncFace]:
    """A source for threads over it."""
    with SyncFace(engine.make, "stub") as source:
        yield source


def test_the_faces_are_what_is_promised(engine: Stub) -> None:
    """Types are checked here: a face that lacks a call is no source."""
    sync: Source = SyncFace(engine.make, "stub")
    for_coroutines: AsyncSource = AsyncFace(engine.make, "stub")
    assert repr(sync) == repr(for_coroutines) == "<zhongkong source: stub>"


# --- reading


def test_nothing_begins_before_the_first_need(engine: Stub) -> None:
    """A program that imports its settings and forks has no thread yet."""
    before = len(threads_of_ours())
    with SyncFace(engine.make, "stub") as source:
        assert (len(threads_of_ours()), engine.asked) == (before, [])
        source.access_token("wx1")
        assert len(threads_of_ours()) == before + 1
    assert len(threads_of_ours()) == before


def test_what_is_fresh_asks_nobody(source: SyncFace, engine: Stub) -> None:
    """A thousand reads, one question."""
    assert len({source.access_token("wx1") for _ in range(1000)}) == 1
    assert engine.asked == ["wx1"]


def test_the_kinds_of_one_account_are_kept_apart(source: SyncFace) -> None:
    """A ticket is no token."""
    ticket = source.credential("wx1", "jsapi_ticket")
    assert (ticket.kind, source.credential("wx1", "jsapi_ticket").value) == ("jsapi_ticket", ticket.value)
    assert source.access_token("wx1") != ticket.value


def test_what_holds_is_handed_out_while_a_newer_one_is_asked_for_once(engine: Stub) -> None:
    """Renewal never blocks a reader whose token has life, and a thousand readers cause one renewal."""
    engine.fresh_for = 0.0
    with SyncFace(engine.make, "stub") as source:
        first = source.access_token("wx1")
        engine.await_question()
        engine.gate.clear()
        assert {source.access_token("wx1") for _ in range(1000)} == {first}
        engine.await_question()
        assert {source.access_token("wx1") for _ in range(1000)} == {first}
        assert engine.asked == ["wx1", "wx1"]
        engine.gate.set()
        while source.access_token("wx1") == first:
            pass


def test_a_renewal_that_fails_disturbs_nobody(engine: Stub) -> None:
    """The token has life; what is wrong is told when it has none any more."""
    engine.fresh_for = 0.0
    with SyncFace(engine.make, "stub") as source:
        first = source.access_token("wx1")
        engine.fails_from_now_on = True
        while len(engine.asked) < 10:
            assert source.access_token("wx1") == first


def test_what_holds_no_more_is_waited_for(engine: Stub) -> None:
    """A promise that is over is not handed out."""
    engine.fresh_for = engine.holds_for = 0.0
    with SyncFace(engine.make, "stub") as source:
        assert source.access_token("wx1") != source.access_token("wx1")


def test_an_error_is_told_with_its_text(source: SyncFace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback is what a program's people see first: it says who does what, in their language."""
    for lang, word in (("zh", "连不上微信平台"), ("en", "WeChat cannot be reached")):
        monkeypatch.setenv("ZHONGKONG_LANG", lang)
        with pytest.raises(CredentialUnavailable) as caught:
            source.access_token(GONE)
        (note,) = caught.value.__notes__
        assert word in note


def test_nobody_waits_for_an_engine_that_is_stuck(engine: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait is bounded, by the face itself if need be."""
    monkeypatch.setattr(faces, "GRACE", 0.0)
    with SyncFace(engine.make, "stub", patience=0.05) as source, pytest.raises(CredentialUnavailable):
        source.access_token(SILENT)

    async def ask() -> None:
        async with AsyncFace(Stub, "stub", patience=0.05) as source:
            with pytest.raises(CredentialUnavailable):
                await source.access_token(SILENT)

    asyncio.run(ask())


def test_a_reject_returns_what_to_use_now(source: SyncFace) -> None:
    """And every later read has it too."""
    rejected = source.reject("wx1", source.access_token("wx1"))
    assert rejected.outcome == "refreshed"
    assert source.access_token("wx1") == rejected.credential.value


def test_two_hundred_threads_share_a_source(source: SyncFace) -> None:
    """All cold at once: each gets a token, and one thread serves them."""
    before = len(threads_of_ours())
    ready = threading.Barrier(200)
    got: list[str] = []

    def read() -> None:
        ready.wait(SOON)
        got.append(source.access_token("wx1"))

    join(*[begin(read) for _ in range(200)])
    assert len(got) == 200
    assert len(threads_of_ours()) == before + 1


# --- coroutines


def test_a_source_serves_loop_after_loop(engine: Stub) -> None:
    """`asyncio.run` twice, as scripts do."""
    source = AsyncFace(engine.make, "stub")
    first = asyncio.run(source.access_token("wx1"))
    assert asyncio.run(source.access_token("wx1")) == first
    assert asyncio.run(source.access_token("wx2")).startswith("wx2-")
    asyncio.run(source.aclose())


def test_a_source_serves_several_loops_at_once(engine: Stub) -> None:
    """One loop per thread, all of them waiting."""
    source = AsyncFace(engine.make, "stub")
    engine.gate.clear()
    got: list[str] = []
    readers = [begin(lambda: got.append(asyncio.run(source.access_token("wx1")))) for _ in range(8)]
    engine.await_question()
    engine.gate.set()
    join(*readers)
    assert len(got) == 8
    asyncio.run(source.aclose())


def test_who_is_cancelled_harms_nobody(engine: Stub) -> None:
    """A request that its client gave up must not take the answer from the others."""

    async def work() -> None:
        async with AsyncFace(engine.make, "stub") as source:
            engine.gate.clear()
            first, second = (asyncio.create_task(source.access_token("wx1")) for _ in range(2))
            for _ in range(2):
                await asyncio.to_thread(engine.await_question)
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            engine.gate.set()
            assert (await second).startswith("wx1-")

    asyncio.run(work(), debug=True)


def test_an_error_that_comes_for_who_was_cancelled_is_nobodys(engine: Stub, caplog: pytest.LogCaptureFixture) -> None:
    """It is not told as an exception that was never retrieved."""

    async def work() -> None:
        async with AsyncFace(engine.make, "stub") as source:
            engine.gate.clear()
            task = asyncio.create_task(source.access_token(GONE))
            await asyncio.to_thread(engine.await_question)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            engine.gate.set()
            assert await source.access_token("wx1")
            del task
            gc.collect()

    asyncio.run(work())
    assert caplog.records == []


def test_a_loop_that_ends_with_waiters_leaves_no_trace(engine: Stub, caplog: pytest.LogCaptureFixture) -> None:
    """Its answer comes too late, to nobody."""
    source = AsyncFace(engine.make, "stub")
    engine.gate.clear()
    loop = asyncio.new_event_loop()
    task = loop.create_task(source.access_token("wx1"))
    loop.run_until_complete(loop.run_in_executor(None, engine.await_question))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    engine.gate.set()
    assert asyncio.run(source.access_token("wx2")).startswith("wx2-")
    asyncio.run(source.aclose())
    assert caplog.records == []


# --- the end


def test_who_waits_when_it_is_closed_is_told(source: SyncFace, engine: Stub) -> None:
    """Not left waiting until his patience ends."""
    told: list[BaseException] = []

    def read() -> None:
        try:
            source.access_token(SILENT)
        except SourceClosed as error:
            told.append(error)

    waiting = begin(read)
    engine.await_question()
    source.close()
    join(waiting)
    assert len(told) == 1
    assert engine.ended.is_set()


def test_a_closed_source_hands_nothing_out(source: SyncFace) -> None:
    """A use after the end is a mistake of the program, and shows as one."""
    source.access_token("wx1")
    source.close()
    source.close()
    with pytest.raises(SourceClosed):
        source.access_token("wx1")
    with pytest.raises(SourceClosed):
        source.reject("wx1", "x")


def test_a_source_that_nobody_holds_ends_its_thread(engine: Stub) -> None:
    """Whoever connects for each request leaks nothing."""
    source = SyncFace(engine.make, "stub")
    source.access_token("wx1")
    del source
    gc.collect()
    assert engine.ended.wait(SOON)


def test_an_engine_that_fails_is_run_again(
    engine: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of ours is in the log, and costs no more than the renewal of that moment."""
    monkeypatch.setattr(thread, "RUN_AGAIN_AFTER", 0.0)
    engine.fails = [ValueError("planted"), ValueError("planted")]
    with caplog.at_level(logging.ERROR), SyncFace(engine.make, "stub") as source:
        assert source.access_token("wx1")
        while engine.runs < 3:
            source.access_token("wx1")
    assert len(caplog.records) == 2


def test_an_engine_that_fails_at_the_end_is_not_run_again(engine: Stub, caplog: pytest.LogCaptureFixture) -> None:
    """Else the thread would never end, and the program not for long."""

    async def run(_publish: object) -> None:
        engine.runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("planted")

    engine.run = run  # type: ignore[method-assign, assignment]
    source = SyncFace(engine.make, "stub")
    source.access_token("wx1")
    with caplog.at_level(logging.ERROR):
        source.close()
    assert (engine.runs, len(caplog.records)) == (1, 1)


def test_a_machine_without_threads_to_give_is_tried_again(engine: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the system's; the next read begins anew."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with SyncFace(engine.make, "stub") as source:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError, match="new thread"):
                source.access_token("wx1")
        assert source.access_token("wx1").startswith("wx1-")


def test_a_source_is_not_sent_to_another_process(source: SyncFace) -> None:
    """The error says what to do instead."""
    with pytest.raises(TypeError, match="connect in the other one"):
        pickle.dumps(source)
