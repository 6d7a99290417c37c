"""The hubs that accounts follow: whether each can be reached, and what our key may do there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import DIRECT, Answer, Message, ask
from zhongkong.adapters.names import SystemNames
from zhongkong.adapters.platform import parse_date
from zhongkong.cli.doctor.findings import Area, Findings
from zhongkong.cli.doctor.network import APART, STEP_WITHIN, look_at_way
from zhongkong.core.following import FORBIDDEN, OK, UNAUTHORIZED, WHOAMI_PATH
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, Seconds
from zhongkong.wechat.answers import Unreadable, parse_object

EVERY = "*"
ENDS_SOON: Seconds = 7 * 86_400.0
"""A key that ends within this is to be rotated now: who does it may be away next week."""


async def look_at_leaders(followers: Iterable[Account], findings: Findings) -> None:
    """Look at the leader of each account, with the account's own key; each way there is looked at once."""
    ways: dict[str, bool] = {}
    for account in followers:
        url = account.base_url
        if url not in ways:
            ways[url] = await look_at_way(url, findings)
        if ways[url]:
            await _look_at_key(account, findings)


async def _look_at_key(account: Account, findings: Findings) -> None:
    clock, url, appid = MachineClock(), account.base_url, account.appid
    headers = {"Authorization": f"Bearer {account.secret.reveal()}", "Accept": "application/json"}
    message = Message("GET", url + WHOAMI_PATH, headers=headers)
    way = replace(DIRECT, resolver=SystemNames())
    answer = await ask(message, way, clock, clock.boot() + STEP_WITHIN, connect_share=1.0)
    if not isinstance(answer, Answer):
        findings.todo(Area.NETWORK, "doctor_leader_silent", url=url, why=answer.why)
        return
    told = parse_object(answer.body)
    code = None if isinstance(told, Unreadable) else told.get("code")
    if answer.status in (UNAUTHORIZED, FORBIDDEN) and isinstance(code, str) and code.isidentifier():
        findings.todo(Area.ACCOUNTS, "doctor_leader_key", url=url, appid=appid, said=code)
    elif answer.status != OK or isinstance(told, Unreadable) or not isinstance(told.get("grants"), list):
        findings.todo(Area.NETWORK, "doctor_leader_stranger", url=url)
    else:
        _judge_key(account, told, clock.wall(), findings)
        _compare_clocks(url, clock.wall(), answer.date, findings)


def _judge_key(account: Account, told: Mapping[str, Any], now: float, findings: Findings) -> None:
    url, appid, name = account.base_url, account.appid, str(told.get("name", ""))
    appids, ends = told.get("appids"), told.get("expires_at")
    reads = {Grant.READ.value, Grant.ADMIN.value} & set(map(str, told["grants"]))
    if not reads or not isinstance(appids, list) or not {appid, EVERY} & set(map(str, appids)):
        findings.todo(Area.ACCOUNTS, "doctor_leader_not_granted", url=url, appid=appid, name=name)
    elif isinstance(ends, int) and ends - now < ENDS_SOON:
        days = max(0, int((ends - now) // 86_400))
        findings.todo(Area.ACCOUNTS, "doctor_leader_key_ends", url=url, appid=appid, name=name, days=days)
    else:
        findings.good(Area.ACCOUNTS, "doctor_leader", url=url, appid=appid, name=name)


def _compare_clocks(url: str, now: float, date: str, findings: Findings) -> None:
    """What a leader promises is counted in seconds, so its clock may differ: it only tells."""
    there = parse_date(date)
    if there is None:
        return
    apart = round(now - there)
    if abs(apart) <= APART:
        findings.good(Area.CLOCK, "doctor_clock", url=url)
    else:
        findings.note(Area.CLOCK, "doctor_leader_clock", url=url, seconds=apart)
