"""What is found about a database server, and what to change there."""

from __future__ import annotations

from zhongkong.adapters.stores.addresses import Address
from zhongkong.adapters.stores.server_facts import ServerFacts
from zhongkong.cli.doctor.findings import Area, Findings
from zhongkong.core.model import Seconds

CLOCKS_APART: Seconds = 2.0
"""More is told, and no more than told: a hub goes by the database's clock alone."""


def judge_server(facts: ServerFacts, address: Address, findings: Findings) -> None:
    """Say how the server is set up, and what somebody must change."""
    what = {"product": facts.product, "version": facts.version.split()[0]}
    if facts.is_old:
        findings.todo(Area.STORE, "doctor_server_old", **what)
    else:
        findings.good(
            Area.STORE, "doctor_server", place=address, milliseconds=round(facts.round_trip * 1000, 1), **what
        )
    if facts.is_read_only:
        findings.todo(Area.STORE, "doctor_server_read_only", place=address)
    for setting in facts.unsafe:
        findings.todo(Area.STORE, "doctor_server_unsafe", setting=setting)
    if facts.missing_rights:
        findings.todo(Area.STORE, "doctor_server_rights", rights=", ".join(facts.missing_rights))
    _judge_sessions(facts, findings)
    seconds = round(abs(facts.ahead), 1)
    if seconds > CLOCKS_APART:
        code = "doctor_store_clock_ahead" if facts.ahead > 0 else "doctor_store_clock_behind"
        findings.note(Area.CLOCK, code, seconds=seconds)
    else:
        findings.good(Area.CLOCK, "doctor_store_clock_theirs", seconds=seconds)


def _judge_sessions(facts: ServerFacts, findings: Findings) -> None:
    if not facts.ends_idle_transactions_after:
        findings.note(Area.STORE, "doctor_server_keeps_locks", product=facts.product)
    findings.good(
        Area.STORE,
        "doctor_server_sessions",
        isolation=facts.isolation,
        time_zone=facts.time_zone,
        statements=facts.ends_statements_after,
        transactions=facts.ends_idle_transactions_after or "–",
    )
