"""The hub's log: a line for each request and each event, as text or as JSON. No query strings, no secrets."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock, KeptEvent
from zhongkong.hub.door import CALLER, Caller
from zhongkong.hub.telemetry import Telemetry
from zhongkong.messages import Language
from zhongkong.wechat.advice import explain_event
from zhongkong.wechat.answers import clean_errmsg

access = logging.getLogger("zhongkong.access")
events = logging.getLogger("zhongkong.events")

FIELDS = "zhongkong_fields"
"""Where a log record keeps what a JSON line has as members of its own."""
WARNED = frozenset({"mint_failed", "condemned", "foreign_mint", "foreign_token", "contested", "store_clock_stepped"})


def describe_bug(error: BaseException) -> str:
    """Return what broke and where, and of what it says nothing that looks like a secret."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{type(error).__name__}: {clean_errmsg(str(error))}\n{frames}"


class _Careful(logging.Formatter):
    """Has every traceback told by `describe_bug`: a library's exception may hold a URL, and that a secret."""

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 (logging's own)
        """Return the traceback."""
        return describe_bug(ei[1])


class JsonLines(_Careful):
    """One JSON object a line: `at` (UTC), `level`, `logger`, `text`, and what the record has besides."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "at": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


class TextLines(_Careful):
    """Time (UTC), level and text; what has more lines is set in, so that nobody can forge one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the lines of a traceback below it."""
        head, *rest = record.getMessage().split("\n")
        lines = [
            f"{_utc(record.created)} {record.levelname.lower():<7} {head}",
            *(f"    {line}" for line in rest if line),
        ]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)


def configure_logging(style: str, stream: TextIO | None = None) -> None:
    """Have everything logged to `stream` (stderr), as `text` or `json`; libraries may only warn."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("zhongkong").setLevel(logging.INFO)


def log_event(kept: KeptEvent, lang: Language) -> None:
    """Log an event of the audit log in words."""
    event = kept.event
    try:
        text = explain_event(event.code, lang, event.appid, event.values)
    except LookupError:
        text = event.code  # a newer version's event
    fields = {"event": event.code, "appid": event.appid, "values": event.values}
    level = logging.WARNING if event.code in WARNED else logging.INFO
    events.log(level, "%s", _one_line(text), extra={FIELDS: fields})


class AccessLog:
    """An ASGI application that logs and counts the requests of the one behind it."""

    def __init__(self, app: ASGIApp, clock: Clock, telemetry: Telemetry) -> None:
        self.app = app
        self._clock = clock
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, then tell of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self._clock.boot()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self._telemetry.served(status)
            self._log(scope, status, self._clock.boot() - began)

    def _log(self, scope: Scope, status: int, took: Seconds) -> None:
        if not access.isEnabledFor(logging.INFO):
            return
        caller: Caller | None = scope.get(CALLER)
        client = scope.get("client")
        fields = {
            "method": scope["method"],
            "path": quote(scope["path"], safe="/:@-_.~"),
            "status": status,
            "ms": round(took * 1000, 1),
            "key": caller.key.id if caller else "-",
            "address": (caller.address if caller else client[0] if client else "") or "-",
        }
        access.info("%(method)s %(path)s %(status)d %(ms)sms %(key)s %(address)s", fields, extra={FIELDS: fields})


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return " ".join(text.split())
