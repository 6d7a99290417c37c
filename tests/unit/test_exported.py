"""The names of the package: all that is promised is there, and nothing is loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import zhongkong
from zhongkong import version
from zhongkong.errors import ZhongkongError

HEAVY = {"aiohttp", "alembic", "asyncio", "cryptography", "httpx", "requests", "sqlalchemy", "ssl", "starlette"}


def loaded_by(program: str) -> set[str]:
    """Return the packages that a program has loaded at its end."""
    program += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", zhongkong.__all__)
def test_every_name_is_there(name: str) -> None:
    """Whatever is listed can be imported."""
    assert getattr(zhongkong, name) is not None
    assert name in dir(zhongkong)


def test_the_names_are_those_that_type_checkers_see() -> None:
    """What is imported for them alone is what is found at run time."""
    tree = ast.parse(Path(zhongkong.__file__).read_text(encoding="utf-8"))
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        (alias.name, node.module)
        for node in for_checkers.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name for name, _ in imported} == {*zhongkong.__all__} - {"__version__"}
    for name, module in imported:
        found = getattr(zhongkong, name)
        assert module is not None
        assert found.__module__.startswith(module)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """`hasattr` and `from zhongkong import x` depend on it."""
    assert not hasattr(zhongkong, "conect")
    with pytest.raises(ImportError, match="conect"):
        from zhongkong import conect  # type: ignore[attr-defined]  # noqa: F401, PLC0415


def test_every_error_is_one() -> None:
    """One `except zhongkong.ZhongkongError` catches what the package reports."""
    errors = [one for name in zhongkong.__all__ if isinstance(one := getattr(zhongkong, name), type)]
    assert sum(issubclass(one, ZhongkongError) for one in errors) >= 8
    assert zhongkong.__version__ == version.__version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A program that may use it at times starts as fast as without."""
    assert not loaded_by("import zhongkong") & HEAVY


def test_catching_its_errors_loads_nothing_heavy() -> None:
    """An `except` clause is no reason to load an HTTP client."""
    assert not loaded_by("from zhongkong import CredentialUnavailable, Source") & (HEAVY - {"asyncio"})


def test_a_client_of_a_hub_loads_no_server_and_no_database() -> None:
    """It is what the base package is for."""
    loaded = loaded_by("import zhongkong; zhongkong.connect('http://127.0.0.1:8600', key='zk_x'); zhongkong.WeChatAuth")
    assert "httpx" in loaded
    assert not loaded & (HEAVY - {"asyncio", "httpx", "ssl"})
