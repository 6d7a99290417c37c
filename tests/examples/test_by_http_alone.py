"""What needs nothing of ours installed: the file for old Pythons, Node, and a shell with curl."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES, Stage
from tests.needs import need
from tests.scenario.end_to_end.programs import SOON

COMMANDS = {
    "business_server.py": (sys.executable, "python3"),
    "curl.sh": ("sh", "curl"),
    "node.mjs": ("node", "nodejs"),
}
"""By what each is run, and what brings that."""


def run(name: str, stage: Stage) -> dict[str, Any]:
    """Run an example for the stage's account and return what it printed."""
    program, package = COMMANDS[name]
    _ = need(package if package == "curl" else program, package)
    ran = subprocess.run(
        [program, EXAMPLES / name, stage.appid],
        env={"PATH": os.environ["PATH"], **stage.environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SOON,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("name", COMMANDS)
def test_it_calls_wechat_with_the_hubs_token(name: str, stage: Stage) -> None:
    """And the platform takes it."""
    mine = stage.another()
    assert run(name, mine)["total"] == 1
    assert [call["errcode"] for call in mine.calls()] == [0]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_refused_token_is_reported_and_the_call_repeated_once(name: str, stage: Stage) -> None:
    """The platform ended it behind our back: whoever runs the example does not notice."""
    mine = stage.another()
    mine.revoke()
    assert run(name, mine)["total"] == 1
    assert [call["errcode"] for call in mine.calls()] == [40001, 0]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_key_is_on_no_command_line(name: str) -> None:
    """Everybody on the machine can read those."""
    assert '-H "Authorization' not in (EXAMPLES / name).read_text()


def test_the_one_file_is_python_3_6() -> None:
    """It is copied to servers that nobody updates any more."""
    source = (EXAMPLES / "business_server.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]


@pytest.fixture(name="server")
def _server(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("business_server", EXAMPLES / "business_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        """Return what it shows."""
        return self.at


def test_the_one_file_asks_when_it_is_time_to_and_not_before(
    server: ModuleType, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is asked for once; a minute later the answer is 304; away, the hub is not missed till the token ends."""
    clock, asked = Clock(), []
    monkeypatch.setattr(server, "time", clock)
    really_open = server._open  # noqa: SLF001 (the door to the hub is watched)

    def watch(path: str, body: object = None, etag: str = "") -> Any:
        asked.append(etag)
        return really_open(path, body, etag)

    monkeypatch.setattr(server, "_open", watch)
    token = server.access_token(stage.appid)
    assert server.access_token(stage.appid) == token
    assert asked == [""]
    clock.at += 61.0
    assert server.access_token(stage.appid) == token
    assert (len(asked), asked[1] != "") == (2, True)
    monkeypatch.setattr(server, "HUB", "http://127.0.0.1:9")
    clock.at += 61.0
    assert server.access_token(stage.appid) == token
    clock.at += 7200.0
    with pytest.raises(OSError, match="refused"):
        server.access_token(stage.appid)


def test_of_many_threads_one_asks(server: ModuleType, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for its answer."""
    asked = []
    really_open = server._open  # noqa: SLF001

    def watch(*arguments: Any, **named: Any) -> Any:
        asked.append(arguments)
        return really_open(*arguments, **named)

    monkeypatch.setattr(server, "_open", watch)
    tokens: list[str] = []
    threads = [threading.Thread(target=lambda: tokens.append(server.access_token(stage.appid))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert (len(tokens), len(set(tokens)), len(asked)) == (50, 1, 1)
