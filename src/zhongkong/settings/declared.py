"""Accounts that are declared: `[[account]]` in the file, or ZHONGKONG_ACCOUNTS.

A declaration says where the secret is; it is read only when the accounts are needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zhongkong.core.following import find_unfit
from zhongkong.core.model import ACCOUNT_MODES, Account, AccountKind, Mode, Secret, build_account
from zhongkong.errors import SettingInvalid
from zhongkong.settings.values import Read, one_of, read_appid, read_base_url, read_flag, read_path, read_text
from zhongkong.settings.written import read_value, unknown

ACCOUNTS_VARIABLE = "ZHONGKONG_ACCOUNTS"

_READS: Mapping[str, Read] = {
    "appid": read_appid,
    "kind": one_of("account_kind", *AccountKind),
    "mode": one_of("mode", *ACCOUNT_MODES),
    "name": read_text,
    "base_url": read_base_url,
    "is_test": read_flag,
    "on_contest": one_of("mode", *ACCOUNT_MODES),
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

    One of WeCom, whose appid has a colon of its own, is `CORPID:NAME:SECRET:wecom[:MODE]`.

    Raises: SettingInvalid.
    """
    return tuple(_declare_entry(entry.strip()) for entry in entries.split(",") if entry.strip())


def _declare_entry(entry: str) -> Declaration:
    malformed = SettingInvalid("setting_wants_accounts", where=ACCOUNTS_VARIABLE)
    parts = entry.split(":")
    if parts[3:4] == [AccountKind.WECOM.value]:
        parts[:2] = [":".join(parts[:2])]
    appid, secret, kind, mode, *more = (*parts, "", "", "")
    if any(more) or not secret:
        raise malformed
    try:
        read_appid(appid, Path())
        account = _build_account(appid, kind or AccountKind.OFFICIAL, **({"mode": mode} if mode else {}))
    except ValueError:
        raise malformed from None
    return Declaration(account, ACCOUNTS_VARIABLE, secret=Secret(secret))


def declare_in_program(accounts: Mapping[str, object], where: str) -> tuple[Account, ...]:
    """Return the accounts that a program names: by appid the secret, or a mapping of `secret` and what else there is.

    Raises: SettingInvalid.
    """
    if not isinstance(accounts, Mapping):
        raise SettingInvalid("setting_wants_accounts_named", where=where)
    return tuple(_declare_named(appid, given, where) for appid, given in accounts.items())


def _declare_named(appid: str, given: object, where: str) -> Account:
    named = given if isinstance(given, Mapping) else {"secret": given}
    known = {"secret": read_text, **{name: read for name, read in _READS.items() if not name.startswith("secret_")}}
    for name in named:
        if name not in known:
            raise unknown(f"accounts[…].{name}", where, [f"accounts[…].{one}" for one in known])
    values = {"kind": AccountKind.OFFICIAL, **named, "appid": appid}
    if not isinstance(values.get("secret"), str) or not str(values["secret"]).strip():
        raise SettingInvalid("setting_secret_missing", appid=appid, where=where, source="accounts")
    read = {name: read_value(known[name], f"accounts[…].{name}", one, where, Path()) for name, one in values.items()}
    secret = Secret(read.pop("secret").strip())
    return _fit(replace(_build_account(**read), secret=secret), where)


def _build_account(appid: str, kind: str, **given: Any) -> Account:
    modes: dict[str, Any] = {name: Mode(given[name]) for name in ("mode", "on_contest") if name in given}
    return build_account(appid, AccountKind(kind), Secret(""), **{**given, **modes, "declared": True})


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

    Raises: SettingInvalid: a secret is not where it should be, or does not go with the account's mode.
    """
    return [_fit(replace(one.account, secret=_read_secret(one, environ)), one.where) for one in declarations]


def _fit(account: Account, where: str) -> Account:
    field = find_unfit(account)
    if field:
        raise SettingInvalid(f"setting_unfit_{field}", where=where, appid=account.appid)
    return account


def _read_secret(declaration: Declaration, environ: Mapping[str, str]) -> Secret:
    """Return the secret from where it is said to be; a place that does not exist is not named: it may be the secret."""
    appid, where = declaration.account.appid, declaration.where
    if declaration.secret is not None:
        return declaration.secret
    if declaration.secret_file is None:
        text = environ.get(declaration.secret_env, "")
        source = declaration.secret_env if declaration.secret_env in environ else "secret_env"
    else:
        source = str(declaration.secret_file) if os.path.lexists(declaration.secret_file) else "secret_file"
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
