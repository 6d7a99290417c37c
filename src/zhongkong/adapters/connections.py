"""One connection that carries one request: what the four outcomes of a call are told apart by."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from yarl import URL

from zhongkong.core.callbacks import REFUSED_STEP
from zhongkong.core.model import Ambiguous, NotSent, Seconds
from zhongkong.core.ports import Clock
from zhongkong.wechat.answers import BODY_LONGEST

_NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""aiohttp rounds spans over 5 s up to a whole second of the loop's clock; ours are kept to the point, by asyncio."""
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "zhongkong"}


@dataclass(frozen=True, slots=True)
class Message:
    """What to send. The URL is whole, with its query of secrets percent-encoded, so `repr` shows only the method."""

    method: str
    url: str = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end, or to just beyond the longest that anybody will look at."""

    status: int
    date: str
    """The `Date` header as it came, or empty."""
    body: bytes = field(repr=False)
    retry_after: str = ""
    """The `Retry-After` header as it came, or empty."""
    refused_step: str = ""
    """What another hub says in `REFUSED_STEP`, or empty."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to get out of the house. The proxy's URL may hold a password; TLS is verified by the machine's own CAs."""

    proxy: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    resolver: AbstractResolver | None = None
    """What looks names up; None leaves it to who uses the way."""


DIRECT = Way()


async def ask(
    message: Message, way: Way, clock: Clock, until: Seconds, connect_share: float
) -> Answer | NotSent | Ambiguous:
    """Send the message at most once, over a connection of its own; return the answer, or what is certain without one.

    `until` (on the boot-time clock) bounds everything, and a request that could not leave before it does not leave;
    name, connection and TLS may use `connect_share` of the time to it. Redirects are not followed, cookies not kept,
    the environment not asked for a proxy. Whatever happens, the connection is gone on return, also when cancelled.
    Exceptions of the HTTP client hold URLs, and URLs hold secrets: none leaves here, only codes do.
    """
    left = until - clock.boot()
    line = _Line(way, clock, until, left * connect_share)
    try:
        async with (
            asyncio.timeout(left),
            aiohttp.ClientSession(
                connector=line,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_TIMEOUTS,
                headers=_HEADERS,
                trust_env=False,
            ) as session,
        ):
            return await _converse(session, message, way)
    except Exception as error:  # noqa: BLE001 (whatever it was, the line knows what is true of the request)
        return Ambiguous(find_why(error, WHY_AMBIGUOUS)) if line.stood else NotSent(find_why(error, WHY_NOT_SENT))
    finally:
        line.drop()


async def _converse(session: aiohttp.ClientSession, message: Message, way: Way) -> Answer:
    content_type = {"Content-Type": "application/json"} if message.body else {}
    async with session.request(
        message.method,
        URL(message.url, encoded=True),
        data=message.body or None,
        headers={**content_type, **message.headers},
        allow_redirects=False,
        proxy=way.proxy or None,
    ) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > BODY_LONGEST:
                break
        date, retry_after, step = (response.headers.get(name, "") for name in ("Date", "Retry-After", REFUSED_STEP))
        return Answer(response.status, date, bytes(body), retry_after, step)


class _Line(aiohttp.TCPConnector):
    """Lets one connection be made, and remembers that it stood: from then on a byte may have left."""

    def __init__(self, way: Way, clock: Clock, until: Seconds, share: Seconds) -> None:
        super().__init__(ssl=way.tls or True, resolver=way.resolver, use_dns_cache=False, force_close=True, limit=1)
        self._clock = clock
        self._until = until
        self._share = share
        self._transport: asyncio.Transport | None = None
        self.stood = False

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """Return the connection, the first time. aiohttp sends a GET again whose connection broke: that ends here."""
        if self.stood:
            raise _SentAlready
        async with asyncio.timeout(self._share):
            connection = await super().connect(*args, **kwargs)
        if self._clock.boot() >= self._until:
            connection.close()
            raise TimeoutError
        self.stood = True
        self._transport = connection.transport
        return connection

    def drop(self) -> None:
        """Cut the connection. Closing one that has TLS politely would wait half a minute for the other side."""
        if self._transport is not None:
            self._transport.abort()


class _SentAlready(aiohttp.ClientError):
    """The connection broke after a byte of the request may have left."""


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
"""What OpenSSL makes of the first bytes of something else, by its version and theirs."""
WHY_NOT_SENT: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "name_unknown"),
    (aiohttp.ClientProxyConnectionError, "proxy_failed"),
    (aiohttp.ClientResponseError, "proxy_failed"),
    (aiohttp.ClientConnectorCertificateError, "certificate_invalid"),
    (aiohttp.ClientSSLError, "tls_failed"),
    (TimeoutError, "connect_timeout"),
    (OSError, "connect_failed"),
    (aiohttp.ClientConnectionError, "connect_failed"),
    (ValueError, "url_invalid"),
    (aiohttp.NonHttpUrlClientError, "url_invalid"),
)
WHY_AMBIGUOUS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (_SentAlready, "cut"),
    (aiohttp.ClientPayloadError, "cut"),
    (aiohttp.ClientConnectionError, "cut"),
    (OSError, "cut"),
    (aiohttp.ClientResponseError, "not_http"),
)


def speaks_no_tls(error: BaseException) -> bool:
    """Say whether what answered a TLS handshake was no TLS at all: plain HTTP mostly, of the server or of a proxy."""
    return isinstance(error, ssl.SSLError) and error.reason in _NO_TLS


def find_why(error: Exception, known: tuple[tuple[type[Exception], str], ...]) -> str:
    """Return the code of what happened; an error that nobody foresaw gives its type's name, and no more."""
    if isinstance(error, aiohttp.ClientConnectorSSLError) and speaks_no_tls(error.os_error):
        return "not_tls"
    return next((why for kind, why in known if isinstance(error, kind)), f"unexpected_{type(error).__name__}")
