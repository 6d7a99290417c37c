"""How a store on a server is dumped and loaded by the database's own tools: whole commands, for a shell."""

from __future__ import annotations

import shlex
from typing import NamedTuple
from urllib.parse import quote, urlencode

from zhongkong.adapters.stores.addresses import ServerAddress
from zhongkong.adapters.stores.schema import build_tables

FILE = "zhongkong.dump"
OF_MYSQL = {"unix_socket": "socket", "ssl_ca": "ssl-ca", "ssl_cert": "ssl-cert", "ssl_key": "ssl-key"}
"""What MySQL's and MariaDB's tools call the options of a URL."""


class Dumping(NamedTuple):
    """Two lines for a shell. Both tools ask for the password; it stands in neither."""

    dump: str
    """Writes the tables of one prefix, as they are at one moment, to a file that only its owner may read."""
    load: str
    """Puts them back."""


def plan_dumping(address: ServerAddress, prefix: str) -> Dumping:
    """Return the commands for the store at `address`: its tables by name, and no other's."""
    tables = build_tables(prefix)
    names = sorted([*tables.metadata.tables, tables.version])
    plan = _plan_postgresql if address.engine == "postgresql" else _plan_mysql
    return plan(address, names)


def _plan_postgresql(address: ServerAddress, names: list[str]) -> Dumping:
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    user = f"{quote(address.user, safe='')}@" if address.user else ""
    options = f"?{urlencode(address.options)}" if address.options else ""
    where = shlex.quote(f"postgresql://{user}{hosts}/{quote(address.database, safe='')}{options}")
    tables = " ".join(f"-t {name}" for name in names)
    return Dumping(
        f"umask 077; pg_dump -Fc {tables} -f {FILE} -d {where}",
        f"pg_restore --clean --if-exists --single-transaction -d {where} {FILE}",
    )


def _plan_mysql(address: ServerAddress, names: list[str]) -> Dumping:
    where = [f"--user={address.user}"] if address.user else []
    for host, port in address.hosts:
        where += [f"--host={host}", f"--port={port}", "--protocol=tcp"]
    where += [f"--{OF_MYSQL[name]}={value}" for name, value in address.options.items() if name in OF_MYSQL]
    reach, database = f"{shlex.join(where)} -p", shlex.quote(address.database)
    return Dumping(
        f"umask 077; mysqldump {reach} --single-transaction --no-tablespaces {database} {' '.join(names)} > {FILE}",
        f"mysql {reach} {database} < {FILE}",
    )
