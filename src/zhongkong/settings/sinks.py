"""Sinks that are declared: `[[sink]]` in the file.

A declaration says where the secret is; it is read only when the sinks are opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from zhongkong.core.model import Secret
from zhongkong.core.sinks import IDENTIFYING, LAYOUTS, NAMES, Aim, Form, Layout, SinkKind, names_in
from zhongkong.errors import SettingInvalid
from zhongkong.settings.values import Read, Unfit, matching, one_of, read_appid, read_path, read_text
from zhongkong.settings.written import read_value, unknown

DEFAULT_LAYOUT = "tutorial"
DEFAULT_MODE = 0o600
REDIS_OPTIONS = frozenset(
    {"db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs"}
)
"""What a Redis URL may say after its question mark."""


@dataclass(frozen=True, slots=True)
class SinkDeclaration:
    """A sink that is declared, and where its password or key for signing is, if it has one."""

    aim: Aim
    where: str
    secret_file: Path | None = None
    secret_env: str = ""


def _read_appids(given: object, directory: Path) -> frozenset[str]:
    """Return the appids of a list; none for `*`, which is all of them."""
    if given == "*":
        return frozenset()
    if not isinstance(given, list) or not given:
        raise Unfit("appids")
    return frozenset(read_appid(one, directory) for one in given)


def _read_key(given: object, _directory: Path) -> str:
    return _template(given, "key_template")


def _read_place(given: object, directory: Path) -> str:
    return _template(str(read_path(given, directory)), "path_template", frozenset({"appid", "kind"}))


def _template(given: object, wanted: str, names: frozenset[str] = NAMES) -> str:
    try:
        if isinstance(given, str) and given.strip() and names_in(given) <= names:
            return given
    except ValueError as error:
        raise Unfit(wanted) from error
    raise Unfit(wanted)


def _read_mode(given: object, _directory: Path) -> int:
    if not isinstance(given, str) or not re.fullmatch(r"0?[67][0-7]{2}", given):
        raise Unfit("file_mode")
    return int(given, 8)


_READS: Mapping[str, Read] = {
    "kind": one_of("sink_kind", *SinkKind),
    "name": matching(r"[a-z0-9-]{1,32}", "sink_name"),
    "appids": _read_appids,
    "url": read_text,
    "layout": one_of("sink_layout", *LAYOUTS),
    "key": _read_key,
    "prefix": read_text,
    "format": one_of("sink_format", *Form),
    "path": _read_place,
    "mode": _read_mode,
    "secret_file": read_path,
    "secret_env": read_text,
}
SINK_SETTINGS = frozenset(_READS)
_OF_ALL = {"kind", "name", "appids"}
_SECRET = {"secret_file", "secret_env"}
_OF_KIND: Mapping[SinkKind, frozenset[str]] = {
    SinkKind.REDIS: frozenset({*_OF_ALL, *_SECRET, "url", "layout", "key", "prefix", "format"}),
    SinkKind.FILE: frozenset({*_OF_ALL, "path", "format", "mode"}),
    SinkKind.WEBHOOK: frozenset({*_OF_ALL, *_SECRET, "url"}),
}
_NEEDED: Mapping[SinkKind, str] = {SinkKind.REDIS: "url", SinkKind.FILE: "path", SinkKind.WEBHOOK: "url"}
_SCHEMES: Mapping[SinkKind, tuple[str, ...]] = {
    SinkKind.REDIS: ("redis", "rediss", "unix"),
    SinkKind.WEBHOOK: ("https", "http"),
}


def declare_sink(values: Mapping[str, object], where: str, directory: Path) -> SinkDeclaration:
    """Return the sink that a `[[sink]]` declares.

    Raises: SettingInvalid.
    """
    if {"secret", "password"} & set(values):
        raise SettingInvalid("setting_sink_secret_in_file", where=where)
    for name in values:
        if name not in _READS:
            raise unknown(f"sink.{name}", where, [f"sink.{one}" for one in _READS])
    read: dict[str, Any] = {
        name: read_value(_READS[name], f"sink.{name}", given, where, directory)
        for name, given in {"kind": "", **values}.items()
    }
    kind = SinkKind(read.pop("kind"))
    _check_names(kind, set(values), where)
    aim = Aim(
        name=read.get("name", str(kind)),
        kind=kind,
        appids=read.get("appids", frozenset()),
        url=_check_url(kind, read.get("url", ""), where),
        layout=_layout_of(read),
        mode=read.get("mode", DEFAULT_MODE),
    )
    _check_places(aim, where)
    return SinkDeclaration(aim, where, read.get("secret_file"), read.get("secret_env", ""))


def _check_names(kind: SinkKind, given: set[str], where: str) -> None:
    for name in sorted(given - _OF_KIND[kind]):
        raise SettingInvalid("setting_sink_misplaced", where=where, kind=kind, setting=name)
    if given >= _SECRET:
        raise SettingInvalid("setting_sink_secrets", where=where)
    if _NEEDED[kind] not in given:
        raise SettingInvalid("setting_sink_lacks", where=where, kind=kind, lacks=_NEEDED[kind])
    if kind is SinkKind.WEBHOOK and not given & _SECRET:
        raise SettingInvalid("setting_sink_lacks", where=where, kind=kind, lacks="secret_file / secret_env")


def _check_url(kind: SinkKind, url: str, where: str) -> str:
    """Return the URL if it is one of the kind's, and holds no password; it is never quoted, it may."""
    schemes = _SCHEMES.get(kind, ())
    if schemes and not _is_url(kind, url, schemes):
        wanted = " / ".join(f"{scheme}://…" for scheme in schemes)
        raise SettingInvalid("setting_sink_wants_url", where=where, setting="sink.url", wanted=wanted)
    return url


def _is_url(kind: SinkKind, url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
        if parts.scheme not in schemes or parts.password is not None or parts.port == 0 or not url.isprintable():
            return False
    except ValueError:
        return False
    if kind is SinkKind.WEBHOOK:
        return bool(parts.hostname) and parts.username is None and not parts.fragment and " " not in url
    has_place = parts.path if parts.scheme == "unix" else parts.hostname and re.fullmatch(r"(/\d*)?", parts.path)
    return bool(has_place) and set(query) <= REDIS_OPTIONS and all(map(str.isdigit, query.get("db", [])))


def _layout_of(read: Mapping[str, Any]) -> Layout:
    """Return the layout that is named, with what is said otherwise."""
    if "path" in read:
        return Layout(read["path"], Form(read.get("format", Form.PLAIN)))
    layout = LAYOUTS[read.get("layout", DEFAULT_LAYOUT)]
    return replace(
        layout,
        template=read.get("key", layout.template),
        form=Form(read.get("format", layout.form)),
        prefix=read.get("prefix", layout.prefix),
    )


def _check_places(aim: Aim, where: str) -> None:
    """Refuse one place for several accounts."""
    if aim.kind is SinkKind.WEBHOOK or len(aim.appids) == 1 or names_in(aim.layout.template) & IDENTIFYING:
        return
    setting = "path" if aim.kind is SinkKind.FILE else "key"
    raise SettingInvalid("setting_sink_one_place", where=where, setting=setting)


def refuse_twins(declarations: Iterable[SinkDeclaration]) -> None:
    """Refuse two sinks of one name: events and measures would not tell which.

    Raises: SettingInvalid.
    """
    seen: dict[str, str] = {}
    for one in declarations:
        if one.aim.name in seen:
            raise SettingInvalid("setting_sink_twice", name=one.aim.name, where=one.where, first=seen[one.aim.name])
        seen[one.aim.name] = one.where


def read_sinks(declarations: Iterable[SinkDeclaration], environ: Mapping[str, str]) -> list[tuple[Aim, Secret | None]]:
    """Return the declared sinks with their secrets, read now.

    Raises: SettingInvalid: a secret is not where it should be.
    """
    return [(one.aim, _read_secret(one, environ)) for one in declarations]


def _read_secret(declaration: SinkDeclaration, environ: Mapping[str, str]) -> Secret | None:
    """Return the secret, if there is to be one; a place that does not exist is not named: it may be the secret."""
    name, where = declaration.aim.name, declaration.where
    if declaration.secret_file is not None:
        source = str(declaration.secret_file) if os.path.lexists(declaration.secret_file) else "secret_file"
        try:
            text = declaration.secret_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingInvalid(
                "setting_sink_secret_unreadable", name=name, where=where, source=source, why=why
            ) from error
    elif declaration.secret_env:
        source = declaration.secret_env if declaration.secret_env in environ else "secret_env"
        text = environ.get(declaration.secret_env, "")
    else:
        return None
    if not text.strip():
        raise SettingInvalid("setting_sink_secret_missing", name=name, where=where, source=source)
    return Secret(text.strip())
