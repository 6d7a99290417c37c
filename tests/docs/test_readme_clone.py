"""What the README tells to do with make, done in this clone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.docs.readme import CHINESE, ROOT, read_page
from tests.needs import lack, need
from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment

COMMANDS = [block.text.strip() for block in read_page(CHINESE).blocks if block.mark == "clone"]
ON_ANY_PORT = "--hub-port 0 --sandbox-port 0"


def build_make(command: str, *more: str) -> list[str]:
    """Return a make of the README with more for ARGS, in the environment that runs the tests, not set up anew."""
    words = shlex.split(command)
    given = [word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")]
    rest = [word for word in words if not word.startswith("ARGS=")]
    return [*rest, "-o", ".venv/.ready", f"BIN={BIN}", f"ARGS={' '.join([*given, *more])}"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make demo")])
def test_the_demo_runs_and_what_it_offers_can_be_tried(command: str, tmp_path: Path) -> None:
    """It is the first thing that anybody does: the curl, the Python and the pages work, and Ctrl-C leaves nothing."""
    with Program(build_make(command, ON_ANY_PORT), build_environment(tmp_path), ROOT) as demo:
        curl = demo.await_line("curl -H").strip()
        python = [demo.await_line("import json"), demo.await_line("request = "), demo.await_line("print(")]
        pages = re.findall(r"http://[\w.:/]+", demo.await_line("/sandbox/"))
        in_shell = subprocess.run(shlex.split(f"{curl} -s"), check=True, capture_output=True, text=True, timeout=SOON)
        program = "".join(line.strip() + "\n" for line in python)
        in_python = subprocess.run(
            [BIN / "python", "-c", program], check=True, capture_output=True, text=True, timeout=SOON
        )
        assert in_python.stdout.strip() in in_shell.stdout
        assert [httpx.get(page, timeout=SOON, trust_env=False).status_code for page in pages] == [200, 200]
        demo.end()
    assert "什么都没留下" in demo.out[-1]
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "home").rglob("zhongkong*"))


def test_the_tests_can_be_started() -> None:
    """Only gathered here, or they would never end."""
    [command] = [command for command in COMMANDS if command == "make test"]
    gathered = build_make(command, "--collect-only", "-q", "tests/docs/test_readme.py")
    done = subprocess.run(gathered, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests collected" in done.stdout


def test_a_second_setup_needs_no_network_and_does_nothing() -> None:
    """The README promises it, and every target of the Makefile begins so."""
    cut_off = [need("unshare", "util-linux"), "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*cut_off, "true"], capture_output=True, check=False).returncode:
        lack("nobody can be cut off from the network here: that takes root, or user namespaces")
    ready = ROOT / ".venv" / ".ready"
    if subprocess.run(["make", "--question", ".venv/.ready"], cwd=ROOT, capture_output=True, check=False).returncode:
        lack("this clone was not set up, or pyproject.toml was changed since: make setup")
    before = ready.stat().st_mtime_ns
    done = subprocess.run(
        [*cut_off, "make", "setup"], cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "── .venv/ is ready\n", "")
    assert ready.stat().st_mtime_ns == before


def test_every_command_with_make_is_run_here() -> None:
    """The README has the mark "clone" where one works in a clone."""
    assert len(COMMANDS) == 3
