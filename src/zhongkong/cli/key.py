"""`zhongkong key`: create, list, rotate, revoke."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

import click

from zhongkong.cli.api import Api, Document
from zhongkong.cli.session import Session
from zhongkong.cli.streams import OutputLost
from zhongkong.cli.tables import show_keys, tell_time
from zhongkong.cli.words import Group, hub_option, option
from zhongkong.core.grants import Grant
from zhongkong.errors import SettingInvalid, ZhongkongError
from zhongkong.wechat.endpoints import corpid_of

KEYS = "/v1/keys"
EVERY = "*"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group(cls=Group, help="cli_help_key")
def key() -> None:
    """Hold the commands about keys."""


@key.command("create", help="cli_help_key_create")
@click.argument("name")
@option("--appid", "appids", multiple=True, required=True, help="cli_option_appids")
@option(
    "--grant", "grants", multiple=True, type=click.Choice([grant.value for grant in Grant]), help="cli_option_grants"
)
@option("--expires-in", metavar="SPAN", help="cli_option_expires_in")
@option("--from", "networks", multiple=True, metavar="CIDR", help="cli_option_from")
@option("--rate", type=click.IntRange(min=0), help="cli_option_rate")
@option("--path", "paths", multiple=True, metavar="PATTERN", help="cli_option_paths")
@hub_option
@click.pass_obj
def create(
    session: Session,
    name: str,
    appids: tuple[str, ...],
    grants: tuple[str, ...],
    expires_in: str | None,
    networks: tuple[str, ...],
    rate: int | None,
    paths: tuple[str, ...],
) -> None:
    """Make a key and show it once, with what to do with it."""
    body: dict[str, Any] = {"name": name, "appids": list(appids)}
    if grants:
        body["grants"] = list(grants)
    if expires_in is not None:
        body["expires_in"] = parse_span(expires_in, "--expires-in")
    if networks:
        body["networks"] = list(networks)
    if rate is not None:
        body["rate"] = rate
    if paths:
        body["paths"] = list(paths)
    asyncio.run(_show_new(session, KEYS, body))


@key.command("list", help="cli_help_key_list")
@hub_option
@click.pass_obj
def list_keys(session: Session) -> None:
    """Show all keys, without what would let anybody in."""
    listed = session.ask("GET", KEYS)
    if session.as_json:
        session.show_json(listed)
    elif listed["keys"]:
        show_keys(session, listed["keys"])
    else:
        session.say("cli_no_keys")


@key.command("rotate", help="cli_help_key_rotate")
@click.argument("key_id", metavar="ID")
@option("--overlap", default="1d", metavar="SPAN", help="cli_option_overlap")
@hub_option
@click.pass_obj
def rotate(session: Session, key_id: str, overlap: str) -> None:
    """Make a twin of a key and show it once."""
    body = {"overlap": parse_span(overlap, "--overlap")}
    asyncio.run(_show_new(session, f"{_path(key_id)}/rotate", body))


@key.command("revoke", help="cli_help_key_revoke")
@click.argument("key_id", metavar="ID")
@option("--yes", is_flag=True, help="cli_option_yes")
@hub_option
@click.pass_obj
def revoke(session: Session, key_id: str, yes: bool) -> None:  # noqa: FBT001 (click passes options by name)
    """Revoke a key after a person said yes."""
    if not yes and any(one["id"] == key_id for one in session.ask("GET", KEYS)["keys"]):
        session.confirm("cli_ask_revoke", key=key_id)
    session.ask("DELETE", _path(key_id))
    if session.as_json:
        session.show_json({"id": key_id, "revoked": True})
    else:
        session.say("cli_key_revoked", key=key_id)


def parse_span(text: str, where: str) -> int:
    """Return the seconds of a span such as 90d, 12h, 30m or 60.

    Raises: SettingInvalid.
    """
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if found is None:
        raise SettingInvalid("cli_wants_span", where=where)
    return int(found[1]) * UNITS[found[2]]


def _path(key_id: str) -> str:
    return f"{KEYS}/{quote(key_id, safe='')}"


async def _show_new(session: Session, path: str, body: dict[str, Any]) -> None:
    """Have a key made and show it, the only time; with the commands that use it from then on.

    Raises: ZhongkongError: it was made, and could not be shown.
    """
    async with session.api(makes=path == KEYS) as api:
        unknown = await _unknown(api, body.get("appids", [EVERY]))
        made = await api.ask("POST", path, body)
        url = api.url
    for appid in unknown:
        session.complain(session.text("cli_key_account_unknown", appid=appid, key=made["id"]))
    try:
        _tell_new(session, made, url)
    except OutputLost as lost:
        raise ZhongkongError("cli_key_unseen", name=made["name"], id=made["id"], why=lost.why) from lost


def _tell_new(session: Session, made: Document, url: str) -> None:
    if session.as_json:
        session.show_json(made)
        return
    session.say("cli_key_created", name=made["name"], id=made["id"])
    click.echo(f"\n  export ZHONGKONG_KEY={made['key']}\n")
    if made["expires_at"] is not None:
        session.say("cli_key_ends", at=tell_time(made["expires_at"]))
    appid = made["appids"][0] if made["appids"] != [EVERY] else "wxYOURAPPID"
    if Grant.READ.value in made["grants"] or Grant.ADMIN.value in made["grants"]:
        session.say("cli_key_try")
        click.echo(how_to_read(url, appid))
    if Grant.GATEWAY.value in made["grants"] or Grant.ADMIN.value in made["grants"]:
        corpid = corpid_of(appid)
        if corpid is None:
            session.say("cli_key_try_gateway", url=url, appid=appid)
        else:
            session.say("cli_key_try_wecom", url=url, corpid=corpid)
        click.echo(how_to_call(url, appid))


async def _unknown(api: Api, appids: list[str]) -> list[str]:
    """Return which of the accounts are not there; a key may be made before them, or for none by a slip."""
    if EVERY in appids:
        return []
    listed = await api.ask("GET", "/v1/accounts")
    known = {one["appid"] for one in (*listed["accounts"], *listed["unreadable"])}
    return [appid for appid in appids if appid not in known]


def how_to_call(url: str, appid: str) -> str:
    """Return a curl command that fetches a virtual token, as an SDK does."""
    corpid = corpid_of(appid)
    if corpid is not None:
        return f"""
  curl "{url}/cgi-bin/gettoken?corpid={corpid}&corpsecret=$ZHONGKONG_KEY"
"""
    return f"""
  curl "{url}/cgi-bin/token?grant_type=client_credential&appid={appid}&secret=$ZHONGKONG_KEY"
"""


def how_to_read(url: str, appid: str, key: str = "") -> str:
    """Return a curl command and three lines of Python that read a token; `key` is $ZHONGKONG_KEY unless given."""
    address = f"{url}/v1/accounts/{appid}/access_token"
    in_python = f'"Bearer {key}"' if key else "f\"Bearer {os.environ['ZHONGKONG_KEY']}\""
    return f"""
  curl -H "Authorization: Bearer {key or "$ZHONGKONG_KEY"}" {address}

  import json, os, urllib.request
  request = urllib.request.Request("{address}", headers={{"Authorization": {in_python}}})
  print(json.load(urllib.request.urlopen(request))["access_token"])
"""
