"""The file and the seal beside it: what is taken for a store, what is refused in words, and who else may open it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from zhongkong.client.source import Source
from zhongkong.connecting import AccountGiven, connect, seating
from zhongkong.core.model import Account, AccountKind, Secret
from zhongkong.errors import CredentialUnavailable, StoreRefused, WrongSeal, ZhongkongError
from zhongkong.serving import seat_store
from zhongkong.settings import Settings, load_settings

APPID = "wx0123456789abcdef"
SECRET = "8f14e45fceea167a5a36dedd4bea2543"
NOWHERE = "http://127.0.0.1:1"
"""A platform that cannot be reached: a store that opens is known by that."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store is to be; errors speak English."""
    monkeypatch.setenv("ZHONGKONG_LANG", "en")
    return tmp_path / "wx.db"


@pytest.fixture
def source(path: Path) -> Iterator[Source]:
    """A source over it."""
    account: AccountGiven = {"secret": SECRET, "base_url": NOWHERE}
    with connect(f"sqlite:///{path}", accounts={APPID: account}, patience=4.0) as source:
        yield source


def refusal(source: Source) -> ZhongkongError:
    """Return why there is no token."""
    with pytest.raises(ZhongkongError) as refused:
        source.access_token(APPID)
    assert refused.value.__notes__
    return refused.value


def is_open(source: Source) -> bool:
    """Say whether the store was opened: then only the platform is missing."""
    error = refusal(source)
    return isinstance(error, CredentialUnavailable) and error.cause == "unreachable"


def names_in(directory: Path) -> list[str]:
    """Return what is there."""
    return sorted(path.name for path in directory.iterdir())


def test_the_database_of_another_program_is_refused_and_left_as_it_is(source: Source, path: Path) -> None:
    """Our tables would be in its backups and migrations, and its journal would be another one from then on."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE django_session (session_key TEXT)")
        other.commit()
    before = path.read_bytes()
    assert refusal(source).code == "store_foreign"
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["wx.db"]


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(source: Source, path: Path) -> None:
    """A mistyped path must not cost anybody a file."""
    path.write_bytes(b"no database, " * 1000)
    assert refusal(source).code == "store_damaged"
    assert path.read_bytes() == b"no database, " * 1000
    assert names_in(path.parent) == ["wx.db"]


def test_an_empty_file_becomes_a_store(source: Source, path: Path) -> None:
    """As one has it that was made to reserve its name."""
    path.touch(0o600)
    assert is_open(source)


def test_a_store_without_its_seal_is_not_given_another(source: Source, path: Path) -> None:
    """Nothing in it could be read again."""
    assert is_open(source)
    source.close()
    path.with_suffix(".seal").rename(path.with_suffix(".kept"))
    with connect(f"sqlite:///{path}") as again:
        assert refusal(again).code == "seal_lost"
        assert not path.with_suffix(".seal").exists()
    with connect(f"sqlite:///{path}", seal_file=path.with_suffix(".kept"), patience=4.0) as right:
        assert is_open(right)


def test_a_seal_of_another_store_is_told(source: Source, path: Path) -> None:
    """Two directories were mixed up."""
    assert is_open(source)
    with connect(f"sqlite:///{path.with_name('other.db')}", accounts={APPID: SECRET}, patience=0.1) as other:
        refusal(other)
    with connect(f"sqlite:///{path}", seal_file=path.with_name("other.seal")) as mixed:
        assert isinstance(refusal(mixed), WrongSeal)


def test_a_directory_that_is_missing_is_named_and_not_made(path: Path) -> None:
    """A mistyped path again: the store of yesterday is somewhere else."""
    with connect(f"sqlite:///{path.parent / 'data' / 'wx.db'}", accounts={APPID: SECRET}) as source:
        assert refusal(source).code == "store_directory_missing"
    assert names_in(path.parent) == []


def test_a_network_file_system_is_refused(source: Source, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines would each hold a lock of their own."""
    monkeypatch.setattr(seating, "file_system_of", lambda _path: "nfs4")
    assert refusal(source).code == "store_on_network"
    assert names_in(path.parent) == []


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing here")
def test_a_seal_that_others_may_read_is_refused(source: Source, path: Path) -> None:
    """With it and the store they have every secret."""
    assert is_open(source)
    source.close()
    path.with_suffix(".seal").chmod(0o644)
    with connect(f"sqlite:///{path}") as again:
        error = refusal(again)
        assert isinstance(error, StoreRefused)
        assert f"chmod 600 {path.with_suffix('.seal')}" in error.__notes__[0]


# --- one file, library and hub


def settings_of(path: Path) -> Settings:
    """Return a hub's settings for the same file."""
    flags = {"data_dir": path.parent, "store_url": f"sqlite:///{path}", "seal_file": path.with_suffix(".seal")}
    return load_settings(flags=flags)


async def appids_in(settings: Settings) -> list[str]:
    """Return what a hub finds there."""
    async with seat_store(settings) as (store, _seal):
        return [account.appid for account in await store.accounts()]


def test_a_hub_opens_what_a_program_kept(source: Source, path: Path) -> None:
    """The day on which one program becomes two: `zhongkong serve` over the same file, even while it is in use."""
    assert is_open(source)
    assert asyncio.run(appids_in(settings_of(path))) == [APPID]


def test_a_program_opens_a_hubs_data_directory(tmp_path: Path) -> None:
    """The seal is where it looks, and the accounts that `zhongkong account add` made are there."""
    settings = load_settings(flags={"data_dir": tmp_path})

    async def add() -> None:
        async with seat_store(settings) as (store, _seal):
            await store.put_account(Account(APPID, AccountKind.OFFICIAL, Secret(SECRET), base_url=NOWHERE))

    asyncio.run(add())
    with connect(settings.store_url, patience=4.0) as source:
        assert is_open(source)
