"""docs/chaos.md names what goes wrong: each of it is played, and nothing that is played is left out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chaos.evidence import PLATFORM, PROCESS, STORE

PAGE = (Path(__file__).parents[2] / "docs" / "chaos.md").read_text(encoding="utf-8")


def test_every_fault_is_on_the_page_and_every_one_there_is_played() -> None:
    """A fault that nobody knows of excuses nothing, and one that nobody plays proves nothing."""
    section = PAGE.partition("## What goes wrong")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == PROCESS | STORE | PLATFORM
