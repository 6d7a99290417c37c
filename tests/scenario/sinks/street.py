"""A real hub, a real sandbox and a real Redis, started as people start them; and whoever calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import httpx

from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment, find_free_port

ROOT = Path(__file__).parents[3]
APPID = "wx0123456789abcdef"
SECRET = "8f14e45fceea167a5a36dedd4bea2543"
LIFE = 240
"""Of its tokens, in seconds: long enough to rest during a test, short enough that one may be replaced soon."""
LOOK_EVERY = 0.05

ValueT = TypeVar("ValueT")


def await_truth(look: Callable[[], ValueT], seconds: float = SOON) -> ValueT:
    """Return what `look` returns once it is true."""
    never = Event()
    for _ in range(int(seconds / LOOK_EVERY)):
        if found := look():
            return found
        never.wait(LOOK_EVERY)
    found = look()
    assert found, "it did not become true"
    return found


class Street:
    """A directory with a hub's settings in it, and a sandbox that knows the account."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sandbox_port, self.hub_port = find_free_port(), find_free_port()
        self.environment = build_environment(directory) | {
            "ZHONGKONG_DATA_DIR": str(directory / "data"),
            "ZHONGKONG_CONFIG": str(directory / "zhongkong.toml"),
            "ZHONGKONG_PORT": str(self.hub_port),
            "ZHONGKONG_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
        }
        self.key = ""
        self.told: list[str] = []
        """All that was written by programs, and answered to them."""
        (directory / "secret").write_text(SECRET)
        (directory / "zhongkong.toml").touch()

    @property
    def sandbox(self) -> str:
        """Where the platform is."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @contextmanager
    def platform(self) -> Iterator[None]:
        """Have the sandbox run, with the account in it."""
        command: list[str | Path] = [BIN / "zhongkong", "sandbox", "--json", "--port", str(self.sandbox_port)]
        with Program(command, self.environment, self.directory) as sandbox:
            sandbox.await_line("sandbox_url")
            self.control("POST", "/accounts", appid=APPID, secret=SECRET, expires_in=LIFE)
            yield

    @contextmanager
    def hub(self, settings: str, *, loud: bool = False) -> Iterator[Program]:
        """Have a hub with these settings run; it ends in good order."""
        account_elsewhere = settings.replace("[[account]]", f'[[account]]\nbase_url = "{self.sandbox}"')
        (self.directory / "zhongkong.toml").write_text(account_elsewhere, encoding="utf-8")
        program = [sys.executable, "-m", "tests.scenario.end_to_end.loud"] if loud else [BIN / "zhongkong"]
        with Program([*program, "serve", "--json"], self.environment, self.directory) as hub:
            welcome = json.loads(hub.await_line("hub_url"))
            self.key = welcome["first_key"] or self.key
            yield hub
            assert hub.end() == 0, hub.told
            self.told += [*hub.out[1:], *hub.err]

    # --- calling

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Do something at the platform."""
        answer = httpx.request(method, f"{self.sandbox}/sandbox/v1{path}", json=body, timeout=SOON, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def is_taken(self, token: str | bytes | None) -> bool:
        """Say whether the platform takes this token."""
        assert token is not None
        query = {"access_token": token.decode() if isinstance(token, bytes) else token}
        answer = httpx.get(f"{self.sandbox}/cgi-bin/get_api_domain_ip", params=query, trust_env=False, timeout=SOON)
        return "errcode" not in answer.json()

    def fetch_as_old_programs_do(self) -> str:
        """Fetch a classic token with the AppSecret, past the hub."""
        query = {"grant_type": "client_credential", "appid": APPID, "secret": SECRET}
        answer = httpx.get(f"{self.sandbox}/cgi-bin/token", params=query, trust_env=False, timeout=SOON)
        return str(answer.json()["access_token"])

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask the hub with its first key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.hub_port}{path}"
        return httpx.request(method, url, headers=headers, timeout=SOON, trust_env=False, **given)

    def token(self) -> str:
        """Return the token that the hub hands out."""
        answer = self.ask("GET", f"/v1/accounts/{APPID}/access_token")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def renew(self) -> str:
        """Have the hub replace the token as soon as it may; return the new one."""

        def force() -> str:
            answer = self.ask("POST", f"/v1/accounts/{APPID}/access_token/reject", json={"force": True})
            assert answer.status_code in (200, 429), answer.text
            return str(answer.json().get("access_token", ""))

        return await_truth(force)

    def events(self, code: str) -> list[dict[str, Any]]:
        """Return the events with this code."""
        answer = self.ask("GET", "/v1/events?after=0&limit=1000")
        self.told.append(answer.text)
        return [one for one in answer.json()["events"] if one["code"] == code]

    def type(self, *words: str) -> tuple[int, str]:
        """Run a command of ours; return its exit code and what it said."""
        with Program([BIN / "zhongkong", *words], self.environment, self.directory) as command:
            code = command.wait()
        self.told.append(command.told)
        return code, command.told
