"""The examples with a framework, each by a command that stands at its head; and scripts of cron that meet on a file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.examples.conftest import EXAMPLES, Stage
from tests.scenario.end_to_end.programs import SOON, Program, build_environment

COMMANDS = {
    "flask_app.py": "flask --app flask_app run",
    "fastapi_app.py": "uvicorn fastapi_app:app",
    "django_app.py": "python django_app.py runserver",
}
ANY_PORT = {
    "flask": "--port 0",
    "uvicorn": "--port 0",
    "python": "--noreload 127.0.0.1:0",
    "gunicorn": "-b 127.0.0.1:0",
}
SQLITE_APP = "gunicorn --preload --workers 3 flask_app:app"


def surround(stage: Stage, directory: Path, **more: str) -> dict[str, str]:
    """Return what an example sees."""
    world = {"PYTHONPATH": str(EXAMPLES), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**build_environment(directory), **stage.environment, **world, **more}


@contextmanager
def serve(command: str, environment: dict[str, str], directory: Path) -> Iterator[tuple[str, Program]]:
    """Run a server as its example says, at a port of its choice; yield where it answers."""
    program, _, _ = command.partition(" ")
    line = f"exec {command} {ANY_PORT[program]} 2>&1".replace(" django_app.py", f" {EXAMPLES}/django_app.py")
    with Program(["sh", "-c", line], environment, directory) as server:
        found = re.search(r"http://127\.0\.0\.1:\d+", server.await_line("http://127.0.0.1:"))
        assert found is not None
        yield found[0], server


def read_total(url: str) -> int:
    """Return how many follow the account."""
    answer = httpx.get(f"{url}/followers", trust_env=False, timeout=SOON)
    assert answer.is_success, answer.text
    return int(answer.json()["total"])


@pytest.mark.parametrize("name", COMMANDS)
def test_it_calls_wechat_and_a_refused_token_is_replaced(name: str, stage: Stage, tmp_path: Path) -> None:
    """The platform ends the token behind our back: whoever looks at the page does not notice."""
    assert f"`{COMMANDS[name]}`" in (EXAMPLES / name).read_text()
    mine = stage.another()
    with serve(COMMANDS[name], surround(mine, tmp_path), tmp_path) as (url, server):
        assert read_total(url) == 1
        mine.revoke()
        assert read_total(url) == 1
        assert [call["errcode"] for call in mine.calls()] == [0, 40001, 0]
        issued = {call["issued"] for call in mine.calls("/cgi-bin/stable_token") if call["issued"]}
        assert issued
        assert not [secret for secret in (mine.secret, mine.key, *issued) if secret in server.told]


def test_three_workers_of_gunicorn_on_one_file_mint_once(stage: Stage, tmp_path: Path) -> None:
    """Forked from one process that had made its source already; all of them cold, and asked at once."""
    assert SQLITE_APP in (EXAMPLES / "flask_app.py").read_text()
    mine = stage.another(kept=False)
    accounts = json.dumps({mine.appid: {"secret": mine.secret, "base_url": mine.sandbox_url}})
    world = surround(mine, tmp_path, ZHONGKONG_HUB=f"sqlite:///{tmp_path}/wx.db", FLASK_ZHONGKONG_ACCOUNTS=accounts)
    with serve(SQLITE_APP, world, tmp_path) as (url, server), ThreadPoolExecutor(30) as readers:
        totals = list(readers.map(read_total, [url] * 60))
        assert server.end() == 0
    workers = set(re.findall(r"Booting worker with pid: (\d+)", server.told))
    assert (totals, len(workers)) == ([1] * 60, 3), server.told
    minted = [call["issued"] for call in mine.calls("/cgi-bin/stable_token")]
    assert len(minted) == 1
    assert {call["errcode"] for call in mine.calls()} == {0}


def manage(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the Django example to its end."""
    parts: list[str | Path] = [sys.executable, EXAMPLES / "django_app.py", *command.split()]
    return subprocess.run(parts, env=environment, capture_output=True, text=True, timeout=SOON, check=False)


def test_djangos_commands_show_whether_the_settings_lead_to_a_token(stage: Stage, tmp_path: Path) -> None:
    """The token, or who must do what, in words and without a traceback."""
    world = surround(stage, tmp_path, ZHONGKONG_LANG="en")
    shown = manage(f"zhongkong_token {stage.appid}", world)
    called = httpx.get(f"{stage.sandbox_url}/cgi-bin/user/get", params={"access_token": shown.stdout.strip()})
    assert "errcode" not in called.json(), shown
    unknown = manage("zhongkong_token wx0000000000000000", world)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("CommandError: There is no account wx0000000000000000"), unknown.stderr
    wrong = manage("check", {**world, "ZHONGKONG_HUB": "ftp://hub.test"})
    assert wrong.returncode == 1
    assert "(zhongkong.E001)" in wrong.stderr
    assert "https://HOST:PORT" in wrong.stderr


def test_two_scripts_of_cron_on_one_file_mint_once(stage: Stage, tmp_path: Path) -> None:
    """Started in the same minute, for two accounts; the next one finds the tokens there."""
    mine = [stage.another(kept=False), stage.another(kept=False)]
    shutil.copy(EXAMPLES / "cron.py", tmp_path)
    accounts = {one.appid: {"secret": one.secret, "base_url": one.sandbox_url} for one in mine}
    (tmp_path / "accounts.json").write_text(json.dumps(accounts))
    command: list[str | Path] = [sys.executable, tmp_path / "cron.py"]
    scripts = [Program(command, surround(stage, tmp_path), tmp_path) for _ in range(2)]
    ended = [(script.wait(), script.told) for script in scripts]
    again = Program(command, surround(stage, tmp_path), tmp_path)
    ended.append((again.wait(), "".join(again.out)))
    for code, told in ended:
        assert code == 0, told
        assert [line for line in told.splitlines() if line.startswith("wx")] == [f"{one.appid} 1" for one in mine]
    for one in mine:
        assert len(one.calls("/cgi-bin/stable_token")) == 1
        assert [call["errcode"] for call in one.calls()] == [0, 0, 0]
