"""Wheels of what is installed here, packed again: with them pip resolves and installs for real, and needs no index."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from itertools import chain
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from packaging.requirements import Requirement

LEFT_BY_PIP = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def pack_requirements(requirement: str, directory: Path) -> None:
    """Write a wheel of every package that `requirement` needs, itself aside, into `directory`."""
    wanted = Requirement(requirement)
    for name in find_needed(wanted) - {wanted.name}:
        pack(distribution(name), directory)


def find_needed(requirement: Requirement) -> set[str]:
    """Return the names of all packages that are installed when `requirement` is."""
    waiting, seen = [requirement], set[tuple[str, str]]()
    while waiting:
        one = waiting.pop()
        extras = one.extras or {""}
        if new := {(one.name.lower(), extra) for extra in extras} - seen:
            seen |= new
            waiting += chain.from_iterable(needed_by(one.name, extra) for extra in extras)
    return {name for name, _ in seen}


def needed_by(name: str, extra: str) -> Iterator[Requirement]:
    """Yield what a package needs on this machine, with one of its extras or, for "", with none."""
    for line in distribution(name).requires or []:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            yield needed


def pack(installed: Distribution, directory: Path) -> None:
    """Write a wheel that installs these very files; scripts are made anew from the entry points."""
    files = [file for file in installed.files or [] if ".." not in file.parts and "__pycache__" not in file.parts]
    kept = [file for file in files if not (file.parts[0].endswith(".dist-info") and file.name in LEFT_BY_PIP)]
    info = next(file.parts[0] for file in files if file.name == "WHEEL")
    name = f"{info.removesuffix('.dist-info')}-{read_tag(installed)}.whl"
    with ZipFile(directory / name, "w", ZIP_STORED) as wheel:
        for file in kept:
            wheel.write(str(installed.locate_file(file)), file.as_posix())
        rows = [*(file.as_posix() for file in kept), f"{info}/RECORD"]
        wheel.writestr(f"{info}/RECORD", "".join(f'"{row}",,\n' for row in rows))


def read_tag(installed: Distribution) -> str:
    """Return for which Pythons and machines it is, as a wheel's name says it."""
    lines = (installed.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ").split("-") for line in lines if line.startswith("Tag: ")]
    return "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
