"""No secret, key or token is in a log, an event, a measure, a page or another's answer, in whatever guise."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.scenario.hub.house import APPID, SECRET, House
from zhongkong.core.grants import Grant
from zhongkong.hub.logs import configure_logging

PATH = f"/v1/accounts/{APPID}/access_token"
ODD_SECRET = "a+b/c=d%e&f-0123456789-abcdefgh"


def guises(text: str) -> set[str]:
    """Return what `text` may look like where it was encoded on the way."""
    raw = text.encode()
    encoded = {base64.b64encode(raw[start:]).decode().rstrip("=")[2:-2] for start in range(3)}
    safe = {base64.urlsafe_b64encode(raw[start:]).decode().rstrip("=")[2:-2] for start in range(3)}
    return {text, quote(text, safe=""), raw.hex(), raw.hex().upper(), *encoded, *safe}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as the hub logs it; pytest's own handlers come back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("json", stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def test_nothing_that_is_secret_is_told(house: House, admin: str, reader: str, log: io.StringIO) -> None:
    """A day in the life of a hub, with every mistake that people make; then everything it said is searched."""
    house.world.add_account(APPID, ODD_SECRET)
    new = {"appid": APPID, "secret": ODD_SECRET, "base_url": "http://sandbox.test"}
    wrong = {**new, "appid": "wxwrong"}
    answers = [house.call("POST", "/v1/accounts", admin, json=one) for one in (new, wrong, new, {**new, "mode": "x"})]
    tokens = [house.token()]
    answers += [
        house.call("PATCH", f"/v1/accounts/{APPID}", admin, json={"secret": SECRET}),
        house.call("PATCH", f"/v1/accounts/{APPID}", admin, content=json.dumps({"secret": SECRET}).encode()[:-1]),
        house.call("GET", f"{PATH}?key={reader}&secret={SECRET}&access_token={tokens[0]}"),
        house.call("GET", f"/v1/accounts/{APPID}?token={tokens[0]}", admin),
        house.call("GET", "/v1/whoami", headers={"Authorization": f"Basic {admin}"}),
        house.call("GET", "/v1/whoami", headers={"Authorization": f"Bearer {admin}x"}),
    ]
    house.call("POST", f"{PATH}/reject", reader, json={"rejected": "foreign-" + "t" * 130})
    house.world.revoke_all(APPID, house.clock.wall())
    house.call("POST", f"{PATH}/reject", reader, json={"rejected": tokens[0]})
    tokens.append(house.token())
    made = house.call("POST", "/v1/keys", admin, json={"name": "x", "appids": ["*"]}).json()["key"]
    twin = house.call("POST", f"/v1/keys/{made[3:11]}/rotate", admin).json()["key"]
    stream = house.follow("/v1/events?after=0", admin)
    house.clock.turn(40.0)
    answers += [
        house.call("GET", path, house.add_key(Grant.READ, Grant.ADMIN))
        for path in (
            "/v1/accounts",
            "/v1/keys",
            "/v1/events?after=0",
            "/metrics",
            "/readyz",
            "/",
            "/docs",
            "/v1/whoami",
        )
    ]
    told = log.getvalue() + stream.received.decode() + "".join(one.text + str(one.headers) for one in answers)
    stream.leave()
    assert "condemned" in told
    assert "/v1/accounts" in log.getvalue()
    for secret in (SECRET, ODD_SECRET, admin, reader, made, twin, *tokens, "foreign-" + "t" * 130):
        found = [guise for guise in guises(secret) if guise in told]
        assert not found, f"{secret} is told as {found}"


def test_the_search_finds_what_is_there() -> None:
    """A search that finds nothing anywhere proves nothing."""
    text = f"x{base64.b64encode(b'ab' + SECRET.encode() + b'cd').decode()}x"
    assert any(guise in text for guise in guises(SECRET))


def test_the_access_log_says_who_asked_for_what(house: House, reader: str, log: io.StringIO) -> None:
    """Without the query, where people put keys by mistake."""
    house.add_account()
    house.call("GET", f"{PATH}?wait=0&secret={SECRET}", reader)
    house.clock.turn(0.01)
    line = json.loads(log.getvalue().splitlines()[-1])
    assert line["logger"] == "zhongkong.access"
    assert (line["method"], line["path"], line["status"]) == ("GET", PATH, 200)
    assert (line["key"], line["address"]) == (reader[3:11], "203.0.113.5")
    assert line["at"].endswith("Z")


def test_a_path_cannot_forge_a_line(house: House, log: io.StringIO) -> None:
    """A line break in an address stays an address."""
    configure_logging("text", log)
    house.call("GET", "/v1/x%0a2026-01-01T00:00:00.000Z info    GET /v1/accounts 200")
    house.clock.turn(0.01)
    assert len(log.getvalue().splitlines()) == 1
    assert "%0A" in log.getvalue()
