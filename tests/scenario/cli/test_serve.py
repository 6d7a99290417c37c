"""zhongkong serve, and the walk of a newcomer: account add, key create, serve, curl."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.needs import need
from tests.scenario.cli.house import SOON, Platform, Terminal, clean_environ, end, started
from zhongkong.sandbox.accounts import Kind
from zhongkong.sandbox.server import Running

KEY = re.compile(r"export ZHONGKONG_KEY=(zk_\w+)")


def replace_kind(running: Running, kind: Kind) -> None:
    """Have the sandbox's account be one of that kind."""
    assert running.account is not None
    running.account.kind = kind


def _curl(said: str, key: str, home: Path) -> str:
    """Return what the curl that was shown prints."""
    (line,) = re.findall(r"^  (curl .*)$", said, re.MULTILINE)
    environ = {**clean_environ(home), "ZHONGKONG_KEY": key, "no_proxy": "*"}
    return subprocess.run(
        ["sh", "-c", f"{line} -s --fail"], env=environ, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("kind", ["official", "miniprogram"])
def test_a_newcomer_walks_from_an_appid_to_a_token(home: Path, platform: Platform, kind: Kind) -> None:
    """As the README says it: account add, key create, serve, curl, the three lines of Python; then a dead token."""
    need("curl", "curl")
    platform.do(lambda running: replace_kind(running, kind))
    walk = Terminal({platform.secret})
    (home / "zhongkong.toml").write_text(f"port = {_free_port()}\n")
    words = ["account", "add", platform.appid, "--kind", kind, "--base-url", platform.url]
    assert "is well" in walk.type(*words, stdin=platform.secret).stdout
    assert walk.read("account", "show", platform.appid)["kind"] == kind
    created = walk.type("key", "create", "shop", "--appid", platform.appid, shows=True).stdout
    (key,) = KEY.findall(created)
    with started("serve", home=home) as hub:
        assert hub.stdout is not None
        assert "The hub runs at" in hub.stdout.readline()
        told = json.loads(_curl(created, key, home))
        assert told["access_token"] == platform.token()
        lines = "\n".join(
            line.strip() for line in created.splitlines() if line.startswith(("  import", "  request", "  print"))
        )
        environ = {**clean_environ(home), "ZHONGKONG_KEY": key, "no_proxy": "*"}
        ran = subprocess.run([sys.executable, "-c", lines], env=environ, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == platform.token()
        platform.do(lambda running: running.world.revoke(told["access_token"], running.clock.now()))
        assert walk.read("reject", platform.appid, stdin=told["access_token"])["outcome"] == "refreshed"
        assert platform.token() != told["access_token"]
        code, said, log = end(hub, signal.SIGINT)
        assert code == 0
        for secret in (platform.secret, platform.token(), key):
            assert secret not in said + log


def test_an_empty_store_gets_a_first_key_shown_once_and_the_next_step(home: Path) -> None:
    """Without it nobody could do anything over HTTP; the second start shows none."""
    with started("serve", "--port", "0", home=home) as hub:
        assert hub.stdout is not None
        shown = [hub.stdout.readline() for _ in range(7)]
        (url,) = re.findall(r"runs at (\S+)", shown[0])
        urllib.request.urlopen(f"{url}/healthz", timeout=SOON).close()  # noqa: S310 (our own)
        code, said, log = end(hub, signal.SIGTERM)
    assert code == 0
    (key,) = KEY.findall("".join(shown))
    assert "master key" in "".join(shown)
    assert "zhongkong account add" in "".join(shown)
    assert key not in said + log
    with started("serve", "--port", "0", home=home) as hub:
        assert hub.stdout is not None
        assert "The hub runs at" in hub.stdout.readline()
        assert KEY.findall(end(hub)[1]) == []


def test_commands_act_on_a_hub_elsewhere_as_on_the_store_here(
    home: Path, terminal: Terminal, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may administer a hub need not be on its machine."""
    terminal.secrets.add(platform.secret)
    with started("serve", "--port", "0", "--json", "--data-dir", "elsewhere", home=home) as hub:
        assert hub.stdout is not None
        told = json.loads(hub.stdout.readline())
        there = ("--hub", told["hub_url"])
        assert "ZHONGKONG_KEY" in terminal.type("account", "list", *there, code=6).stderr
        monkeypatch.setenv("ZHONGKONG_KEY", told["first_key"])
        terminal.secrets.add(told["first_key"])
        words = ("account", "add", platform.appid, "--base-url", platform.url)
        assert "is well" in terminal.type(*words, *there, stdin=platform.secret).stdout
        assert terminal.type("token", platform.appid, *there, shows=True).stdout.strip() == platform.token()
        made = terminal.type("key", "create", "shop", "--appid", platform.appid, *there, shows=True).stdout
        assert f"{told['hub_url']}/v1/accounts/{platform.appid}/access_token" in made
        monkeypatch.setenv("ZHONGKONG_HUB", told["hub_url"])
        assert len(terminal.read("key", "list")["keys"]) == 2
        assert "account_added" in terminal.type("events", "--json").stdout
        doctored = terminal.read("doctor")
        assert doctored["well"] is True
        assert {one["code"] for one in doctored["findings"]} == {"doctor_way", "doctor_key", "doctor_account"}
        monkeypatch.setenv("ZHONGKONG_KEY", KEY.findall(made)[0])
        assert "admin" in terminal.type("account", "list", code=6).stderr
        terminal.type("token", "wx9999", code=6)
        end(hub)


def test_a_hub_out_of_reach_or_another_program_is_told(
    terminal: Terminal, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 5 for the one that may come back."""
    monkeypatch.setenv("ZHONGKONG_KEY", "zk_abcdefgh_0123456789012345678901234567890")
    terminal.secrets.add("zk_abcdefgh_0123456789012345678901234567890")
    assert "refused" in terminal.type("account", "list", "--hub", "http://127.0.0.1:1", code=5).stderr.lower()
    assert "cannot be resolved" in terminal.type("account", "list", "--hub", "http://nobody.invalid", code=5).stderr
    over_tls = platform.url.replace("http:", "https:")
    assert "speaks no TLS" in terminal.type("account", "list", "--hub", over_tls, code=5).stderr
    assert "not speak like a hub" in terminal.type("account", "list", "--hub", platform.url, code=5).stderr
    assert terminal.read("doctor", "--hub", platform.url, code=1)["well"] is False


def test_declared_accounts_are_served_and_changed_in_the_settings_only(
    home: Path, terminal: Terminal, platform: Platform
) -> None:
    """A file under version control says which accounts there are; a command must not say otherwise."""
    (home / "secret").write_text(platform.secret)
    declared = f"[[account]]\nappid = '{platform.appid}'\nbase_url = '{platform.url}'\nsecret_file = 'secret'\n"
    (home / "zhongkong.toml").write_text(f"port = 0\n{declared}")
    with started("serve", home=home) as hub:
        assert hub.stdout is not None
        assert "1 account(s) declared" in hub.stdout.readline()
        said = end(hub)[1]
        assert "ZHONGKONG_KEY" in said
        assert "add an account" not in said
    assert terminal.read("account", "show", platform.appid)["declared"] is True
    terminal.type("account", "set", platform.appid, "--name", "x", code=2)
    terminal.type("account", "remove", platform.appid, "--yes", code=2)


@pytest.mark.parametrize("way", ["--port", "ZHONGKONG_PORT", "zhongkong.toml"])
def test_a_port_that_is_taken_is_told(
    home: Path, terminal: Terminal, platform: Platform, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whichever way it was chosen."""
    words = ["serve"]
    if way == "--port":
        words += ["--port", str(platform.running.port)]
    elif way == "ZHONGKONG_PORT":
        monkeypatch.setenv("ZHONGKONG_PORT", str(platform.running.port))
    else:
        (home / way).write_text(f"port = {platform.running.port}\n")
    assert str(platform.running.port) in terminal.type(*words, code=2).stderr


def test_a_sandbox_says_what_is_in_it_and_can_be_kept(home: Path, terminal: Terminal) -> None:
    """The same test account tomorrow, if it is given a directory."""
    words = ("sandbox", "--port", "0", "--json", "--data", "kept", "--expires-in", "60")
    told = []
    for _ in range(2):
        with started(*words, home=home) as sandbox:
            assert sandbox.stdout is not None
            told.append(json.loads(sandbox.stdout.readline()))
            assert "Another sandbox" in terminal.type("sandbox", "--port", "0", "--data", "kept", code=2).stderr
            assert end(sandbox)[0] == 0
    assert list(told[0]) == ["sandbox_url", "appid", "secret"]
    assert (told[0]["appid"], told[0]["secret"]) == (told[1]["appid"], told[1]["secret"])
    (home / "kept" / "sandbox.json").write_text("{")
    assert "sandbox.json" in terminal.type("sandbox", "--port", "0", "--data", "kept", code=2).stderr
    (home / "file").write_text("")
    terminal.type("sandbox", "--port", "0", "--data", "file", code=2)


def test_a_sandbox_tells_people_how_a_hub_uses_it(home: Path, platform: Platform, terminal: Terminal) -> None:
    """The next command, to be copied."""
    with started("sandbox", "--port", "0", home=home) as sandbox:
        assert sandbox.stdout is not None
        said = "".join(sandbox.stdout.readline() for _ in range(6))
        assert re.search(r"zhongkong account add wx\w+ --base-url http://127.0.0.1:\d+", said)
        end(sandbox)
    assert "--port" in terminal.type("sandbox", "--port", str(platform.running.port), code=2).stderr


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
