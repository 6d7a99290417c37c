"""Which language to speak to whom."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_WISH = re.compile(r"\s*([A-Za-z]{1,8})(?:[-_.@][^;,]*)?\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?))?\s*")


def choose_language(*wishes: str | None, default: Language = "zh") -> Language:
    """Return the language of the first wish that names one we speak, else `default`.

    A wish is a tag (`en`), a locale (`zh_CN.UTF-8`), or the value of an Accept-Language header; None and what cannot be
    read are passed over. The command line asks with `--lang`, `ZHONGKONG_LANG` and the locale; the hub with the header.
    """
    for wish in wishes:
        for tag in _by_preference(wish or ""):
            for language in LANGUAGES:
                if tag == language:
                    return language
    return default


def _by_preference(wish: str) -> list[str]:
    """Return the primary tags of a wish, most wanted first; q=0 says "not this one"."""
    found = [match for part in wish.split(",") if (match := _WISH.fullmatch(part))]
    weighed = [(float(match[2] or 1), match[1].lower()) for match in found]
    return [tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0]
