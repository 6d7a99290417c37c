"""Those we are measured against, got ready in `.bench/`: nothing of them is needed for anything else.

    python bench/peers.py

makes `.bench/venv` with zhongkong (editable) and the Python peers, and has apt install what of wrk, nginx, Apache and
Redis is missing, where that is allowed. What cannot be had is left out of the benches, aloud.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / ".bench"
PYTHON = HERE / "venv/bin/python"
WEBPY = HERE / "webpy"
"""web.py for the system's Python, which mod_wsgi was made for."""
MOD_WSGI = Path("/usr/lib/apache2/modules/mod_wsgi.so")
NODE = HERE / "node"
CO_WECHAT_API = "co-wechat-api@3.11.0"
PEERS = ["fastapi", "wechatpy[cryptography]", "psutil", "pytest"]
"""pytest is what the tests' database servers come with, which the bench of the store starts."""
DEBIAN = {"wrk": "wrk", "nginx": "nginx-light", "apache2": "apache2", "redis-server": "redis-server", "node": "nodejs"}


def find(program: str) -> str | None:
    """Return where a program is, if it is."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


def need(program: str) -> str:
    """Return where a program is. Raises: FileNotFoundError: it says what to install."""
    found = find(program)
    if found is None:
        raise FileNotFoundError(f"no {program}: apt install {DEBIAN[program]}")
    return found


def missing() -> list[str]:
    """Return the Debian packages that are missing."""
    packages = [package for program, package in DEBIAN.items() if find(program) is None]
    return packages if MOD_WSGI.exists() else [*packages, "libapache2-mod-wsgi-py3"]


def main() -> None:
    """Get everything ready."""
    if absent := missing():
        print(f"── apt-get install {' '.join(absent)}")
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        command = [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *absent]
        subprocess.run(command, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    stamp = HERE / ".ready"
    if stamp.exists() and stamp.stat().st_mtime > max(
        path.stat().st_mtime for path in (ROOT / "pyproject.toml", Path(__file__))
    ):
        return
    print(f"── {HERE}: zhongkong and its peers")
    if not PYTHON.exists():
        venv.create(HERE / "venv", with_pip=True)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--editable", f"{ROOT}[hub,mysql,postgresql,redis]", *PEERS], check=True)
    subprocess.run([*pip, "--upgrade", "--target", WEBPY, "web.py"], check=True)
    if npm := find("npm"):
        subprocess.run([npm, "install", "--silent", "--prefix", NODE, CO_WECHAT_API], check=False)
    stamp.touch()


if __name__ == "__main__":
    sys.exit(main())
