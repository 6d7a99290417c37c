"""How a database server is set up, as far as a store depends on it: read from the server, judged by the doctor."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import Connection

from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.stores.dialects import Dialect
from zhongkong.adapters.stores.schema import Tables
from zhongkong.core.model import Seconds

OLDEST = {"postgresql": (13,), "mysql": (8, 0), "mariadb": (10, 5)}
"""What the statements need."""
NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX")


class ServerFacts(NamedTuple):
    """What was found."""

    product: str
    version: str
    is_old: bool
    """Whether it is older than what the statements need."""
    ahead: Seconds
    """By how much its clock is ahead of this machine's, at the middle of the round trip."""
    round_trip: Seconds
    isolation: str
    """Of the transactions that write."""
    time_zone: str
    """Of our sessions."""
    ends_statements_after: str
    ends_idle_transactions_after: str
    """Empty where the server cannot: a holder that stands still then keeps what it locked until its connection ends."""
    unsafe: tuple[str, ...]
    """Settings under which a commit that was acknowledged can be lost when the machine loses power."""
    is_read_only: bool
    missing_rights: tuple[str, ...]
    """What the user may not do in this database, as far as that can be told."""


def look_at_server(connection: Connection, dialect: Dialect, tables: Tables) -> ServerFacts:
    """Return how the server behind `connection`, one that writes, is set up."""
    clock = MachineClock()
    asked = clock.boot()
    told = dialect.now(connection)
    wall, heard = clock.wall(), clock.boot()
    ahead, round_trip = told - (wall - (heard - asked) / 2), heard - asked
    look = _look_at_postgresql if connection.dialect.name == "postgresql" else _look_at_mysql
    return look(connection, tables)._replace(ahead=ahead, round_trip=round_trip)


def _look_at_postgresql(connection: Connection, tables: Tables) -> ServerFacts:
    def setting(name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

    version = setting("server_version")
    unsafe = [f"{name} = off" for name in ("fsync", "synchronous_commit", "full_page_writes") if setting(name) == "off"]
    may_create = connection.exec_driver_sql("SELECT has_schema_privilege(current_schema(), 'CREATE')").scalar()
    missing = [] if may_create else ["CREATE"]
    asked = "SELECT has_table_privilege(to_regclass(%(table)s)::oid, %(right)s)"  # null where there is no table yet
    for table in tables.metadata.sorted_tables:
        rights = ({"table": table.name, "right": right} for right in NEEDED[:4])
        missing += [one["right"] for one in rights if connection.exec_driver_sql(asked, one).scalar() is False]
    return ServerFacts(
        product="PostgreSQL",
        version=version,
        is_old=_numbers(version) < OLDEST["postgresql"],
        ahead=0.0,
        round_trip=0.0,
        isolation="READ COMMITTED",
        time_zone=setting("timezone"),
        ends_statements_after=setting("statement_timeout"),
        ends_idle_transactions_after=setting("idle_in_transaction_session_timeout"),
        unsafe=tuple(unsafe),
        is_read_only=bool(connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar())
        or setting("default_transaction_read_only") == "on",
        missing_rights=tuple(dict.fromkeys(missing)),
    )


def _look_at_mysql(connection: Connection, _tables: Tables) -> ServerFacts:
    said = connection.exec_driver_sql("SHOW VARIABLES").all()
    variables = {str(name).lower(): str(value) for name, value in said}
    version = variables["version"]
    is_mariadb = "mariadb" in version.lower()
    unsafe = [
        f"{name} = {variables[name]}"
        for name, safe in (("innodb_flush_log_at_trx_commit", "1"), ("innodb_doublewrite", "ON"))
        if variables.get(name, safe).upper() not in (safe, "1")
    ]
    if variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT":
        unsafe.append("binlog_format = STATEMENT")
    database = connection.exec_driver_sql("SELECT DATABASE()").scalar_one()
    statements, idle = variables.get("max_statement_time"), variables.get("idle_transaction_timeout")
    return ServerFacts(
        product="MariaDB" if is_mariadb else "MySQL",
        version=version,
        is_old=_numbers(version) < OLDEST["mariadb" if is_mariadb else "mysql"],
        ahead=0.0,
        round_trip=0.0,
        isolation=variables.get("transaction_isolation", variables.get("tx_isolation", "?")).replace("-", " "),
        time_zone=variables["time_zone"],
        ends_statements_after=f"{float(statements):g}s" if statements else f"{variables['max_execution_time']}ms",
        ends_idle_transactions_after=f"{idle}s" if idle else "",
        unsafe=tuple(unsafe),
        is_read_only=any(variables.get(name) == "ON" for name in ("read_only", "super_read_only")),
        missing_rights=_missing_in(
            [str(row[0]) for row in connection.exec_driver_sql("SHOW GRANTS").all()], str(database)
        ),
    )


def _missing_in(grants: list[str], database: str) -> tuple[str, ...]:
    """Return what none of the grants on this database or on all of them gives; a role's are listed like one's own."""
    held: set[str] = set()
    for grant in grants:
        found = re.match(r"GRANT (.+?) ON (\S+)\.\* TO ", grant)
        if found is None:
            continue
        where = found[2].strip("`").replace("\\", "")
        if where == "*" or re.fullmatch(re.escape(where).replace("%", ".*"), database):
            held |= {right.strip() for right in found[1].split(",")}
    return () if "ALL PRIVILEGES" in held else tuple(right for right in NEEDED if right not in held)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
