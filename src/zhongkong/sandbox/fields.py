"""What a control request says, held against what it may say, so that a slip is an answer and not a surprise."""

import json
import math
from collections.abc import Collection, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin


def parse_json(text: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the value that `text` is the JSON of. Raises ValueError, also for NaN and for nesting too deep to read."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def check(given: object, hints: Mapping[str, Any], required: Collection[str] = ()) -> dict[str, Any]:
    """Return `given` if it is an object whose names are all known and whose values are of the hinted types.

    Raises ValueError that names the field and what it ought to be.
    """
    if not isinstance(given, dict):
        raise ValueError(f"the body must be a JSON object, not {_say(given)}")  # noqa: TRY004 - the caller's input is wrong, not the program's types
    for name, value in given.items():
        if name not in hints:
            raise ValueError(f"unknown field {name!r}; known are: {', '.join(hints) or 'none'}")
        if not _fits(value, hints[name]):
            raise ValueError(f"{name} must be {_describe(hints[name])}, not {_say(value)}")
    if missing := [name for name in required if name not in given]:
        raise ValueError(f"missing: {', '.join(missing)}")
    return given


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a type, or what typing makes of types
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if origin is list:
        return isinstance(value, list) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def _describe(hint: Any) -> str:  # noqa: ANN401 - a type, or what typing makes of types
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(_describe(choice) for choice in get_args(hint))
    if origin is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(hint))
    if origin is list:
        return f"a list of {_describe(get_args(hint)[0]).removeprefix('a ')}s"
    return _NAMES[hint]


_NAMES = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    NoneType: "null",
}


def _say(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one line of a terminal
