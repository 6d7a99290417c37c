"""One hub over a sandbox, as `zhongkong demo` sets them up, for all examples; tokens live two hours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
USERS = "/cgi-bin/user/get"


@dataclass(frozen=True)
class Stage:
    """Where hub and sandbox are, and who may what there."""

    hub_url: str
    sandbox_url: str
    appid: str
    secret: str
    key: str
    corpid: str
    corpsecret: str
    corpkey: str

    @property
    def environment(self) -> dict[str, str]:
        """Return what the examples read."""
        return {
            "ZHONGKONG_HUB": self.hub_url,
            "ZHONGKONG_KEY": self.key,
            "WECHAT_API": self.sandbox_url,
            "WECHAT_APPID": self.appid,
        }

    def control(self, method: str, path: str, **values: Any) -> dict[str, Any]:
        """Turn the sandbox's knobs."""
        url = f"{self.sandbox_url}/sandbox/v1{path}"
        answer = httpx.request(method, url, json=values or None, trust_env=False, timeout=SOON)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told

    def another(self, *, kept: bool = True, **values: Any) -> Stage:
        """Return the stage with an account of its own, which the same hub keeps too unless told otherwise."""
        made = self.control("POST", "/accounts", **values)
        self.control("POST", f"/accounts/{made['appid']}/followers", nickname="小明")
        if not kept:
            return replace(self, appid=made["appid"], secret=made["secret"])
        account = {"appid": made["appid"], "secret": made["secret"], "base_url": self.sandbox_url}
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.hub_url}/v1/accounts", json=account, headers=headers, trust_env=False, timeout=SOON)
        answer.raise_for_status()
        return replace(self, appid=made["appid"], secret=made["secret"])

    def revoke(self) -> None:
        """End every token behind the hub's back."""
        self.control("POST", f"/accounts/{self.appid}/revoke")

    def calls(self, path: str = USERS) -> list[dict[str, Any]]:
        """Return the calls that arrived there, oldest first."""
        calls: list[dict[str, Any]] = self.control("GET", f"/journal?limit=10000&appid={self.appid}")["calls"]
        return [call for call in calls if call["path"] == path]


@pytest.fixture(name="stage", scope="session")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("examples")
    ports = ["--hub-port", "0", "--sandbox-port", "0"]
    command = [str(BIN / "zhongkong"), "demo", "--json", *ports, "--expires-in", "7200"]
    with Program(command, build_environment(directory), directory) as demo:
        yield Stage(**json.loads(demo.await_line("hub_url")))
        assert demo.end() == 0, demo.told
