"""Reading the settings: the file, overridden by the environment, overridden by flags."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zhongkong.core.handing import REFRESH_IN_LONGEST
from zhongkong.core.issuing import overlap_of
from zhongkong.errors import SettingInvalid
from zhongkong.settings.declared import ACCOUNTS_VARIABLE, declare, declare_all, refuse_doubles
from zhongkong.settings.sinks import SinkDeclaration, declare_sink, refuse_twins
from zhongkong.settings.table import Settings, table
from zhongkong.settings.written import Written, read_value, unknown

FILE_NAME = "zhongkong.toml"
CONFIG_VARIABLE = "ZHONGKONG_CONFIG"
NOT_SETTINGS = frozenset({ACCOUNTS_VARIABLE, CONFIG_VARIABLE, "ZHONGKONG_HUB", "ZHONGKONG_KEY"})
"""Variables of ours that are no settings: the declared accounts, the file's place, and which hub a command calls."""
PLATFORM_LIFE = 7200
"""The life of the platform's own tokens, in seconds: what is promised to readers is checked against it."""

_SERVICE_LINK = re.compile(r"ZHONGKONG_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_[A-Z]+)?)?)")


def find_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file to read: the one that ZHONGKONG_CONFIG names, else the one here, else the data directory's."""
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    places = (Path(FILE_NAME), default_data_dir(environ) / FILE_NAME)
    return next((path for path in places if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """Say whether there is such a file, as far as this user can see."""
    try:
        return path.is_file()
    except OSError:
        return False


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where a program of this user keeps its data on this platform."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or ".").absolute()
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "zhongkong"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "zhongkong"
    return Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "zhongkong"


def load_settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> Settings:
    """Return the settings of `file`, overridden by `environ`, overridden by `flags` (by field; None is not given).

    Looks at nothing else: a program passes `find_file()` and `os.environ`. Secrets are not read yet.

    Raises: SettingInvalid: naming the place, the setting, and what is wanted.
    """
    environ = environ or {}
    values = _from_environment(environ) | _from_flags(flags or {})
    declarations = declare_all(environ.get(ACCOUNTS_VARIABLE, ""))
    sinks: tuple[SinkDeclaration, ...] = ()
    if file is not None:
        written = Written(file)
        values = _from_file(written) | values
        declarations = (
            *(declare(one, where, written.directory) for one, where in written.tables("account")),
            *declarations,
        )
        sinks = tuple(declare_sink(one, where, written.directory) for one, where in written.tables("sink"))
    refuse_doubles(declarations)
    refuse_twins(sinks)
    data_dir = values.get("data_dir") or default_data_dir(environ)
    settings = Settings(**(_defaults(data_dir) | values), declarations=declarations, sinks=sinks, file=file)
    check_promise(settings.poll_seconds, settings.longest_call_seconds)
    return settings


def _defaults(data_dir: Path) -> dict[str, Any]:
    return {one.field: one.read(one.default.replace("DATA_DIR", data_dir.as_posix()), data_dir) for one in table()}


def _from_file(written: Written) -> dict[str, Any]:
    known = {one.name: one for one in table()}
    values = {}
    for name, given, where in written.values():
        if name not in known:
            raise unknown(name, where, list(known))
        values[known[name].field] = read_value(known[name].read, name, given, where, written.directory)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {one.variable: one for one in table()}
    values = {}
    for variable, given in environ.items():
        if not variable.startswith("ZHONGKONG_") or variable in NOT_SETTINGS or _is_service_link(variable, given):
            continue
        if variable not in known:
            raise unknown(variable, variable, [*known, *NOT_SETTINGS])
        setting = known[variable]
        values[setting.field] = read_value(setting.read, setting.name, given, variable, Path.cwd())
    return values


def _is_service_link(variable: str, given: str) -> bool:
    """Say whether Kubernetes wrote it, as it does into every pod beside a service called zhongkong."""
    if variable in ("ZHONGKONG_PORT", "ZHONGKONG_TLS_PORT"):
        return given.startswith(("tcp://", "udp://"))
    return not variable.startswith("ZHONGKONG_SANDBOX_") and _SERVICE_LINK.fullmatch(variable) is not None


def _from_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    known = {one.field: one for one in table()}
    return {
        name: read_value(known[name].read, known[name].name, given, known[name].flag, Path.cwd())
        for name, given in flags.items()
        if given is not None
    }


def check_promise(poll_seconds: float, longest_call_seconds: float) -> None:
    """Refuse what would let a reader who does as he is told use a token that its successor has ended.

    He may hold it `refresh_in` after it was handed out, a successor is known a poll later, and his own call takes a
    while: all of it must fit into the time for which the platform still takes a former token.

    Raises: SettingInvalid.
    """
    overlap = overlap_of(PLATFORM_LIFE)
    taken = poll_seconds + REFRESH_IN_LONGEST + longest_call_seconds
    if taken >= overlap:
        raise SettingInvalid("setting_breaks_promise", taken=round(taken, 1), overlap=round(overlap))
