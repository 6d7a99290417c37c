"""Web frameworks: where the source of an application comes from, and what is said when it does not come.

That tokens do come from it is shown by the examples.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings  # type: ignore[import-untyped]
from django.test import override_settings  # type: ignore[import-untyped]
from django.views.debug import SafeExceptionReporterFilter  # type: ignore[import-untyped]
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from zhongkong.client.source import AsyncSource
from zhongkong.client.thread import SourceClosed
from zhongkong.errors import SettingInvalid
from zhongkong.integrations import fastapi, flask, starlette

HUB = "http://hub.test:8600"
KEY = "zk_abcdefgh_1"
MODULES = ["django", "fastapi", "flask", "starlette", "wechatpy", "werobot"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZHONGKONG_HUB", raising=False)
    monkeypatch.setenv("ZHONGKONG_KEY", KEY)
    monkeypatch.setenv("ZHONGKONG_LANG", "en")


@pytest.mark.parametrize("name", MODULES)
def test_a_missing_package_is_named_with_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each module needs one package, and none is installed along with zhongkong."""
    for loaded in [*sys.modules, name]:
        if loaded == name or loaded.startswith(f"{name}."):
            monkeypatch.setitem(sys.modules, loaded, None)
    for ours in [one for one in sys.modules if one.startswith(f"zhongkong.integrations.{name}")]:
        monkeypatch.delitem(sys.modules, ours)
    with pytest.raises(ModuleNotFoundError, match=f"(?i)pip install {name}"):
        import_module(f"zhongkong.integrations.{name}")


# --- Flask


def make_app(**config: Any) -> Flask:
    """Return an application with a source."""
    app = Flask("shop")
    app.config.update(config)
    flask.init_app(app)
    return app


def test_each_flask_application_has_a_source_of_its_own(tmp_path: Path) -> None:
    """As its configuration says, or the environment."""
    with make_app(ZHONGKONG_URL=HUB, ZHONGKONG_PATIENCE=2.0).app_context():
        assert repr(flask.source) == f"<zhongkong source: {HUB}>"
    with make_app(ZHONGKONG_URL=f"sqlite:///{tmp_path}/wx.db", ZHONGKONG_ACCOUNTS={"wx1": "secret"}).app_context():
        assert repr(flask.source) == f"<zhongkong source: sqlite:///{tmp_path}/wx.db>"
    assert list(tmp_path.iterdir()) == []


def test_flask_takes_the_hub_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the command line reads too."""
    monkeypatch.setenv("ZHONGKONG_HUB", HUB)
    with make_app().app_context():
        assert HUB in repr(flask.source)


def test_flask_says_what_is_missing() -> None:
    """At the start, where a person looks."""
    with pytest.raises(SettingInvalid, match="integration_url_missing") as missing:
        make_app()
    assert "ZHONGKONG_HUB" in missing.value.__notes__[0]
    with pytest.raises(SettingInvalid, match="pacience"):
        make_app(ZHONGKONG_URL=HUB, ZHONGKONG_PACIENCE=2.0)
    with Flask("bare").app_context(), pytest.raises(RuntimeError, match="init_app"):
        flask.source.access_token("wx1")
    with pytest.raises(RuntimeError, match="application context"):
        flask.source.access_token("wx1")


# --- Starlette and FastAPI


async def show(request: Request) -> PlainTextResponse:
    """Answer with the source."""
    return PlainTextResponse(repr(starlette.get_source(request)))


async def ask(app: Starlette, *, started: bool = True) -> httpx.Response:
    """Return what the application answers, after its start unless told otherwise, as a server would ask."""
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(app.router.lifespan_context(app)) if started else None

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {**(state or {})}}, receive, send)

        transport = httpx.ASGITransport(serve)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://shop.test"))
        return await client.get("/")


def test_a_starlette_application_opens_a_source() -> None:
    """Those who serve requests find it in their request."""
    app = Starlette(routes=[Route("/", show)], lifespan=starlette.open_source(HUB))
    assert asyncio.run(ask(app)).text == f"<zhongkong source: {HUB}>"


def test_a_source_is_closed_when_the_application_ends() -> None:
    """What it runs in the background ends with it."""

    async def open_and_end() -> AsyncSource:
        async with starlette.open_source(HUB)(None) as state:
            pass
        return state["zhongkong"]

    with pytest.raises(SourceClosed):
        asyncio.run(asyncio.run(open_and_end()).access_token("wx1"))


def test_a_lifespan_of_ones_own_yields_it_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application has one lifespan only. In FastAPI the source is a parameter."""
    monkeypatch.setenv("ZHONGKONG_HUB", HUB)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with fastapi.open_source(patience=2.0)(app) as state:
            yield {**state, "other": 1}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def view(request: Request, source: fastapi.Source) -> list[Any]:
        return [repr(source), request.state.other]

    assert asyncio.run(ask(app)).json() == [f"<zhongkong source: {HUB}>", 1]


def test_an_application_that_did_not_start_is_told() -> None:
    """The common slip in tests: a TestClient outside of `with` starts nothing."""
    app = Starlette(routes=[Route("/", show)], lifespan=starlette.open_source(HUB))
    with pytest.raises(RuntimeError, match="TestClient"):
        asyncio.run(ask(app, started=False))


def test_an_application_without_a_url_does_not_start() -> None:
    """It would fail at its first request otherwise."""
    with pytest.raises(SettingInvalid, match="open_source"):
        asyncio.run(ask(Starlette(lifespan=starlette.open_source())))


# --- Django


@pytest.fixture(name="check")
def _check() -> Any:
    if not settings.configured:
        settings.configure(SECRET_KEY="a test")
    return import_module("zhongkong.integrations.django.apps").check_settings


def test_djangos_check_tells_what_is_wrong_with_the_settings(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words; nothing is opened for it."""
    with override_settings(ZHONGKONG={"url": HUB}):
        assert check() == []
    with override_settings(ZHONGKONG={"url": HUB, "accounts": {}}):
        [error] = check()
        assert "accounts" in error.msg
    with override_settings(ZHONGKONG=HUB):
        [error] = check()
        assert "dict" in error.msg
    with override_settings(ZHONGKONG={"key": KEY}):
        [error] = check()
        assert "settings.ZHONGKONG" in error.msg
        monkeypatch.setenv("ZHONGKONG_HUB", HUB)
        assert check() == []


def test_djangos_source_is_connected_when_it_is_used(check: Any) -> None:
    """Settings need not be there when it is imported. There is one for each kind of view."""
    assert check
    ours = import_module("zhongkong.integrations.django")
    with override_settings(ZHONGKONG={"url": HUB}):
        assert ours.source.credential.__self__.__class__.__name__ == "SyncFace"
        assert ours.async_source.credential.__self__.__class__.__name__ == "AsyncFace"


def test_djangos_error_pages_show_no_secret(check: Any) -> None:
    """With DEBUG on they list the settings; it is Django that masks, by the names that the docstring gives."""
    assert check
    accounts = {"wx1": {"secret": "0123456789abcdef"}}
    with override_settings(ZHONGKONG={"url": "sqlite:///wx.db", "key": KEY, "accounts": accounts}):
        shown = repr(SafeExceptionReporterFilter().get_safe_settings()["ZHONGKONG"])
    assert "sqlite:///wx.db" in shown
    assert "0123456789abcdef" not in shown
    assert KEY not in shown
