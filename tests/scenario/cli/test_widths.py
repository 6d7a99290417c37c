"""What is told at a terminal fits it, and is all there: however narrow it is, nothing is cut."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from tests.scenario.cli.house import Terminal

NOBODY = "http://127.0.0.1:1"
WIDTHS = (40, 80, 120)
TWO = ("ww0123456789abcdef:sales-1", "ww0123456789abcdef:sales-2")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(params=WIDTHS)
def columns(request: pytest.FixtureRequest, home: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """How wide the terminal is that tables are drawn for."""
    assert home
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as tables are concerned
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def _shown(terminal: Terminal, *words: str, code: int = 0) -> str:
    return _ESCAPES.sub("", terminal.type(*words, code=code).stdout)


def _squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_doctor_drops_no_word(terminal: Terminal, columns: int, lang: str) -> None:
    """The end of an advice is what to do."""
    told = terminal.read("doctor", "--lang", lang, "--hub", NOBODY, code=1)["findings"]
    told += terminal.read("doctor", "--lang", lang, code=1)["findings"]
    shown = _shown(terminal, "doctor", "--lang", lang, "--hub", NOBODY, code=1)
    shown += _shown(terminal, "doctor", "--lang", lang, code=1)
    assert "…" not in shown
    words = _squeezed(shown)
    for finding in told:
        assert all(_squeezed(word) in words for word in finding["text"].split()), (columns, finding["text"])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_identifier_is_shown_whole(terminal: Terminal, columns: int, lang: str) -> None:
    """Two that are cut look the same."""
    made = []
    for appid in TWO:
        add = ("account", "add", appid, "--kind", "wecom", "--base-url", NOBODY)
        terminal.type(*add, "--name", "a name for people", stdin="0" * 43, code=5)
        create = ("key", "create", "shop", "--appid", appid, "--from", "192.168.100.0/24", "--from", "10.0.0.0/8")
        made.append(terminal.read(*create, shows=True)["id"])
    accounts = _shown(terminal, "account", "list", "--lang", lang)
    keys = _shown(terminal, "key", "list", "--lang", lang)
    for appid in TWO:
        assert appid in accounts
        assert appid in keys
    for key_id in made:
        assert key_id in keys
    assert all(cell_len(line) <= columns for line in keys.splitlines())


def test_without_a_terminal_a_row_is_a_line(terminal: Terminal) -> None:
    """`grep` and `awk` read along."""
    many = [word for number in range(30) for word in ("--appid", f"wx{number:016}")]
    made = terminal.read("key", "create", "shop", *many, shows=True)
    line = next(line for line in terminal.type("key", "list").stdout.splitlines() if made["id"] in line)
    assert all(appid in line for appid in many[1::2])
