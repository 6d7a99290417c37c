"""zhongkong events: what happened, for people and for programs."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.scenario.cli.house import Terminal, end, started


def test_events_tell_in_words_what_happened(terminal: Terminal, shop: str) -> None:
    """Somebody asks "since when, and by whom"."""
    shown = terminal.type("events").stdout
    assert f"{shop}: account added (stable) by terminal." in shown
    assert "generation 1 minted" in shown


def test_events_are_json_lines_for_programs(terminal: Terminal, shop: str) -> None:
    """One object a line, so that they can be followed."""
    lines = [json.loads(line) for line in terminal.type("events", "--json").stdout.splitlines()]
    assert [line["code"] for line in lines] == ["account_added", "minted"]
    (last,) = [json.loads(line) for line in terminal.type("events", "--json", "--limit", "1").stdout.splitlines()]
    assert last == lines[-1]
    assert not terminal.type("events", "--after", str(last["id"])).stdout
    assert not terminal.type("events", "--appid", "wx0000").stdout
    assert shop in terminal.type("events", "--appid", shop).stdout


def test_events_are_followed_until_ctrl_c_which_is_quiet(terminal: Terminal, home: Path) -> None:
    """What happens next is seen while it happens."""
    made = terminal.read("key", "create", "first", "--appid", "*", shows=True)
    with started("events", "--follow", "--json", home=home) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["values"]["key"] == made["id"]
        terminal.type("key", "revoke", made["id"], "--yes")
        assert json.loads(following.stdout.readline())["code"] == "key_revoked"
        code, said, complained = end(following, signal.SIGINT)
        assert (code, said, complained.strip()) == (130, "", "")
