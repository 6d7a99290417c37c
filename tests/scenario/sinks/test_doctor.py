"""What the doctor says of sinks: reached, held, late, empty, a stranger's, and what hubs noted in the last day."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.platform.wire import refusing_port
from tests.contract.sinks.entries import ACCOUNT, APPID, SECRET, aim, entry
from tests.contract.sinks.redis_server import RedisServer
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.sinks.redis import RedisSink
from zhongkong.cli.doctor.findings import Findings, State
from zhongkong.cli.doctor.sinks import look_at_sinks
from zhongkong.core.model import Event
from zhongkong.serving import seat_store
from zhongkong.settings import Settings, load_settings

STRANGER = Event("sink_foreign_writer", APPID, {"sink": "redis", "sha256": "0123456789abcdef"})
FAILING = Event("sink_failing", "", {"sink": "hook", "cause": "sink_away", "place": "http://h", "why": "timeout"})


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def settings(tmp_path: Path, text: str) -> Settings:
    """Return the settings of a hub with these sinks."""
    file = tmp_path / "zhongkong.toml"
    file.write_text(f"data_dir = 'data'\n{text}")
    return load_settings(file)


def look(set_so: Settings, *events: Event) -> dict[str, tuple[State, str]]:
    """Return what is found with the account, and these events, in the store."""

    async def looking() -> Findings:
        async with seat_store(set_so) as (store, _):
            await store.put_account(ACCOUNT)
            await store.tell(events)
        findings = Findings("en")
        await look_at_sinks(set_so, findings, store_opens=True)
        return findings

    found = asyncio.run(looking()).found
    assert not any(SECRET in one.text for one in found)
    return {one.code: (one.state, one.text) for one in found}


def write(server: RedisServer, **changed: Any) -> None:
    """Write as a hub does."""

    async def writing() -> None:
        sink = RedisSink(aim("easywechat6", url=server.url), None, "zhongkong_")
        await sink.write(entry(3, **changed))
        await sink.close()

    asyncio.run(writing())


def test_what_stands_in_a_redis_is_told_for_each_account(server: RedisServer, tmp_path: Path) -> None:
    """From empty over held and late to a stranger's; the key is shown without the AppSecret that is in it."""
    set_so = settings(tmp_path, f"[[sink]]\nkind = 'redis'\nurl = '{server.url}'\nlayout = 'easywechat6'\n")
    told = look(set_so)
    assert told["doctor_sink_reached"] == (State.GOOD, "redis can be reached.")
    state, text = told["doctor_sink_empty"]
    assert state is State.NOTE
    assert f"official_account.access_token.{APPID}.<secret>.0" in text
    write(server, written_at=MachineClock().wall() - 20)
    state, text = look(set_so)["doctor_sink_holds"]
    assert (state, "generation 3" in text) == (State.GOOD, True)
    write(server, written_at=MachineClock().wall() - 400)
    assert look(set_so)["doctor_sink_late"][0] is State.NOTE
    server.client.set(f"official_account.access_token.{APPID}.{SECRET}.0", "stranger")
    assert look(set_so)["doctor_sink_stranger"][0] is State.TODO


def test_a_redis_out_of_reach_is_told_with_what_to_do(server: RedisServer, tmp_path: Path) -> None:
    """In the words that the hub's event has."""
    set_so = settings(tmp_path, f"[[sink]]\nkind = 'redis'\nurl = '{server.url}'\n")
    server.kill()
    state, text = look(set_so)["sink_away"]
    assert state is State.TODO
    assert text.startswith("redis: ")
    assert "Connection refused" in text


def test_a_file_is_looked_at_likewise(tmp_path: Path) -> None:
    """Its directory is part of the look."""
    set_so = settings(tmp_path, "[[sink]]\nkind = 'file'\npath = 'out/{appid}'\n")
    assert look(set_so)["sink_file_no_directory"][0] is State.TODO
    (tmp_path / "out").mkdir()
    assert set(look(set_so)) == {"doctor_sink_reached", "doctor_sink_empty"}
    assert list((tmp_path / "out").iterdir()) == []


def test_a_webhook_is_only_reached_for_and_nothing_is_posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a hub noted last is told, unless it is over."""
    monkeypatch.setenv("HOOK", "x")
    with refusing_port() as port:
        text = f"[[sink]]\nkind = 'webhook'\nname = 'hook'\nurl = 'http://127.0.0.1:{port}/x'\nsecret_env = 'HOOK'\n"
        told = look(settings(tmp_path, text), FAILING)
        assert told["doctor_no_way"][0] is State.TODO
        assert told["sink_failing"][0] is State.NOTE
        assert "http://h cannot be reached (timeout)" in told["sink_failing"][1]
        told = look(settings(tmp_path, text), Event("sink_well", "", {"sink": "hook", "cause": "sink_away"}))
        assert "sink_failing" not in told


def test_one_foreign_value_is_a_note_and_more_are_something_to_do(server: RedisServer, tmp_path: Path) -> None:
    """The first is what the former writer left behind."""
    set_so = settings(tmp_path, f"[[sink]]\nkind = 'redis'\nurl = '{server.url}'\n")
    assert look(set_so, STRANGER)["doctor_sink_writers"][0] is State.NOTE
    state, text = look(set_so, STRANGER)["doctor_sink_writers"]
    assert state is State.TODO
    assert "2 times" in text
