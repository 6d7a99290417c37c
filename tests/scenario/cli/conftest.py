"""What the tests of the command line are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.cli.house import OURS, Platform, Terminal, serving_platform


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home; commands are typed in it, in English unless said otherwise."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def terminal(home: Path) -> Terminal:
    """The command line."""
    assert home.is_dir()
    return Terminal()


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A sandbox with a test account."""
    with serving_platform() as platform:
        yield platform


@pytest.fixture
def shop(terminal: Terminal, platform: Platform) -> str:
    """The appid of an account that was added and is well; its secret and token are never to be seen."""
    terminal.secrets.add(platform.secret)
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret)
    terminal.secrets.add(platform.token())
    return platform.appid
