"""A `zhongkong.toml`, with the lines that its errors name."""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from zhongkong.errors import SettingInvalid
from zhongkong.settings.values import Read, Unfit

TABLES = ("account", "sink")
"""What is written once for each, with two brackets."""
_HEADER = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]")


_TWICE = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key")
"""How the parser begins to speak of what was written before; the rest may quote it."""


class Written:
    """The file as it is written."""

    def __init__(self, file: Path) -> None:
        """Read it.

        Raises: SettingInvalid: it cannot be read, or is not TOML.
        """
        self._file = file
        self.directory = file.absolute().parent
        try:
            text = file.read_text(encoding="utf-8")
            self._document = tomllib.loads(text)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SettingInvalid("setting_file_unreadable", where=str(file), why=why) from error
        except ValueError as error:
            code = "setting_file_twice" if str(error).startswith(_TWICE) else "setting_file_malformed"
            raise SettingInvalid(code, where=str(file), why=_place_of(error)) from None
        self._lines = text.splitlines()

    def values(self) -> list[tuple[str, object, str]]:
        """Return name, value and place of everything but what is declared in tables of its own."""
        named: list[tuple[str, object]] = []
        for name, given in self._document.items():
            if name in TABLES:
                continue
            if isinstance(given, dict):
                named.extend((f"{name}.{inner}", value) for inner, value in given.items())
            else:
                named.append((name, given))
        return [(name, given, self._place(name)) for name, given in named]

    def tables(self, name: str) -> list[tuple[dict[str, Any], str]]:
        """Return every `[[account]]`, or another of `TABLES`, with its place."""
        tables = self._document.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise SettingInvalid(f"setting_wants_{name}", setting=name, where=self._place(name))
        return [(one, self._place(name, nth)) for nth, one in enumerate(tables)]

    def _place(self, name: str, nth: int = 0) -> str:
        """Return file and line of the `nth` time that `name` stands there, as a key or as the head of a table."""
        head, _, key = name.rpartition(".")
        written_key = re.compile(rf'\s*"?{re.escape(key)}"?\s*[=.]')
        places: list[int] = []
        table = ""
        for number, line in enumerate(self._lines, start=1):
            header = _HEADER.match(line)
            table = header[1] if header else table
            if (header and table == name) or (not header and table == head and written_key.match(line)):
                places.append(number)
        return f"{self._file}:{places[nth]}" if nth < len(places) else str(self._file)


def _place_of(error: ValueError) -> str:
    """Return where a file is malformed; what stands there may be a secret, so it is not quoted."""
    found = re.search(r"at (line \d+, column \d+|end of document)", str(error))
    return found[1] if found else "UTF-8"


def read_value(read: Read, name: str, given: object, where: str, directory: Path) -> Any:  # noqa: ANN401 (of any setting)
    """Return what `read` makes of a value.

    Raises: SettingInvalid: naming setting, place, and what is wanted.
    """
    try:
        return read(given, directory)
    except Unfit as error:
        raise SettingInvalid(f"setting_wants_{error.wanted}", setting=name, where=where) from error


def unknown(name: str, where: str, known: list[str]) -> SettingInvalid:
    """Return the error for a name that nobody knows, with the one that was probably meant."""
    meant = get_close_matches(name, known, n=1, cutoff=0.7)
    if meant:
        return SettingInvalid("setting_misspelt", setting=name, where=where, meant=meant[0])
    return SettingInvalid("setting_unknown", setting=name, where=where)
