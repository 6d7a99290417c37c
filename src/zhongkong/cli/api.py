"""The hub's interface as the commands use it: at the store here, or at a hub over HTTP. They cannot tell which."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Any, Protocol
from urllib.parse import unquote

import aiohttp
from starlette.types import ASGIApp, Message

from zhongkong.adapters.connections import speaks_no_tls
from zhongkong.adapters.courier import HttpCourier
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.grants import Grant, Key, hash_key
from zhongkong.core.model import Seconds, Secret
from zhongkong.hub.app import Parts, build_app
from zhongkong.hub.keys import Keyring
from zhongkong.hub.tail import Tail
from zhongkong.messages import Language, render
from zhongkong.serving import Seats, seat
from zhongkong.settings import Settings

PATIENCE: Seconds = 90.0
"""Longer than a hub takes to try a secret at the platform and to wait for the first token."""
BY = "terminal"
"""The id of the key that the command line has at its own store: events say that they were caused by it."""

Document = dict[str, Any]


class ApiRefused(Exception):
    """The answer was a problem. `problem` has `code`, `detail` (for people, in their language) and `status`."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        """Hold the problem."""
        super().__init__(problem.get("code"))
        self.problem = problem


class Api(Protocol):
    """The routes of /v1."""

    @property
    def url(self) -> str:
        """Where a business server finds the hub."""

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Document:
        """Return the answer's JSON, an empty object where there is none.

        Raises: ApiRefused.
        """


# --- the store here


class ApiHere:
    """The hub's application, called in this process on the store that the settings name."""

    def __init__(self, app: ASGIApp, key: Secret, url: str, lang: Language) -> None:
        self._app = app
        self._headers = [
            (b"authorization", f"Bearer {key.reveal()}".encode()),
            (b"accept-language", lang.encode()),
            (b"content-type", b"application/json"),
        ]
        self.url = url

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Document:
        """Return the answer's JSON. Raises: ApiRefused."""
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(route),
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": self._headers,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        content = b"" if body is None else json.dumps(body).encode()
        status, answered = 0, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answered.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        return _read(status, bytes(answered))


@asynccontextmanager
async def open_here(settings: Settings, lang: Language) -> AsyncIterator[tuple[ApiHere, Seats]]:
    """Open the store of the settings; what is under way at the end is saved first.

    Raises: SettingInvalid. StoreError.
    """
    async with seat(settings) as seats:
        now = seats.keeper.known.now
        text = Secret(f"zk_{BY}_{token_urlsafe(32)}")
        grants = frozenset({Grant.ADMIN, Grant.FORCE})
        kept = MemoryStore(now)
        await kept.put_key(Key(BY, hash_key(text.reveal()), BY, grants, frozenset(), now()))
        keyring = Keyring(kept, seats.clock, now)
        await keyring.refresh()
        parts = Parts(
            clock=seats.clock,
            store=seats.store,
            keeper=seats.keeper,
            keyring=keyring,
            admin=seats.admin,
            tail=Tail(seats.store),
            telemetry=seats.telemetry,
            draining=asyncio.Event(),
            courier=HttpCourier(seats.clock),
            public_url=settings.public_url,
        )
        yield ApiHere(build_app(parts), text, url_of(settings.host, settings.port), lang), seats


def url_of(host: str, port: int) -> str:
    """Return where this machine finds a hub that listens so."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (it listens everywhere, so also here)
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# --- a hub over HTTP


class ApiThere:
    """A hub at `url`, asked with a key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, lang: Language) -> None:
        self._session = session
        self._lang = lang
        self.url = url

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Document:
        """Return the answer's JSON. Raises: ApiRefused."""
        try:
            async with self._session.request(method, self.url + path, json=body, allow_redirects=False) as answer:
                return _read(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._refused(_code_of(error), why=_why(error)) from error
        except ValueError as error:
            raise self._refused("hub_not_understood") from error

    def _refused(self, code: str, **values: str) -> ApiRefused:
        detail = render(code, self._lang, url=self.url, **values)
        return ApiRefused({"code": code, "status": 503, "detail": detail})


def _code_of(error: BaseException) -> str:
    """Return the code of the text for a hub that was not reached."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "hub_name_unknown"
    if isinstance(error, aiohttp.ClientSSLError):
        return "hub_speaks_no_tls" if speaks_no_tls(_cause(error)) else "hub_no_tls"
    return "hub_unreachable"


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def _why(error: BaseException) -> str:
    """Return why a hub was not reached; the HTTP client's own words may hold more than one wants to show."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return cause.reason or type(cause).__name__
    number = cause.errno if isinstance(cause, OSError) else None
    return os.strerror(number) if number else type(cause).__name__


@asynccontextmanager
async def open_there(url: str, key: Secret, lang: Language) -> AsyncIterator[ApiThere]:
    """Reach for a hub; nothing is sent yet."""
    headers = {"Authorization": f"Bearer {key.reveal()}", "Accept-Language": lang}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(PATIENCE)) as session:
        yield ApiThere(session, url, lang)


def _read(status: int, content: bytes) -> Document:
    """Return the JSON object of an answer.

    Raises: ApiRefused. ValueError: it is none of a hub's answers.
    """
    answered = json.loads(content) if content else {}
    if not isinstance(answered, dict) or ("errcode" in answered and status < HTTPStatus.BAD_REQUEST):
        raise ValueError(status)  # no object, or what the platform answers to every path
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        if "code" not in answered or "detail" not in answered:
            raise ValueError(status)
        raise ApiRefused({**answered, "status": status})
    return answered
