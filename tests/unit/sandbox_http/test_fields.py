"""What a control request may say, field by field."""

from typing import Any, Literal

import pytest

from zhongkong.sandbox.fields import check, parse_json

HINTS = {
    "text": str,
    "count": int,
    "span": float,
    "flag": bool,
    "names": list[str],
    "maybe": int | None,
    "choice": Literal["a", 5],
    "object": dict,
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"text": "", "count": -1, "span": 1, "flag": False, "names": [], "maybe": None, "choice": 5, "object": {}},
        {"span": 1.5, "names": ["x"], "maybe": 3, "choice": "a"},
    ],
)
def test_what_fits_is_returned_as_it_is(given: dict[str, Any]) -> None:
    """Only what is given: a default is not a wish."""
    assert check(given, HINTS) == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": 5}, "text must be a string, not 5"),
        ({"count": 1.5}, "count must be a whole number, not 1.5"),
        ({"count": True}, "count must be a whole number, not true"),
        ({"span": True}, "span must be a number, not true"),
        ({"span": float("inf")}, "span must be a number"),
        ({"span": 10**400}, "span must be a number"),
        ({"flag": 1}, "flag must be true or false, not 1"),
        ({"names": ["x", 1]}, "names must be a list of strings"),
        ({"maybe": "x"}, 'maybe must be a whole number or null, not "x"'),
        ({"choice": "5"}, 'choice must be "a" or 5, not "5"'),
        ({"object": []}, "object must be an object, not \\[\\]"),
        ({"texts": "x"}, "unknown field 'texts'; known are: text, count"),
        ([1], "the body must be a JSON object, not \\[1\\]"),
        ({"text": ["长" * 1000]}, "\\.\\.\\."),
    ],
)
def test_what_does_not_fit_is_named_with_what_is_wanted(given: object, said: str) -> None:
    """The one who typed it sees the slip in the answer."""
    with pytest.raises(ValueError, match=said):
        check(given, HINTS)


def test_what_must_be_said_is_asked_for() -> None:
    """All of it at once."""
    with pytest.raises(ValueError, match="missing: count, text"):
        check({"flag": True}, HINTS, required=["count", "text"])


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"[-Infinity]", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json_is_a_value_error_and_nothing_worse(text: bytes) -> None:
    """Python's own reader is more generous than JSON, and may run out of stack."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
