"""docs/sandbox.md and the sandbox say the same."""

import json
import re
from dataclasses import fields
from pathlib import Path

from starlette.routing import Route

from zhongkong.sandbox.account_control import AccountControl
from zhongkong.sandbox.authorize import build_authorize
from zhongkong.sandbox.calls import CALLS
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.control import Control, parse_fault
from zhongkong.sandbox.endpoints import BESIDES
from zhongkong.sandbox.faults import Fault
from zhongkong.sandbox.holdings_control import HoldingsControl
from zhongkong.sandbox.journal import Entry
from zhongkong.sandbox.media import MEDIA_GET_PATH
from zhongkong.sandbox.posting import fetch
from zhongkong.sandbox.push_control import PushControl
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.wecom import GETTOKEN_PATH, WECOM_CALLS
from zhongkong.sandbox.world import World
from zhongkong.testing.fixtures import WechatSandbox, ZhongkongHub

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def routes() -> list[Route]:
    """Return the control API's routes."""
    sandbox = Sandbox(world=World(), clock=Clock())
    pushing = Pushing(sandbox, fetch)
    pushes, accounts = PushControl(sandbox, pushing).routes(), AccountControl(sandbox, pushing).routes()
    return [*accounts, *HoldingsControl(sandbox).routes(), *pushes, *Control(sandbox).routes()]


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
    documented = re.findall(r"^\| `(/[^`]+)` \|", PAGE, re.MULTILINE)
    pages = {route.path for route in build_authorize(Sandbox(world=World(), clock=Clock()))}
    of_wecom = {f"/qyapi{path}" for path in (*WECOM_CALLS, GETTOKEN_PATH, MEDIA_GET_PATH)}
    assert sorted(documented) == sorted({*CALLS, *BESIDES, *pages, *of_wecom})


def test_every_switch_of_the_page_is_one() -> None:
    """They are named where they matter; the API lists them all."""
    known = {field.name for field in fields(Switches)}
    named = re.findall(r"`(\w+)`", PAGE.partition("is a switch (")[2].partition("\n\n")[0])
    assert len(named) == 6
    assert set(named) <= known


def test_every_field_of_a_fault_and_of_the_journal_is_documented() -> None:
    """They are the API's words."""
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Faults")[2], re.MULTILINE)
    assert set(documented) == {field.name for field in fields(Fault)} - {"id", "met"}
    journal = PAGE.partition("## The journal")[2].partition("##")[0]
    assert {field.name for field in fields(Entry)} <= set(re.findall(r"`(\w+)`", journal))


def test_the_fixtures_of_the_page_have_what_it_says() -> None:
    """Tests are written from these lines."""
    section = PAGE.partition("A WeChat for your tests")[2]
    sandbox, _, hub = section.partition("`zhongkong_hub` keeps")
    named = set(re.findall(r"`(\w+)[`(]", sandbox.partition("`wechat_sandbox` has")[2]))
    assert named == {name for name in dir(WechatSandbox) if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)`", hub)) == {field.name for field in fields(ZhongkongHub)}


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
