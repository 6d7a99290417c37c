"""docs/sdk: every page has its parts, in both languages alike; the lines on it are those that `make interop` runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.docs.readme import Page, read_page
from tests.interop.sdks import SDK, SDKS
from zhongkong.cli.program import program

FOLDER = Path(__file__).parents[2] / "docs" / "sdk"
INDEX = FOLDER / "README.md"
PAGES = sorted(set(FOLDER.glob("*.md")) - {INDEX})
EVERY = [INDEX, *PAGES]
LINES = "改这几行 · The lines to change"
HEADINGS = [LINES, "令牌 · Tokens", "出错时 · When something is wrong", "留心 · What to watch out for"]
NOT_RUN = "未在此运行 · not run here"
RUN = "`make interop`"
MOST_LINES = 12
"""Of code that a user writes, blank ones aside."""


def by_name(path: Path) -> str:
    """Return the name of a page."""
    return path.stem


def sections(page: Page) -> dict[str, str]:
    """Return the prose under each heading, what stands above the first by the name of the page."""
    parts = re.split(r"^#+ (.+)$", page.prose, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows() -> dict[str, list[str]]:
    """Return the rows of the index by the page that each links."""
    [table] = read_page(INDEX).tables
    return {re.findall(r"\((.+)\.md\)", row[0])[0]: row for row in table[1:]}


def lines(path: Path) -> str:
    """Return the first block of code under the heading of the lines to change."""
    found = re.search(rf"^## {LINES}$.*?^```\w+\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_every_page_has_the_same_parts(path: Path) -> None:
    """Who knows one knows where to look in another."""
    page = read_page(path)
    assert [text for level, text in page.headings if level == 2] == HEADINGS
    assert 0 < len([line for line in lines(path).splitlines() if line.strip()]) <= MOST_LINES
    assert all(block.language for block in page.blocks)


@pytest.mark.parametrize("path", EVERY, ids=by_name)
def test_both_languages_name_the_same_code_and_links(path: Path) -> None:
    """Blocks of code stand there once, for both; what stands in the prose of one must stand in the other's."""
    for heading, prose in sections(read_page(path)).items():
        paragraphs = re.split(r"\n{2,}", re.sub(r"^\|.*\n|^<!--.*\n", "", prose, flags=re.MULTILINE).strip())
        told: dict[bool, list[str]] = {True: [], False: []}
        for paragraph in filter(None, paragraphs):
            is_chinese = re.search(r"[\u4e00-\u9fff]", re.sub(r"`[^`]+`", "", paragraph)) is not None
            told[is_chinese].append(paragraph)
        chinese, english = (sorted(named("\n".join(told[is_chinese]))) for is_chinese in (True, False))
        assert told[True], heading
        assert told[False], heading
        assert chinese == english, heading


def named(text: str) -> set[str]:
    """Return the code and the links' targets in a text."""
    return {*re.findall(r"`([^`]+)`", text), *re.findall(r"\]\(([^)]+)\)", text)}


def test_the_index_lists_every_page_and_says_whether_it_is_run() -> None:
    """What was only read must not look like what was tried."""
    assert sorted(rows()) == sorted(path.stem for path in PAGES)
    run = {sdk.name for sdk in SDKS}
    for name, row in rows().items():
        assert row[-1] == (RUN if name in run else NOT_RUN)
        opening = read_page(FOLDER / f"{name}.md").prose.split("\n\n")[1]
        assert opening.startswith(NOT_RUN) == (name not in run)
        assert (RUN in opening) == (name in run)


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_the_lines_on_a_page_are_those_that_are_run(sdk: SDK) -> None:
    """Letter by letter, with the version that they were run with."""
    path = FOLDER / f"{sdk.name}.md"
    assert lines(path).strip().splitlines() == sdk.lines
    assert f"取自 {sdk.version}。" in path.read_text("utf-8")
    assert f"Taken from {sdk.version}." in path.read_text("utf-8")
    assert rows()[sdk.name][2] == sdk.version


@pytest.mark.parametrize("path", EVERY, ids=by_name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """All of them are files of this project."""
    assert not [link for link in read_page(path).links if not (FOLDER / link).is_file()]


def test_the_commands_of_the_index_are_commands() -> None:
    """With these arguments and options."""
    [block] = [block for block in read_page(INDEX).blocks if block.language == "sh"]
    for line in block.text.splitlines():
        _, *words = shlex.split(line)
        command: click.Command = program
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.make_context(line, words)


@pytest.mark.parametrize("path", EVERY, ids=by_name)
def test_chinese_is_written_with_chinese_punctuation(path: Path) -> None:
    """A half-width comma between two characters is a slip of the input method."""
    prose = re.sub(r"`[^`\n]+`|\]\([^)]+\)", "", read_page(path).prose)
    assert not re.findall(r"[\u4e00-\u9fff][,;:!?.]|[,;:!?][\u4e00-\u9fff]", prose)
