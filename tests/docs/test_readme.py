"""The two READMEs say the same, and what they point at is there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs.readme import CHINESE, ENGLISH, ROOT, RUN_ELSEWHERE, Page, read_page

RUN_BY = {
    "clone": "tests/docs/test_readme_clone.py",
    "bare": "tests/packaging/test_install.py",
    "activate": "tests/packaging/test_install.py",
    **dict.fromkeys(
        [
            "account",
            "key",
            "serve",
            "read",
            "reject",
            "doctor",
            "sandbox",
            "reset",
            "python",
            "library",
            "sdk",
            "gateway",
            "callback",
            "wecom",
            "wecomkey",
        ],
        "tests/docs/test_readme_walk.py",
    ),
}
"""Which test runs the blocks with which mark."""


@pytest.fixture(name="pages")
def _pages() -> list[Page]:
    return [read_page(CHINESE), read_page(ENGLISH)]


def test_both_have_the_same_headings(pages: list[Page]) -> None:
    """Level by level: who knows his way in one finds it in the other."""
    chinese, english = ([level for level, _ in page.headings] for page in pages)
    assert chinese == english
    assert len(chinese) > 5


def test_both_have_the_same_blocks_of_code(pages: list[Page]) -> None:
    """A command that differs between them is wrong in one."""
    chinese, english = (page.blocks for page in pages)
    assert chinese == english
    assert len(chinese) > 10


def test_both_have_the_same_tables(pages: list[Page]) -> None:
    """Cell by cell the same code stands in them, in as many rows and columns."""
    chinese, english = ([[code_in(row) for row in table] for table in page.tables] for page in pages)
    assert chinese == english
    assert [len(table) for table in chinese] == [3, 10, 3, 4, 8]


def code_in(row: list[str]) -> list[list[str]]:
    """Return the code of each cell."""
    return [sorted(re.findall(r"`([^`]+)`", cell)) for cell in row]


def test_both_name_the_same_code_and_links(pages: list[Page]) -> None:
    """Also outside of tables; each links the other where itself would stand."""
    chinese, english = ((sorted(page.inline_code), sorted(page.links)) for page in pages)
    assert chinese[0] == english[0]
    assert [link for link in chinese[1] if link != ENGLISH.name] == [
        link for link in english[1] if link != CHINESE.name
    ]
    assert ENGLISH.name in chinese[1]
    assert CHINESE.name in english[1]


@pytest.mark.parametrize("path", [CHINESE, ENGLISH], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """All of them are files of this project."""
    links = read_page(path).links
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).is_file()]


def test_every_command_is_run_by_a_test(pages: list[Page]) -> None:
    """Each block of commands has a mark, and the test that the mark stands for takes that block."""
    for block in pages[0].blocks:
        if block.language == "json":
            assert json.loads(block.text)
            continue
        assert block.mark, f"no test runs\n{block.text}"
        taken = rf'block(?:\(|\.mark == )"{block.mark}"'
        assert re.search(taken, (ROOT / RUN_BY[block.mark]).read_text(encoding="utf-8"))
    assert {block.mark for block in pages[0].blocks} - {""} == set(RUN_BY)


def test_what_is_told_in_passing_is_run_by_the_test_that_is_named(pages: list[Page]) -> None:
    """What the walk does not type is in one of the two lists, and what no test can type exists all the same."""
    for place in RUN_ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for command in pages[0].inline_commands:
        if command.startswith("make "):
            assert command.split()[1] in targets
        for named in re.findall(r"\[(.+)\]", command):
            assert set(named.split(",")) <= set(extras)


def test_chinese_is_written_with_chinese_punctuation(pages: list[Page]) -> None:
    """A half-width comma between two characters is a slip of the input method."""
    prose = re.sub(r"`[^`\n]+`|\]\([^)]+\)", "", pages[0].prose)
    assert not re.findall(r"[\u4e00-\u9fff][,;:!?.]|[,;:!?][\u4e00-\u9fff]", prose)


def test_the_picture_is_a_readable_drawing_by_itself() -> None:
    """It is described for those who cannot see it, has colours for light and dark, and loads nothing."""
    text = (ROOT / "docs" / "images" / "zhongkong.svg").read_text(encoding="utf-8")
    drawing = ET.fromstring(text)  # noqa: S314 (a file of ours)
    assert drawing.find("{http://www.w3.org/2000/svg}desc") is not None
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(?:script|image|foreignObject)|@import|url\((?!#)", text)
