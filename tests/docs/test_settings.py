"""docs/settings.md and the table of settings say the same."""

from __future__ import annotations

from pathlib import Path

from zhongkong.messages import render
from zhongkong.settings import Setting, table

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else "–"
    help_zh, help_en = (render(f"setting_help_{setting.field}", lang) for lang in ("zh", "en"))
    unit = f" ({setting.unit})" if setting.unit else ""
    return f"| `{setting.name}`{unit} | `{setting.variable}` | {default} | {help_zh}<br>{help_en} |"


def test_every_setting_is_documented_as_it_is_and_no_other() -> None:
    """A setting that nobody can look up does not exist, and one that is only documented is a trap."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [_row(setting) for setting in table()]
