"""docs/callback.md says what the callback does: commands, steps, figures, events."""

from __future__ import annotations

import re
from pathlib import Path

import click

from zhongkong.cli.program import program
from zhongkong.core.callbacks import PUSHES_KEPT, WINDOW
from zhongkong.hub.callback.checking import Step
from zhongkong.hub.callback.delivering import LISTENER_WITHIN, TRIES
from zhongkong.hub.callback.room import ANSWER_TAKES, ANSWER_WITHIN
from zhongkong.messages import codes
from zhongkong.wechat.pushes import LONGEST

PAGE = (Path(__file__).parents[2] / "docs" / "callback.md").read_text(encoding="utf-8")


def test_the_commands_and_options_are_there() -> None:
    """They are copied."""
    account, callback = program.commands["account"], program.commands["callback"]
    assert isinstance(account, click.Group)
    assert isinstance(callback, click.Group)
    known = {name for one in account.commands["set"].params for name in one.opts}
    assert set(re.findall(r"(?<![-|] )(--[a-z][a-z-]+)", PAGE)) <= known
    assert set(re.findall(r"zhongkong callback (\w+)", PAGE)) <= set(callback.commands)


def test_every_step_of_a_refusal_is_told_and_no_other() -> None:
    """In the order in which they are looked at, they stand in the log."""
    section = PAGE.partition("## 什么会被拒绝")[2].partition("## 转发")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [step.value for step in Step]


def test_every_finding_of_verify_is_told_and_no_other() -> None:
    """Each has its words in the catalogue."""
    section = PAGE.partition("## 从外面检查")[2].partition("## 什么会被拒绝")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    findings = {code.removeprefix("verify_") for code in codes() if code.startswith("verify_")}
    assert told == findings - {"well", "file_name", "file_body", "file_taken"}


def test_the_figures_are_those_that_hold() -> None:
    """In both languages."""
    assert f"超过 {WINDOW:.0f} 秒" in PAGE
    assert f"more than {WINDOW:.0f} s" in PAGE
    assert f"{LONGEST} 字节" in PAGE
    assert f"{LONGEST:,} bytes" in PAGE
    assert f"有 {ANSWER_WITHIN - ANSWER_TAKES:.1f} 秒" in PAGE
    assert f"has {ANSWER_WITHIN - ANSWER_TAKES:.1f} s" in PAGE
    assert f"每次有 {LISTENER_WITHIN:.0f} 秒，最多试 {TRIES} 次" in PAGE
    assert f"{LISTENER_WITHIN:.0f} s a try and up to {TRIES} tries" in PAGE
    assert f"记 {PUSHES_KEPT / 60:.0f} 分钟" in PAGE
    assert f"for {PUSHES_KEPT / 60:.0f} minutes" in PAGE


def test_the_events_of_the_page_are_events() -> None:
    """People search the log for them."""
    named = set(re.findall(r"`(push_\w+)`", PAGE))
    assert named == {code.removeprefix("event_") for code in codes() if code.startswith("event_push_")}
