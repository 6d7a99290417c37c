"""Finds a secret wherever it was written, also encoded on the way and in pieces."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

PIECE = 16
"""Bytes: who is told so much of a secret is told too much."""
BOUND_BY = {0: 0, 1: 2, 2: 3}
"""By how many bytes before it, within a base64 group: how many characters those have a part in."""


def find_secrets(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[str]:
    """Return which secrets are found, in which guise, in which place."""
    return [
        f"{secret} as {guise} in {place}"
        for secret, value in secrets.items()
        for piece in pieces_of(value)
        for guise, written in guises_of(piece)
        for place, content in places.items()
        if written in content
    ]


def read_files(directory: Path) -> dict[str, bytes]:
    """Return the content of every file below `directory`."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def pieces_of(secret: bytes) -> set[bytes]:
    """Return the beginning, the middle and the end: a log that shortens still tells one of them."""
    middle = max(0, len(secret) - PIECE) // 2
    return {secret[:PIECE], secret[middle : middle + PIECE], secret[-PIECE:]}


def guises_of(piece: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield all that a piece may look like where it was written."""
    yield "clear", piece
    yield "hex", piece.hex().encode()
    yield "HEX", piece.hex().upper().encode()
    for before, bound in BOUND_BY.items():
        text = b64encode(bytes(before) + piece)[bound : (before + len(piece)) * 8 // 6]
        yield f"base64 + {before}", text
        yield f"base64url + {before}", text.translate(bytes.maketrans(b"+/", b"-_"))
    if (escaped := quote_from_bytes(piece, safe="").encode()) != piece:
        yield "URL", escaped
        yield "url", escaped.lower()
    whole = "".join(f"%{byte:02X}" for byte in piece).encode()
    yield "URL in full", whole
    yield "url in full", whole.lower()
