"""A real demo, watched through its rotations by business servers that do as they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.scenario.end_to_end.guises import find_secrets, read_files
from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment

EXPIRES_IN = 6
GENERATIONS = 4
"""Three rotations, or more."""
USERS = "/cgi-bin/user/get"
PAUSE = 0.02
"""Seconds between a reader's calls."""
LONGEST_CALL = 0.8
"""Seconds that a call may take on a busy machine: none is begun that might arrive after the token's announced end."""


@dataclass
class Overlap:
    """Whether a former token was used when its successor had been used already."""

    newest: int = 0
    """The latest generation that a call was answered with."""
    was_seen: bool = False


@dataclass
class Reader:
    """A business server: keeps a token for as many seconds as the hub says in `trusts`, and calls WeChat with it."""

    trusts: str
    client: httpx.AsyncClient
    stage: dict[str, str]
    overlap: Overlap
    answers: list[dict[str, Any]] = field(default_factory=list)
    """What the hub handed out, in order."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """What the platform answered, in order."""

    async def work(self, is_over: Callable[[], bool]) -> None:
        """Go on until it is over."""
        clock = asyncio.get_running_loop().time
        while not is_over():
            asked = clock()
            answer = await self.read()
            until = asked + min(answer[self.trusts], answer["expires_in"] - LONGEST_CALL)
            while not is_over() and clock() < until:
                self.overlap.was_seen |= answer["generation"] < self.overlap.newest
                await self.call(answer["access_token"])
                self.overlap.newest = max(self.overlap.newest, answer["generation"])
                await asyncio.sleep(PAUSE)
            await asyncio.sleep(PAUSE)

    def has_seen_enough(self) -> bool:
        """Say whether there were rotations enough, and an overlap, which a busy machine leaves little time for."""
        return self.overlap.was_seen and bool(self.answers) and self.answers[-1]["generation"] >= GENERATIONS

    async def read(self) -> dict[str, Any]:
        """Read the token at the hub."""
        path = f"{self.stage['hub_url']}/v1/accounts/{self.stage['appid']}/access_token"
        answer = await self.client.get(path, headers={"Authorization": f"Bearer {self.stage['key']}"})
        assert answer.status_code == 200, answer.text
        self.answers.append(answer.json())
        return self.answers[-1]

    async def call(self, token: str) -> None:
        """Make a business call."""
        answer = await self.client.get(f"{self.stage['sandbox_url']}{USERS}", params={"access_token": token})
        self.calls.append(answer.json())


@dataclass
class Watched:
    """What was seen of a demo."""

    readers: list[Reader]
    journal: list[dict[str, Any]]
    tokens: list[dict[str, Any]]
    secrets: dict[str, bytes]
    places: dict[str, bytes]
    """All that it wrote and answered, where no secret is meant to be."""


@pytest.fixture(name="watched", scope="module")
def _watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """One demo for all tests here, with tokens of a few seconds."""
    directory = tmp_path_factory.mktemp("demo")
    ports = ["--hub-port", "0", "--sandbox-port", "0"]
    command = [str(BIN / "zhongkong"), "demo", "--json", *ports, "--expires-in", str(EXPIRES_IN)]
    with Program(command, build_environment(directory), directory) as demo:
        stage = json.loads(demo.await_line("hub_url"))
        watched = asyncio.run(asyncio.wait_for(watch(stage), SOON))
        watched.places |= read_files(directory / "tmp")
        seal = next(content for name, content in watched.places.items() if name.endswith(".seal"))
        watched.places = {name: content for name, content in watched.places.items() if not name.endswith(".seal")}
        watched.secrets["seal"] = seal.splitlines()[-1]
        assert demo.end() == 0, demo.told
    assert demo.out[0].startswith('{"hub_url":')
    assert read_files(directory) == {}, "it left something behind"
    watched.places |= {"stdout": "".join(demo.out[1:]).encode(), "stderr": "".join(demo.err).encode()}
    return watched


async def watch(stage: dict[str, str]) -> Watched:
    """Let two readers work through the rotations, then ask both hub and platform what they know."""
    async with httpx.AsyncClient(trust_env=False, timeout=SOON) as client:
        overlap = Overlap()
        readers = [Reader(trusts, client, stage, overlap) for trusts in ("refresh_in", "expires_in")]
        await asyncio.gather(*(reader.work(readers[0].has_seen_enough) for reader in readers))
        control = f"{stage['sandbox_url']}/sandbox/v1"
        journal = (await client.get(f"{control}/journal", params={"limit": 10_000, "appid": stage["appid"]})).json()[
            "calls"
        ]
        tokens = (await client.get(f"{control}/accounts/{stage['appid']}/tokens")).json()["tokens"]
        told = {
            path: await client.get(stage["hub_url"] + path, headers={"Authorization": f"Bearer {stage['key']}"})
            for path in ("/v1/events", "/v1/accounts", "/v1/keys", "/v1/whoami", "/metrics", "/readyz", "/docs", "/")
        }
    places = {path: answer.content + str(answer.headers).encode() for path, answer in told.items()}
    secrets = {"secret": stage["secret"], "corpsecret": stage["corpsecret"]}
    secrets |= {name: stage[name].split("_", 2)[2] for name in ("key", "corpkey")}
    secrets |= {f"token {number}": token["access_token"] for number, token in enumerate(tokens)}
    return Watched(readers, journal, tokens, {name: text.encode() for name, text in secrets.items()}, places)


def test_no_call_is_refused_for_its_token(watched: Watched) -> None:
    """Through three rotations, whether one asks again when told to or uses the token to its announced end."""
    for reader in watched.readers:
        assert len(reader.calls) > 50, reader.trusts
        assert [answer for answer in reader.calls if answer.get("errcode", 0)] == [], reader.trusts
    assert {call["errcode"] for call in watched.journal if call["path"] == USERS} == {0}


def test_generations_follow_each_other_without_a_gap_in_what_is_handed_out(watched: Watched) -> None:
    """Each one a new token, none twice, none left out by the reader who asks as often as he is told."""
    handed = watched.readers[0].answers
    generations = [answer["generation"] for answer in handed]
    assert sorted(set(generations)) == list(range(generations[0], generations[-1] + 1))
    assert all(after - before in (0, 1) for before, after in pairwise(generations))
    assert len({answer["access_token"] for answer in handed}) == len(set(generations))


def test_the_platform_issued_one_token_per_generation(watched: Watched) -> None:
    """Asking more often is allowed and brings the same one; issuing more would end what others use."""
    issued = {call["issued"] for call in watched.journal if call["issued"]}
    assert issued == {token["access_token"] for token in watched.tokens}
    latest = max(answer["generation"] for reader in watched.readers for answer in reader.answers)
    assert len(issued) - latest in (0, 1)  # one may have come after the last look


def test_the_old_token_works_while_the_new_one_is_handed_out(watched: Watched) -> None:
    """That is the overlap: calls with both, interleaved, all well."""
    bearing = [call["access_token"] for call in watched.journal if call["path"] == USERS]
    order = {token["access_token"]: number for number, token in enumerate(watched.tokens)}
    assert any(order[after] < order[before] for before, after in pairwise(bearing))


def test_nothing_that_the_demo_tells_is_secret(watched: Watched) -> None:
    """Its first line aside, which is there to be used: events, pages, measures and the store's files."""
    assert {"stdout", "/v1/events", "/metrics"} <= set(watched.places)
    assert any(name.endswith(".db-wal") for name in watched.places)
    assert b"minted" in watched.places["stdout"]
    assert len(watched.secrets) >= 4 + GENERATIONS
    assert find_secrets(watched.secrets, watched.places) == []
