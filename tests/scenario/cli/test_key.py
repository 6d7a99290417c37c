"""zhongkong key: what business servers hold, shown once and never again."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.scenario.cli.house import Terminal
from zhongkong.cli.key import parse_span
from zhongkong.cli.tables import tell_time
from zhongkong.errors import SettingInvalid

KEY = re.compile(r"zk_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{20,52}")


def _create(terminal: Terminal, *words: str) -> dict[str, Any]:
    made: dict[str, Any] = terminal.read("key", "create", *words, shows=True)
    terminal.secrets.add(made["key"])
    return made


def test_a_new_key_is_shown_once_with_what_uses_it(terminal: Terminal, shop: str) -> None:
    """The person goes on by copying: a curl, and three lines of Python."""
    shown = terminal.type("key", "create", "shop", "--appid", shop, shows=True).stdout
    (key,) = KEY.findall(shown)
    terminal.secrets.add(key)
    address = f"http://127.0.0.1:8600/v1/accounts/{shop}/access_token"
    assert f'curl -H "Authorization: Bearer $ZHONGKONG_KEY" {address}' in shown
    assert "urllib.request.urlopen" in shown
    assert "shop" in terminal.type("key", "list").stdout


def test_a_key_is_made_as_it_is_said(terminal: Terminal) -> None:
    """What was not said is the least: read, for ever, from everywhere."""
    plain = _create(terminal, "plain", "--appid", "wx1111")
    assert (plain["grants"], plain["expires_at"], plain["networks"], plain["rate"]) == (["read"], None, [], 0)
    words = ["--appid", "wx1111", "--appid", "wx2222", "--grant", "read", "--grant", "force", "--expires-in", "90d"]
    full = _create(terminal, "full", *words, "--from", "10.0.0.0/8", "--rate", "60")
    assert (full["appids"], full["grants"]) == (["wx1111", "wx2222"], ["force", "read"])
    assert (full["networks"], full["rate"]) == (["10.0.0.0/8"], 60)
    assert full["expires_at"] - full["created_at"] == 90 * 86_400
    assert _create(terminal, "all", "--appid", "*")["appids"] == ["*"]


def test_when_a_key_ends_is_said_as_it_is_shown(terminal: Terminal) -> None:
    """Who meant 90 days and wrote 90 seconds sees it now, and not when his program stops; a successor is told alike."""
    shown = terminal.type("key", "create", "shop", "--appid", "*", "--expires-in", "90", shows=True).stdout
    (listed,) = terminal.read("key", "list")["keys"]
    assert listed["expires_at"] - listed["created_at"] == 90
    assert f"It ends at {tell_time(listed['expires_at'])}." in shown
    again = terminal.type("key", "rotate", listed["id"], shows=True).stdout
    terminal.secrets.update(KEY.findall(shown + again))
    assert "It ends at" in again
    assert "ends at" not in terminal.type("key", "create", "all", "--appid", "*", shows=True).stdout


def test_a_key_for_an_account_that_is_not_there_is_made_and_told_of(terminal: Terminal, shop: str) -> None:
    """A key may be made before its account; a slip in the appid would show only where the key is used."""
    made = terminal.type("key", "create", "shop", "--appid", shop, "--appid", "wx2222", "--json", shows=True)
    key = json.loads(made.stdout)
    terminal.secrets.add(key["key"])
    assert "there is no account wx2222 here" in made.stderr
    assert f"zhongkong key revoke {key['id']}" in made.stderr
    assert shop not in made.stderr
    assert not terminal.type("key", "create", "all", "--appid", "*", shows=True).stderr


def test_a_key_must_say_for_which_accounts_it_is(terminal: Terminal) -> None:
    """A key for everything is made on purpose or not at all."""
    assert "--appid" in terminal.type("key", "create", "shop", code=2).stderr


def test_a_key_is_rotated_with_an_overlap_and_revoked(terminal: Terminal) -> None:
    """The twin can do the same; the old one goes on for a while."""
    old = _create(terminal, "shop", "--appid", "wx1111", "--rate", "9")
    new = terminal.read("key", "rotate", old["id"], "--overlap", "2h", shows=True)
    terminal.secrets.add(new["key"])
    assert (new["name"], new["rate"], new["appids"]) == ("shop", 9, ["wx1111"])
    listed = {one["id"]: one for one in terminal.read("key", "list")["keys"]}
    assert listed[old["id"]]["expires_at"] is not None
    terminal.type("key", "revoke", old["id"], stdin="n\n", code=130)
    assert terminal.read("key", "revoke", old["id"], "--yes") == {"id": old["id"], "revoked": True}
    assert [one["id"] for one in terminal.read("key", "list")["keys"]] == [new["id"]]


def test_a_key_that_is_not_there_is_exit_3(terminal: Terminal) -> None:
    """Scripts tell "unknown" from "refused"."""
    terminal.type("db", "upgrade")
    terminal.type("key", "revoke", "nobody00", "--yes", code=3)
    terminal.type("key", "rotate", "nobody00", code=3)
    assert "no key yet" in terminal.type("key", "list").stdout


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("60s", 60), ("30m", 1800), ("12h", 43_200), ("0", 0)])
def test_a_span_is_read_as_people_write_it(text: str, seconds: int) -> None:
    """Nobody counts ninety days in seconds."""
    assert parse_span(text, "--x") == seconds


@pytest.mark.parametrize("text", ["", "d", "1w", "-1", "1.5h", "1 d", "٣d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """An expiry that was misread is found when the shop goes off the air."""
    with pytest.raises(SettingInvalid):
        parse_span(text, "--x")
