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
from zhongkong.settings.sinks import SinkDeclaration
from zhongkong.settings.values import (
    Bind,
    Network,
    Read,
    one_of,
    read_bell,
    read_bind,
    read_flag,
    read_host,
    read_networks,
    read_path,
    read_port,
    read_prefix,
    read_proxy,
    read_public_url,
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
    bare: str
    """What its flag means when nothing follows it; the empty text: something must."""

    @property
    def variable(self) -> str:
        """Return its name in the environment."""
        return f"ZHONGKONG_{self.field.upper()}"

    @property
    def flag(self) -> str:
        """Return its name on the command line."""
        return "--" + self.field.replace("_", "-")


def _setting(read: Read, default: str, *, is_secret: bool = False, **more: str) -> Any:  # noqa: ANN401 (any type)
    metadata = {"read": read, "default": default, "name": "", "unit": "", "bare": "", **more}
    return field(repr=not is_secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is set. Made by `load_settings`."""

    data_dir: Path = _setting(read_path, "DATA_DIR")
    lang: str = _setting(one_of("lang", "", *LANGUAGES), "")
    host: str = _setting(read_host, "127.0.0.1")
    port: int = _setting(read_port, "8600")
    tls_port: int = _setting(whole_number(0, 65535, "tls_port"), "0", bare="8643")
    workers: int = _setting(whole_number(1, 64, "workers"), "1")
    public_url: str = _setting(read_public_url, "", unit="URL")
    trusted_proxies: tuple[Network, ...] = _setting(read_networks, "")
    metrics_bind: Bind | None = _setting(read_bind, "", unit="host:port")
    log_format: str = _setting(one_of("log_format", "text", "json"), "text")
    access_log: bool = _setting(read_flag, "true")
    egress_proxy: str = _setting(read_proxy, "", is_secret=True, unit="URL")
    poll_seconds: float = _setting(read_seconds, "1", unit="s")
    longest_call_seconds: float = _setting(read_seconds, "60", unit="s")
    gateway_body_limit: int = _setting(
        whole_number(1, 1024, "gateway_body_limit"), "64", name="gateway.body_limit", unit="MiB"
    )
    gateway_in_flight: int = _setting(whole_number(1, 100_000, "gateway_in_flight"), "256", name="gateway.in_flight")
    seal_file: Path = _setting(read_path, "DATA_DIR/zhongkong.seal")
    store_url: str = _setting(
        read_store_url, "sqlite:///DATA_DIR/zhongkong.db", is_secret=True, name="store.url", unit="URL"
    )
    store_prefix: str = _setting(read_prefix, "zhongkong_", name="store.prefix")
    store_bell: str = _setting(read_bell, "", is_secret=True, name="store.bell")
    sandbox_port: int = _setting(read_port, "8601", name="sandbox.port")
    declarations: tuple[Declaration, ...] = ()
    """The accounts that file and environment declare; `read_accounts` reads their secrets."""
    sinks: tuple[SinkDeclaration, ...] = ()
    """The sinks that the file declares; `read_sinks` reads their secrets."""
    file: Path | None = None
    """The file that was read."""


@cache
def table() -> tuple[Setting, ...]:
    """Return every setting, in the order in which they are documented."""
    return tuple(
        Setting(one.name, given["name"] or one.name, given["read"], given["default"], given["unit"], given["bare"])
        for one in fields(Settings)
        if (given := one.metadata)
    )
