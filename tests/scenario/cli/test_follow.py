"""An account whose mint is another hub, from the command line: added, looked after, its key rotated and revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import zhongkong
from tests.scenario.cli.house import Platform, Terminal, end, started
from tests.scenario.cli.test_prompts import at_terminal
from zhongkong.connecting import AccountGiven


class Leader:
    """A hub in a process of its own, administered over HTTP by the same command line."""

    def __init__(self, url: str, boss: str, terminal: Terminal) -> None:
        self.url = url
        self._boss = boss
        self._terminal = terminal

    def make_key(self, name: str, appid: str, *more: str) -> dict[str, Any]:
        """Return a key that was made there."""
        return self.type("key", "create", name, "--appid", appid, *more)

    def type(self, *words: str) -> dict[str, Any]:
        """Return what a command said over there; a key in it must be seen nowhere else."""
        with pytest.MonkeyPatch.context() as variables:
            variables.setenv("ZHONGKONG_KEY", self._boss)
            told: dict[str, Any] = self._terminal.read(*words, "--hub", self.url, shows=True)
        if "key" in told:
            self._terminal.secrets.add(told["key"])
        return told


@contextmanager
def leading(home: Path, terminal: Terminal, platform: Platform) -> Iterator[Leader]:
    """Have a hub run elsewhere that keeps the test account."""
    terminal.secrets.add(platform.secret)
    words = ("account", "add", platform.appid, "--base-url", platform.url, "--data-dir", "elsewhere")
    terminal.type(*words, stdin=platform.secret)
    with started("serve", "--port", "0", "--json", "--data-dir", "elsewhere", home=home) as hub:
        assert hub.stdout is not None
        told = json.loads(hub.stdout.readline())
        yield Leader(told["hub_url"], told["first_key"], terminal)


@pytest.fixture
def leader(home: Path, terminal: Terminal, platform: Platform) -> Iterator[Leader]:
    """A hub elsewhere, and nothing here yet."""
    with leading(home, terminal, platform) as leader:
        yield leader


def follow(terminal: Terminal, leader: Leader, appid: str, key: str, code: int = 0) -> str:
    """Add the account here; return all that was said."""
    words = ("account", "add", appid, "--mode", "follow", "--base-url", leader.url)
    said = terminal.type(*words, stdin=key, code=code)
    return said.stdout + said.stderr


def findings(terminal: Terminal, code: int = 0) -> dict[str, str]:
    """Return what the doctor found, by code."""
    return {one["code"]: one["text"] for one in terminal.read("doctor", code=code)["findings"]}


def test_an_account_follows_and_its_key_is_rotated_with_overlap_and_revoked(
    terminal: Terminal, platform: Platform, leader: Leader
) -> None:
    """The walk of docs/environments.md."""
    made = leader.make_key("this-environment", platform.appid)
    assert "is well" in follow(terminal, leader, platform.appid, made["key"])
    terminal.secrets.add(platform.token())
    assert terminal.type("token", platform.appid, shows=True).stdout.strip() == platform.token()
    assert terminal.read("account", "show", platform.appid)["mode"] == "follow"
    assert "key_expired" not in str(findings(terminal))

    twin = leader.type("key", "rotate", made["id"], "--overlap", "1h")
    terminal.secrets.add(twin["key"])
    terminal.type("account", "set", platform.appid)  # the former key works on
    soon = findings(terminal, code=1)["doctor_leader_key_ends"]
    assert "this-environment" in soon
    assert "ends in 0 days" in soon
    assert "is well" in terminal.type("account", "set", platform.appid, "--secret", stdin=twin["key"]).stdout
    found = findings(terminal)
    assert "accepts our key (this-environment)" in found["doctor_leader"]
    assert {"doctor_clock", "doctor_way"} <= set(found)
    assert platform.url not in str(found)  # a follower has no business with the platform

    leader.type("key", "revoke", twin["id"], "--yes")
    assert "key_unknown" in findings(terminal, code=1)["doctor_leader_key"]
    assert terminal.type("token", platform.appid, shows=True).stdout.strip() == platform.token()
    refused = terminal.type("account", "set", platform.appid, "--secret", stdin=made["key"] + "x", code=4)
    assert "(key_unknown)" in refused.stderr
    another = leader.make_key("another", platform.appid)
    assert "is well" in terminal.type("account", "set", platform.appid, "--secret", stdin=another["key"]).stdout


def test_what_will_not_do_is_told_before_anything_is_kept(
    terminal: Terminal, platform: Platform, leader: Leader
) -> None:
    """A key for another account, an AppSecret, the platform as a leader, a leader that is not there."""
    other = leader.make_key("other", "wxfedcba9876543210")
    assert "account_not_granted" in follow(terminal, leader, platform.appid, other["key"], code=4)
    assert "zk_…" in follow(terminal, leader, platform.appid, platform.secret, code=2)
    said = terminal.type("account", "add", platform.appid, "--mode", "follow", stdin=other["key"], code=2).stderr
    assert "https://hub.internal:8600" in said
    assert terminal.read("account", "list")["accounts"] == []


def test_a_leader_that_is_away_is_told_with_what_to_look_at(home: Path, terminal: Terminal, platform: Platform) -> None:
    """Added all the same: it will be back."""
    with leading(home, terminal, platform) as leader:
        made = leader.make_key("this-environment", platform.appid)
        follow(terminal, leader, platform.appid, made["key"])
        terminal.secrets.add(platform.token())
    told = terminal.type("account", "set", platform.appid, code=5)  # it has a token, but tried is what is away
    assert "could not be tried" in told.stderr
    found = findings(terminal, code=1)
    assert "doctor_no_way" in found
    assert "doctor_leader" not in found


def test_something_else_at_the_leaders_address_is_told(
    home: Path, terminal: Terminal, platform: Platform, leader: Leader
) -> None:
    """The platform's own sandbox, for one: it answers to every path."""
    made = leader.make_key("this-environment", platform.appid)
    (home / "key").write_text(made["key"])
    account = f'appid = "{platform.appid}"\nmode = "follow"\nsecret_file = "key"\nbase_url = "{platform.url}"\n'
    (home / "zhongkong.toml").write_text(f"[[account]]\n{account}")
    with started("serve", "--port", "0", "--json", home=home) as hub:
        assert hub.stdout is not None
        assert "hub_url" in hub.stdout.readline()
    found = findings(terminal, code=1)
    assert "doctor_leader_stranger" in found


def test_the_key_is_asked_for_in_words_that_fit(home: Path, terminal: Terminal, platform: Platform) -> None:
    """Nobody who is asked for an AppSecret would think of typing a key."""
    with leading(home, terminal, platform) as leader:
        made = leader.make_key("this-environment", platform.appid)
        words = ("account", "add", platform.appid, "--mode", "follow", "--base-url", leader.url)
        with at_terminal(*words, home=home) as screen:
            screen.wait_for("Key of the hub to follow (zk_…, not shown")
            screen.type(f"{made['key']}\n")
            assert screen.end() == 0
        assert "is well" in screen.shown
        assert made["key"] not in screen.shown
        with at_terminal("account", "set", platform.appid, "--secret", home=home) as screen:
            screen.wait_for("Key of the hub to follow (zk_…, not shown")
            screen.type(f"{made['key']}\n")
            assert screen.end() == 0


def test_an_account_that_follows_is_declared_in_the_settings(
    home: Path, terminal: Terminal, platform: Platform, leader: Leader
) -> None:
    """With its key in a file of its own; what does not go together is refused with its place."""
    made = leader.make_key("this-environment", platform.appid)
    (home / "key").write_text(made["key"])
    declared = f'[[account]]\nappid = "{platform.appid}"\nmode = "follow"\nsecret_file = "key"\n'
    (home / "zhongkong.toml").write_text(declared)
    assert "base_url names the hub that it follows" in terminal.type("doctor", code=1).stdout
    (home / "zhongkong.toml").write_text(f'{declared}base_url = "{leader.url}"\n')
    with started("serve", "--port", "0", "--json", home=home) as hub:
        assert hub.stdout is not None
        assert "hub_url" in hub.stdout.readline()
        assert end(hub)[0] == 0  # in order: one that is killed while it asks keeps others away for a lease's time
    assert terminal.type("token", platform.appid, shows=True).stdout.strip() == platform.token()
    (home / "key").write_text(platform.secret)
    assert "wants a key (zk_…)" in terminal.type("doctor", code=1).stdout


def test_a_program_with_a_keeper_of_its_own_can_follow_too(home: Path, platform: Platform, leader: Leader) -> None:
    """The library's accounts are those of a hub: its mint may be another hub."""
    key = leader.make_key("a-program", platform.appid)["key"]
    account: AccountGiven = {"secret": key, "mode": "follow", "base_url": leader.url}
    with closing(zhongkong.connect(f"sqlite:///{home}/wx.db", accounts={platform.appid: account})) as source:
        assert source.access_token(platform.appid) == platform.token()
