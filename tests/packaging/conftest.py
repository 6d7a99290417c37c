"""What is built once for all tests of packaging."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from tests.packaging.wheelhouse import pack, pack_requirements
from tests.scenario.end_to_end.programs import build_environment

ROOT = Path(__file__).parents[2]
LONG = 120.0


class Built(NamedTuple):
    """What a release is made of, and the source distribution unpacked."""

    sdist: Path
    wheel: Path
    unpacked: Path


def build(source: Path, target: Literal["sdist", "wheel"], into: Path) -> Path:
    """Build a distribution of the project in `source` and return the file."""
    into.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=LONG)
    [made] = into.glob("*.tar.gz" if target == "sdist" else "*.whl")
    return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source distribution of this clone, and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("built")
    sdist = build(ROOT, "sdist", directory / "sdist")
    subprocess.run(["tar", "-xzf", sdist, "-C", directory], check=True)
    [unpacked] = directory.glob("zhongkong-*")
    return Built(sdist, build(unpacked, "wheel", directory / "wheel"), unpacked)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What programs see; pip finds what the hub and the build need, and has no index."""
    directory = tmp_path_factory.mktemp("wheelhouse")
    for requirement in ("zhongkong[hub]", "hatchling"):
        pack_requirements(requirement, directory)
    pack(distribution("hatchling"), directory)
    return build_environment(tmp_path_factory.mktemp("world")) | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(directory),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COMPILE": "1",
        "PIP_NO_INDEX": "1",
    }
