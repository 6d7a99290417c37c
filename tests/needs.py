"""Programs that a test needs and the project does not bring: without one it is skipped aloud, in CI it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def need(program: str, package: str) -> str:
    """Return where the program is; `package` is what brings it."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    if found is None:
        lack(f"{program} is not installed: apt install {package}")
    return found


def lack(why: str) -> NoReturn:
    """Skip the test for what is missing here; in CI it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
