"""Accounts that are declared: `[[account]]` in the file, or ZHONGKONG_ACCOUNTS.

A declaration says where the secret is; it is read only when the accounts are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zhongkong.core.model import Account, AccountKind, Mode, Secret
from zhongkong.errors import SettingInvalid
from zhongkong.settings.values import Read, one_of, read_appid, read_base_url, read_flag, read_path, read_text
from zhongkong.settings.written import read_value, unknown

ACCOUNTS_VARIABLE = "ZHONGKONG_ACCOUNTS"

_READS: Mapping[str, Read] = {
    "appid": read_appid,
    "kind": one_of("account_kind", *AccountKind),
    "mode": one_of("mode", *Mode),
    "name": read_text,
    "base_url": read_base_url,
    "is_test": read_flag,
    "on_contest": one_of("mode", *Mode),
    "secret_file": read_path,
    "secret_env": read_text,
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """An account that is declared, its secret still empty. One of the last three says where that is."""

    account: Account
    where: str
    secret: Secret | None = None
    secret_file: Path | None = None
    secret_env: str = ""


def declare(values: Mapping[str, object], where: str, directory: Path) -> Declaration:
    """Return the account that an `[[account]]` declares.

    Raises: SettingInvalid.
    """
    if "secret" in values:
        raise SettingInvalid("setting_secret_in_file", where=where)
    for name in values:
        if name not in _READS:
            raise unknown(f"account.{name}", where, [f"account.{one}" for one in _READS])
    if ("secret_file" in values) == ("secret_env" in values):
        raise SettingInvalid("setting_wants_secret", where=where)
    read: dict[str, Any] = {
        name: read_value(_READS[name], f"account.{name}", given, where, directory)
        for name, given in {"appid": "", "kind": AccountKind.OFFICIAL, **values}.items()
    }
    secret_file, secret_env = read.pop("secret_file", None), read.pop("secret_env", "")
    return Declaration(_build_account(**read), where, secret_file=secret_file, secret_env=secret_env)


def declare_all(entries: str) -> tuple[Declaration, ...]:
    """Return the accounts of ZHONGKONG_ACCOUNTS: `APPID:SECRET[:KIND[:MODE]]`, separated by commas.

    Raises: SettingInvalid.
    """
    return tuple(_declare_entry(entry.strip()) for entry in entries.split(",") if entry.strip())


def _declare_entry(entry: str) -> Declaration:
    malformed = SettingInvalid("setting_wants_accounts", where=ACCOUNTS_VARIABLE)
    appid, secret, kind, mode, *more = (*entry.split(":"), "", "", "")
    if any(more) or not secret:
        raise malformed
    try:
        read_appid(appid, Path())
        account = _build_account(appid, kind or AccountKind.OFFICIAL, mode or Mode.STABLE)
    except ValueError:
        raise malformed from None
    return Declaration(account, ACCOUNTS_VARIABLE, secret=Secret(secret))


def _build_account(
    appid: str,
    kind: str,
    mode: str = Mode.STABLE,
    on_contest: str = Mode.STABLE,
    **others: Any,
) -> Account:
    return Account(
        appid,
        AccountKind(kind),
        Secret(""),
        mode=Mode(mode),
        on_contest=Mode(on_contest),
        declared=True,
        **others,
    )


def refuse_doubles(declarations: Iterable[Declaration]) -> None:
    """Refuse an appid that is declared twice: which of them is meant?

    Raises: SettingInvalid.
    """
    seen: dict[str, str] = {}
    for one in declarations:
        appid = one.account.appid
        if appid in seen:
            raise SettingInvalid("setting_account_twice", appid=appid, where=one.where, first=seen[appid])
        seen[appid] = one.where


def read_accounts(declarations: Iterable[Declaration], environ: Mapping[str, str]) -> list[Account]:
    """Return the declared accounts with their secrets, read now.

    Raises: SettingInvalid: a secret is not where it should be.
    """
    return [replace(one.account, secret=_read_secret(one, environ)) for one in declarations]


def _read_secret(declaration: Declaration, environ: Mapping[str, str]) -> Secret:
    appid, where = declaration.account.appid, declaration.where
    if declaration.secret is not None:
        return declaration.secret
    if declaration.secret_file is None:
        text, source = environ.get(declaration.secret_env, ""), declaration.secret_env
    else:
        source = str(declaration.secret_file)
        try:
            text = declaration.secret_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingInvalid(
                "setting_secret_unreadable", appid=appid, where=where, source=source, why=why
            ) from error
    if not text.strip():
        raise SettingInvalid("setting_secret_missing", appid=appid, where=where, source=source)
    return Secret(text.strip())
