"""The README as its readers see it, and the marks that they do not see: `<!-- test: NAME -->` before a block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHINESE, ENGLISH = ROOT / "README.md", ROOT / "README.en.md"

RUN_ELSEWHERE = {
    "zhongkong account set wx0123456789abcdef": (
        "tests/docs/test_readme_walk.py::test_an_address_that_is_not_listed_is_named"
    ),
    "zhongkong demo --expires-in 6": (
        "tests/docs/test_readme_clone.py::test_the_demo_runs_and_what_it_offers_can_be_tried"
    ),
    "zhongkong store copy": "tests/scenario/cli/test_moving.py::test_from_a_file_to_a_server_and_back",
    "zhongkong backup": "tests/scenario/cli/test_moving.py::test_a_backup_is_restored",
    "pip install .": "tests/packaging/test_install.py::test_the_base_takes_nothing_along_and_says_what_is_missing",
    'pip install ".[local]"': (
        "tests/packaging/test_install.py::test_the_extra_local_keeps_tokens_and_takes_no_server_along"
    ),
}
"""What the README tells to type in passing, and the test that does so; the walk types the rest."""
RUN_NOWHERE = {
    "make interop": "it installs the SDKs of others from their indexes: no test may need those",
    'pip install ".[hub,postgresql]"': "no driver is among the wheels that tests install from; the extras exist",
}
"""What no test types, and why."""

_BLOCK = re.compile(
    r"(?:^<!-- test: (?P<mark>\w+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, and the test that runs it."""

    mark: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A README in its parts. `prose` is what stands outside of blocks."""

    blocks: list[Block]
    prose: str

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Every heading with its level."""
        return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", self.prose, re.MULTILINE)]

    @property
    def tables(self) -> list[list[list[str]]]:
        """Every table: its rows of cells, the heading first."""
        found = re.findall(r"(?:^\|.*\|\n)+", self.prose, re.MULTILINE)
        return [[_cells(row) for row in table.splitlines() if not row.startswith("| ---")] for table in found]

    @property
    def links(self) -> list[str]:
        """Where every link and picture leads."""
        return re.findall(r"\]\(([^)]+)\)", self.prose)

    @property
    def inline_code(self) -> list[str]:
        """What stands between backticks."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    @property
    def inline_commands(self) -> set[str]:
        """What of that is to be typed."""
        return {code for code in self.inline_code if code.startswith(("zhongkong ", "make ", "pip "))}

    def block(self, mark: str) -> Block:
        """Return the one block with this mark."""
        [found] = [block for block in self.blocks if block.mark == mark]
        return found


def read_page(path: Path) -> Page:
    """Return the parts of a README."""
    text = path.read_text(encoding="utf-8")
    blocks = [Block(found["mark"] or "", found["language"], found["text"]) for found in _BLOCK.finditer(text)]
    return Page(blocks, _BLOCK.sub("", text))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]
