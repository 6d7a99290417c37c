"""Where a store is: a URL, read once, and from then on without its password wherever it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from zhongkong.core.model import Secret
from zhongkong.errors import SettingInvalid

SQLITE = "sqlite:///"
ENGINES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
"""By scheme."""
PORTS = {"postgresql": 5432, "mysql": 3306}
OPTIONS: Mapping[str, frozenset[str]] = {
    "postgresql": frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey"}),
    "mysql": frozenset({"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled"}),
}
"""What may stand behind the question mark, by engine; the drivers' own names."""
VALUES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "ssl_disabled": ("true", "false"),
}
"""What an option may say, where that is a choice."""


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A SQLite file."""

    path: Path

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database on a server."""

    engine: str
    hosts: tuple[tuple[str, int], ...]
    """Several, where whichever of them can be written is to be used. None for a socket that an option names."""
    database: str
    user: str
    password: Secret
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as it may be shown: without password and options."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.engine}://{self.user}{'@' if self.user else ''}{hosts}/{self.database}"


Address: TypeAlias = FileAddress | ServerAddress


def parse_address(url: str, name: str = "store.url") -> Address:
    """Return where `url` says that the store is; an error calls it `name`.

    Raises: SettingInvalid: it says nothing that can be used. It is not repeated, for it may hold a password.
    """
    if url.startswith(SQLITE) and url != SQLITE:
        return FileAddress(Path(url.removeprefix(SQLITE)))
    scheme = url.partition("://")[0]
    if scheme not in ENGINES:
        shown = scheme if scheme.isalnum() and scheme != url else "?"
        raise SettingInvalid("store_kind_unknown", name=name, scheme=shown)
    try:
        return _parse_server(ENGINES[scheme], url, name)
    except ValueError:
        raise SettingInvalid("store_url_unfit", name=name, scheme=scheme) from None  # it may quote the password


def _parse_server(engine: str, url: str, name: str) -> ServerAddress:
    parts = urlsplit(url)
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    for option in options.keys() - OPTIONS[engine]:
        known = ", ".join(sorted(OPTIONS[engine]))
        raise SettingInvalid("store_option_unknown", name=name, option=option, known=known)
    for option in options.keys() & VALUES.keys():
        if options[option] not in VALUES[option]:
            raise SettingInvalid("store_option_unfit", name=name, option=option, known=", ".join(VALUES[option]))
    hosts = tuple(_parse_host(place, PORTS[engine]) for place in places.split(",") if place)
    has_socket = bool({"host", "unix_socket"} & options.keys())
    database = unquote(parts.path.removeprefix("/"))
    if not database or parts.fragment or bool(hosts) == has_socket or (engine == "mysql" and len(hosts) > 1):
        raise ValueError
    return ServerAddress(engine, hosts, database, unquote(user), Secret(unquote(password)), options)


def _parse_host(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or port
