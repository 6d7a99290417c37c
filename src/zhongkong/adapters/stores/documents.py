"""Values as JSON documents and back, by the types of their fields.

A field that equals its default is left out: a document stays small, and one that was written before a field existed
reads as if it had held the default. What a newer version added and this one does not know is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from zhongkong.core.grants import Key
from zhongkong.core.model import Account, Credential, Record

ValueT = TypeVar("ValueT")
Document: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[Any], Any]

ELSEWHERE: dict[type, frozenset[str]] = {
    Record: frozenset({"slot", "version", "changed_at"}),
    Credential: frozenset({"value"}),
    Account: frozenset({"appid", "secret"}),
    Key: frozenset({"id", "last_used_at"}),
}
"""Fields that have a column of their own, because they are queried or sealed: no document holds them."""

_PLAIN = frozenset({str, int, float, bool, NoneType})


class _Field(NamedTuple):
    name: str
    default: Any
    is_elsewhere: bool
    read: Read | None
    """What makes the field's value of its JSON; None where that is the value itself."""


def to_document(value: Any) -> Document:  # noqa: ANN401 (any of our values)
    """Return `value`, a frozen dataclass or a NamedTuple, ready for JSON and without what `ELSEWHERE` names."""
    document = {}
    for name, default, is_elsewhere, _ in _fields_of(type(value)):
        held = getattr(value, name)
        if not is_elsewhere and held is not default and held != default:
            document[name] = _plain(held)
    return document


def from_document(kind: type[ValueT], document: Document, **elsewhere: object) -> ValueT:
    """Return the `kind` that `document` tells of, with the fields that were kept elsewhere."""
    values = {}
    for name, _, _, read in _fields_of(kind):  # type: ignore[arg-type]  # a class is hashable, whatever its instances
        if name in document:
            held = document[name]
            values[name] = held if read is None or held is None else read(held)
    return kind(**values, **elsewhere)


def _plain(value: Any) -> Any:  # noqa: ANN401 (JSON)
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum):
        return value
    if kind is tuple:
        return [_plain(one) for one in value]
    if kind is frozenset:
        return [_plain(one) for one in sorted(value)]
    if kind in (IPv4Network, IPv6Network):
        return str(value)
    return to_document(value)


@cache
def _fields_of(kind: type[Any]) -> tuple[_Field, ...]:
    if is_dataclass(kind):
        defaults = {one.name: one.default for one in fields(kind)}
    else:
        known: dict[str, object] = getattr(kind, "_field_defaults")  # noqa: B009 (mypy knows no NamedTuple here)
        defaults = {name: known.get(name, MISSING) for name in getattr(kind, "_fields")}  # noqa: B009
    hints, elsewhere = get_type_hints(kind), ELSEWHERE.get(kind, frozenset())
    return tuple(_Field(name, default, name in elsewhere, _reader(hints[name])) for name, default in defaults.items())


def _reader(hint: Any) -> Read | None:  # noqa: ANN401 (a type expression)
    origin, parts = get_origin(hint), [part for part in get_args(hint) if part is not NoneType]
    if origin in (Union, UnionType):
        return ip_network if parts == [IPv4Network, IPv6Network] else _reader(parts[0])
    if origin in (tuple, frozenset):
        read = _reader(parts[0])
        return origin if read is None else lambda held: origin(map(read, held))
    if hint in _PLAIN:
        return None
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return lambda held: from_document(hint, held)
