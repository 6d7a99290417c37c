"""The shop that tests itself with our fixtures: its own tests, run as its people run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES
from tests.scenario.end_to_end.programs import SOON, build_environment

SHOP = EXAMPLES / "shop"
TESTS = len(re.findall(r"^def test_", (SHOP / "test_shop.py").read_text("utf-8"), re.MULTILINE))


def run_tests(shop: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the shop's tests in a copy of it."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    environment = {**build_environment(directory), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=shop,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=2 * SOON,
        check=False,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the shop, as somebody downloaded it."""
    return Path(shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns(".*", "__pycache__")))


def test_its_tests_pass(shop: Path, tmp_path: Path) -> None:
    """A sandbox and a hub for each of them, and no network."""
    ran = run_tests(shop, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{TESTS} passed" in ran.stdout


def test_its_project_names_what_it_imports() -> None:
    """Else `pip install` brings a shop that does not open."""
    project = tomllib.loads((SHOP / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        re.split(r"[>=\[]", one)[0] for one in (*project["dependencies"], *project["optional-dependencies"]["test"])
    }
    texts = [path.read_text("utf-8") for path in SHOP.glob("*.py")]
    imported = {name for text in texts for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)}
    assert imported - set(sys.stdlib_module_names) - {"shop", "werkzeug"} <= named  # Flask brings werkzeug
