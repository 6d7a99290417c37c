"""A terminal in which the README's commands are run as they stand there, against a sandbox in place of WeChat."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.docs.readme import Page
from tests.scenario.end_to_end.programs import SOON, Program, build_environment, find_free_port

APPID = "wx0123456789abcdef"
"""The account of the README."""
KEY = "zk_…"
"""Where a reader puts the key that he was shown."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs the README's commands. Three things differ: the ports, the key, and that the account is a sandbox's."""

    def __init__(self, page: Page, directory: Path, lang: str = "zh") -> None:
        """Take the README whose blocks are run; nothing is started."""
        self._page = page
        self._directory = directory
        self._exports: list[str] = []
        ports = (find_free_port(), find_free_port())
        self.hub, self.sandbox = (f"http://127.0.0.1:{port}" for port in ports)
        self.environment = build_environment(directory, lang)
        self.environment |= {"ZHONGKONG_PORT": str(ports[0]), "ZHONGKONG_SANDBOX_PORT": str(ports[1])}
        self.key = ""
        self.ran: list[str] = []
        """Every command, as the README has it."""

    def run(self, command: str, typed: str = "") -> Done:
        """Run a command to its end, with `typed` on its stdin; what was exported before is set."""
        script = "\n".join(["set -e", *self._exports, self._here(command)])
        self.ran += command.splitlines()
        self._exports += [self._here(line) for line in command.splitlines() if line.startswith("export ")]
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            cwd=self._directory,
            input=typed,
            capture_output=True,
            timeout=SOON,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run_block(self, mark: str, typed: str = "") -> Done:
        """Run a block of the README to its end."""
        return self.run(self._page.block(mark).text.strip(), typed)

    def start(self, command: str) -> Program:
        """Start what runs until Ctrl-C."""
        self.ran.append(command)
        return Program(["bash", "-c", f"exec {self._here(command)}"], self.environment, self._directory)

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Do what the account's owner, or WeChat, does: the sandbox's control API."""
        answer = httpx.request(method, f"{self.sandbox}/sandbox/v1{path}", json=body, timeout=SOON, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def call(self, path: str, token: str) -> Any:
        """Make a business call with a token, and return what the platform answers."""
        return httpx.get(f"{self.sandbox}{path}", params={"access_token": token}, timeout=SOON, trust_env=False).json()

    def _here(self, command: str) -> str:
        """Return the command with this test's ports and key, and an account that is added being the sandbox's."""
        command = command.replace("http://127.0.0.1:8600", self.hub).replace("http://127.0.0.1:8601", self.sandbox)
        command = command.replace(KEY, self.key or KEY)
        is_bare = command.startswith("zhongkong account add") and "--base-url" not in command
        return f"{command} --base-url {self.sandbox}" if is_bare else command
