"""What the errors of a database server mean: by SQLSTATE for PostgreSQL, by number for MySQL and MariaDB.

A server's own words are never shown: they may quote what is stored, and come in the server's language.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Verdict(NamedTuple):
    """What an error means to those who called."""

    code: str
    """The text's, in the catalogue."""
    is_refusal: bool = False
    """Whether a person must act before anything can succeed."""
    again: bool = False
    """Whether the same transaction, of which nothing was committed, may succeed at once on a new connection."""


class Meaning(Enum):
    """What goes wrong with a server."""

    AWAY = Verdict("store_server_away", again=True)
    BUSY = Verdict("store_server_busy", again=True)
    READ_ONLY = Verdict("store_server_read_only", again=True)
    CROSSED = Verdict("store_server_locked", again=True)
    """Two transactions waited for each other, or made the same row: one of them was undone."""
    LOCKED = Verdict("store_server_locked")
    FULL = Verdict("store_server_full")
    FAILING = Verdict("store_server_failing")
    LOGIN = Verdict("store_login_refused", is_refusal=True)
    TLS = Verdict("store_tls_refused", is_refusal=True)
    DATABASE = Verdict("store_database_missing", is_refusal=True)
    RIGHT = Verdict("store_right_missing", is_refusal=True)
    TABLES = Verdict("store_tables_missing", is_refusal=True)
    DAMAGED = Verdict("store_server_damaged", is_refusal=True)


_POSTGRESQL: dict[str, Meaning] = {
    "08": Meaning.AWAY,
    "57P01": Meaning.AWAY,  # the server is stopped, or an administrator ended the session
    "57P02": Meaning.AWAY,
    "57P03": Meaning.AWAY,
    "57P05": Meaning.AWAY,  # idle for longer than the server allows
    "25P03": Meaning.AWAY,
    "25P04": Meaning.AWAY,
    "53300": Meaning.BUSY,
    "53100": Meaning.FULL,
    "53": Meaning.FAILING,
    "25006": Meaning.READ_ONLY,
    "40": Meaning.CROSSED,
    "23505": Meaning.CROSSED,
    "55P03": Meaning.LOCKED,
    "57014": Meaning.LOCKED,  # statement_timeout
    "28": Meaning.LOGIN,
    "3D000": Meaning.DATABASE,
    "3F000": Meaning.RIGHT,  # no schema to make tables in: none that this user may see
    "42501": Meaning.RIGHT,
    "42P01": Meaning.TABLES,
    "42703": Meaning.TABLES,
    "XX001": Meaning.DAMAGED,
    "XX002": Meaning.DAMAGED,
}
"""By SQLSTATE, or by its class."""

_POSTGRESQL_WORDS: dict[str, Meaning] = {
    "too many": Meaning.BUSY,
    "remaining connection slots": Meaning.BUSY,
    "authentication failed": Meaning.LOGIN,
    "no password supplied": Meaning.LOGIN,
    "pg_hba.conf": Meaning.LOGIN,
    "permission denied": Meaning.RIGHT,
    "role ": Meaning.LOGIN,
    "database ": Meaning.DATABASE,
    "client certificate": Meaning.TLS,
}
"""While connecting there is no SQLSTATE: the first that is found in the server's words, where they are English."""

_TLS_WORDS = ("does not support SSL", "certificate", "private key")
"""Of libpq itself, before the server said anything. A connection that is lost says "SSL", too."""

_PASSING_WORDS = ("database system is", "starting up", "shutting down", "recovery")

_MYSQL: dict[int, Meaning] = {
    **dict.fromkeys((0, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031), Meaning.AWAY),
    **dict.fromkeys((2002, 2003, 2005, 2006, 2012, 2013, 2014, 2055), Meaning.AWAY),
    **dict.fromkeys((1040, 1203, 1226), Meaning.BUSY),
    **dict.fromkeys((1290, 1792, 1836), Meaning.READ_ONLY),
    **dict.fromkeys((1062, 1213, 1020, 1412, 3101, 1047), Meaning.CROSSED),
    **dict.fromkeys((1205, 1969, 3024, 1317), Meaning.LOCKED),
    **dict.fromkeys((1021, 1114, 3675), Meaning.FULL),
    **dict.fromkeys((1045, 1698, 1251, 1130, 1524, 1820, 1862, 3118, 4151), Meaning.LOGIN),
    **dict.fromkeys((2026, 3159), Meaning.TLS),
    **dict.fromkeys((1049,), Meaning.DATABASE),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), Meaning.RIGHT),
    **dict.fromkeys((1146, 1054), Meaning.TABLES),
    **dict.fromkeys((1034, 1035, 1194, 1195, 1712), Meaning.DAMAGED),
}


def judge_postgresql(sqlstate: str, words: str) -> Meaning:
    """Return what an error means; `words` are looked at only where there is no SQLSTATE."""
    if sqlstate:
        return _POSTGRESQL.get(sqlstate) or _POSTGRESQL.get(sqlstate[:2]) or Meaning.FAILING
    if "FATAL" not in words:
        return Meaning.TLS if any(part in words for part in _TLS_WORDS) else Meaning.AWAY
    if any(passing in words for passing in _PASSING_WORDS):
        return Meaning.AWAY
    said = words.partition("FATAL")[2]
    return next((meaning for part, meaning in _POSTGRESQL_WORDS.items() if part in said), Meaning.AWAY)


def judge_mysql(number: int) -> Meaning:
    """Return what an error means."""
    return _MYSQL.get(number, Meaning.FAILING)


def name_of_failure(words: str) -> str:
    """Return why nothing was reached, as far as the words of a driver tell it; empty if they do not."""
    return next((name for part, name in _FAILURES.items() if part in words.lower()), "")


_FAILURES = {
    "refused": "connection refused",
    "timed out": "timed out",
    "timeout expired": "timed out",
    "resolve": "unknown host name",
    "name or service": "unknown host name",
    "unreachable": "unreachable",
    "no route": "unreachable",
    "certificate": "TLS certificate",
    "ssl": "TLS",
    "starting up": "starting",
    "shutting down": "stopping",
    "closed": "connection closed",
    "lost connection": "connection closed",
}
