"""What a server's errors mean, and that each meaning can be told."""

from __future__ import annotations

from string import Formatter

import pytest

from zhongkong.adapters.stores.server_errors import Meaning, judge_mysql, judge_postgresql
from zhongkong.messages.catalogue import _catalogue


@pytest.mark.parametrize("meaning", Meaning)
def test_a_meaning_has_a_text_that_asks_for_no_more_than_is_given(meaning: Meaning) -> None:
    """The dialects give place, user, and the error's code."""
    text = _catalogue()[meaning.value.code]["en"]
    assert {name for _, name, _, _ in Formatter().parse(text) if name} <= {"place", "user", "why"}
    assert "{place}" in text


@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("40001", Meaning.CROSSED),
        ("40P01", Meaning.CROSSED),
        ("23505", Meaning.CROSSED),
        ("57014", Meaning.LOCKED),
        ("57P01", Meaning.AWAY),
        ("08006", Meaning.AWAY),
        ("25006", Meaning.READ_ONLY),
        ("53100", Meaning.FULL),
        ("53200", Meaning.FAILING),
        ("42501", Meaning.RIGHT),
        ("42601", Meaning.FAILING),
    ],
)
def test_postgresql_by_its_sqlstate(sqlstate: str, meaning: Meaning) -> None:
    """The code counts, not the words, which are the server's language."""
    assert judge_postgresql(sqlstate, "FATAL: password authentication failed") is meaning


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ('FATAL:  password authentication failed for user "hub"', Meaning.LOGIN),
        ('FATAL:  role "hub" does not exist', Meaning.LOGIN),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "hub", database "z"', Meaning.LOGIN),
        ('FATAL:  database "z" does not exist', Meaning.DATABASE),
        ('FATAL:  permission denied for database "z"', Meaning.RIGHT),
        ("FATAL:  sorry, too many clients already", Meaning.BUSY),
        ('FATAL:  too many connections for role "hub"', Meaning.BUSY),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", Meaning.BUSY),
        ("FATAL:  the database system is starting up", Meaning.AWAY),
        ("FATAL:  the database system is shutting down", Meaning.AWAY),
        ("Connection refused", Meaning.AWAY),
        ("failed to resolve host 'db'", Meaning.AWAY),
        ("session is read-only", Meaning.AWAY),
        ("server does not support SSL, but SSL was required", Meaning.TLS),
        ('root certificate file "/nope" does not exist', Meaning.TLS),
        ("SSL error: certificate verify failed", Meaning.TLS),
        ('could not load private key file "/nope": no such file', Meaning.TLS),
        ("FATAL:  connection requires a valid client certificate", Meaning.TLS),
        ("SSL connection has been closed unexpectedly", Meaning.AWAY),
        ("SSL SYSCALL error: EOF detected", Meaning.AWAY),
    ],
)
def test_postgresql_while_connecting(words: str, meaning: Meaning) -> None:
    """Then there are only words; those that nobody knows are an outage, of which the text names all causes."""
    assert judge_postgresql("", words) is meaning


def test_mysql_by_its_number() -> None:
    """Numbers that nobody knows are told as they are."""
    assert judge_mysql(1213) is Meaning.CROSSED
    assert judge_mysql(1205) is Meaning.LOCKED
    assert judge_mysql(2013) is Meaning.AWAY
    assert judge_mysql(1045) is Meaning.LOGIN
    assert judge_mysql(2026) is Meaning.TLS
    assert judge_mysql(4711) is Meaning.FAILING
