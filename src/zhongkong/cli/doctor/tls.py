"""The TLS port: its certificate, and that the platform's names do not lead the hub to itself."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from zhongkong.adapters.certificates import TLS_FILE, at, read_certificate
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.names import SystemNames
from zhongkong.cli.doctor.findings import Area, Findings
from zhongkong.cli.doctor.network import STEP_WITHIN
from zhongkong.errors import SettingInvalid
from zhongkong.settings import Settings
from zhongkong.wechat.endpoints import PLATFORM_HOSTS


async def look_at_tls(settings: Settings, findings: Findings) -> None:
    """Look at the certificate, and where the platform's names lead from here, if there is to be a TLS port."""
    if not settings.tls_port:
        return
    path = settings.data_dir / TLS_FILE
    try:
        shown = read_certificate(path)
    except SettingInvalid as error:
        findings.error(Area.TLS, error)
        return
    if (code := shown.judge_end(at(MachineClock().wall()))) is not None:
        findings.todo(Area.TLS, code, path=path, date=shown.ends_on)
    else:
        findings.good(Area.TLS, "doctor_tls", path=path, date=shown.ends_on, names=", ".join(shown.names))
    if not settings.egress_proxy:
        await _look_at_names(settings.host, findings)


async def _look_at_names(own: str, findings: Findings) -> None:
    """Look where the platform's name leads; whether it leads anywhere is looked at elsewhere."""
    host = PLATFORM_HOSTS[0]
    try:
        async with asyncio.timeout(STEP_WITHIN):
            found = [one["host"] for one in await SystemNames().resolve(host, 443)]
    except (OSError, TimeoutError):
        return
    for address in found:
        if judge_leads_here(address, own):
            findings.todo(Area.TLS, "doctor_tls_leads_here", host=host, address=address)
            return


def judge_leads_here(address: str, own: str) -> bool:
    """Say whether an address is the hub's own, which listens on `own`."""
    return address == own or ip_address(address.partition("%")[0]).is_loopback
