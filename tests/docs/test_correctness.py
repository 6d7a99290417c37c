"""docs/correctness.md names tests, planted bugs and faults: each must be there, or the page argues from nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.weather import (
    ACCOUNT_FAULTS,
    LINE_FAULTS,
    PLATFORM_FAULTS,
    READER_FAULTS,
    REPLICA_FAULTS,
    STORE_FAULTS,
    TICKET_FAULTS,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "correctness.md").read_text(encoding="utf-8")
FAULTS = (
    *PLATFORM_FAULTS,
    *LINE_FAULTS,
    *TICKET_FAULTS,
    *ACCOUNT_FAULTS,
    *REPLICA_FAULTS,
    *STORE_FAULTS,
    *READER_FAULTS,
)


def all_tests() -> set[str]:
    """Return the name of every test function there is."""
    found = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in found.findall(file.read_text(encoding="utf-8"))}


def test_every_test_that_the_page_names_exists() -> None:
    """A test that was renamed takes its argument with it."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named <= all_tests(), sorted(named - all_tests())


@pytest.mark.parametrize("rule", range(1, 9))
def test_every_invariant_has_its_section(rule: int) -> None:
    """The oracle reports violations by these numbers."""
    assert re.search(rf"^### {rule}\. ", PAGE, re.MULTILINE)


def test_the_page_has_every_planted_bug_and_no_other() -> None:
    """What the oracle was shown to see, as what, and nothing more."""
    table = PAGE[PAGE.index("| planted bug |") : PAGE.index("\n## 5.")]
    told = re.findall(r"^\| (.+?) \| [A-Z][A-Z, ]* \| (.+?) \|$", table, re.MULTILINE)
    assert told == [(bug.name, bug.rule) for bug in BUGS]


def test_the_faults_that_the_page_names_are_simulated() -> None:
    """Each of them by the name that the simulation prints."""
    simulated = [line for line in PAGE.split("\n\n") if line.startswith("**Simulated.**")]
    named = {name for line in simulated for name in re.findall(r"`([a-z_]+)`", line)}
    assert len(named) > 15
    assert named <= set(FAULTS), sorted(named - set(FAULTS))


def test_files_that_the_page_names_exist() -> None:
    """Where to read on."""
    for name in re.findall(r"`((?:core|keeper)/\w+\.py)`", PAGE):
        assert (ROOT / "src" / "zhongkong" / name).is_file(), name
    for name in re.findall(r"\((decisions/[\w.-]+)\)", PAGE):
        assert (ROOT / "docs" / name).is_file(), name
