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
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from zhongkong.core.grants import Key
from zhongkong.core.model import Account, Credential, Record

ValueT = TypeVar("ValueT")
Document: TypeAlias = dict[str, Any]
Convert: TypeAlias = Callable[[Any], Any]

ELSEWHERE: dict[type, frozenset[str]] = {
    Record: frozenset({"slot", "version", "changed_at"}),
    Credential: frozenset({"value"}),
    Account: frozenset({"appid", "secret"}),
    Key: frozenset({"id", "last_used_at"}),
}
"""Fields that have a column of their own, because they are queried or sealed: no document holds them."""

_NETWORK = (IPv4Network, IPv6Network)


def to_document(value: object) -> Document:
    """Return `value`, a frozen dataclass or a NamedTuple, ready for JSON and without what `ELSEWHERE` names."""
    document = {}
    for name, default, write in _writers(type(value)):  # type: ignore[arg-type]  # a class is hashable
        held = getattr(value, name)
        if held is not default and held != default:
            document[name] = held if write is None or held is None else write(held)
    return document


def from_document(kind: type[ValueT], document: Document, **elsewhere: object) -> ValueT:
    """Return the `kind` that `document` tells of, with the fields that were kept elsewhere."""
    values = {}
    readers = _readers(kind)  # type: ignore[arg-type]  # a class is hashable
    for name, held in document.items():
        if name in readers:
            read = readers[name]
            values[name] = held if read is None or held is None else read(held)
    return kind(**values, **elsewhere)


@cache
def _writers(kind: type) -> tuple[tuple[str, object, Convert | None], ...]:
    """Return for each field that documents hold its default, and how it goes into JSON: None where it may as it is."""
    if is_dataclass(kind):
        defaults = {one.name: one.default for one in fields(kind)}
    else:
        known: dict[str, Any] = getattr(kind, "_field_defaults")  # noqa: B009 (mypy knows no NamedTuple here)
        defaults = {name: known.get(name, MISSING) for name in getattr(kind, "_fields")}  # noqa: B009
    hints, elsewhere = get_type_hints(kind), ELSEWHERE.get(kind, frozenset())
    return tuple((name, default, _writer(hints[name])) for name, default in defaults.items() if name not in elsewhere)


@cache
def _readers(kind: type) -> dict[str, Convert | None]:
    """Return for each field how it comes back from JSON: None where it is there as it was."""
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _writer(hint: Any) -> Convert | None:  # noqa: ANN401 (a type expression)
    holder, of = _parts(hint)
    if holder is frozenset:
        return sorted
    if holder is tuple:
        write = _writer(of)
        return None if write is None else lambda held: [write(one) for one in held]
    if of == _NETWORK:
        return str
    return None if issubclass(of, (str, int, float, Enum)) else to_document


def _reader(hint: Any) -> Convert | None:  # noqa: ANN401 (a type expression)
    holder, of = _parts(hint)
    if holder is not None:
        read = _reader(of)
        return holder if read is None else lambda held: holder(map(read, held))
    if of == _NETWORK:
        return ip_network
    if issubclass(of, Enum):
        return lambda held: of(held)  # noqa: PLW0108 (a class is no Convert to mypy)
    return None if issubclass(of, (str, int, float)) else lambda held: from_document(of, held)


def _parts(hint: Any) -> tuple[type | None, Any]:  # noqa: ANN401 (a type expression)
    """Return what holds many (a tuple, a frozenset, else None) and what is held; None is allowed everywhere."""
    origin, parts = get_origin(hint), tuple(part for part in get_args(hint) if part is not NoneType)
    if origin in (Union, UnionType):
        return (None, parts) if parts == _NETWORK else _parts(parts[0])
    return (origin, parts[0]) if origin in (tuple, frozenset) else (None, hint)
