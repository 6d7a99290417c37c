"""Tickets of a real hub before a real sandbox: read, signed with, handed to an SDK, healed behind the scenes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment
from zhongkong.wechat.jsapi import sign_page

PAGE = "https://shop.example.com/a?b=1&c=2"


@dataclass
class Stage:
    """A demo that runs."""

    stage: dict[str, Any]

    def ask(self, path: str, **params: str) -> dict[str, Any]:
        """Return what the hub answers to a reader."""
        headers = {"Authorization": f"Bearer {self.stage['key']}"}
        path = f"{self.stage['hub_url']}/v1/accounts/{self.stage['appid']}/{path}"
        answer = httpx.get(path, headers=headers, params=params, timeout=SOON)
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def as_sdk(self, path: str, **params: str) -> dict[str, Any]:
        """Return what the hub answers to an SDK that takes it for the platform."""
        body: dict[str, Any] = httpx.get(f"{self.stage['hub_url']}{path}", params=params, timeout=SOON).json()
        return body

    def revoke(self) -> None:
        """End every access_token behind the hub."""
        path = f"/sandbox/v1/accounts/{self.stage['appid']}/revoke"
        httpx.post(f"{self.stage['sandbox_url']}{path}", timeout=SOON).raise_for_status()


@pytest.fixture(name="stage", scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("tickets")
    command = [str(BIN / "zhongkong"), "demo", "--json", "--hub-port", "0", "--sandbox-port", "0"]
    with Program([*command, "--expires-in", "600"], build_environment(directory, lang="en"), directory) as demo:
        yield Stage(json.loads(demo.await_line("hub_url")))


def test_the_first_ticket_is_had_although_the_access_token_was_revoked(stage: Stage) -> None:
    """The reader notices nothing, and the token is a new one."""
    before = stage.ask("access_token")
    stage.revoke()
    ticket = stage.ask("wx_card_ticket")
    assert (ticket["generation"], len(ticket["wx_card_ticket"])) == (1, 86)
    assert stage.ask("access_token")["generation"] > before["generation"]


def test_a_page_is_signed(stage: Stage) -> None:
    """With the ticket that everybody gets."""
    signed, ticket = stage.ask("jsapi_config", url=PAGE), stage.ask("jsapi_ticket")["jsapi_ticket"]
    assert signed["signature"] == sign_page(ticket, signed["nonceStr"], signed["timestamp"], PAGE)


def test_an_sdk_gets_the_ticket_that_is_kept(stage: Stage) -> None:
    """However often it asks: not one call more reaches the platform."""
    token = stage.as_sdk(
        "/cgi-bin/token", grant_type="client_credential", appid=stage.stage["appid"], secret=stage.stage["key"]
    )
    answers = [
        stage.as_sdk("/cgi-bin/ticket/getticket", access_token=token["access_token"], type="jsapi") for _ in range(5)
    ]
    assert {answer["ticket"] for answer in answers} == {stage.ask("jsapi_ticket")["jsapi_ticket"]}
    assert all(0 < answer["expires_in"] <= 600 for answer in answers)
