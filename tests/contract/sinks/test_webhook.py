"""A webhook as a sink: what is posted and how it is signed, and that nothing is sent twice or taken elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.contract.platform.wire import (
    Script,
    Wire,
    answer,
    closes_at_once,
    refusing_port,
    says_nothing,
    sends,
    sends_then_resets,
    sends_then_stalls,
)
from tests.contract.sinks.entries import ACCOUNT, APPID, NOW, aim, entry, value_of
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.sinks.webhook import SIGNATURE, TIMESTAMP, WebhookSink, sign
from zhongkong.core.model import Kind, Secret
from zhongkong.core.sinks import Placed, Placing, SinkKind
from zhongkong.errors import SinkError, SinkRefused, SinkUnavailable
from zhongkong.messages import LANGUAGES
from zhongkong.wechat.advice import explain_error

SECRET = Secret("a key for signing")


def post(script: Script, **changed: Any) -> tuple[Placed | SinkError, list[bytes]]:
    """Post once to a receiver that plays `script`; return what came of it, and the requests that arrived."""

    async def posting() -> tuple[Placed | SinkError, list[bytes]]:
        async with Wire(script) as wire:
            told = await _write(f"{wire.url}/hooks/wx?shop=1", **changed)
        return told, wire.requests

    return asyncio.run(posting())


async def _write(url: str, **changed: Any) -> Placed | SinkError:
    sink = WebhookSink(aim(kind=SinkKind.WEBHOOK, url=url), SECRET, MachineClock(), deadline=0.5)
    try:
        return await sink.write(entry(3, **changed))
    except SinkError as error:
        for lang in LANGUAGES:
            told = explain_error(error, lang) + str(error)
            assert value_of(3) not in told
            assert SECRET.reveal() not in told
            assert "/hooks/" not in told
        return error
    finally:
        await sink.close()


def _read(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def test_what_is_posted_names_everything_and_is_signed() -> None:
    """Timestamp and body are under one signature, so neither can be exchanged; the secret is not in it."""
    told, [request] = post(sends(answer(b"", b"204 No Content")))
    first, headers, body = _read(request)
    assert told == Placed(Placing.WRITTEN)
    assert first == "POST /hooks/wx?shop=1 HTTP/1.1"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "appid": APPID,
        "kind": "access_token",
        "value": value_of(3),
        "expires_in": 7000,
        "expires_at": NOW + 7000,
        "generation": 3,
    }
    timestamp = int(headers[TIMESTAMP])
    assert abs(timestamp - MachineClock().wall()) < 60
    assert headers[SIGNATURE] == sign(SECRET, timestamp, body)[SIGNATURE]
    assert SECRET.reveal().encode() not in request


def test_the_signature_is_that_of_the_published_construction() -> None:
    """Computed with openssl: printf '1800000000.{}' | openssl dgst -sha256 -hmac key."""
    assert sign(Secret("key"), 1_800_000_000, b"{}") == {
        TIMESTAMP: "1800000000",
        SIGNATURE: "sha256=7321475872b03ff21bdc2dfd86ea2d99ec29c479fbe4a77aa6acf4509505493f",
    }


def test_a_doubtful_credential_is_marked() -> None:
    """The receiver may then want to hear its own calls' answers twice."""
    _, [request] = post(sends(answer(b"", b"200 OK")), doubtful=True, expires_in=120)
    assert json.loads(_read(request)[2])["doubtful"] is True


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
def test_a_redirect_is_not_followed(status: bytes) -> None:
    """A token goes where the settings say, and nowhere else."""
    told, requests = post(sends(answer(b"", status, b"Location: /elsewhere")))
    assert isinstance(told, SinkRefused)
    assert told.code == "sink_webhook_redirects"
    assert len(requests) == 1


@pytest.mark.parametrize("status", [b"400 Bad", b"401 No", b"404 Not Found", b"500 Oops", b"503 Busy"])
def test_what_is_not_2xx_is_refused_and_sent_once(status: bytes) -> None:
    """It is tried again by the runner, with patience; not here."""
    told, requests = post(sends(answer(b"secret words of theirs", status)))
    assert isinstance(told, SinkRefused)
    assert (told.code, told.values["status"]) == ("sink_webhook_refused", int(status[:3]))
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (closes_at_once, "cut"),
        (sends(b""), "cut"),
        (sends_then_resets(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "cut"),
        (says_nothing, "timeout"),
        (sends_then_stalls(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "timeout"),
        (sends(b"no HTTP at all\r\n\r\n"), "not_http"),
    ],
    ids=["closed", "cut", "reset", "silent", "slow", "something else"],
)
def test_a_receiver_that_does_not_answer_properly_is_away_and_asked_once(script: Script, why: str) -> None:
    """Whether it took effect is not known; the next post says the same again."""
    told, requests = post(script)
    assert isinstance(told, SinkUnavailable)
    assert (told.code, told.values["why"]) == ("sink_away", why)
    assert len(requests) <= 1


def test_nobody_there_is_told_with_the_place_and_without_the_path() -> None:
    """Some put a token of their own into the path."""
    with refusing_port() as port:
        told = asyncio.run(_write(f"http://127.0.0.1:{port}/hooks/s3cret"))
    assert isinstance(told, SinkUnavailable)
    assert told.values == {"place": f"http://127.0.0.1:{port}", "why": "connect_failed"}


def test_nothing_is_taken_back_from_a_webhook() -> None:
    """What was posted runs out by itself."""
    sink = WebhookSink(aim(kind=SinkKind.WEBHOOK, url="http://127.0.0.1:1"), SECRET, MachineClock())
    assert asyncio.run(sink.remove(ACCOUNT, Kind.ACCESS_TOKEN, 3)) is False
