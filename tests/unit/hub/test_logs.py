"""Lines of the log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from zhongkong.core.model import Event
from zhongkong.core.ports import KeptEvent
from zhongkong.hub.logs import configure_logging, log_event

TOKEN = "83_" + "t" * 130


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; pytest's own handlers come back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("zhongkong")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield io.StringIO()
    root.handlers[:], root.level, ours.level = handlers, level, our_level


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
    assert line["text"] == "wx1: token of generation 3 minted (stable, 7200 s)."
    assert (line["event"], line["appid"], line["values"]["generation"], line["level"]) == ("minted", "wx1", 3, "info")


def test_an_event_that_somebody_should_see_is_a_warning(stream: io.StringIO) -> None:
    """Log watchers look for levels."""
    configure_logging("json", stream)
    log_event(KeptEvent(9, 0.0, Event("contested", "wx1")), "zh")
    assert json.loads(stream.getvalue())["level"] == "warning"
