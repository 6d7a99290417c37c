"""Lines of the log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from zhongkong.core.model import Event
from zhongkong.core.ports import KeptEvent
from zhongkong.hub.logs import AccessLog, TextLines, access, configure_logging, log_event
from zhongkong.hub.telemetry import Telemetry
from zhongkong.testing.fake_clock import FakeClock

TOKEN = "83_" + "t" * 130


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; pytest's own handlers come back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("zhongkong")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    access_level = access.level
    yield io.StringIO()
    root.handlers[:], root.level, ours.level = handlers, level, our_level
    access.setLevel(access_level)


def fail() -> None:
    """Fail as a library might: with a URL in its words."""
    message = f"cannot GET /cgi-bin/user/get?access_token={TOKEN}"
    raise ValueError(message)


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_librarys_traceback_tells_where_and_not_what(stream: io.StringIO, style: str) -> None:
    """Exceptions of HTTP clients hold URLs, and URLs hold tokens."""
    configure_logging(style, stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    assert TOKEN not in stream.getvalue()
    assert "in fail" in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
def test_libraries_speak_from_warnings_on(stream: io.StringIO, style: str) -> None:
    """HTTP clients tell URLs at lower levels."""
    configure_logging(style, stream)
    logging.getLogger("httpx").info("GET /?access_token=%s", TOKEN)
    logging.getLogger("aiohttp").debug("GET /?access_token=%s", TOKEN)
    assert stream.getvalue() == ""


def test_a_message_of_several_lines_is_set_in(stream: io.StringIO) -> None:
    """Nobody can forge a line that begins like one of ours."""
    configure_logging("text", stream)
    logging.getLogger("zhongkong").warning("one\n2026-01-01T00:00:00.000Z info two")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("warning one")
    assert second.startswith("    ")


def test_an_event_is_told_in_words_and_in_fields(stream: io.StringIO) -> None:
    """People read the one, programs the other."""
    configure_logging("json", stream)
    event = Event("minted", "wx1", {"generation": 3, "mode": "stable", "life": 7200})
    log_event(KeptEvent(9, 0.0, event), "en")
    line = json.loads(stream.getvalue())
    assert line["text"] == "wx1: access_token of generation 3 minted (stable, 7200 s)."
    assert (line["event"], line["appid"], line["values"]["generation"], line["level"]) == ("minted", "wx1", 3, "info")


@pytest.mark.parametrize("event", [Event("contested", "wx1"), Event("store_moved", "", {"place": "sqlite:////x.db"})])
def test_an_event_that_somebody_should_see_is_a_warning(event: Event, stream: io.StringIO) -> None:
    """Log watchers look for levels."""
    configure_logging("json", stream)
    log_event(KeptEvent(9, 0.0, event), "zh")
    assert json.loads(stream.getvalue())["level"] == "warning"


class Counting(io.StringIO):
    """A stream that counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        """Count, and write."""
        self.writes += 1
        return super().write(text)


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.usefixtures("stream")
def test_the_requests_of_one_turn_are_written_at_once_and_in_order(style: str) -> None:
    """A hub that serves thousands a second would spend its time writing lines one by one."""
    written = Counting()
    configure_logging(style, written)
    served = AccessLog(no_app, FakeClock(), Telemetry())

    async def serve() -> None:
        for number in range(3):
            served.tell({"method": "GET", "path": f"/{number}"}, 200, 0.0)
        logging.getLogger("zhongkong.hub").error("between")
        served.tell({"method": "GET", "path": "/last"}, 200, 0.0)

    asyncio.run(serve())
    told = ["/0", "/1", "/2", "between", "/last"]
    lines = written.getvalue().splitlines()
    assert [next(one for one in told if one in line) for line in lines] == told
    assert written.writes <= 3


@pytest.mark.parametrize("requests", [True, False])
def test_requests_are_logged_if_so_wanted(stream: io.StringIO, *, requests: bool) -> None:
    """Behind a proxy with a log of its own each would stand there twice. All else is told."""
    configure_logging("text", stream, requests=requests)
    served = AccessLog(no_app, FakeClock(), Telemetry())

    async def serve() -> None:
        served.tell({"method": "GET", "path": "/one"}, 200, 0.0)

    asyncio.run(serve())
    log_event(KeptEvent(9, 0.0, Event("contested", "wx1")), "en")
    assert ("GET /one 200" in stream.getvalue()) is requests
    assert "wx1" in stream.getvalue()


@pytest.mark.usefixtures("stream")
def test_a_log_that_cannot_be_written_fails_nobody() -> None:
    """A full disk is no reason to serve nothing."""
    written = io.StringIO()
    configure_logging("text", written)
    written.close()
    logging.getLogger("zhongkong.hub").error("unseen")


@pytest.mark.parametrize(
    ("at", "text"), [(0.0, "1970-01-01T00:00:00.000Z"), (1_800_000_000.9996, "2027-01-15T08:00:00.999Z")]
)
@pytest.mark.usefixtures("stream")
def test_a_line_begins_with_the_time_in_utc(at: float, text: str) -> None:
    """To the millisecond, which is never ahead."""
    record = logging.LogRecord("zhongkong.hub", logging.INFO, "", 0, "x", (), None)
    record.created = at
    assert TextLines().format(record) == f"{text} info    x"


async def no_app(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Serve nothing."""
