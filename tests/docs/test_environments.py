"""docs/environments.md shows commands and settings that work, and a picture that stands alone."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree.ElementTree import fromstring

import click
import pytest

from zhongkong.cli.program import program
from zhongkong.core.model import Mode
from zhongkong.core.retry import PERSON_STATES
from zhongkong.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "environments.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("zhongkong ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_is_understood(line: str) -> None:
    """Down to its options: whoever copies it must not be sent to --help."""
    words = shlex.split(line)[1:]
    command: click.Command = program
    context: click.Context | None = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    command.parse_args(click.Context(command, parent=context), words)


def test_the_account_that_is_shown_is_one_that_follows(tmp_path: Path) -> None:
    """As the settings read it."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "zhongkong.toml"
    file.write_text(block, encoding="utf-8")
    (declared,) = load_settings(file).declarations
    assert declared.account.mode is Mode.FOLLOW
    assert declared.account.base_url == "https://hub.internal:8600"


def test_every_state_that_a_leader_can_bring_about_is_told_of() -> None:
    """A person looks them up."""
    states = {"leader_away", "leader_unwell"} | {state for state in PERSON_STATES if state.startswith("leader_")}
    assert states <= set(re.findall(r"`(leader_\w+)`", PAGE))


def test_the_picture_stands_alone_and_is_described() -> None:
    """It is shown by whatever shows the page: no script, nothing loaded, words for who cannot see it."""
    (name,) = re.findall(r"!\[.+\]\((images/\S+)\)", PAGE)
    text = (DOCS / name).read_text(encoding="utf-8")
    drawing = fromstring(text)  # noqa: S314 (our own file)
    assert len(drawing.findtext("{http://www.w3.org/2000/svg}desc") or "") > 100
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(?:script|image|foreignObject)|@import|url\((?!#)", text)
