"""How a setting's value is read: what the file, the environment or a flag holds becomes the value.

A reader takes what was given (a text, or TOML's own type) and the directory where relative paths begin.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from zhongkong.wechat.endpoints import is_appid

Network: TypeAlias = IPv4Network | IPv6Network
Read: TypeAlias = Callable[[object, Path], Any]


class Bind(NamedTuple):
    """Where to listen."""

    host: str
    port: int


class Unfit(ValueError):
    """A value cannot be read; the text `setting_wants_<wanted>` says what is wanted."""

    def __init__(self, wanted: str) -> None:
        """Name what is wanted."""
        super().__init__(wanted)
        self.wanted = wanted


def matching(pattern: str, wanted: str) -> Read:
    """Return a reader of texts that match `pattern` as a whole."""

    def read(given: object, _directory: Path) -> str:
        if not isinstance(given, str) or not re.fullmatch(pattern, given):
            raise Unfit(wanted)
        return given

    return read


def one_of(wanted: str, *choices: str) -> Read:
    """Return a reader of one of the texts `choices`."""
    return matching("|".join(map(re.escape, choices)), wanted)


def whole_number(low: int, high: int, wanted: str) -> Read:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(given: object, _directory: Path) -> int:
        number = int(given) if isinstance(given, str) and re.fullmatch(r"[0-9]{1,9}", given) else given
        if type(number) is not int or not low <= number <= high:
            raise Unfit(wanted)
        return number

    return read


def read_seconds(given: object, _directory: Path) -> float:
    """Return a span that is longer than nothing."""
    try:
        seconds = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else 0.0
    except ValueError as error:
        raise Unfit("seconds") from error
    if not isfinite(seconds) or seconds <= 0:
        raise Unfit("seconds")
    return seconds


def read_flag(given: object, _directory: Path) -> bool:
    """Return true or false, TOML's own or as a text."""
    flag = {"true": True, "false": False}.get(given) if isinstance(given, str) else given
    if not isinstance(flag, bool):
        raise Unfit("flag")
    return flag


def read_path(given: object, directory: Path) -> Path:
    """Return a path; a relative one begins at `directory`, `~` is the user's home."""
    if not isinstance(given, str | Path) or not str(given):
        raise Unfit("path")
    return directory / Path(given).expanduser()


def read_networks(given: object, _directory: Path) -> tuple[Network, ...]:
    """Return addresses and networks: a list of texts, or one text with commas."""
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise Unfit("networks")
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in parts if part.strip())
    except ValueError as error:
        raise Unfit("networks") from error


def read_bind(given: object, _directory: Path) -> Bind | None:
    """Return `host:port`; the empty text is None."""
    if given == "":
        return None
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Unfit("bind") from error
    if not host or port is None or parts.netloc != given:
        raise Unfit("bind")
    return Bind(host, port)


def read_base_url(given: object, _directory: Path) -> str:
    """Return `http(s)://host[:port][/path]` without a slash at its end."""
    if not isinstance(given, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", given):
        raise Unfit("base_url")
    return given.rstrip("/")


def read_public_url(given: object, directory: Path) -> str:
    """Return where others find the hub, as `read_base_url`; the empty text: nobody said."""
    return "" if given == "" else read_base_url(given, directory)


def read_appid(given: object, _directory: Path) -> str:
    """Return an appid; of an account of WeCom it is `corpid:name`."""
    if not isinstance(given, str) or not is_appid(given):
        raise Unfit("appid")
    return given


read_text = matching(r"(?s:.*)", "text")
read_host = matching(r"[A-Za-z0-9.:_-]+", "host")
read_port = whole_number(0, 65535, "port")
read_proxy = matching(r"(http://[^/\s]+/?)?", "proxy")
read_store_url = matching(r"[a-z0-9+]+://\S*", "store_url")
read_prefix = matching(r"([a-z][a-z0-9_]{0,31})?", "prefix")
read_bell = matching(r"(store|rediss?://\S+)?", "bell")
