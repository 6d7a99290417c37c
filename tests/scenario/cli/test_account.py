"""zhongkong account: a person adds an account and is told at once whether it works, and if not, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.cli.house import Platform, Terminal


def test_adding_an_account_mints_at_once(terminal: Terminal, platform: Platform) -> None:
    """Whether secret, allow-list and network are right is known now, not when the first reader comes."""
    added = terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret)
    assert f"{platform.appid} was added" in added.stdout
    assert "is well" in added.stdout
    assert "zhongkong key create" in added.stdout
    assert len(platform.do(lambda running: list(running.journal.read(0)))) > 0


@pytest.mark.parametrize("way", ["--secret-file", "--secret-env", "stdin file"])
def test_a_secret_comes_from_anywhere_but_the_command_line(
    terminal: Terminal, platform: Platform, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Arguments are seen by every user of the machine, and kept in the shell's history."""
    Path("secret").write_text(platform.secret + "\n")
    monkeypatch.setenv("SHOP_SECRET", platform.secret)
    given = {
        "--secret-file": (["--secret-file", "secret"], ""),
        "--secret-env": (["--secret-env", "SHOP_SECRET"], ""),
        "stdin file": (["--secret-file", "-"], platform.secret),
    }
    words, stdin = given[way]
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, *words, stdin=stdin)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(terminal: Terminal) -> None:
    """What somebody typed in the wrong place must not go on into a log."""
    refused = terminal.type("account", "add", "wx1111", "hush-hush-hush", code=2)
    assert "hush" not in refused.output
    assert "never arguments" in refused.stderr


def test_nothing_on_stdin_is_no_secret(terminal: Terminal) -> None:
    """An empty secret would be refused by the platform with words about something else."""
    assert "stdin" in terminal.type("account", "add", "wx1111", code=2).stderr


def test_a_wrong_secret_is_told_in_words_and_nothing_is_added(terminal: Terminal, platform: Platform) -> None:
    """40125: the text says where the right one is to be had."""
    terminal.secrets.add("0123456789abcdef")
    refused = terminal.type(
        "account", "add", platform.appid, "--base-url", platform.url, stdin="0123456789abcdef", code=4
    )
    assert "40125" in refused.stderr
    assert "secret" in refused.stderr
    assert terminal.read("account", "list") == {"accounts": []}


def test_an_address_that_is_not_allowed_is_named_and_after_the_fix_set_tries_again(
    terminal: Terminal, platform: Platform
) -> None:
    """40164: the person copies the address into the allow-list; the account is kept meanwhile."""
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list(["203.0.113.9"]))
    added = terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret, code=4)
    assert "was added" in added.stdout
    assert "127.0.0.1" in added.stdout
    assert terminal.read("account", "show", platform.appid)["credentials"]["access_token"]["errcode"] == 40164
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list(None))
    assert "is well" in terminal.type("account", "set", platform.appid).stdout


def test_accounts_are_listed_for_people_and_for_programs(terminal: Terminal, shop: str) -> None:
    """The table shows what one looks for; JSON is what the hub's interface answers."""
    table = terminal.type("account", "list").stdout
    assert shop in table
    assert "well" in table
    (account,) = terminal.read("account", "list")["accounts"]
    assert (account["appid"], account["credentials"]["access_token"]["state"]) == (shop, "well")
    assert "secret" not in account


def test_showing_an_account_shows_all_but_its_secret(terminal: Terminal, shop: str, platform: Platform) -> None:
    """Whoever looks over the shoulder learns nothing that works elsewhere."""
    shown = terminal.type("account", "show", shop).stdout
    assert platform.url in shown
    assert "stable" in shown


def test_a_secret_that_was_reset_is_changed_and_tried_before_it_counts(
    terminal: Terminal, shop: str, platform: Platform
) -> None:
    """A mistyped new secret must not replace the old one."""
    fresh = platform.do(lambda running: running.world.reset_secret(shop, running.clock.now()))
    terminal.secrets |= {fresh, "fedcba9876543210"}
    refused = terminal.type("account", "set", shop, "--secret", stdin="fedcba9876543210", code=4)
    assert "40125" in refused.stderr
    assert "was changed" in terminal.type("account", "set", shop, "--secret", stdin=fresh).stdout


def test_an_account_is_removed_after_a_question(terminal: Terminal, shop: str) -> None:
    """One slip of the finger must not take a shop off the air."""
    terminal.type("account", "remove", shop, stdin="n\n", code=130)
    assert terminal.read("account", "list")["accounts"]
    assert terminal.read("account", "remove", shop, "--yes") == {"appid": shop, "removed": True}
    assert "no account yet" in terminal.type("account", "list").stdout


def test_an_account_that_is_not_there_is_exit_3(terminal: Terminal) -> None:
    """Scripts tell "unknown" from "refused"."""
    for words in (["show"], ["set"], ["remove", "--yes"]):
        terminal.type("account", words[0], "wx1111", *words[1:], code=3)


def test_adding_it_twice_is_a_conflict(terminal: Terminal, shop: str, platform: Platform) -> None:
    """`set` changes an account; `add` must not."""
    terminal.type("account", "add", shop, "--base-url", platform.url, stdin=platform.secret, code=2)


def test_what_cannot_be_an_appid_or_a_url_is_refused(terminal: Terminal) -> None:
    """The platform would answer in words about something else."""
    terminal.type("account", "add", "wx 1", stdin="s", code=2)
    terminal.type("account", "add", "wx1111", "--base-url", "localhost", stdin="s", code=2)
    assert "official | miniprogram" in terminal.type("account", "add", "wx1", "--kind", "x", stdin="s", code=2).stderr
