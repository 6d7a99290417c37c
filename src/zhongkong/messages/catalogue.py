"""The catalogue: a code and named values become a text in the reader's language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from zhongkong.messages.language import Language


def render(code: str, lang: Language, /, **values: object) -> str:
    """Return the text of `code` in `lang`. Values that it does not name are passed over.

    Raises LookupError for a code that no file has, or a named value that is missing: both are bugs of the caller.
    """
    return _catalogue()[code][lang].format(**values)


def codes() -> frozenset[str]:
    """Return every code there is a text for."""
    return frozenset(_catalogue())


@cache
def _catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return all texts, read when the first one is asked for: most programs never speak."""
    texts: dict[str, Mapping[str, str]] = {}
    for file in sorted((files(__package__) / "texts").iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".toml"):
            continue
        for code, text in tomllib.loads(file.read_text(encoding="utf-8")).items():
            if code in texts:
                message = f"the code {code} stands in two files, one of them {file.name}"
                raise ValueError(message)
            texts[code] = text
    return texts
