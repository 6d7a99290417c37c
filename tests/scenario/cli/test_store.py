"""zhongkong db and seal: the store's schema, and its master key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.scenario.cli.house import Platform, Terminal
from zhongkong.adapters.seal import FileSeal
from zhongkong.settings import default_data_dir


@pytest.fixture
def directory(home: Path) -> Path:
    """Where the store is."""
    assert home.is_dir()
    return default_data_dir()


def test_an_upgrade_makes_a_store_where_there_is_none(terminal: Terminal, directory: Path) -> None:
    """The same as every start does, for those who want it done before."""
    terminal.type("db", "check", code=7)
    told = terminal.read("db", "upgrade")
    assert told["schema"] == told["known"]
    assert "is whole" in terminal.type("db", "check").stdout
    assert (directory / "zhongkong.db").is_file()


def test_a_store_of_another_version_is_told_apart(terminal: Terminal, directory: Path) -> None:
    """A newer one must not be touched."""
    terminal.type("db", "upgrade")
    with sqlite3.connect(directory / "zhongkong.db") as store:
        store.execute("UPDATE zhongkong_schema SET version_num = '9999'")
    store.close()
    assert "newer" in terminal.type("db", "check", code=7).stderr
    assert terminal.read("db", "check", code=7)["good"] is False
    assert "newer" in terminal.type("db", "upgrade", code=7).stderr


def test_a_damaged_store_is_told_by_its_path(terminal: Terminal, directory: Path) -> None:
    """Nothing is made anew in its place."""
    directory.mkdir(parents=True)
    (directory / "zhongkong.db").write_bytes(b"no database, " * 1000)
    for command in (["db", "check"], ["db", "upgrade"], ["account", "list"]):
        assert "zhongkong.db" in terminal.type(*command, code=7).stderr
    assert (directory / "zhongkong.db").read_bytes().startswith(b"no database")


def test_a_rotated_seal_opens_what_the_former_closed(terminal: Terminal, shop: str, directory: Path) -> None:
    """After two rotations the first key is forgotten, and nothing is lost."""
    first = (directory / "zhongkong.seal").read_text().splitlines()[-1]
    assert terminal.read("seal", "rotate")["resealed"] == 2
    assert "Back it up again" in terminal.type("seal", "rotate").stdout
    assert first not in (directory / "zhongkong.seal").read_text()
    assert "generation 1" in terminal.type("account", "set", shop).stdout


def test_a_rotation_that_was_cut_short_is_finished_by_the_next(
    terminal: Terminal, shop: str, platform: Platform, directory: Path
) -> None:
    """The key that still closes something must not be forgotten."""
    FileSeal(directory / "zhongkong.seal").rotate()
    assert "seal rotate" in terminal.type("doctor", code=1).stdout
    terminal.type("seal", "rotate")
    assert terminal.type("token", shop, shows=True).stdout.strip() == platform.token()


def test_a_lost_seal_is_missed_and_none_made_anew(terminal: Terminal, shop: str, directory: Path) -> None:
    """Another one would not open the store, and would hide that the right one is gone."""
    (directory / "zhongkong.seal").rename(directory / "kept.seal")
    assert "is gone" in terminal.type("account", "list", code=7).stderr
    assert not (directory / "zhongkong.seal").exists()
    (directory / "kept.seal").replace(directory / "zhongkong.seal")
    assert shop in terminal.type("account", "list").stdout


def test_another_seal_is_refused_and_nothing_made_anew(terminal: Terminal, shop: str, directory: Path) -> None:
    """The data is there; only the right seal is missing."""
    (directory / "zhongkong.seal").rename(directory / "kept.seal")
    FileSeal(directory / "zhongkong.seal")
    assert "another seal" in terminal.type("account", "list", code=7).stderr
    (directory / "kept.seal").replace(directory / "zhongkong.seal")
    assert shop in terminal.type("account", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("account", "list"),
        ("account", "show", "wx0123456789abcdef"),
        ("account", "set", "wx0123456789abcdef"),
        ("token", "wx0123456789abcdef"),
        ("key", "list"),
        ("key", "rotate", "nobody00"),
        ("events",),
        ("seal", "rotate"),
    ],
    ids=" ".join,
)
def test_a_typo_in_where_the_store_is_makes_no_other_one(
    terminal: Terminal, shop: str, home: Path, words: tuple[str, ...]
) -> None:
    """Whoever looks at an empty store by mistake takes his accounts for lost, and has two stores from then on."""
    assert shop
    typo = home / "typo"
    refused = terminal.type(*words, "--data-dir", str(typo), code=7).stderr
    assert str(typo / "zhongkong.db") in refused
    assert "--data-dir" in refused
    assert "account add" in refused
    assert not typo.exists()
    assert str(typo) in terminal.type(*words, "--data-dir", str(typo), "--lang", "zh", code=7).stderr
