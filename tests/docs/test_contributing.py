"""CONTRIBUTING.md says of the code what is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = [path for folder in ("src", "tests", "bench", "examples") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_the_sizes_are_as_told() -> None:
    """A number that nobody keeps to keeps nobody from anything."""
    told = PAGE.partition("Sizes, for the eye:")[2].partition("\n\n")[0]
    usual, long, longest, usual_file, long_file, longest_file = map(int, re.findall(r"\d+", told))
    texts = {path: path.read_text(encoding="utf-8") for path in FILES}
    lengths = {path: len(text.splitlines()) for path, text in texts.items()}
    assert median(lengths.values()) <= usual_file
    assert sum(length > long_file for length in lengths.values()) <= len(lengths) // 50
    assert max(lengths.values()) <= longest_file
    of_functions = {
        f"{path.name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path.is_relative_to(ROOT / "src")
    }
    assert median(of_functions.values()) <= usual
    assert sum(length > long for length in of_functions.values()) <= len(of_functions) // 50
    assert [name for name, length in of_functions.items() if length > longest] == ["schema.py:build_tables"]
