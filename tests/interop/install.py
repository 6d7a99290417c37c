"""Installs the SDKs into `.interop/`, by pip and npm as anybody would; the second time that needs no network."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv

from tests.interop.sdks import ROOM, SDK, SDKS, SERVERS


class ProgramMissing(Exception):
    """A program that this takes is not on the machine; the text says how to get it."""


def install() -> None:
    """Make `.interop/` hold every SDK at its version. Raises ProgramMissing, subprocess.CalledProcessError."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise ProgramMissing(f"no {program}: apt install nodejs npm")
    stamp, wanted = ROOM / ".ready", _digest()
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    shutil.rmtree(ROOM, ignore_errors=True)
    _install_python([sdk for sdk in SDKS if sdk.language == "python"])
    _install_node([sdk for sdk in (*SDKS, *SERVERS) if sdk.language == "node"])
    stamp.write_text(wanted, "utf-8")


def _digest() -> str:
    """Return what tells one set of installed things from another."""
    return hashlib.sha256(f"{sys.version} {SDKS!r} {SERVERS!r}".encode()).hexdigest()


def _install_python(sdks: list[SDK]) -> None:
    for room in sorted({sdk.room for sdk in sdks}):
        here = [sdk for sdk in sdks if sdk.room == room]
        print(f"── {room.relative_to(ROOM.parent)}/: {_list(here)}", flush=True)
        venv.create(room, with_pip=True)
        pip = [str(room / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        if beside := [package for sdk in here for package in sdk.beside]:
            subprocess.run([*pip, *beside], check=True)
        deps = ["--no-deps"] if any(sdk.alone for sdk in here) else []
        subprocess.run([*pip, *deps, *dict.fromkeys(sdk.wanted for sdk in here)], check=True)


def _install_node(sdks: list[SDK]) -> None:
    room = sdks[0].room
    print(f"── {room.relative_to(ROOM.parent)}/: {_list(sdks)}", flush=True)
    room.mkdir(exist_ok=True)
    (room / "package.json").write_text('{"private": true}\n', "utf-8")
    packages = [package for sdk in sdks for package in (sdk.wanted, *sdk.beside)]
    quietly = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(["npm", "install", *quietly, *packages], cwd=room, check=True)


def _list(sdks: list[SDK]) -> str:
    return ", ".join(f"{sdk.name} {sdk.version}" for sdk in sdks)
