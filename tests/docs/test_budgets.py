"""The table of docs/decisions/0015 is what the rules give, and no outage ends at nothing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.budgets import table

PAGE = Path(__file__).parents[2] / "docs" / "decisions" / "0015-a-budget-that-lasts.md"


def test_the_table_is_what_the_rules_give() -> None:
    """`python -m tests.docs.budgets` prints it; a figure that was changed in the code is argued anew on the page."""
    lines = list(table())
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8")
    tries = [int(found) for line in lines[2:] for found in re.findall(r"\| (\d+) /", line)]
    assert len(tries) == 3 * len(lines[2:])
    assert min(tries) > 0
