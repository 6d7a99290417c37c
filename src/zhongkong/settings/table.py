"""The table: every setting with its type, default and unit.

Its help is the text `setting_help_<field>` of the catalogue; a test holds `docs/settings.md` and this table together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from zhongkong.messages import LANGUAGES
from zhongkong.settings.declared import Declaration
from zhongkong.settings.values import (
    Bind,
    Network,
    Read,
    one_of,
    read_bind,
    read_host,
    read_networks,
    read_path,
    read_port,
    read_prefix,
    read_proxy,
    read_seconds,
    read_store_url,
    whole_number,
)


class Setting(NamedTuple):
    """One line of the table."""

    field: str
    """Its name in `Settings`."""
    name: str
    """Its name in `zhongkong.toml`; what stands before a dot is the name of a table."""
    read: Read
    default: str
    """As it would be written; with DATA_DIR for the data directory."""
    unit: str

    @property
    def variable(self) -> str:
        """Return its name in the environment."""
        return f"ZHONGKONG_{self.field.upper()}"

    @property
    def flag(self) -> str:
        """Return its name on the command line."""
        return "--" + self.field.replace("_", "-")


def _setting(read: Read, default: str, *, name: str = "", unit: str = "") -> Any:  # noqa: ANN401 (a field of any type)
    return field(metadata={"read": read, "default": default, "name": name, "unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is set. Made by `load_settings`."""

    data_dir: Path = _setting(read_path, "DATA_DIR")
    lang: str = _setting(one_of("lang", "", *LANGUAGES), "")
    host: str = _setting(read_host, "127.0.0.1")
    port: int = _setting(read_port, "8600")
    workers: int = _setting(whole_number(1, 64, "workers"), "1")
    trusted_proxies: tuple[Network, ...] = _setting(read_networks, "")
    metrics_bind: Bind | None = _setting(read_bind, "", unit="host:port")
    log_format: str = _setting(one_of("log_format", "text", "json"), "text")
    egress_proxy: str = _setting(read_proxy, "", unit="URL")
    poll_seconds: float = _setting(read_seconds, "1", unit="s")
    longest_call_seconds: float = _setting(read_seconds, "60", unit="s")
    seal_file: Path = _setting(read_path, "DATA_DIR/zhongkong.seal")
    store_url: str = _setting(read_store_url, "sqlite:///DATA_DIR/zhongkong.db", name="store.url", unit="URL")
    store_prefix: str = _setting(read_prefix, "zhongkong_", name="store.prefix")
    sandbox_port: int = _setting(read_port, "8601", name="sandbox.port")
    declarations: tuple[Declaration, ...] = ()
    """The accounts that file and environment declare; `read_accounts` reads their secrets."""
    file: Path | None = None
    """The file that was read."""


@cache
def table() -> tuple[Setting, ...]:
    """Return every setting, in the order in which they are documented."""
    return tuple(
        Setting(one.name, given["name"] or one.name, given["read"], given["default"], given["unit"])
        for one in fields(Settings)
        if (given := one.metadata)
    )
