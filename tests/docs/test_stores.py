"""docs/stores.md shows URLs, statements and commands that work, and leaves out no parameter and no error."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.databases import ENGINES, execute
from tests.own_databases import OwnServers
from zhongkong.adapters.stores.addresses import OPTIONS, ServerAddress, parse_address
from zhongkong.adapters.stores.examining import examine
from zhongkong.adapters.stores.server_dialects import MIGRATIONS_WAIT, TRANSACTIONS_LIVE
from zhongkong.adapters.stores.server_errors import Meaning
from zhongkong.adapters.stores.server_facts import OLDEST
from zhongkong.adapters.stores.writer import TRY_FOR
from zhongkong.cli.program import program

PAGE = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
URLS = re.findall(r"(?:sqlite|postgresql|mysql)://[^\s`'）)：]+", PAGE)
NAMES = {"PostgreSQL": "postgresql", "MySQL": "mysql"}


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, cell by cell."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "---" not in line]


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_is_shown_is_understood(url: str) -> None:
    """They are copied."""
    parse_address(url)


def test_every_parameter_is_documented_and_no_other() -> None:
    """One that nobody can look up does not exist."""
    shown = {(NAMES[row[0]], name) for row in rows("地址里的参数") for name in re.findall(r"`(\w+)`", row[1])}
    assert shown == {(engine, name) for engine, names in OPTIONS.items() for name in names}


def test_every_error_of_a_server_is_documented() -> None:
    """In the words of the table somebody finds who has to act."""
    assert [row[0].strip("`") for row in rows("数据库出问题时")] == list(
        dict.fromkeys(meaning.value.code for meaning in Meaning if meaning is not Meaning.CROSSED)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_the_statements_make_a_database_in_which_nothing_is_missing(engine: str, own_servers: OwnServers) -> None:
    """The doctor finds every right that is needed, and none more is granted than shown."""
    server = own_servers.of(engine)
    block = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[ENGINES.index(engine)]
    for statement in block.replace("hub", "shown").split(";"):
        if statement.strip():
            execute(server.root_url, statement)
    url = next(url for url in URLS if url.startswith(engine) and "PASSWORD" in url)
    url = re.sub(r"db\.internal:\d+", f"127.0.0.1:{server.port}", url).replace("hub:", "shown:")
    address = parse_address(f"{url}{server.options}")
    assert isinstance(address, ServerAddress)
    facts = examine(address, "zhongkong_").server
    assert facts is not None
    assert (facts.missing_rights, facts.is_old, facts.unsafe) == ((), False, ())
    assert facts.isolation == "READ COMMITTED"


def test_the_commands_are_there() -> None:
    """Whoever copies one must not be sent to --help."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("zhongkong ")]
    assert len(commands) == 5
    for words in commands:
        command: click.Command = program
        for word in words:
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None
            command = found
        assert not isinstance(command, click.Group)


def test_the_figures_are_the_programs() -> None:
    """Seconds and versions, as they are in the code."""
    assert (TRANSACTIONS_LIVE, MIGRATIONS_WAIT, TRY_FOR) == (5.0, 60, 2.0)
    assert OLDEST == {"postgresql": (13,), "mysql": (8, 0), "mariadb": (10, 5)}
