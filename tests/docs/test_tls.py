"""docs/tls.md says what the CA and the TLS port do: names, files, spans, commands."""

from __future__ import annotations

import re
from pathlib import Path

import click

from zhongkong.adapters.certificates import (
    CA_FILE,
    CA_KEY_FILE,
    CA_LIFE,
    CERTIFICATE_LIFE,
    ENDS_SOON,
    NAMES,
    TLS_FILE,
)
from zhongkong.cli.program import program
from zhongkong.settings import table

PAGE = (Path(__file__).parents[2] / "docs" / "tls.md").read_text(encoding="utf-8")


def test_the_names_are_those_of_the_certificate() -> None:
    """Whoever reads which names it can stand in for must not be told fewer."""
    listed = PAGE.partition("域名 · the names：")[2].partition("##")[0]
    assert re.findall(r"`([a-z0-9.]+)`", listed) == list(NAMES)


def test_the_files_are_those_that_are_written() -> None:
    """And no other."""
    section = PAGE.partition("## 文件")[2]
    assert re.findall(r"^\| `([a-z.-]+)` \|", section, re.MULTILINE) == [CA_FILE, CA_KEY_FILE, TLS_FILE]


def test_the_spans_are_those_that_hold() -> None:
    """Days of the certificate, of the warning, years of the CA, in both languages."""
    assert f"{CERTIFICATE_LIFE.days} 天" in PAGE
    assert f"{CERTIFICATE_LIFE.days} days" in PAGE
    assert f"最后 {ENDS_SOON.days} 天" in PAGE
    assert f"last {ENDS_SOON.days}" in PAGE
    assert f"有效 {CA_LIFE.days // 365} 年" in PAGE
    assert f"good for {CA_LIFE.days // 365} years" in PAGE


def test_the_commands_and_the_port_are_there() -> None:
    """They are copied."""
    ca = program.commands["ca"]
    assert isinstance(ca, click.Group)
    assert set(re.findall(r"zhongkong ca (\w+)", PAGE)) == set(ca.commands)
    (setting,) = (one for one in table() if one.field == "tls_port")
    assert f"`tls_port = {setting.bare}`" in PAGE
    assert setting.flag in PAGE


def test_the_risk_stands_before_the_first_command() -> None:
    """Nobody scrolls back."""
    assert PAGE.index("最后的办法") < PAGE.index("last resort") < PAGE.index("```")
