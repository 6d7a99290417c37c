"""A store's URL is read once, and its password is shown nowhere."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from zhongkong.adapters.stores.addresses import FileAddress, ServerAddress, parse_address
from zhongkong.errors import SettingInvalid
from zhongkong.wechat.advice import explain_error


def server(url: str) -> ServerAddress:
    """Return the address of a server."""
    address = parse_address(url)
    assert isinstance(address, ServerAddress)
    return address


def test_a_file() -> None:
    """Three slashes and a path, relative or not."""
    assert parse_address("sqlite:///wx.db") == FileAddress(Path("wx.db"))
    assert parse_address("sqlite:////var/lib/wx.db") == FileAddress(Path("/var/lib/wx.db"))


def test_a_server() -> None:
    """Ports have defaults; what means something in a URL is written with a percent sign."""
    address = server("mysql://hub:p%40ss%2Fw%3Aord@db.internal/zhong%20kong?ssl_ca=/etc/ca.pem")
    assert (address.engine, address.hosts, address.database) == ("mysql", (("db.internal", 3306),), "zhong kong")
    assert (address.user, address.password.reveal()) == ("hub", "p@ss/w:ord")
    assert address.options == {"ssl_ca": "/etc/ca.pem"}
    assert server("postgresql://hub@[::1]:6543/z").hosts == (("::1", 6543),)


@pytest.mark.parametrize(
    ("scheme", "engine"),
    [("postgres", "postgresql"), ("postgresql", "postgresql"), ("mariadb", "mysql"), ("mysql", "mysql")],
)
def test_names_that_people_use(scheme: str, engine: str) -> None:
    """MariaDB is spoken to as MySQL is."""
    assert server(f"{scheme}://db/z").engine == engine


def test_several_hosts_of_which_the_primary_is_used() -> None:
    """PostgreSQL's own library finds the one that can be written."""
    assert server("postgresql://hub@a,b:5433/z").hosts == (("a", 5432), ("b", 5433))


def test_a_socket_instead_of_a_host() -> None:
    """As both drivers name it."""
    assert server("postgresql:///z?host=/run/postgresql").hosts == ()
    assert server("mysql://hub@/z?unix_socket=/run/mysqld.sock").hosts == ()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@db/zhongkong",
        "postgresql://user:hunter2@db:5432/zhongkong?sslmode=require",
        "postgresql://user:hunter2%40@a,b/zhongkong",
    ],
)
def test_an_address_is_shown_without_its_password(url: str) -> None:
    """Whoever reads it needs to know where, not how to get in."""
    address = parse_address(url)
    for shown in (str(address), repr(address), f"{address}"):
        assert "hunter2" not in shown
    assert "zhongkong" in str(address)
    assert pickle.loads(pickle.dumps(address)) == address  # noqa: S301 (our own)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("oracle://user:hunter2@db/z", "store_kind_unknown"),
        ("sqlite:///", "store_kind_unknown"),
        ("hunter2", "store_kind_unknown"),
        ("mysql://user:hunter2@db", "store_url_unfit"),
        ("mysql://user:hunter2@db/", "store_url_unfit"),
        ("mysql://user:hunter2/z", "store_url_unfit"),
        ("mysql://user:hunter2@a,b/z", "store_url_unfit"),
        ("mysql://user:hunter2@db:hunter2/z", "store_url_unfit"),
        ("mysql://user:hun#ter2@db/z", "store_url_unfit"),
        ("postgresql://user:hunter2@[db/z", "store_url_unfit"),
        ("postgresql://user:hunter2@db/z?hunter2", "store_url_unfit"),
        ("postgresql://user:hunter2@/z", "store_url_unfit"),
        ("postgresql://user:hunter2@db/z?password=hunter2", "store_option_unknown"),
        ("postgresql://user:hunter2@db/z?sslmode=hunter2", "store_option_unfit"),
        ("mysql://user:hunter2@db/z?ssl_disabled=hunter2", "store_option_unfit"),
    ],
)
def test_what_cannot_be_used_is_told_and_not_repeated(url: str, code: str) -> None:
    """A URL that is written wrongly still holds a password that is right."""
    with pytest.raises(SettingInvalid) as refused:
        parse_address(url)
    assert refused.value.code == code
    for shown in (explain_error(refused.value, "zh"), explain_error(refused.value, "en"), str(refused.value)):
        assert "hunter2" not in shown
        assert "ter2" not in shown
    assert refused.value.__cause__ is None
