"""zhongkong doctor: looks at everything a hub stands on, and says what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.scenario.cli.house import Platform, Terminal, end, started
from tests.scenario.end_to_end.programs import find_free_port
from zhongkong.adapters.platform import Stamp
from zhongkong.cli.doctor.findings import Findings, State
from zhongkong.cli.doctor.network import compare_clocks, look_at_hub
from zhongkong.cli.doctor.storage import Looked
from zhongkong.hub.api.state import identify
from zhongkong.settings import default_data_dir


def _codes(told: dict[str, Any], state: str) -> set[str]:
    return {finding["code"] for finding in told["findings"] if finding["state"] == state}


@pytest.fixture(autouse=True)
def _port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub of this machine's may be at the usual one, and on another store."""
    assert home.is_dir()  # made before: it forgets variables of ours
    monkeypatch.setenv("ZHONGKONG_PORT", str(find_free_port()))


@pytest.fixture
def away() -> str:
    """A base URL at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_where_all_is_well_it_says_so_and_ends_with_0(terminal: Terminal, shop: str) -> None:
    """Seven things looked at, and what was found good is told too: a person sees what was looked at."""
    shown = terminal.type("doctor").stdout
    assert "All is well." in shown
    assert f"{shop} is well" in shown
    told = terminal.read("doctor")
    assert told["well"] is True
    good = {
        "doctor_seal_fits",
        "doctor_store",
        "doctor_files_private",
        "doctor_answers",
        "doctor_clock",
        "doctor_account",
    }
    assert good <= _codes(told, "good")
    areas = {finding["area"] for finding in told["findings"]}
    assert areas == {"settings", "seal", "store", "files", "hub", "network", "clock", "accounts"}


def test_before_the_first_start_there_is_nothing_to_mend_here_and_nothing_is_made(
    terminal: Terminal, home: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """Looking changes nothing."""
    monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", away)
    told = terminal.read("doctor", code=1)
    assert _codes(told, "todo") == {"doctor_no_way"}
    assert {"doctor_seal_none", "doctor_store_none", "doctor_hub_away"} <= _codes(told, "note")
    assert not default_data_dir().exists()
    assert not list(home.iterdir())


def test_a_setting_that_cannot_be_used_is_told_with_its_place(
    terminal: Terminal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else depends on the settings, so it is the only finding."""
    (home / "zhongkong.toml").write_text("\nprot = 1\n")
    assert "zhongkong.toml:2" in terminal.type("doctor", code=1).stdout
    (home / "zhongkong.toml").write_text("[[account]]\nappid = 'wx1111'\nsecret_env = 'NOT_THERE'\n")
    assert _codes(terminal.read("doctor", code=1), "todo") == {"setting_secret_missing"}
    monkeypatch.setenv("ZHONGKONG_CONFIG", "none.toml")
    assert _codes(terminal.read("doctor", code=1), "todo") == {"setting_file_unreadable"}


def test_files_that_others_may_read_are_told_with_the_command_that_mends_them(terminal: Terminal, shop: str) -> None:
    """A store that others read holds nothing in clear, but a seal they read opens it."""
    assert shop
    (default_data_dir() / "zhongkong.db").chmod(0o644)
    assert "Run chmod 600" in terminal.type("doctor", code=1).stdout
    (default_data_dir() / "zhongkong.db").chmod(0o600)
    default_data_dir().chmod(0o755)
    assert terminal.read("doctor")["well"] is True
    default_data_dir().chmod(0o775)
    assert "chmod go-w" in terminal.type("doctor", code=1).stdout
    (default_data_dir() / "zhongkong.seal").chmod(0o640)
    assert "seal_exposed" in _codes(terminal.read("doctor", code=1), "todo")


def test_settings_with_a_password_are_for_their_owner_only(
    terminal: Terminal, home: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """Others may read a file that says nothing secret."""
    monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", away)
    file = home / "zhongkong.toml"
    file.write_text("port = 8601\n")
    file.chmod(0o644)
    assert "doctor_exposed" not in _codes(terminal.read("doctor", code=1), "todo")
    file.write_text("[store]\nurl = 'mysql://hub:hunter2@127.0.0.1:1/z'\n")
    terminal.secrets.add("hunter2")
    assert "chmod 600 zhongkong.toml" in " ".join(terminal.type("doctor", code=1).stdout.split())
    assert "doctor_exposed" in _codes(terminal.read("doctor", code=1), "todo")
    file.chmod(0o600)
    assert "doctor_exposed" not in _codes(terminal.read("doctor", code=1), "todo")


@pytest.mark.usefixtures("shop")
def test_a_bell_that_cannot_be_had_is_told_once_and_the_rest_is_looked_at(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the bell works without it."""
    monkeypatch.setitem(sys.modules, "zhongkong.adapters.bells.redis", None)
    monkeypatch.setenv("ZHONGKONG_STORE_BELL", "redis://127.0.0.1:1/0")
    told = terminal.read("doctor", code=1)
    assert [one["code"] for one in told["findings"] if one["state"] == "todo"] == ["bell_needs_redis"]
    assert {"doctor_account", "doctor_answers"} <= _codes(told, "good")


@pytest.mark.parametrize("url", ["mysql://hub@127.0.0.1:1/z", "postgresql://hub@127.0.0.1/z?sslmode=banana"])
def test_a_store_that_cannot_be_opened_is_one_finding(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, url: str, away: str
) -> None:
    """Which platform its accounts need is not known then, and whether that can be reached is no trouble of today."""
    monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", away)
    monkeypatch.setenv("ZHONGKONG_STORE_URL", url)
    told = terminal.read("doctor", code=1)
    assert [one["area"] for one in told["findings"] if one["state"] == "todo"] == ["store"]


def test_a_lost_or_wrong_seal_is_told_and_none_is_made(terminal: Terminal, shop: str) -> None:
    """A new seal in place of the lost one would look like a loss of everything."""
    assert shop
    seal = default_data_dir() / "zhongkong.seal"
    kept = seal.read_bytes()
    seal.unlink()
    assert "doctor_seal_lost" in _codes(terminal.read("doctor", code=1), "todo")
    assert not seal.exists()
    terminal.type("db", "upgrade", "--data-dir", "other")
    shutil.copy("other/zhongkong.seal", seal)
    (told,) = [one["text"] for one in terminal.read("doctor", code=1)["findings"] if one["code"] == "seal_does_not_fit"]
    refused = terminal.type("account", "list", code=7).stderr
    for place in (str(seal), str(default_data_dir() / "zhongkong.db")):
        assert place in told
        assert place in refused
    seal.write_bytes(kept)
    assert terminal.read("doctor")["well"] is True


def test_a_damaged_store_is_told(terminal: Terminal, shop: str) -> None:
    """And the doctor goes on to look at the rest."""
    assert shop
    (default_data_dir() / "zhongkong.db").write_bytes(b"no database, " * 1000)
    told = terminal.read("doctor", code=1)
    assert "store_damaged" in _codes(told, "todo")
    assert {"files", "hub"} <= {finding["area"] for finding in told["findings"]}


def test_an_account_that_is_blocked_is_told_with_its_fix(terminal: Terminal, platform: Platform) -> None:
    """40164: the address that the platform sees is named, to be copied."""
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list([]))
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret, code=4)
    shown = terminal.type("doctor", code=1).stdout
    assert "127.0.0.1 is not in the allow-list" in shown
    assert f"zhongkong account set {platform.appid}" in shown


def test_a_declared_account_is_mended_in_the_settings_and_by_a_restart(
    terminal: Terminal, home: Path, platform: Platform
) -> None:
    """`account set` may not change it, and a file that was corrected is read at the next start only."""
    secret = home / "secret"
    secret.write_text("0" * 32)
    declared = f"[[account]]\nappid = '{platform.appid}'\nbase_url = '{platform.url}'\nsecret_file = 'secret'\n"
    (home / "zhongkong.toml").write_text(declared)

    def look(code: int = 1) -> dict[str, str]:
        return {one["code"]: one["text"] for one in terminal.read("doctor", code=code)["findings"]}

    def serve() -> None:
        with started("serve", "--json", "--port", "0", home=home) as hub:
            assert hub.stdout is not None
            hub.stdout.readline()
            end(hub)

    serve()
    terminal.type("account", "set", platform.appid, code=4)
    told = look()
    assert "doctor_declared_otherwise" not in told
    assert "in the settings by [[account]]" in told["account_blocked"]
    assert "restart the hub" in told["account_blocked"]
    secret.write_text(platform.secret)
    assert platform.appid in look()["doctor_declared_otherwise"]
    serve()
    terminal.type("account", "set", platform.appid)
    assert "doctor_declared_otherwise" not in look(code=0)


def test_a_platform_out_of_reach_is_told_step_by_step(terminal: Terminal, shop: str, away: str) -> None:
    """A name, a connection, TLS, an answer: each has another person who mends it."""
    terminal.type("account", "set", shop, "--base-url", away, code=5)
    told = terminal.read("doctor", code=1)
    assert "doctor_no_way" in _codes(told, "todo")
    (text,) = [one["text"] for one in told["findings"] if one["code"] == "account_unreachable"]
    assert shop in text  # of two accounts each is told
    assert away in text  # a typing error is seen
    assert "doctor" not in text
    terminal.type("account", "set", shop, "--base-url", "http://nobody.invalid", code=5)
    assert "doctor_no_name" in _codes(terminal.read("doctor", code=1), "todo")


def test_a_platform_that_speaks_no_tls_is_told(terminal: Terminal, shop: str, platform: Platform) -> None:
    """A proxy that rewrites TLS, or a wrong port, looks like this."""
    terminal.type("account", "set", shop, "--base-url", platform.url.replace("http", "https"), code=5)
    told = terminal.read("doctor", code=1)
    assert "doctor_speaks_no_tls" in _codes(told, "todo")
    assert "certificate" not in " ".join(one["text"] for one in told["findings"] if one["state"] == "todo")
    assert "[not_tls]" in next(one["text"] for one in told["findings"] if one["code"] == "account_unreachable")


@pytest.mark.parametrize(
    ("store", "code"), [("away", "doctor_hub_store_away"), ("unwritable", "doctor_hub_store_unwritable"), ("ok", "")]
)
def test_a_hub_that_lost_its_store_is_told_by_what_it_says_itself(store: str, code: str) -> None:
    """From elsewhere, and where only the hub holds on to a file that was replaced, all looks well."""
    findings = Findings("en")

    async def look() -> None:
        async def answer(request: web.Request) -> web.Response:
            is_health = request.path == "/healthz"
            told = {"version": "1"} if is_health else {"store": store}
            return web.json_response(told, status=200 if is_health else 503)

        app = web.Application()
        app.router.add_get("/{name}", answer)
        async with TestServer(app) as server:
            await look_at_hub(str(server.make_url("")).rstrip("/"), Looked(opens=False), findings)

    asyncio.run(look())
    assert [one.code for one in findings.found] == ["doctor_hub", *([code] if code else [])]


def test_a_hub_that_serves_another_store_is_told(
    terminal: Terminal, home: Path, shop: str, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """Served with one data directory, asked about with another: what is added here, that hub never knows."""
    assert shop
    with started("serve", "--port", os.environ["ZHONGKONG_PORT"], "--json", home=home) as hub:
        assert hub.stdout is not None
        hub.stdout.readline()
        assert "doctor_hub" in _codes(terminal.read("doctor"), "good")
        monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", away)  # where no account is, the platform itself is looked at
        monkeypatch.setenv("ZHONGKONG_DATA_DIR", "other")
        assert "doctor_hub_other_store" in _codes(terminal.read("doctor", code=1), "todo")
        terminal.type("db", "upgrade")
        (told,) = [
            one for one in terminal.read("doctor", code=1)["findings"] if one["code"] == "doctor_hub_other_store"
        ]
        assert str(Path("other/zhongkong.db")) in told["text"]
        assert end(hub)[0] == 0


def test_what_else_listens_where_the_hub_should_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """There `serve` would say that the port is in use: a hub that was stopped, an SSH server."""
    monkeypatch.setattr("zhongkong.cli.doctor.network.STEP_WITHIN", 0.2)

    async def look(listening: socket.socket) -> list[str]:
        findings = Findings("en")
        await look_at_hub(f"http://127.0.0.1:{listening.getsockname()[1]}", Looked(opens=False), findings)
        return [one.code for one in findings.found]

    async def look_at_ssh() -> list[str]:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            return await look(server.sockets[0])

    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        assert asyncio.run(look(mute)) == ["doctor_hub_mute"]
    assert asyncio.run(look_at_ssh()) == ["doctor_hub_stranger"]


def test_a_hub_is_compared_with_what_can_be_known() -> None:
    """A store that cannot be looked into, and a hub of an older version, say nothing."""

    async def look(store: Looked, told: dict[str, str]) -> list[str]:
        findings, app = Findings("en"), web.Application()

        async def answer(_: web.Request) -> web.Response:
            return web.json_response({"version": "1", "store": "ok", **told})

        app.router.add_get("/{name}", answer)
        async with TestServer(app) as server:
            await look_at_hub(str(server.make_url("")).rstrip("/"), store, findings)
        return [one.code for one in findings.found if one.state is State.TODO]

    ours, other = {"store_id": identify("ours")}, {"store_id": identify("other")}
    assert asyncio.run(look(Looked(opens=True, place="here", incarnation="ours"), ours)) == []
    assert asyncio.run(look(Looked(opens=True, place="here", incarnation="ours"), other)) == ["doctor_hub_other_store"]
    assert asyncio.run(look(Looked(opens=False, place="here", incarnation=""), other)) == ["doctor_hub_other_store"]
    assert asyncio.run(look(Looked(opens=False), other)) == []
    assert asyncio.run(look(Looked(opens=True, place="here", incarnation="ours"), {})) == []


@pytest.mark.parametrize("owner", ["", "somebody"])
def test_a_directory_that_cannot_be_written_is_told_before_the_first_start(
    terminal: Terminal, home: Path, monkeypatch: pytest.MonkeyPatch, away: str, owner: str
) -> None:
    """There `serve` would fail; whether the mode or the owner is to be changed depends on whose it is."""
    monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", away)
    monkeypatch.setenv("ZHONGKONG_DATA_DIR", "data")
    monkeypatch.setattr("os.access", lambda one, mode: not (mode & os.W_OK and Path(one) == home))  # root may do all
    if owner:
        monkeypatch.setattr("zhongkong.cli.doctor.storage.owner_of", lambda _: owner)
    found = [one for one in terminal.read("doctor", code=1)["findings"] if one["code"].startswith("doctor_directory")]
    (told,) = found
    assert told["code"] == ("doctor_directory_of_another" if owner else "doctor_directory_shut")
    assert str(home) in told["text"]


def test_a_disk_that_is_nearly_full_is_told(terminal: Terminal, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is full: then the store can no longer be written."""
    assert shop
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert "has only 1 MB" in terminal.type("doctor", code=1).stdout


@pytest.mark.parametrize(
    ("apart", "state"), [(0.9, State.GOOD), (-5.0, State.GOOD), (6.0, State.TODO), (-90.0, State.TODO)]
)
def test_a_clock_that_differs_from_the_platforms_is_told(apart: float, state: State) -> None:
    """Its Date header has whole seconds, and an answer takes a moment: a few seconds are none."""
    findings = Findings("en")
    compare_clocks("https://api.weixin.qq.com", Stamp(1000.0 + apart, 1000.0), findings)
    assert [finding.state for finding in findings.found] == [state]


def test_a_turned_sandbox_clock_is_no_trouble(terminal: Terminal, shop: str, platform: Platform) -> None:
    """It is turned on purpose; the platform's own clock would be judged."""
    assert shop
    platform.do(lambda running: running.clock.turn(3600.0))
    assert "doctor_clock_elsewhere" in _codes(terminal.read("doctor"), "note")
