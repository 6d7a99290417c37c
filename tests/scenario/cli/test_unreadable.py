"""An account that cannot be unsealed in the store: it is named, nobody else is troubled, and there is a way out."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.cli.house import SOON, Platform, Terminal, end, started
from zhongkong.adapters.seal import RingSeal
from zhongkong.settings import default_data_dir

LOST = RingSeal(b"lost" * 8)


def spoil(appid: str, *, secret: bool = True, token: bool = True) -> None:
    """Have what is sealed of the account closed by a key that is lost."""
    with closing(sqlite3.connect(default_data_dir() / "zhongkong.db")) as tool, tool:
        if secret:
            tool.execute("UPDATE zhongkong_accounts SET secret = ? WHERE appid = ?", [LOST.close("x", appid), appid])
        if token:
            tool.execute("UPDATE zhongkong_records SET value = ? WHERE appid = ?", [LOST.close("x", appid), appid])


@pytest.fixture
def other(terminal: Terminal, platform: Platform) -> str:
    """The appid of a second account that is well."""
    account = platform.do(lambda running: running.world.add_account(None, None))
    terminal.secrets.add(account.secret)
    terminal.type("account", "add", account.appid, "--base-url", platform.url, stdin=account.secret)
    return account.appid


def test_it_is_named_wherever_one_looks(terminal: Terminal, shop: str, other: str) -> None:
    """Exit 7: the store wants a person. The text says which account, what it may be, and what to do."""
    spoil(shop)
    listed = terminal.read("account", "list")
    assert [one["appid"] for one in listed["accounts"]] == [other]
    assert [(one["appid"], one["state"]) for one in listed["unreadable"]] == [(shop, "wrong_seal")]
    told = terminal.type("account", "list")
    assert other in told.stdout
    assert shop in told.stderr
    for words in (["account", "show", shop], ["account", "set", shop], ["token", shop]):
        refused = terminal.type(*words, code=7).stderr
        assert shop in refused
        assert "account remove" in refused
    doctored = terminal.read("doctor", code=1)
    found = {finding["code"]: finding["text"] for finding in doctored["findings"] if finding["state"] == "todo"}
    assert list(found) == ["account_wrong_seal"]
    assert shop in found["account_wrong_seal"]
    assert terminal.type("token", other, shows=True).stdout


@pytest.mark.parametrize("what", ["secret", "token"])
def test_it_is_named_if_only_half_of_it_cannot_be_read(
    terminal: Terminal, shop: str, platform: Platform, what: str
) -> None:
    """The secret alone, or the token alone."""
    spoil(shop, **{"secret": False, "token": False, what: True})
    assert "account_wrong_seal" in terminal.type("doctor", "--json", code=1).stdout
    if what == "secret":
        assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()
    else:
        terminal.type("token", shop, code=7)


def test_it_can_be_removed_and_added_again(terminal: Terminal, shop: str, platform: Platform) -> None:
    """For the day the seal is lost for good; generations go on."""
    spoil(shop)
    terminal.type("account", "add", shop, "--base-url", platform.url, stdin=platform.secret, code=7)
    terminal.type("account", "remove", shop, "--yes")
    assert terminal.read("account", "list") == {"accounts": [], "unreadable": []}
    assert "is well" in terminal.type("account", "add", shop, "--base-url", platform.url, stdin=platform.secret).stdout
    assert terminal.read("token", shop, shows=True)["generation"] == 2
    assert terminal.read("doctor")["well"] is True


def test_a_hub_begins_and_serves_the_others(
    home: Path, terminal: Terminal, shop: str, other: str, platform: Platform
) -> None:
    """Even if the settings declare the account: its place in the store is not taken for empty."""
    (home / "secret").write_text(platform.secret)
    declared = f"[[account]]\nappid = '{shop}'\nbase_url = '{platform.url}'\nsecret_file = 'secret'\n"
    (home / "zhongkong.toml").write_text(f"port = 0\n{declared}")
    spoil(shop)
    key = terminal.read("key", "create", "shop", "--appid", other, shows=True)["key"]
    with started("serve", "--json", home=home) as hub:
        assert hub.stdout is not None
        url = json.loads(hub.stdout.readline())["hub_url"]
        ready = _get(f"{url}/readyz")
        assert (ready["status"], ready["store"]) == ("ready", "ok")
        assert [(one["appid"], one["state"]) for one in ready["unwell"]] == [(shop, "wrong_seal")]
        assert _get(f"{url}/v1/accounts/{other}/access_token", key)["generation"] == 1
        code, _, log = end(hub)
        assert code == 0
        assert "Traceback" not in log


def _get(url: str, key: str = "") -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 (our own)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=SOON) as answer:
        return json.load(answer)
