"""What a request asks, read without trust: its JSON body, its query, its preconditions."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from zhongkong.core.model import Seconds
from zhongkong.errors import AccountUnknown, RequestRefused
from zhongkong.wechat.endpoints import is_appid

BODY_LONGEST = 65_536
"""Bytes. The longest request of ours holds a token of 2,048 characters."""
BODY_WITHIN: Seconds = 10.0

EnumT = TypeVar("EnumT", bound=StrEnum)


class Fields:
    """The members of a JSON object, each read once, with what it must be; an absent one is None."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = dict(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, name: str, pattern: str, wanted: str) -> str | None:
        """Return a string that matches `pattern` as a whole, all of it printable."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not value.isprintable() or not re.fullmatch(pattern, value):
            refuse(name, wanted)
        return value

    def like_setting(self, name: str, read: Callable[[object, Path], str], wanted: str) -> str | None:
        """Return what a setting of that kind would take, read as it is read in a file."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        try:
            return read(value, Path())
        except ValueError:
            refuse(name, wanted)

    def choice(self, name: str, members: Iterable[EnumT]) -> EnumT | None:
        """Return one of `members`: an enumeration, or a part of one."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        return _member(name, value, members)

    def choices(self, name: str, kind: type[EnumT]) -> list[EnumT] | None:
        """Return a list of members of `kind`, at least one."""
        values = self._values.pop(name, None)
        if values is None:
            return None
        if not isinstance(values, list) or not values:
            refuse(name, f"[{_listed(kind)}]")
        return [_member(name, value, kind) for value in values]

    def texts(self, name: str, pattern: str, wanted: str) -> list[str] | None:
        """Return a list of strings that match `pattern`, at least one."""
        values = self._values.pop(name, None)
        if values is None:
            return None
        are_good = isinstance(values, list) and all(
            isinstance(one, str) and re.fullmatch(pattern, one) for one in values
        )
        if not values or not are_good:
            refuse(name, wanted)
        return list(values)

    def text_list(self, name: str, pattern: str, wanted: str) -> list[str] | None:
        """Return a list of strings that match `pattern`, which may be empty."""
        if self._values.get(name) == []:
            return list(self._values.pop(name))
        return self.texts(name, pattern, wanted)

    def members(self, name: str, wanted: str) -> dict[str, str] | None:
        """Return an object whose members are strings."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            refuse(name, wanted)
        return dict(value)

    def networks(self, name: str) -> list[IPv4Network | IPv6Network] | None:
        """Return a list of networks (CIDR)."""
        wanted = '["10.0.0.0/8", "2001:db8::/32", …]'
        values = self._values.pop(name, None)
        if values is None:
            return None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            refuse(name, wanted)
        try:
            return [ip_network(value) for value in values]
        except ValueError:
            refuse(name, wanted)

    def integer(self, name: str, lowest: int, highest: int) -> int | None:
        """Return an integer within bounds, both included."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if type(value) is not int or not lowest <= value <= highest:
            refuse(name, f"{lowest}..{highest}")
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, bool):
            refuse(name, "true | false")
        return value

    def end(self) -> None:
        """Refuse what nobody asked for: a misspelt field would be lost in silence."""
        for name in self._values:
            refuse(name if name.isprintable() else "?", "—")


def appid_of(request: Request) -> str:
    """Return the appid in the path. Raises: AccountUnknown: it can be none; a database may take it for another one."""
    appid: str = request.path_params["appid"]
    if not is_appid(appid):
        raise AccountUnknown(appid)
    return appid


async def read_fields(request: Request) -> Fields:
    """Return the JSON object in the body; an empty body is an empty object.

    Raises: RequestRefused: too long, too slow, or no JSON object.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LONGEST:
                    raise RequestRefused("body_too_long", longest=BODY_LONGEST)
    except TimeoutError as error:
        raise RequestRefused("body_too_slow", seconds=int(BODY_WITHIN)) from error
    if not body.strip():
        return Fields({})
    try:
        values = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RequestRefused("body_not_json")
    return Fields(values)


def query_integer(request: Request, name: str, lowest: int, highest: int) -> int | None:
    """Return an integer of the query within bounds, or None if it is not there.

    Raises: RequestRefused.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) or not lowest <= int(text) <= highest:
        refuse(name, f"{lowest}..{highest}")
    return int(text)


@lru_cache(maxsize=256)
def prefers_text(accept: str) -> bool:
    """Say whether an Accept header wants text/plain more than JSON; JSON is what who does not say gets."""
    weights = {"application/json": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        if name in weights:
            weights[name] = _weight(parameters)
    return weights["text/plain"] > weights["application/json"]


def _weight(parameters: str) -> float:
    match = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", parameters)
    return float(match[1]) if match else 1.0


def refuse(field: str, wanted: str) -> NoReturn:
    """Refuse a request for one of its fields. `wanted` is understood in any language."""
    raise RequestRefused("request_invalid", field=field, wanted=wanted)


def _member(name: str, value: object, members: Iterable[EnumT]) -> EnumT:
    for member in members:
        if isinstance(value, str) and value == member.value:
            return member
    refuse(name, _listed(members))


def _listed(members: Iterable[StrEnum]) -> str:
    return " | ".join(f'"{member.value}"' for member in members)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError
    return values


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError
