"""zhongkong token and reject: a token on stdout, and nowhere else."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.scenario.cli.house import Platform, Terminal


def test_a_token_stands_alone_on_its_line(terminal: Terminal, shop: str, platform: Platform) -> None:
    """It goes into a variable or a pipe: TOKEN=$(zhongkong token wx…)."""
    printed = terminal.type("token", shop, shows=True)
    assert printed.stdout == f"{platform.token()}\n"
    assert printed.stderr == ""


def test_with_json_all_that_is_known_of_a_token_is_told(terminal: Terminal, shop: str, platform: Platform) -> None:
    """As the hub's interface tells it."""
    told = terminal.read("token", shop, shows=True)
    assert (told["appid"], told["access_token"], told["generation"]) == (shop, platform.token(), 1)
    assert 0 < told["expires_in"] <= 7200


def test_a_living_token_stays(terminal: Terminal, shop: str, platform: Platform) -> None:
    """A reject is looked into, never believed unseen."""
    old = platform.token()
    assert "still takes" in terminal.type("reject", shop, stdin=old).stdout
    assert platform.token() == old


def test_a_dead_token_is_replaced_and_its_successor_not_shown(
    terminal: Terminal, shop: str, platform: Platform
) -> None:
    """Who wants the new one reads it: a report of trouble goes into tickets and chats."""
    old = platform.token()
    platform.do(lambda running: running.world.revoke(old, running.clock.now()))
    replaced = terminal.read("reject", shop, "--sha256", sha256(old.encode()).hexdigest())
    assert (replaced["outcome"], replaced["generation"]) == ("refreshed", 2)
    assert "access_token" not in replaced
    assert platform.token() != old
    assert terminal.read("reject", shop, stdin=old)["outcome"] == "already_newer"
    assert terminal.read("reject", shop, "--generation", "1")["outcome"] == "already_newer"
    assert "newer token" in terminal.type("reject", shop, "--generation", "1").stdout


def test_a_generation_that_was_never_issued_is_told_as_such(terminal: Terminal, shop: str, platform: Platform) -> None:
    """A slip in the number is no news of a newer token."""
    old = platform.token()
    told = terminal.type("reject", shop, "--generation", "9").stdout
    assert "No generation 9" in told
    assert "the present one is 1" in told
    assert platform.token() == old


def test_who_forces_is_not_told_that_it_was_dead(terminal: Terminal, shop: str) -> None:
    """Nobody looked: what is known is that it was asked for. A first ticket need not wait for any to end."""
    told = terminal.type("reject", shop, "--kind", "jsapi_ticket", "--force").stdout
    assert "because of --force" in told
    assert "was dead" not in told


def test_a_force_soon_after_a_mint_must_wait(terminal: Terminal, shop: str, platform: Platform) -> None:
    """The former token still lives then, and would be ended under its readers; exit 5 says: the same, later."""
    old = platform.token()
    told = terminal.type("reject", shop, "--force", code=5).stderr
    assert "again in 90 s" in told
    assert "too soon" in told
    assert "nothing" not in told
    assert platform.token() == old


def test_a_token_on_the_command_line_is_refused_and_not_repeated(terminal: Terminal) -> None:
    """A token is a secret for two hours; it comes by stdin or a file."""
    refused = terminal.type("reject", "wx1111", "83_hush-hush-hush", code=2)
    assert "hush" not in refused.output


def test_an_unknown_account_is_exit_3_and_says_so_in_json(terminal: Terminal) -> None:
    """Failures go to stderr, so that stdout holds a token or nothing."""
    terminal.type("db", "upgrade")
    failed = terminal.type("token", "wx1111", "--json", code=3)
    assert failed.stdout == ""
    assert '"code":"account_unknown"' in failed.stderr


def test_while_the_platform_refuses_a_token_is_not_to_be_had(terminal: Terminal, platform: Platform) -> None:
    """A person must act: exit 4, and the words say what to do."""
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list([]))
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret, code=4)
    told = terminal.type("token", platform.appid, code=4).stderr
    assert "allow-list" in told
    assert "until a person acts" in told


@pytest.mark.parametrize("kind", ["jsapi_ticket", "wx_card_ticket"])
def test_a_ticket_stands_alone_on_its_line_too(terminal: Terminal, shop: str, kind: str) -> None:
    """Whoever signs pages in a script."""
    ticket = terminal.type("token", shop, "--kind", kind, shows=True).stdout.strip()
    told = terminal.read("token", shop, "--kind", kind, shows=True)
    assert (told["kind"], told[kind], len(ticket)) == (kind, ticket, 86)


def test_a_ticket_is_reported_with_its_kind_and_not_shown(terminal: Terminal, shop: str) -> None:
    """Just brought, it is still valid."""
    ticket = terminal.type("token", shop, "--kind", "jsapi_ticket", shows=True).stdout.strip()
    told = terminal.read("reject", shop, "--kind", "jsapi_ticket", stdin=ticket)
    assert (told["outcome"], told["kind"], "jsapi_ticket" in told) == ("still_valid", "jsapi_ticket", False)
