"""docs/cli.md and the command line say the same: commands, arguments, options, exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from zhongkong.cli.exits import Exit
from zhongkong.cli.program import program
from zhongkong.demo import Stage
from zhongkong.messages import LANGUAGES, Language, render

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMON = ("--json", "--config", "--data-dir", "--lang", "--help", "--version")


def _told(code: str) -> str:
    return "<br>".join(render(code, lang).replace("\n\n", " " if lang == "en" else "") for lang in LANGUAGES)


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"| {names} | {_told(option.help or '')} |"


def _section(path: str, command: click.Command) -> list[str]:
    arguments = [one.human_readable_name for one in command.params if isinstance(one, click.Argument)]
    options = [one for one in command.params if isinstance(one, click.Option) and one.opts[0] not in COMMON]
    table = ["", "| 选项 · option | 用途 · what for |", "| --- | --- |", *map(_option, options)] if options else []
    return [f"### `{' '.join([path, *arguments])}`", "", _told(command.help or ""), *table, ""]


def build_reference() -> str:
    """Return the part of the page that is the command line's own."""
    lines = [line for path, command in _commands(program, "zhongkong") for line in _section(path, command)]
    return "\n".join(lines)


def test_every_command_and_option_is_documented_as_it_is() -> None:
    """A page that is nearly right is believed."""
    _, _, reference = PAGE.read_text(encoding="utf-8").partition("## 命令 · Commands\n\n")
    assert reference == build_reference()


def test_every_common_option_is_documented() -> None:
    """They are told once, above."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition("## 命令 · Commands\n\n")
    assert set(re.findall(r"^\| `(--[a-z-]+)`", head, re.MULTILINE)) == set(COMMON)
    for name in ("json", "config"):
        assert _told(f"cli_option_{name}") in head


def test_the_demos_first_line_is_documented_as_it_is() -> None:
    """Tests of other programs read it; its help says how many accounts and keys there are."""
    names = [field.name for field in fields(Stage)]
    section = PAGE.read_text(encoding="utf-8").partition("The demo's first line\n\n")[2].partition("\n## ")[0]
    for told in section.split("\n\n")[:2]:
        assert re.findall(r"`(\w+)`", told) == names
    words: dict[Language, tuple[str, str]] = {"zh": ("企业微信", "两把 key"), "en": ("WeCom", "two keys")}
    for lang, wanted in words.items():
        assert all(word in render("cli_help_demo", lang) for word in wanted)


def test_every_exit_code_is_documented_and_no_other() -> None:
    """Scripts are written by this table."""
    rows = re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == sorted(Exit)
