"""The commands that dump a store on a server."""

from __future__ import annotations

import shlex
from itertools import pairwise

from zhongkong.adapters.stores.addresses import ServerAddress, parse_address
from zhongkong.adapters.stores.dumps import Dumping, plan_dumping

TABLES = [
    f"hub_{name}"
    for name in ["accounts", "callbacks", "events", "keys", "meta", "proofs", "pushes", "records", "schema"]
]


def planned(url: str) -> Dumping:
    """Return the commands for a URL."""
    address = parse_address(url)
    assert isinstance(address, ServerAddress)
    dumping = plan_dumping(address, "hub_")
    assert "hunter2" not in "".join(dumping)
    return dumping


def test_where_a_store_is_stands_in_the_command_but_for_the_password() -> None:
    """Host, port, user and options; the tables by name: a pattern would match those of hub_test_ too."""
    dumping = planned("postgresql://h%40b:hunter2@db1,db2:6000/x%20y?sslmode=require")
    where = "postgresql://h%40b@db1:5432,db2:6000/x%20y?sslmode=require"
    words = shlex.split(dumping.dump)
    assert words[:4] == ["umask", "077;", "pg_dump", "-Fc"]
    assert [word for before, word in pairwise(words) if before == "-t"] == TABLES
    assert words[-1] == where
    assert where in shlex.split(dumping.load)


def test_a_shell_reads_what_mysql_is_to_be_given() -> None:
    """Whatever stands in the names."""
    dumping = planned("mysql://h%24u:hunter2@db:3307/x%20y?ssl_ca=/etc/ca.pem")
    reach = ["--user=h$u", "--host=db", "--port=3307", "--protocol=tcp", "--ssl-ca=/etc/ca.pem", "-p"]
    assert shlex.split(dumping.dump)[2:9] == ["mysqldump", *reach]
    assert shlex.split(dumping.dump)[-12:-2] == ["x y", *TABLES]
    assert shlex.split(dumping.load)[:8] == ["mysql", *reach, "x y"]
    assert "--socket=/run/mysqld.sock" in planned("mysql://hub@/x?unix_socket=/run/mysqld.sock").dump
