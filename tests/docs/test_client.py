"""docs/client.md says what `connect` takes, and its first program runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import zhongkong
from zhongkong.client.bodies import LOOK_LONGEST, UPLOAD_LONGEST
from zhongkong.client.hub_engine import POLLS_AT_ONCE
from zhongkong.client.wire import LONGEST_PAUSE
from zhongkong.connecting import connect
from zhongkong.errors import SettingInvalid
from zhongkong.messages import codes

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    return PAGE.partition(f"# {heading}")[2].partition("\n#")[0]


@pytest.mark.parametrize(
    ("heading", "url", "unfit"),
    [
        ("参数 · Parameters", "sqlite:///wx.db", {"key": "zk_1"}),
        ("由中控保管 · From a hub", "https://hub.internal:8600", {"accounts": {}}),
    ],
)
def test_every_parameter_is_documented_and_no_other(heading: str, url: str, unfit: dict[str, Any]) -> None:
    """One that only the page knows is refused by name, and one that the page does not know nobody finds."""
    named = set(re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE))
    with pytest.raises(SettingInvalid) as refused:
        connect(url, **unfit)
    assert named - {"patience"} == set(str(refused.value.values["fit"]).split(", "))


def test_every_error_on_the_page_is_one_of_ours() -> None:
    """A program catches it by the name that it reads there."""
    names = re.findall(r"^\| `(\w+)` \|", section("出错时 · When something is wrong"), re.MULTILINE)
    assert names
    assert all(issubclass(getattr(zhongkong, name), zhongkong.ZhongkongError) for name in names)


@pytest.mark.parametrize("cause", sorted(code for code in codes() if code.startswith("trouble_hub_")))
def test_every_cause_that_is_the_hubs_is_documented(cause: str) -> None:
    """A program that tells them apart finds them here."""
    if cause != "trouble_hub_says":  # stands for what this version does not know
        assert f"`{cause.removeprefix('trouble_')}`" in section("出错时 · When something is wrong")


def test_the_limits_on_the_page_are_those_of_the_program() -> None:
    """Of what is polled, looked into, and kept for a repetition."""
    hub, calls = section("由中控保管 · From a hub"), section("调用微信接口 · Calling WeChat")
    assert f"for {POLLS_AT_ONCE} accounts at a time" in hub
    assert f"every\n  {LONGEST_PAUSE:.0f} s at most" in hub
    assert f"up to {LOOK_LONGEST // 1024} KiB" in calls
    assert f"up to {UPLOAD_LONGEST // 1024**2} MiB" in calls


def test_the_first_program_connects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three lines, of which the last one needs a platform."""
    monkeypatch.chdir(tmp_path)
    program = PAGE.partition("```python\n")[2].partition("```")[0]
    names = {"secret": "0123456789abcdef0123456789abcdef"}
    exec("\n".join(program.splitlines()[:-1]), names)  # noqa: S102 (our own page)
    assert "sqlite:///" in repr(names["source"])
    assert list(tmp_path.iterdir()) == []
