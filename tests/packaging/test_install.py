"""What people install is whole: a wheel in a bare environment runs the demo, and so does a clone without make."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

from tests.docs.readme import CHINESE, read_page
from tests.packaging.conftest import LONG, ROOT, Built
from tests.scenario.end_to_end.programs import Program

DEMO = ["demo", "--json", "--hub-port", "0", "--sandbox-port", "0", "--duration", "1"]
NOWHERE = "http://127.0.0.1:1"
HUB = f"'{NOWHERE}', key='zk_abcdefgh_1', patience=2"
FILE = f"'sqlite:///wx.db', accounts=dict(wx1=dict(secret='s', base_url='{NOWHERE}')), patience=20"
SERVER_LIBRARIES = {
    "aiohttp", "alembic", "asyncio", "click", "cryptography", "jinja2", "prometheus_client", "rich", "sqlalchemy",
    "segno", "sqlite3", "starlette", "uvicorn", "uvloop",
}  # fmt: skip


def install(requirement: str, directory: Path, environment: dict[str, str]) -> Path:
    """Return the programs' directory of a new environment in which nothing but `requirement` is installed."""
    venv.create(directory, with_pip=False, symlinks=True)
    programs = directory / "bin"
    done = run(*pip(programs), "install", "--quiet", requirement, environment=environment, cwd=directory)
    assert done.returncode == 0, done.stderr
    return programs


def pip(programs: Path) -> list[str]:
    """Return the pip that installs there; it is this environment's own, since the new one has none."""
    return [sys.executable, "-m", "pip", "--python", str(programs / "python")]


def run(*command: str | Path, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, away from the source."""
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=LONG, check=False)


def test_the_wheel_holds_the_package_as_it_is_here(built: Built) -> None:
    """Templates, texts and migrations too: a file that is forgotten is missed by those who install, not by us."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/zhongkong"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    here = {name.removeprefix("src/") for name in names if (ROOT / name).is_file()}
    with ZipFile(built.wheel) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == here
    assert "zhongkong/py.typed" in packed


def test_the_source_distribution_has_what_the_readme_names(built: Built) -> None:
    """Who has no git works from it: documents, tests and the Makefile are there."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "README.en.md", "pyproject.toml", "tests/packaging/test_install.py"} <= names
    assert set(read_page(CHINESE).links) <= names


def test_the_base_takes_nothing_along_and_says_what_is_missing(
    built: Built, environment: dict[str, str], tmp_path: Path
) -> None:
    """It is a hub's client. Who wants the hub itself, or tokens of his own, is told what to install, in a line."""
    programs = install(str(built.wheel), tmp_path / "venv", environment)
    assert "hub_unreachable" in read_token(programs, HUB, environment)
    assert 'pip install ".[local]"' in read_token(programs, FILE, environment)
    done = run(programs / "zhongkong", "demo", environment=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    [told] = re.findall(r'pip install "(\.\[hub\])"', line)
    done = run(*pip(programs), "install", "--dry-run", told, environment=environment, cwd=built.unpacked)
    assert "Would install" in done.stdout
    assert "uvicorn" in done.stdout


def test_the_extra_local_keeps_tokens_and_takes_no_server_along(
    built: Built, environment: dict[str, str], tmp_path: Path
) -> None:
    """One program over one file: all it lacks here is the platform."""
    programs = install(f"{built.wheel}[local]", tmp_path / "venv", environment)
    assert "cause='unreachable'" in read_token(programs, FILE, environment)
    assert (programs / "wx.seal").is_file()
    listed = run(*pip(programs), "list", "--format=freeze", environment=environment, cwd=tmp_path).stdout.lower()
    assert not {line.partition("==")[0] for line in listed.splitlines()} & {"uvicorn", "starlette", "click", "rich"}


def read_token(programs: Path, connected: str, environment: dict[str, str]) -> str:
    """Return what a program says that reads a token, and cannot, in an environment."""
    program = f"import zhongkong; zhongkong.connect({connected}).access_token('wx1')"
    return run(programs / "python", "-c", program, environment=environment, cwd=programs).stderr


def test_the_demo_of_an_installed_wheel_runs(built: Built, environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing of this clone and none of the development tools are needed."""
    programs = install(f"{built.wheel}[hub]", tmp_path / "venv", environment)
    done = run(programs / "zhongkong", *DEMO, environment=environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *events = [json.loads(line) for line in done.stdout.splitlines()]
    assert list(first) == ["hub_url", "sandbox_url", "appid", "secret", "key", "corpid", "corpsecret", "corpkey"]
    assert "minted" in [event["code"] for event in events]
    done = run(
        programs / "python", "-c", "import zhongkong; print(zhongkong.__file__)", environment=environment, cwd=tmp_path
    )
    assert done.stdout.startswith(str(tmp_path))


def test_without_make_it_is_installed_as_the_readme_says(built: Built, environment: dict[str, str]) -> None:
    """Line by line, in a directory as one has it after cloning; only the demo gets ports that are free."""
    script = read_page(CHINESE).block("bare").text
    assert read_page(CHINESE).block("activate").text in script
    assert script.endswith("zhongkong demo\n")
    script = script.replace("zhongkong demo\n", "exec zhongkong demo --hub-port 0 --sandbox-port 0\n")
    with Program(["bash", "-e", "-c", script], environment, built.unpacked) as demo:
        demo.await_line("curl -H", within=LONG)
        assert demo.end() == 0, demo.told


def test_importing_it_loads_no_server_library(tmp_path: Path) -> None:
    """A business server pays for what it uses."""
    program = "import sys, zhongkong; print(*{module.partition('.')[0] for module in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "zhongkong" in loaded
    assert not loaded & SERVER_LIBRARIES
