"""`zhongkong account`: add, list, show, set, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from zhongkong.cli.api import ApiRefused
from zhongkong.cli.callback import callback_options, callback_path, take_callback, tell_callback
from zhongkong.cli.exits import Exit, exit_of_state
from zhongkong.cli.session import Session, read_secret
from zhongkong.cli.tables import show_account, show_accounts
from zhongkong.cli.words import Group, hub_option, option, secret_options
from zhongkong.core.model import ACCOUNT_MODES, AccountKind, Kind, Mode
from zhongkong.errors import SettingInvalid
from zhongkong.hub.health import WRONG_SEAL
from zhongkong.wechat.endpoints import corpid_of, is_appid

KINDS = click.Choice([kind.value for kind in AccountKind])
MODES = click.Choice([mode.value for mode in ACCOUNT_MODES])
CONTEST_MODES = click.Choice([mode.value for mode in ACCOUNT_MODES if mode is not Mode.FOLLOW])


@click.group(cls=Group, help="cli_help_account")
def account() -> None:
    """Hold the commands about accounts."""


@account.command("add", help="cli_help_account_add")
@click.argument("appid", required=False)
@option("--kind", type=KINDS, help="cli_option_kind")
@option("--mode", type=MODES, help="cli_option_mode")
@option("--name", help="cli_option_name")
@option("--base-url", metavar="URL", help="cli_option_base_url")
@option("--test", "is_test", is_flag=True, default=None, help="cli_option_test")
@option("--on-contest", type=CONTEST_MODES, help="cli_option_on_contest")
@secret_options
@hub_option
@click.pass_obj
def add(session: Session, /, appid: str | None, secret_file: str | None, secret_env: str | None, **fields: Any) -> Exit:
    """Add an account, mint at once, and say what came of it."""
    given = _given(fields)
    if appid is None:
        appid = _ask_appid(session, given.get("kind"))
    _judge_appid(appid, given.get("kind"))
    secret = read_secret(session, file=secret_file, variable=secret_env, prompt=_prompt(given))
    body = {"appid": appid, "secret": secret.reveal(), **given}
    added = session.ask("POST", "/v1/accounts", body, makes=True)
    return _tell_tried(session, added, "cli_account_added")


@account.command("list", help="cli_help_account_list")
@hub_option
@click.pass_obj
def list_accounts(session: Session) -> None:
    """Show all accounts and how they are."""
    listed = session.ask("GET", "/v1/accounts")
    unreadable = listed.get("unreadable", [])
    if session.as_json:
        session.show_json(listed)
    elif listed["accounts"] or unreadable:
        show_accounts(session, listed["accounts"])
    else:
        session.say("cli_no_accounts")
    for one in unreadable:
        session.complain(one["detail"])


@account.command("show", help="cli_help_account_show")
@click.argument("appid")
@hub_option
@click.pass_obj
def show(session: Session, appid: str) -> None:
    """Show one account, and what to do if it is not well."""
    shown = session.ask("GET", _path(appid))
    shown["callback"] = session.ask("GET", callback_path(appid))
    if session.as_json:
        session.show_json(shown)
    else:
        show_account(session, shown)


@account.command("set", help="cli_help_account_set")
@click.argument("appid")
@option("--secret", "asks_secret", is_flag=True, help="cli_option_secret")
@option("--kind", type=KINDS, help="cli_option_kind")
@option("--mode", type=MODES, help="cli_option_mode")
@option("--name", help="cli_option_name")
@option("--base-url", metavar="URL", help="cli_option_base_url")
@option("--test/--no-test", "is_test", default=None, help="cli_option_test")
@option("--on-contest", type=CONTEST_MODES, help="cli_option_on_contest")
@callback_options
@secret_options
@hub_option
@click.pass_obj
def change(
    session: Session,
    /,
    appid: str,
    asks_secret: bool,  # noqa: FBT001 (click passes options by name)
    secret_file: str | None,
    secret_env: str | None,
    **fields: Any,
) -> Exit:
    """Change an account and try it at once; without any option only the latter. Of the callback nothing is tried."""
    callback = take_callback(session, fields)
    body = _given(fields)
    tries = bool(body) or asks_secret or bool(secret_file or secret_env) or not callback
    if callback and not tries:
        return _tell_callback(session, session.ask("PATCH", callback_path(appid), callback))
    if asks_secret or secret_file or secret_env:
        account = body if "mode" in body or secret_file or secret_env else session.ask("GET", _path(appid))
        secret = read_secret(session, file=secret_file, variable=secret_env, prompt=_prompt(account))
        body["secret"] = secret.reveal()
    changed = _change(session, appid, body)
    if callback:
        changed["callback"] = session.ask("PATCH", callback_path(appid), callback)
    fields = changed.get("changed", body)
    if "secret" in body and "secret" not in fields:
        session.say("cli_secret_same", appid=appid)
    if callback and not session.as_json:
        tell_callback(session, changed["callback"])
    return _tell_tried(session, changed, "cli_account_changed" if fields else "cli_account_tried")


@account.command("remove", help="cli_help_account_remove")
@click.argument("appid")
@option("--yes", is_flag=True, help="cli_option_yes")
@hub_option
@click.pass_obj
def remove(session: Session, appid: str, yes: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Remove an account after a person said yes."""
    if not yes:
        _find(session, appid)
        session.confirm("cli_ask_remove", appid=appid)
    session.ask("DELETE", _path(appid))
    if session.as_json:
        session.show_json({"appid": appid, "removed": True})
    else:
        session.say("cli_account_removed", appid=appid)


def _change(session: Session, appid: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the account as it is after a change.

    Raises: ApiRefused; if the platform refused a new secret, it says that the old one stays.
    """
    try:
        return session.ask("PATCH", _path(appid), body)
    except ApiRefused as refused:
        if "secret" not in body or "errcode" not in refused.problem:
            raise
        detail = f"{refused.problem['detail']} {session.text('cli_secret_stays')}"
        raise ApiRefused({**refused.problem, "detail": detail}) from refused


def _find(session: Session, appid: str) -> None:
    """Return if there is such an account, also one that cannot be unsealed.

    Raises: ApiRefused.
    """
    try:
        session.ask("GET", _path(appid))
    except ApiRefused as refused:
        if refused.problem["code"] != WRONG_SEAL:
            raise


def _ask_appid(session: Session, kind: str | None) -> str:
    """Return the appid that a person is asked for: of an account of WeCom corpid and name, one by one.

    Raises: MissingParameter: it is no account of WeCom. SettingInvalid: there is nobody to ask.
    """
    if kind != AccountKind.WECOM.value:
        raise click.MissingParameter(param_type="argument", param_hint="APPID")
    asked = [session.ask_person(session.text(code)) for code in ("cli_ask_corpid", "cli_ask_application")]
    if not all(asked):
        raise SettingInvalid("cli_application_wanted")
    return ":".join(asked)


def _judge_appid(appid: str, kind: str | None) -> None:
    """Return if this can be the appid of such an account: said before anybody is asked for its secret.

    Raises: SettingInvalid.
    """
    is_application, is_known = corpid_of(appid) is not None, is_appid(appid)
    if kind == AccountKind.WECOM.value and not (is_known and is_application):
        raise SettingInvalid("cli_application_form")
    if not is_known:
        raise SettingInvalid("cli_field_appid")
    if kind != AccountKind.WECOM.value and is_application:
        raise SettingInvalid("cli_application_kind", appid=appid)


def _prompt(account: Mapping[str, Any]) -> str:
    """Return the text that asks for what this account mints by: one that follows has a key of another hub."""
    if account.get("mode") == Mode.FOLLOW.value:
        return "cli_ask_leader_key"
    return "cli_ask_corpsecret" if account.get("kind") == AccountKind.WECOM.value else "cli_ask_secret"


def _path(appid: str) -> str:
    return f"/v1/accounts/{quote(appid, safe='')}"


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _tell_callback(session: Session, shown: dict[str, Any]) -> Exit:
    if session.as_json:
        session.show_json(shown)
    else:
        tell_callback(session, shown)
    return Exit.DONE


def _tell_tried(session: Session, document: dict[str, Any], code: str) -> Exit:
    """Say what was done, and how the account's token is now: a text that ends with what a person does, if he must."""
    credential = document["credentials"][Kind.ACCESS_TOKEN.value]
    if session.as_json:
        session.show_json(document)
        return exit_of_state(credential["state"])
    session.say(code, appid=document["appid"])
    if "detail" in credential:
        session.tell(credential["detail"])
        session.complain(session.text("cli_see_doctor"))
    else:
        session.say("cli_well", appid=document["appid"], generation=credential["generation"])
    if code == "cli_account_added":
        session.say("cli_next_key", appid=document["appid"])
    return exit_of_state(credential["state"])
