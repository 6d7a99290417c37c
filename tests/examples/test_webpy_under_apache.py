"""web.py under Apache mod_wsgi: several processes on one SQLite file. A real Apache, and an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest

from tests.examples.conftest import EXAMPLES, USERS, Stage
from tests.needs import need
from tests.packaging.conftest import ROOT, build
from tests.packaging.wheelhouse import pack, pack_requirements
from tests.scenario.end_to_end.programs import SOON, Program, find_free_port

LONG = 180.0
MODULES = Path("/usr/lib/apache2/modules")
PYTHON = Path("/usr/bin/python3")
"""The Python that the system's mod_wsgi was made for."""
USER = "www-data"


@dataclass(frozen=True)
class Page:
    """The example, served, for an account whose tokens live two hours and one whose tokens live six seconds."""

    url: str
    stage: Stage
    brief: Stage
    directory: Path

    def read(self, client: httpx.Client, appid: str = "") -> str:
        """Return the token that the page shows, where it shows one."""
        answer = self.ask(client, appid)
        assert answer.status_code == HTTPStatus.OK, f"{answer.text}\n{self.log}"
        return answer.text

    def ask(self, client: httpx.Client, appid: str = "") -> httpx.Response:
        """Return what the page answers."""
        return client.get(f"{self.url}/wx_access_token/{appid or self.stage.appid}", timeout=SOON)

    @property
    def log(self) -> str:
        """Return what Apache and the page wrote."""
        return (self.directory / "error.log").read_text()


def furnish(directory: Path, stages: Sequence[Stage]) -> None:
    """Do what the head of apache.conf says, and name the sandbox in accounts.json."""
    shutil.copytree(EXAMPLES / "webpy", directory, dirs_exist_ok=True)
    accounts = {one.appid: {"secret": one.secret, "base_url": one.sandbox_url} for one in stages}
    (directory / "accounts.json").write_text(json.dumps(accounts))
    wheels = directory / "wheels"
    wheels.mkdir()
    for requirement in ("zhongkong[local]", "web.py"):
        pack_requirements(requirement, wheels)
    pack(distribution("web.py"), wheels)
    wheel = build(ROOT, "wheel", directory / "built")
    subprocess.run([PYTHON, "-m", "venv", directory / ".venv"], check=True, timeout=LONG)
    pip: list[str | Path] = [
        directory / ".venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        wheels,
    ]
    subprocess.run([*pip, f"{wheel}[local]", "web.py"], check=True, timeout=LONG, cwd=directory)
    (directory / "data").mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(directory / "data", USER)


def configure(directory: Path, port: int) -> Path:
    """Write the configuration of an Apache of our own, which includes the example's."""
    example = (directory / "apache.conf").read_text().replace("/srv/wx", str(directory))
    modules = ("mpm_event", "authz_core", "authz_host", "wsgi")
    lines = [
        f"ServerRoot {directory}",
        f"ServerName 127.0.0.1:{port}",
        f"Listen 127.0.0.1:{port}",
        f"PidFile {directory}/apache.pid",
        f"ErrorLog {directory}/error.log",
        f"WSGISocketPrefix {directory}/wsgi",
        *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules),
        *([f"User {USER}", f"Group {USER}"] if os.geteuid() == 0 else []),
        example,
    ]
    path = directory / "httpd.conf"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(name="page", scope="module")
def _page(stage: Stage) -> Iterator[Page]:
    apache2 = need("apache2", "apache2 libapache2-mod-wsgi-py3")
    assert (MODULES / "mod_wsgi.so").exists(), "apt install libapache2-mod-wsgi-py3"
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"], check=True, capture_output=True
    )
    assert version.stdout.split() == [b"%d" % part for part in sys.version_info[:2]], "the system's Python is another"
    directory = Path(tempfile.mkdtemp(prefix="zhongkong-apache-"))  # pytest's own are closed to Apache's user
    try:
        directory.chmod(0o755)
        mine, brief = stage.another(kept=False), stage.another(kept=False, expires_in=6)
        furnish(directory, (mine, brief))
        port = find_free_port()
        command: list[str | Path] = [apache2, "-f", configure(directory, port), "-DFOREGROUND"]
        with Program(command, {"PATH": os.environ["PATH"]}, directory) as apache:
            page = Page(f"http://127.0.0.1:{port}", mine, brief, directory)
            with httpx.Client(transport=httpx.HTTPTransport(retries=7)) as client:  # until it listens
                client.get(page.url, timeout=LONG)
            yield page
            apache.end()
    finally:
        shutil.rmtree(directory)


def test_four_cold_processes_mint_one_token(page: Page) -> None:
    """Two hundred readers at once, none of whom ever met another; who was told to come back does."""
    tokens: list[str] = []

    def read() -> None:
        with httpx.Client(trust_env=False) as client:
            for _ in range(5):
                answer = page.ask(client)
                if answer.status_code == HTTPStatus.OK:
                    tokens.append(answer.text)
                    return

    readers = [threading.Thread(target=read) for _ in range(200)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(LONG)
    assert (len(tokens), len(set(tokens))) == (200, 1), page.log
    issued = page.stage.control("GET", f"/accounts/{page.stage.appid}/tokens")["tokens"]
    assert tokens[0] in {token["access_token"] for token in issued}
    minted = [call for call in page.stage.calls("/cgi-bin/stable_token") if call["issued"]]
    assert {call["issued"] for call in minted} == {tokens[0]}


def test_nothing_secret_is_readable_by_others(page: Page) -> None:
    """The store and its seal belong to Apache's user alone."""
    with httpx.Client(trust_env=False) as client:
        page.read(client)
    for file in (page.directory / "data").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert page.stage.secret not in page.log


def test_through_two_rotations_no_token_is_refused(page: Page) -> None:
    """Eight business servers read the page and call the platform at once, again and again."""
    errcodes: list[int] = []
    tokens: set[str] = set()

    def work() -> None:
        with httpx.Client(trust_env=False) as client:
            while len(tokens) < 3 and len(errcodes) < 20_000:
                token = page.read(client, page.brief.appid)
                tokens.add(token)
                called = client.get(f"{page.brief.sandbox_url}{USERS}", params={"access_token": token}, timeout=SOON)
                errcodes.append(called.json().get("errcode", 0))

    servers = [threading.Thread(target=work) for _ in range(8)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(LONG)
    assert len(tokens) == 3
    assert set(errcodes) == {0}
    minted = page.brief.calls("/cgi-bin/stable_token")
    issued = {call["issued"] for call in minted if call["issued"]}
    assert tokens <= issued
    spans = (minted[-1]["at"] - minted[0]["at"]) / 4.0  # a token of six seconds is followed two seconds before its end
    assert len(issued) <= 1 + spans, "more was minted than one a generation"
    assert not any(call["force_refresh"] for call in minted), "a token was ended before its time"
