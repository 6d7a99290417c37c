"""Every code that the program can utter has its text, and every value that the text names is given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import zhongkong
from zhongkong import errors
from zhongkong.errors import CredentialUnavailable, ZhongkongError
from zhongkong.messages import codes
from zhongkong.messages.catalogue import _catalogue

SOURCE = Path(zhongkong.__file__).parent
ERRORS = {name: one for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, ZhongkongError)}
OF_ONE_CODE = {errors.AccountUnknown, errors.PlatformUnreachable}
"""What they begin with is no code."""
UTTERING = {name for name, one in ERRORS.items() if one not in {*OF_ONE_CODE, CredentialUnavailable}}
OF_EVERY_EVENT = {"appid"}
OF_EVERY_REFUSAL = {"errcode", "errmsg", "rid"}


def _calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield path, node, name


def _text_at(call: ast.Call, place: int) -> str | None:
    argument = call.args[place] if len(call.args) > place else None
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def _uttered() -> Iterator[tuple[str, str, set[str] | None]]:
    """Yield where, which code, and the names of the values that are given (None: not to be seen from the source)."""
    for path, call, name in _calls():
        where = f"{path.relative_to(SOURCE)}:{call.lineno}"
        if name in UTTERING and (code := _text_at(call, 0)):
            given = {keyword.arg for keyword in call.keywords}
            names = {one for one in given if one} | (OF_EVERY_REFUSAL if len(call.args) > 1 else set())
            yield where, code, None if None in given else names
        elif name == "Event" and (code := _text_at(call, 0)):
            yield where, f"event_{code}", _names_of_values(call)
        elif name in {"CredentialUnavailable", "Trouble"}:
            state = _text_at(call, 2 if name == "CredentialUnavailable" else 0)
            if state:
                yield where, f"trouble_{state}", {"appid", *(one.arg for one in call.keywords if one.arg)}


def _names_of_values(event: ast.Call) -> set[str] | None:
    values = event.args[2] if len(event.args) > 2 else ast.Dict([], [])
    if not isinstance(values, ast.Dict):
        return None
    return OF_EVERY_EVENT | {str(key.value) for key in values.keys if isinstance(key, ast.Constant)}


UTTERED = list(_uttered())


@pytest.mark.parametrize(("where", "code", "given"), UTTERED, ids=[f"{code}@{where}" for where, code, _ in UTTERED])
def test_a_code_in_the_source_has_a_text_that_asks_for_no_more_than_is_given(
    where: str, code: str, given: set[str] | None
) -> None:
    """An error that cannot be told would be found on the worst day; add the text to the file of its area."""
    assert code in codes(), f"{where} utters {code}, which no file in messages/texts has"
    if given is not None:
        named = {name for _, name, _, _ in Formatter().parse(_catalogue()[code]["en"]) if name}
        assert named <= given, f"{where} gives {sorted(given)}, the text names {sorted(named)}"


def test_the_source_is_really_read() -> None:
    """A check that finds nothing to check proves nothing."""
    assert {"event_minted", "event_condemned"} <= {code for _, code, _ in UTTERED}
