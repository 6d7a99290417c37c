"""The command: looks at one thing after the other, at the store here or at a hub, and tells all it found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, replace
from typing import Any

import click
from rich.text import Text

from zhongkong.adapters.stores.addresses import FileAddress, parse_address
from zhongkong.cli.api import Api, ApiRefused, open_here, url_of
from zhongkong.cli.doctor.findings import Area, Findings, State
from zhongkong.cli.doctor.leaders import look_at_leaders
from zhongkong.cli.doctor.network import look_at_hub, look_at_platform, look_at_store_of, look_at_way
from zhongkong.cli.doctor.sinks import look_at_sinks
from zhongkong.cli.doctor.storage import look_at_bell, look_at_settings, look_at_storage
from zhongkong.cli.doctor.tls import look_at_tls
from zhongkong.cli.exits import Exit
from zhongkong.cli.session import Session
from zhongkong.cli.tables import build_grid, open_console
from zhongkong.cli.words import Command, hub_option
from zhongkong.core.model import Account, Kind, Mode
from zhongkong.errors import ZhongkongError
from zhongkong.settings import Settings, read_accounts
from zhongkong.wechat.endpoints import PLATFORM_URL

MARKS = {State.GOOD: ("✓", "green"), State.NOTE: ("·", "dim"), State.TODO: ("✗", "red")}
PASSING = frozenset({"starting", "refreshing", "doubtful", "refused", "unanswered", "too_early", "leader_unwell"})
"""States of a credential that end by themselves while a hub runs."""


@click.command("doctor", cls=Command, help="cli_help_doctor")
@hub_option
@click.pass_obj
def doctor(session: Session) -> Exit:
    """Look, tell, and say by the exit code whether there is something to do."""
    findings = Findings(session.lang)
    asyncio.run(_look(session, findings))
    if session.as_json:
        session.show_json({"well": findings.is_well, "findings": [asdict(one) for one in findings.found]})
    else:
        _show(session, findings)
    return Exit.DONE if findings.is_well else Exit.FAILED


async def _look(session: Session, findings: Findings) -> None:
    if session.hub is not None:
        await _look_at_hub_there(session, session.hub, findings)
        return
    settings = look_at_settings(session, findings)
    if settings is None:
        return
    findings.lang = session.lang
    store = look_at_storage(settings, findings)
    knows_accounts = store.opens or not findings.has_todo(Area.STORE, Area.SEAL)
    await look_at_bell(settings, findings)
    settings = replace(settings, store_bell="")  # it was looked at; nothing else needs it
    await look_at_hub(url_of(settings.host, settings.port), store, findings)
    await look_at_tls(settings, findings)
    accounts = await _look_at_accounts_here(settings, findings) if store.opens else []
    followers = [account for account in accounts if account.mode is Mode.FOLLOW]
    urls = {account.base_url for account in accounts if account.mode is not Mode.FOLLOW}
    for url in sorted(urls) or ([PLATFORM_URL] if knows_accounts and not followers else []):
        await look_at_platform(url, settings.egress_proxy, findings)
    await look_at_leaders(followers, findings)
    await look_at_sinks(settings, findings, store_opens=store.opens)


async def _look_at_accounts_here(settings: Settings, findings: Findings) -> list[Account]:
    """Look at all accounts and return them."""
    try:
        async with open_here(settings, findings.lang) as (api, seats):
            if isinstance(parse_address(settings.store_url), FileAddress):
                findings.note(Area.CLOCK, "doctor_store_clock")
            await _look_at_accounts(api, findings)
            accounts = await seats.store.accounts()
            sealed = {slot.appid for slot in seats.keeper.known.unreadable()}
            _compare_declared(settings, {account.appid: account for account in accounts}, sealed, findings)
            return accounts
    except ZhongkongError as error:
        findings.error(Area.STORE, error)
        return []


def _compare_declared(
    settings: Settings, stored: Mapping[str, Account], sealed: Container[str], findings: Findings
) -> None:
    """Tell which declared accounts the store has not as the settings say now; of one that is sealed nobody knows."""
    for account in read_accounts(settings.declarations, os.environ):
        old = stored.get(account.appid)
        is_same = old is not None and replace(account, declared=True, revision=old.revision) == old
        if not is_same and account.appid not in sealed:
            findings.todo(Area.ACCOUNTS, "doctor_declared_otherwise", appid=account.appid)


async def _look_at_accounts(api: Api, findings: Findings) -> None:
    listed = await api.ask("GET", "/v1/accounts")
    accounts, unreadable = listed["accounts"], listed.get("unreadable", [])
    if not accounts and not unreadable:
        findings.note(Area.ACCOUNTS, "doctor_no_accounts")
    for one in unreadable:
        findings.tell(Area.ACCOUNTS, State.TODO, f"account_{one['state']}", one["detail"])
    for account in accounts:
        _judge_account(account["appid"], account["credentials"][Kind.ACCESS_TOKEN.value], findings)


def _judge_account(appid: str, credential: Mapping[str, Any], findings: Findings) -> None:
    if "detail" not in credential:
        findings.good(Area.ACCOUNTS, "doctor_account", appid=appid, generation=credential["generation"])
        return
    state = State.NOTE if credential["state"] in PASSING else State.TODO
    findings.tell(Area.ACCOUNTS, state, f"account_{credential['state']}", credential["detail"])


async def _look_at_hub_there(session: Session, url: str, findings: Findings) -> None:
    """Look at a hub elsewhere: the way to it, the key, its accounts."""
    if not await look_at_way(url, findings):
        return
    await look_at_store_of(url.rstrip("/"), findings)
    try:
        async with session.api() as api:
            key = await api.ask("GET", "/v1/whoami")
            findings.good(Area.HUB, "doctor_key", name=key["name"], grants=", ".join(key["grants"]))
            await _look_at_accounts(api, findings)
    except ApiRefused as error:
        findings.tell(Area.HUB, State.TODO, error.problem["code"], error.problem["detail"])
    except ZhongkongError as error:
        findings.error(Area.HUB, error)


def _show(session: Session, findings: Findings) -> None:
    grid = build_grid(3)
    for finding in findings.found:
        mark, colour = MARKS[finding.state]
        grid.add_row(Text(mark, colour), Text(session.text(f"label_area_{finding.area}"), "bold"), Text(finding.text))
    open_console().print(grid)
    todo = sum(1 for finding in findings.found if finding.state is State.TODO)
    session.say("doctor_something_to_do" if todo else "doctor_all_well", count=todo)
