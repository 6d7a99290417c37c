"""What a request asks, read without trust."""

from __future__ import annotations

import pytest

from zhongkong.errors import RequestRefused
from zhongkong.hub.api.asking import Fields, prefers_text
from zhongkong.hub.api.credentials import latest_generation


@pytest.mark.parametrize(
    ("accept", "wants_text"),
    [
        ("text/plain", True),
        ("TEXT/PLAIN", True),
        ("text/plain, application/json;q=0.9", True),
        ("text/plain;charset=utf-8", True),
        ("text/plain;q=0", False),
        ("text/plain;q=0.9, application/json", False),
        ("text/plain, application/json", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("*/*", False),
        ("", False),
        (";;;,,,q=x", False),
    ],
)
def test_text_is_for_who_wants_it_more_than_json(accept: str, *, wants_text: bool) -> None:
    """A header that cannot be read is no wish."""
    assert prefers_text(accept) is wants_text


@pytest.mark.parametrize(
    ("header", "generation"),
    [
        ('W/"3.0123abcd"', 3),
        ('"3.0123abcd"', 3),
        ('W/"3.0123abcd", W/"12.ffffffff"', 12),
        ("*", 0),
        ("", 0),
        ('W/"other"', 0),
        ('W/"3.0123ABCD"', 0),
        (f'W/"{"9" * 40}.0123abcd"', 0),
    ],
)
def test_the_latest_generation_among_etags_counts(header: str, generation: int) -> None:
    """What is not ours says nothing."""
    assert latest_generation(header) == generation


def test_a_field_that_nobody_reads_is_refused() -> None:
    """A misspelt one would be lost in silence; a strange name is not repeated."""
    with pytest.raises(RequestRefused) as refused:
        Fields({"a\nb": 1}).end()
    assert refused.value.values["field"] == "?"


def test_null_is_absence() -> None:
    """Programs that write every field write null for what they do not mean."""
    fields = Fields({"a": None, "b": None, "c": None, "d": None})
    assert (fields.text("a", ".*", ""), fields.integer("b", 0, 1), fields.flag("c"), fields.networks("d")) == (
        None,
    ) * 4
    fields.end()
