"""zhongkong store, backup and restore: what people type to move a store and to keep copies of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.own_databases import PASSWORD, OwnServers
from tests.scenario.cli.house import Platform, Terminal
from zhongkong.settings import default_data_dir


@pytest.fixture(autouse=True)
def prefix(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep apart from other tests on the same server."""
    assert home.is_dir()
    monkeypatch.setenv("ZHONGKONG_STORE_PREFIX", "moving_")
    return "moving_"


def test_from_a_file_to_a_server_and_back(
    terminal: Terminal,
    shop: str,
    platform: Platform,
    own_servers: OwnServers,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same token there, without another mint; the old one says where; no password is shown anywhere."""
    terminal.secrets |= {"hunter2", quote(PASSWORD, safe="")}
    server, minted = own_servers.of("postgresql"), platform.token()
    file = default_data_dir() / "zhongkong.db"
    monkeypatch.setenv("NEW_STORE", server.url)
    said = terminal.type("store", "copy", f"sqlite:///{file}", "NEW_STORE")
    assert str(default_data_dir() / "zhongkong.seal") in said.stdout
    assert "sslmode" in said.stdout
    assert "Comparing" in said.stderr
    for words in (["token", shop], ["account", "list"], ["db", "check"]):
        assert f"127.0.0.1:{server.port}" in terminal.type(*words, code=7).stderr
    assert "store_moved" in {one["code"] for one in terminal.read("doctor", code=1)["findings"]}
    monkeypatch.setenv("ZHONGKONG_STORE_URL", server.url)
    assert terminal.type("token", shop, shows=True).stdout.strip() == minted
    dump, load = commands(terminal)
    run_in_shell(dump, home)
    assert (home / "zhongkong.dump").stat().st_mode & 0o077 == 0
    terminal.type("account", "remove", shop, "--yes")
    run_in_shell(load, home)
    assert terminal.type("token", shop, shows=True).stdout.strip() == minted
    monkeypatch.setenv("ZHONGKONG_STORE_URL", own_servers.of("mysql").url)
    assert "mysqldump" in commands(terminal)[0]
    monkeypatch.setenv("ZHONGKONG_STORE_URL", server.url)
    assert "write back" in terminal.type("store", "restored").stdout
    back = file.with_name("back.db")
    told = terminal.read("store", "copy", "ZHONGKONG_STORE_URL", f"sqlite:///{back}")
    assert (told["to"], told["unreadable"], told["rows"]["moving_accounts"]) == (f"sqlite:///{back}", 0, 1)
    monkeypatch.setenv("ZHONGKONG_STORE_URL", f"sqlite:///{back}")
    assert terminal.type("token", shop, shows=True).stdout.strip() == minted


def commands(terminal: Terminal) -> tuple[str, str]:
    """Return the commands that are told where a store is on a server."""
    told = terminal.type("backup", "x.bak", code=1).stderr
    dump, load, after = (line.strip() for line in told.splitlines() if line.startswith("  "))
    assert after == "zhongkong store restored"
    return dump, load


def test_what_the_tools_name_differently_is_told_beside_the_commands(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ssl_disabled` is the driver's own name, and no tool's: in no command, and not passed over in silence."""
    monkeypatch.setenv("ZHONGKONG_STORE_URL", "mysql://hub@db/x?ssl_disabled=true")
    assert not [command for command in commands(terminal) if "ssl" in command]
    told = terminal.type("backup", "x.bak", code=1).stderr
    assert "(ssl_disabled) --ssl-mode=DISABLED or --skip-ssl" in told
    assert "--ssl-mode=VERIFY_IDENTITY or --ssl-verify-server-cert" in told


def run_in_shell(command: str, directory: Path) -> None:
    """Do what was told, as it stands."""
    environ = {**os.environ, "PGPASSWORD": PASSWORD}
    subprocess.run(["sh", "-c", command], check=True, cwd=directory, env=environ, timeout=60)


def test_a_move_is_undone(terminal: Terminal, shop: str, platform: Platform) -> None:
    """With words for what must not go on."""
    file = default_data_dir() / "zhongkong.db"
    said = terminal.type("store", "copy", f"sqlite:///{file}", f"sqlite:///{file.with_name('new.db')}").stdout
    assert f"store.url to sqlite:///{file.with_name('new.db')}," in said
    assert "assword" not in said
    assert "new.db" in terminal.type("store", "reopen").stdout
    assert "was not moved" in terminal.type("store", "reopen", code=7).stderr
    assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()
    lines = terminal.type("events", "--json").stdout.splitlines()
    assert [json.loads(line)["code"] for line in lines[-2:]] == ["store_moved", "store_reopened"]


@pytest.mark.usefixtures("shop")
def test_what_is_named_wrongly_is_not_repeated(terminal: Terminal, home: Path) -> None:
    """It may be a password. FROM or TO is named, and not a setting that has nothing to do with it."""
    terminal.secrets.add("hunter2")
    for words, code, name in (
        (["hunter2", "sqlite:///x.db"], 2, "FROM"),
        (["oracle://hub:hunter2@db/x", "sqlite:///x.db"], 2, "FROM"),
        (["sqlite:///x.db", "mysql://hub:hunter2@db"], 2, "TO"),
        (["sqlite:///absent.db", "sqlite:///x.db"], 7, f"FROM: sqlite:///{home}/absent.db"),
    ):
        said = terminal.type("store", "copy", *words, code=code).stderr
        assert "store.url" not in said
        assert name in said
    assert not (home / "x.db").exists()
    assert not (home / "absent.db").exists()


@pytest.mark.usefixtures("shop")
def test_a_server_that_is_away_is_not_promised_another_try(terminal: Terminal) -> None:
    """Nobody tries again but the person who typed it; a hub would."""
    file = default_data_dir() / "zhongkong.db"
    said = terminal.type("store", "copy", f"sqlite:///{file}", "postgresql://hub@127.0.0.1:1/x", code=5).stderr
    assert "127.0.0.1:1" in said
    assert "a command you run again" in said


def test_a_backup_is_restored(terminal: Terminal, shop: str, platform: Platform, home: Path) -> None:
    """Whoever backs up is told of the seal, and whoever restores is asked before anything is lost."""
    assert "zhongkong.seal" in terminal.type("backup", "hub.bak").stdout
    assert "--overwrite" in terminal.type("backup", "hub.bak", code=7).stderr
    terminal.type("account", "remove", shop, "--yes")
    assert "--overwrite" in terminal.type("restore", "hub.bak", code=7).stderr
    terminal.type("account", "show", shop, code=3)
    assert "hub.bak" in terminal.type("restore", "hub.bak", "--overwrite").stdout
    assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()
    (default_data_dir() / "zhongkong.db").unlink()
    assert terminal.read("restore", "hub.bak")["backup"] == "hub.bak"
    assert shop in terminal.type("account", "list").stdout
    assert sorted(path.name for path in home.glob("*.bak*")) == ["hub.bak"]


@pytest.mark.usefixtures("shop")
def test_a_backup_without_a_seal_says_what_is_missing(terminal: Terminal) -> None:
    """A copy of what is not there cannot be kept."""
    seal = default_data_dir() / "zhongkong.seal"
    assert "no backup" in terminal.type("backup", str(seal), "--overwrite", code=7).stderr
    seal.unlink()
    assert "is missing" in terminal.type("backup", "hub.bak").stderr
    assert terminal.read("backup", "hub.bak", "--overwrite")["seal_file"] == str(seal)


def test_a_restore_without_a_seal_asks_for_the_seal(terminal: Terminal, home: Path) -> None:
    """On a new machine there is no store yet, and none is spoken of."""
    (home / "hub.bak").write_bytes(b"sealed")
    said = terminal.type("restore", "hub.bak", code=7).stderr
    assert "zhongkong.seal" in said
    assert "holds a store" not in said
