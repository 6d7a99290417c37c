"""A business server's program before a real hub: through a repair, a fork, and the sudden end of the hub."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.scenario.end_to_end.guises import find_secrets
from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment

ROOT = Path(__file__).parents[3]
LAST_BEFORE_THE_END = "waited"


@dataclass
class Told:
    """What the program said."""

    lines: dict[str, str]
    out: str
    err: str
    secrets: dict[str, bytes]


@pytest.fixture(name="told", scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run for all tests here; the hub is killed when the program waits for that."""
    directory = tmp_path_factory.mktemp("client")
    environment = build_environment(directory, lang="en")
    command = [str(BIN / "zhongkong"), "demo", "--json", "--hub-port", "0", "--sandbox-port", "0"]
    with Program([*command, "--expires-in", "600"], environment, directory) as demo:
        stage = json.loads(demo.await_line("hub_url"))
        arguments = [stage["hub_url"], stage["sandbox_url"], stage["appid"]]
        program = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.scenario.end_to_end.business", *arguments],
            env={**environment, "ZHONGKONG_KEY": stage["key"]},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        err: list[str] = []
        with program:
            assert program.stderr is not None
            reading = Thread(target=err.extend, args=[program.stderr], daemon=True)
            reading.start()
            assert program.stdin is not None
            assert program.stdout is not None
            out = ""
            for line in program.stdout:
                out += line
                if line.startswith(LAST_BEFORE_THE_END):
                    break
            tokens = httpx.get(f"{stage['sandbox_url']}/sandbox/v1/accounts/{stage['appid']}/tokens", timeout=SOON)
            demo.end(signal.SIGKILL)
            program.stdin.write("the hub is gone\n")
            program.stdin.close()
            out += program.stdout.read()
            program.wait(SOON)
            reading.join(SOON)
    assert program.returncode == 0, out + "".join(err)
    secrets = {"key": stage["key"].split("_", 2)[2].encode()}
    secrets |= {f"token {n}": one["access_token"].encode() for n, one in enumerate(tokens.json()["tokens"])}
    lines = dict(line.partition(" ")[::2] for line in out.splitlines())
    return Told(lines, out, "".join(err), secrets)


def test_calls_are_made_with_both_clients_and_repaired(told: Told) -> None:
    """A token that was revoked behind everybody's back costs the caller nothing."""
    assert (told.lines["called"], told.lines["repaired"]) == ("True", "True")


def test_a_forked_child_goes_on(told: Told) -> None:
    """With what its parent knew, and connections of its own."""
    assert (told.lines["forked"], told.lines["waited"]) == ("True", "0")


def test_without_its_hub_the_program_has_its_token(told: Told) -> None:
    """What was promised holds."""
    assert told.lines["without"] == "True"


def test_what_is_not_there_without_the_hub_is_told_in_words(told: Told) -> None:
    """In the log, below the traceback."""
    assert told.lines["cold"] == "hub_unreachable"
    assert "Connection refused" in told.err
    assert "check address and network, and whether the hub runs" in told.err


def test_nothing_it_wrote_holds_a_token_or_its_key(told: Told) -> None:
    """With every logger at its most talkative, tracebacks and representations included."""
    assert len(told.secrets) >= 3
    assert "httpcore" in told.err
    assert "urllib3" in told.err
    assert find_secrets(told.secrets, {"stdout": told.out.encode(), "stderr": told.err.encode()}) == []
