"""What is open to everybody: the page at /, the description of the interface, and refusals of what is not there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from tests.scenario.hub.house import APPID, SECRET, House
from zhongkong.hub.api.openapi import build_openapi
from zhongkong.hub.api.replies import STATUS_OF_CODE
from zhongkong.messages import LANGUAGES, codes, render

UNDESCRIBED = {"/", "/docs", "/docs/openapi.json", "/jsapi", "/jsapi.js"}


def routes(house: House) -> list[Route]:
    """Return every route of the application."""
    app = house.app.app.app
    assert isinstance(app, Starlette)
    return [one for one in app.routes if isinstance(one, Route)]


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh-CN,zh;q=0.9", "中控正在运行"), ("en-US,en", "The hub is running"), ("", "中控正在运行")],
)
def test_the_page_says_that_it_runs_and_what_to_do_next(house: House, language: str, words: str) -> None:
    """Somebody opened the address in a browser to see whether it works."""
    answer = house.call("GET", "/", headers={"Accept-Language": language})
    assert answer.status_code == 200
    assert words in answer.text
    assert "zhongkong account add" in answer.text
    assert "http://hub.test/v1/accounts/" in answer.text


def test_the_language_can_be_chosen(house: House) -> None:
    """The browser's own may be another than the reader's."""
    assert "The hub is running" in house.call("GET", "/?lang=en", headers={"Accept-Language": "zh"}).text


def test_a_query_in_no_encoding_is_no_bug(house: House) -> None:
    """Scanners send such, and HTTP clients do not."""
    sent: list[Any] = []
    headers = [(b"host", b"hub.test")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"x=\xff", "headers": headers}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    house.clock.run(house.app(scope, receive, send))
    assert sent[0]["status"] == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/?lang=en", "/docs?lang=en"])
def test_pages_show_nothing_secret_and_load_nothing(house: House, admin: str, path: str) -> None:
    """They are open to everybody, and the network may be cut."""
    house.add_account()
    answer = house.call("GET", path)
    assert not {one for one in (APPID, SECRET, admin, house.token()) if one in answer.text}
    assert not re.findall(r"(?:src|href|url\()=?[\"'(]*(?:https?:)?//", answer.text)
    assert "<script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_forged_host_does_no_harm(house: House) -> None:
    """What is repeated on the page is escaped."""
    answer = house.call("GET", "/", headers={"Host": 'x"><script>alert(1)</script>'})
    assert "<script" not in answer.text


def test_the_description_and_the_routes_are_the_same(house: House) -> None:
    """An undocumented route is a failing test, and so is a described one that is not there."""
    served = {
        (one.path, method.lower())
        for one in routes(house)
        for method in (one.methods or set()) - {"HEAD"}
        if one.path not in UNDESCRIBED
    }
    described = {(path, method) for path, methods in build_openapi()["paths"].items() for method in methods}
    assert served == described


def test_the_description_is_served_for_programs(house: House) -> None:
    """OpenAPI, whole."""
    body = house.call("GET", "/docs/openapi.json").json()
    assert body["openapi"] == "3.1.0"
    assert body == build_openapi()


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []


def test_every_reference_in_the_description_leads_somewhere() -> None:
    """Generators of clients fail on a dangling one."""
    openapi = build_openapi()
    known = {f"#/components/schemas/{name}" for name in openapi["components"]["schemas"]}
    assert set(_references(openapi)) == known


def test_every_parameter_in_a_path_is_described() -> None:
    """OpenAPI demands it."""
    for path, methods in build_openapi()["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_code_of_a_problem_has_its_text_and_its_title() -> None:
    """A problem that cannot be told would be found on the worst day."""
    for code, status in STATUS_OF_CODE.items():
        assert code in codes()
        for lang in LANGUAGES:
            assert render(f"title_{status.value}", lang)


def test_the_documentation_names_every_code(house: House) -> None:
    """`type` of a problem leads there."""
    page = house.call("GET", "/docs").text
    assert not [code for code in STATUS_OF_CODE if f'id="{code}"' not in page]


@pytest.mark.parametrize(
    "path", ["/v2", "/v1", "/v1/accounts/", "/v1/accounts/a/b/c", "/favicon.ico", "/cgi-bin/token"]
)
def test_what_is_not_there_is_a_problem_too(house: House, path: str) -> None:
    """One shape for every refusal."""
    answer = house.call("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_method_is_a_problem_too(house: House) -> None:
    """With the methods that there are."""
    answer = house.call("PUT", "/v1/accounts")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) <= {"GET", "HEAD", "POST"}


def test_a_bug_of_ours_is_a_problem_that_tells_nothing(
    house: House, admin: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer says whose fault it is; the log where it happened, without what looks like a secret."""

    async def broken() -> None:
        message = f"unexpected {SECRET}"
        raise RuntimeError(message)

    monkeypatch.setattr(house.store, "accounts", broken)
    answer = house.call("GET", "/v1/accounts", admin)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert SECRET not in answer.text + caplog.text
    assert "RuntimeError: unexpected ***" in caplog.text
    assert "accounts.py" in caplog.text
