"""docs/sinks.md says what the sinks do: settings, layouts, the posted JSON, and a verification that verifies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sinks.entries import ACCOUNT, APPID, NOW, entry
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.sinks.webhook import build_body, sign
from zhongkong.core.model import Account, AccountKind, Kind, Secret
from zhongkong.core.sinks import LAYOUTS, Form
from zhongkong.settings import SINK_SETTINGS, load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text(encoding="utf-8")
SECRET = Secret("a key for signing")


def blocks(language: str) -> list[str]:
    """Return the blocks of code in that language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, cell by cell."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "---" not in line]


def test_every_setting_of_a_sink_is_documented_and_no_other() -> None:
    """A setting that nobody can look up does not exist."""
    assert {row[0].strip("`") for row in rows("设置")} == SINK_SETTINGS


def test_the_settings_shown_can_be_used(tmp_path: Path) -> None:
    """They are copied."""
    file = tmp_path / "zhongkong.toml"
    file.write_text(blocks("toml")[0], encoding="utf-8")
    assert [one.aim.name for one in load_settings(file).sinks] == ["redis", "file", "webhook"]


@pytest.mark.parametrize("row", rows("现成的布局"), ids=lambda row: row[0])
def test_the_table_of_layouts_is_what_is_written(row: list[str]) -> None:
    """Key and form, for both kinds of account."""
    name, _, official, mini, form = (cell.strip("`") for cell in row)
    layout = LAYOUTS[name]
    for kind, shown in ((AccountKind.OFFICIAL, official), (AccountKind.MINIPROGRAM, mini)):
        place = layout.show(Account(APPID, kind, Secret("")), Kind.ACCESS_TOKEN).replace(APPID, "<appid>")
        assert re.sub(r"[0-9a-f]{32}", "<md5>", place) == shown
    assert layout.form == form


def test_no_layout_and_no_form_is_missing() -> None:
    """What is not on the page is found by nobody."""
    assert [row[0].strip("`") for row in rows("现成的布局")] == list(LAYOUTS)
    assert all(f"`{form}`" in PAGE for form in Form)


def test_the_json_shown_is_what_is_posted() -> None:
    """Members, types, order."""
    shown = json.loads(blocks("json")[0])
    posted = json.loads(build_body(entry(3)))
    assert list(shown) == list(posted)
    assert {key: type(value) for key, value in shown.items()} == {key: type(value) for key, value in posted.items()}
    assert (shown["expires_at"], ACCOUNT.appid) == (NOW + 7000, shown["appid"])


def test_the_verification_shown_takes_what_we_sign_and_nothing_else() -> None:
    """Another key, another body, another or an old timestamp are refused."""
    named: dict[str, Any] = {}
    exec(blocks("python")[0], named)  # noqa: S102 (the page's own code is what is tried)
    verify, body, now = named["verify"], build_body(entry(3)), int(MachineClock().wall())
    headers = sign(SECRET, now, body)
    assert verify(SECRET.reveal(), headers, body) is True
    assert verify("another key", headers, body) is False
    assert verify(SECRET.reveal(), headers, body + b" ") is False
    assert verify(SECRET.reveal(), {**headers, "Zhongkong-Timestamp": str(now + 1)}, body) is False
    assert verify(SECRET.reveal(), sign(SECRET, now - 400, body), body) is False
