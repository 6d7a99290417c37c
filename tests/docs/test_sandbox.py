"""docs/sandbox.md and the sandbox say the same."""

import json
import re
from dataclasses import fields
from pathlib import Path

from starlette.routing import Route

from zhongkong.sandbox.account_control import AccountControl
from zhongkong.sandbox.calls import CALLS
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.control import Control, parse_fault
from zhongkong.sandbox.faults import Fault
from zhongkong.sandbox.journal import Entry
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def routes() -> list[Route]:
    """Return the control API's routes."""
    sandbox = Sandbox(world=World(), clock=Clock())
    return [*AccountControl(sandbox).routes(), *Control(sandbox).routes()]


def test_every_control_route_is_documented_and_no_other() -> None:
    """A route that nobody can look up does not exist."""
    documented = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", PAGE, re.MULTILINE)
    real = [
        (method, re.sub(r":\w+}", "}", route.path))
        for route in routes()
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    assert documented == real


def test_every_path_of_the_platform_is_documented_and_no_other() -> None:
    """A tester looks here first for what can be called."""
    documented = set(re.findall(r"^\| `(/cgi-bin/[^`]+)` \|", PAGE, re.MULTILINE))
    assert documented == {*CALLS, "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/clear_quota/v2"}


def test_every_field_of_a_fault_and_of_the_journal_is_documented() -> None:
    """They are the API's words."""
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Faults")[2], re.MULTILINE)
    assert set(documented) == {field.name for field in fields(Fault)} - {"id", "met"}
    journal = PAGE.partition("## The journal")[2].partition("##")[0]
    assert {field.name for field in fields(Entry)} <= set(re.findall(r"`(\w+)`", journal))


def test_every_fault_of_the_examples_is_one() -> None:
    """People copy them."""
    examples = re.findall(r"\$S/faults -d '([^']+)'", PAGE)
    assert len(examples) == 5
    faults = [parse_fault(json.loads(example)) for example in examples]
    assert [(fault.answer, fault.acts) for fault in faults] == [
        ("errcode", False),
        ("drop", False),
        ("drop", True),
        ("page", False),
        ("whole", True),
    ]
