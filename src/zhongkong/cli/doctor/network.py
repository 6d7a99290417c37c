"""What lies between this machine and the platform: names, connections, TLS, and what time it is over there."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.connections import Way, speaks_no_tls
from zhongkong.adapters.names import SystemNames
from zhongkong.adapters.platform import AiohttpPlatform, Stamp
from zhongkong.cli.doctor.findings import Area, Findings
from zhongkong.cli.doctor.storage import Looked
from zhongkong.core.model import Account, AccountKind, Seconds, Secret
from zhongkong.hub.api.state import identify
from zhongkong.wechat.endpoints import is_platform_host

STEP_WITHIN: Seconds = 5.0
APART: Seconds = 5.0
"""By how much the machine's clock may differ from the platform's: its Date header has whole seconds."""
STORES = {"away": "doctor_hub_store_away", "unwritable": "doctor_hub_store_unwritable"}
"""By what `/readyz` says."""
NOT_A_TOKEN = "doctor"
"""Asked about in a call that changes nothing; that it is refused is an answer."""


async def look_at_platform(base_url: str, proxy: str, findings: Findings) -> None:
    """Look whether calls to `base_url` arrive, step by step, and compare clocks."""
    if not await look_at_way(proxy or base_url, findings):
        return
    platform = AiohttpPlatform(MachineClock(), way=Way(proxy=proxy))
    await platform.probe(Account("doctor", AccountKind.OFFICIAL, Secret(""), base_url=base_url), NOT_A_TOKEN)
    stamp = next(iter(platform.last_dates.values()), None)
    if stamp is None:
        findings.todo(Area.NETWORK, "doctor_silent", url=base_url)
        return
    findings.good(Area.NETWORK, "doctor_answers", url=base_url)
    compare_clocks(base_url, stamp, findings)


async def look_at_way(url: str, findings: Findings) -> bool:
    """Look whether the name can be resolved, the host be reached and its certificate be trusted."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(STEP_WITHIN):
            found = await SystemNames().resolve(host, port)
    except (OSError, TimeoutError):
        findings.todo(Area.NETWORK, "doctor_no_name", host=host)
        return False
    address = found[0]["host"]
    try:
        async with asyncio.timeout(STEP_WITHIN):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if is_tls else None)
    except ssl.SSLError as error:
        code = "doctor_speaks_no_tls" if speaks_no_tls(error) else "doctor_no_tls"
        why = error.reason or type(error).__name__
        findings.todo(Area.NETWORK, code, url=url, host=host, port=port, why=why)
        return False
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        findings.todo(Area.NETWORK, "doctor_no_way", host=host, port=port, address=address, why=why)
        return False
    writer.close()
    findings.good(Area.NETWORK, "doctor_way", host=host, port=port, address=address)
    return True


async def look_at_hub(url: str, store: Looked, findings: Findings) -> None:
    """Look whether a hub runs on this machine, has its store, and whether that is the one that the settings name."""
    try:
        version = (await _ask_hub(f"{url}/healthz"))["version"]
    except aiohttp.ClientConnectorError:
        findings.note(Area.HUB, "doctor_hub_away", url=url)
    except TimeoutError:
        findings.todo(Area.HUB, "doctor_hub_mute", url=url)
    except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError):
        findings.todo(Area.HUB, "doctor_hub_stranger", url=url)
    else:
        findings.good(Area.HUB, "doctor_hub", url=url, version=version)
        its_store = await look_at_store_of(url, findings)
        if its_store and store.incarnation is not None and its_store != identify(store.incarnation):
            findings.todo(Area.HUB, "doctor_hub_other_store", url=url, place=store.place)


async def look_at_store_of(url: str, findings: Findings) -> str:
    """Say what a hub itself says of its store, if that is trouble: from elsewhere all may look well.

    Return which store it is; empty where there is trouble, or a hub of an older version does not say.
    """
    try:
        told = await _ask_hub(f"{url}/readyz")
        store, store_id = told["store"], told.get("store_id", "")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""  # what is wrong with it is told by whoever looked at the way
    if code := STORES.get(store):
        findings.todo(Area.HUB, code, url=url)
        return ""
    return str(store_id)


async def _ask_hub(url: str) -> Any:  # noqa: ANN401 (JSON of whoever listens there)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(STEP_WITHIN)) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return await answer.json()


def compare_clocks(base_url: str, stamp: Stamp, findings: Findings) -> None:
    """Judge the machine's clock by the platform's own; a sandbox's clock can be turned, so it only tells."""
    apart = round(stamp.wall - stamp.date)
    if abs(apart) <= APART:
        findings.good(Area.CLOCK, "doctor_clock", url=base_url)
    elif is_platform_host(base_url):
        findings.todo(Area.CLOCK, "doctor_clock_wrong", url=base_url, seconds=apart)
    else:
        findings.note(Area.CLOCK, "doctor_clock_elsewhere", url=base_url, seconds=apart)
