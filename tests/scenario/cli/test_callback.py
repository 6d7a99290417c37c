"""zhongkong account set … and zhongkong callback: the door is set up, and tried from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.cli.house import Platform, Terminal

TOKEN = "callbackToken1"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def appid(terminal: Terminal, platform: Platform) -> str:
    """An account that is there."""
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret)
    return platform.appid


def test_token_and_key_are_made_and_what_to_paste_is_printed(terminal: Terminal, appid: str) -> None:
    """Nothing else of the account is touched or tried."""
    made = terminal.type("account", "set", appid, "--make-callback-token", "--make-encoding-aes-key").stdout
    assert f"https://YOUR-HOST/callback/{appid}" in made
    assert "public_url" in made
    assert "shown this once" in made
    assert "all taken" in made
    shown = terminal.read("callback", "show", appid)
    assert (shown["token"], shown["encoding_aes_key"], shown["handler"]) == (True, True, "")


def test_secrets_come_from_stdin_one_line_each_or_from_files_and_variables(
    terminal: Terminal, appid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the account's own secret does."""
    terminal.secrets |= {TOKEN, KEY}
    terminal.type("account", "set", appid, "--callback-token", "--encoding-aes-key", stdin=f"{TOKEN}\n{KEY}\n")
    assert terminal.read("callback", "show", appid)["encoding_aes_key"] is True
    Path("token").write_text(TOKEN)
    monkeypatch.setenv("AES", KEY)
    terminal.type("account", "set", appid, "--callback-token-file", "token", "--encoding-aes-key-env", "AES")
    refused = terminal.type("account", "set", appid, "--encoding-aes-key-file", KEY, code=2)
    assert "--encoding-aes-key-file" in refused.stderr


def test_a_token_that_is_none_is_refused_in_words(terminal: Terminal, appid: str) -> None:
    """Three things are called token, and people paste the wrong one."""
    pasted = "83_" + "aB3-" * 33
    terminal.secrets.add(pasted)
    refused = terminal.type("account", "set", appid, "--callback-token", stdin=pasted, code=2)
    assert "looks like an access_token" in refused.stderr


def test_programs_and_files_are_set_and_shown(terminal: Terminal, appid: str) -> None:
    """With what belongs to the account itself in one go."""
    Path("MP_verify_a1.txt").write_bytes(b"\xef\xbb\xbfa1\r\n")
    words = ["--name", "shop", "--make-callback-token", "--handler", "http://10.0.0.5/wechat"]
    words += ["--listener", "http://10.0.0.6/", "--listener", "http://10.0.0.7/", "--verify-file", "MP_verify_a1.txt"]
    changed = terminal.read("account", "set", appid, *words)
    assert (changed["name"], changed["callback"]["handler"]) == ("shop", "http://10.0.0.5/wechat")
    assert changed["callback"]["verify_files"] == ["MP_verify_a1.txt"]
    shown = terminal.type("callback", "show", appid).stdout
    assert "http://10.0.0.6/, http://10.0.0.7/" in shown
    assert "/MP_verify_a1.txt" in shown
    assert "http://10.0.0.5/wechat" in terminal.type("account", "show", appid).stdout
    assert terminal.read("account", "show", appid)["callback"] == terminal.read("callback", "show", appid)
    terminal.type("account", "set", appid, "--no-listeners", "--handler", "")
    assert terminal.read("callback", "show", appid)["listeners"] == []
    assert "cannot be read" in terminal.type("account", "set", appid, "--verify-file", "gone.txt", code=2).stderr


def test_verify_names_what_fails(terminal: Terminal, appid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything else: is there a Token, and an address."""
    terminal.type("callback", "verify", appid, code=2)
    terminal.type("account", "set", appid, "--make-callback-token")
    assert "public_url" in terminal.type("callback", "verify", appid, code=1).stderr
    monkeypatch.setenv("ZHONGKONG_PUBLIC_URL", "http://wx.example.com:8600")
    assert f"http://wx.example.com:8600/callback/{appid}" in terminal.type("callback", "show", appid).stdout
    assert terminal.read("callback", "verify", appid, code=1)["step"] == "port"
    assert terminal.read("callback", "verify", appid, "--url", "https://hub.internal", code=1)["step"] == "inside"
    terminal.type("callback", "verify", "wx1111", code=3)
