"""A process that forks while it is at work on a store: the child has one of its own, and the parent goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores.forking import CHILDREN

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


def told(act: str, directory: Path) -> Any:
    """Return what the forking program found; it runs apart, for pytest itself has threads that a fork would lose."""
    program = [sys.executable, "-m", "tests.contract.stores.forking", act, str(directory)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_children_and_parent_write_side_by_side(tmp_path: Path) -> None:
    """A preloaded gunicorn forks its workers while the master polls and renews."""
    found = told("write_in_children", tmp_path)
    assert found == {"children": ["written"] * CHILDREN, "parent": True, "kept": CHILDREN}


def test_what_a_child_writes_outlives_its_parents_connection(tmp_path: Path) -> None:
    """A child that took its parent's locks for its own would write into a log that the parent deletes on closing."""
    assert told("outlive_the_parents_store", tmp_path) == {"child": "written", "kept": True}


def test_a_fork_that_nobody_announced_is_told_and_harms_nothing(tmp_path: Path) -> None:
    """As uWSGI forks. Who used the store before gets words in the child, not a file that is damaged silently."""
    assert told("fork_from_c", tmp_path) == {"child": "store_forked"}
