"""What is known of signatures and ciphertexts without this program: `push_vectors.json` says from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ALL: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

SIGNED: list[dict[str, str]] = _ALL["signed"]
ENCRYPTED: list[dict[str, str]] = _ALL["encrypted"]


def name(vector: dict[str, str]) -> str:
    """Return a vector's name."""
    return vector["id"]
