"""The catalogue is whole: both languages, the same values, no code that nobody can render."""

from __future__ import annotations

from string import Formatter

import pytest

from zhongkong.messages import LANGUAGES, codes, render
from zhongkong.messages.catalogue import _catalogue

ALL = sorted(codes())
SENTENCES = [code for code in ALL if not code.startswith("label_")]


def _named(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", ALL)
def test_a_code_has_both_languages_naming_the_same_values(code: str) -> None:
    """A value named in one language only is a fact that half of the readers do not get."""
    text = _catalogue()[code]
    assert set(text) == set(LANGUAGES)
    assert _named(text["zh"]) == _named(text["en"])
    assert all(name.isidentifier() for name in _named(text["en"]))


@pytest.mark.parametrize("code", SENTENCES)
def test_a_text_is_a_finished_sentence(code: str) -> None:
    """Texts are put one after the other; Chinese ones end and pause with Chinese punctuation."""
    text = _catalogue()[code]
    assert text["zh"].endswith(("。", "：", "？"))
    assert text["en"].endswith((".", ":", "?"))
    assert not any(mark in text["zh"] for mark in (", ", "; ", ". "))


@pytest.mark.parametrize("code", ALL)
def test_every_text_can_be_rendered(code: str) -> None:
    """A stray brace would only be found when somebody needs the text."""
    for lang in LANGUAGES:
        text = render(code, lang, **dict.fromkeys(_named(_catalogue()[code][lang]), "?"))
        assert "{" not in text
        assert "}" not in text


def test_an_unknown_code_is_an_error() -> None:
    """A code without a text would otherwise be shown to people as it is."""
    with pytest.raises(LookupError):
        render("no_such_code", "en")


def test_a_missing_value_is_an_error() -> None:
    """A sentence with a hole in it sends people to the wrong place."""
    with pytest.raises(LookupError):
        render("account_unknown", "en")


def test_values_are_never_read_as_a_format() -> None:
    """What the platform or a caller wrote must not reach into our objects."""
    assert "{appid.__class__}" in render("account_unknown", "en", appid="{appid.__class__}")


def test_a_value_may_be_called_code_or_lang() -> None:
    """Parameters of `render` take no names away from the texts."""
    assert "wx1" in render("account_unknown", "zh", appid="wx1", code="x", lang="y")
