"""The command line over a store on a database server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.databases import ENGINES, execute
from tests.own_databases import PASSWORD, OwnServer, OwnServers
from tests.scenario.cli.house import Platform, Terminal
from tests.scenario.end_to_end.programs import find_free_port
from zhongkong.adapters.stores import writer
from zhongkong.adapters.stores.schema import SCHEMA
from zhongkong.settings import default_data_dir


@pytest.fixture(params=ENGINES)
def server(own_servers: OwnServers, request: pytest.FixtureRequest) -> OwnServer:
    """Return a server of our own, whose password must not be seen."""
    return own_servers.of(request.param)


@pytest.fixture
def terminal(
    home: Path, server: OwnServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Terminal:
    """The command line, over a store of the test's own."""
    assert home.is_dir()
    prefix = request.function.__name__[5:30]
    monkeypatch.setenv("ZHONGKONG_STORE_URL", server.url)
    monkeypatch.setenv("ZHONGKONG_STORE_PREFIX", f"{prefix}_")
    return Terminal({"hunter2", quote(PASSWORD, safe="")})


def codes(terminal: Terminal, *, code: int = 0) -> set[str]:
    """Return what the doctor finds, whatever follows from it."""
    return {finding["code"] for finding in terminal.read("doctor", code=code)["findings"]}


def test_from_nothing_to_a_token(terminal: Terminal, shop: str, platform: Platform, server: OwnServer) -> None:
    """The same commands as over a file; the doctor tells how the server is set up."""
    assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()
    assert SCHEMA in terminal.type("db", "check").stdout
    assert terminal.read("db", "upgrade")["schema"] == SCHEMA
    assert terminal.read("seal", "rotate")["resealed"] == 2
    assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()
    assert "All is well." in terminal.type("doctor").stdout
    found = codes(terminal)
    assert {"doctor_server", "doctor_server_sessions", "doctor_store_clock_theirs", "doctor_seal_fits"} <= found
    assert str(server.port) in terminal.type("doctor", "--lang", "zh").stdout
    assert not (default_data_dir() / "zhongkong.db").exists()


def test_before_the_first_start_nothing_is_made(
    terminal: Terminal, server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking changes nothing."""
    monkeypatch.setenv("ZHONGKONG_EGRESS_PROXY", f"http://127.0.0.1:{find_free_port()}")
    assert {"doctor_store_none", "doctor_server", "doctor_no_way"} <= codes(terminal, code=1)
    assert terminal.read("db", "check", code=7)["schema"] == ""
    made = execute(server.url, "SELECT table_name FROM information_schema.tables")
    assert not [name for (name,) in made if name.startswith("before_the_first")]


def test_a_second_machine_is_told_that_it_lacks_the_seal(
    terminal: Terminal, shop: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another one would open nothing; none is made that would have to be found out and deleted."""
    first = default_data_dir() / "zhongkong.seal"
    monkeypatch.setenv("ZHONGKONG_DATA_DIR", str(tmp_path / "second"))
    assert str(tmp_path / "second" / "zhongkong.seal") in terminal.type("account", "list", code=7).stderr
    assert not (tmp_path / "second" / "zhongkong.seal").exists()
    assert "seal_not_here" in codes(terminal, code=1)
    (tmp_path / "second" / "zhongkong.seal").write_bytes(first.read_bytes())
    (tmp_path / "second" / "zhongkong.seal").chmod(0o600)
    assert shop in terminal.type("account", "list").stdout


def test_a_server_that_is_away_is_told_by_its_place(
    terminal: Terminal, shop: str, server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its place, and where to look; the exit code says that it is worth trying again."""
    monkeypatch.setattr(writer, "TRY_FOR", 0.2)
    server.stop()
    try:
        for words in (["token", shop], ["db", "check"]):
            assert f"127.0.0.1:{server.port}" in terminal.type(*words, code=5).stderr
        assert "store_server_away" in codes(terminal, code=1)
    finally:
        server.start()
    assert shop in terminal.type("account", "list").stdout


def test_tls_that_cannot_be_had_is_told_as_such(
    terminal: Terminal, server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as a firewall nor as a defect of ours."""
    query, told, code, exit_code = {
        "postgresql": ("sslmode=verify-full&sslrootcert=/nope", "agree on TLS", "store_tls_refused", 7),
        "mysql": ("ssl_ca=/nope", "ssl_ca", "store_tls_file_unreadable", 2),
    }[server.engine]
    monkeypatch.setenv("ZHONGKONG_STORE_URL", f"{server.url.partition('?')[0]}?{query}")
    assert told in terminal.type("account", "list", code=exit_code).stderr
    assert code in codes(terminal, code=1)


def test_what_the_server_does_not_keep_safe_is_said(terminal: Terminal, server: OwnServer) -> None:
    """A commit that was acknowledged must outlive a power cut."""
    setting = {"postgresql": "full_page_writes", "mysql": "innodb_flush_log_at_trx_commit"}[server.engine]
    if server.engine == "postgresql":
        changes = [f"ALTER SYSTEM SET {setting} = off", "SELECT pg_reload_conf()"]
        undone = [f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()"]
    else:
        changes, undone = [f"SET GLOBAL {setting} = 2"], [f"SET GLOBAL {setting} = 1"]
    for change in changes:
        execute(server.root_url, change)
    try:
        assert f"{setting} = " in terminal.type("doctor", code=1).stdout
    finally:
        for undo in undone:
            execute(server.root_url, undo)


def test_the_doctor_rings_the_bell(
    terminal: Terminal, shop: str, server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how quick it is, or where it is silent; a bell that the store does not have is refused before a start."""
    monkeypatch.setenv("ZHONGKONG_STORE_BELL", "store")
    if server.engine == "postgresql":
        assert "doctor_bell_rings" in codes(terminal)
    else:
        assert "bell_not_of_this_store" in codes(terminal, code=1)
        assert "redis://" in terminal.type("serve", "--port", "0", code=2).stderr
    nobody = find_free_port()
    monkeypatch.setenv("ZHONGKONG_STORE_BELL", f"redis://:hunter2@127.0.0.1:{nobody}")
    silent = next(one for one in terminal.read("doctor", code=1)["findings"] if one["code"] == "bell_silent")
    assert f"redis://127.0.0.1:{nobody}" in silent["text"]
    assert shop in terminal.type("account", "list").stdout
