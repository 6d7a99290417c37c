"""The hub's log: a line for each request and each event, as text or as JSON. No query strings, no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhongkong.core.model import Instant, Seconds
from zhongkong.core.ports import Clock, KeptEvent
from zhongkong.hub.door import CALLER, Caller
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.upkeep import describe_bug
from zhongkong.messages import Language
from zhongkong.wechat.advice import explain_event

access = logging.getLogger("zhongkong.access")
events = logging.getLogger("zhongkong.events")

FIELDS = "zhongkong_fields"
"""Where a log record keeps what a JSON line has as members of its own."""
WARNED = frozenset(
    {
        *("mint_failed", "condemned", "foreign_mint", "foreign_token", "contested"),
        *("store_clock_stepped", "store_moved"),
        *("sink_failing", "sink_foreign_writer"),
        *("gateway_unhealed", "gateway_unreachable", "gateway_quota_spent"),
        *("push_refused", "push_undelivered", "push_answer_unfit"),
    }
)


class Served(logging.LogRecord):
    """A record that a request was served. What nobody's line is made of is that of no record in particular.

    To make a complete one takes longer than to serve a read.
    """

    _BLANK = vars(logging.LogRecord(access.name, logging.INFO, "", 0, "", (), None))

    def __init__(self, created: Instant, scope: Scope, status: int, took: Seconds) -> None:
        self.__dict__.update(self._BLANK, created=created)
        self._scope = scope
        self._status = status
        self._took = took

    def getMessage(self) -> str:  # noqa: N802 (logging's own)
        """Return who asked for what, without the query, and how it was answered."""
        return "{method} {path} {status} {ms}ms {key} {address}".format_map(self.zhongkong_fields)

    @property
    def zhongkong_fields(self) -> dict[str, str | int | float]:
        """Return what a JSON line has as members of its own."""
        caller: Caller | None = self._scope.get(CALLER)
        client = self._scope.get("client")
        return {
            "method": self._scope["method"],
            "path": quote(self._scope["path"], safe="/:@-_.~"),
            "status": self._status,
            "ms": round(self._took * 1000, 1),
            "key": caller.key.id if caller else "-",
            "address": (caller.address if caller else client[0] if client else "") or "-",
        }


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
        line = f"{_utc(record.created)} {record.levelname.lower():<7} {record.getMessage()}"
        if "\n" in line:
            line = "\n    ".join(part for part in line.split("\n") if part)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; those of requests that are served in one turn of the event loop in one piece."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._held: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, after what is held; or, told of a request, hold it until the turn is over."""
        try:
            self._held.append(self.format(record) + self.terminator)
            if record.name != access.name:
                self.flush()
            elif len(self._held) == 1:
                asyncio.get_running_loop().call_soon(self.flush)
        except Exception:  # noqa: BLE001 (as logging has it: a log that fails fails nobody)
            self.handleError(record)

    def flush(self) -> None:
        """Write what is held. What cannot be written is lost."""
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            held, self._held = self._held, []
            self.stream.write("".join(held))
            self.stream.flush()


def configure_logging(style: str, stream: TextIO | None = None, *, requests: bool = True) -> None:
    """Log to `stream` (stderr), as `text` or `json`, the `requests` if so wanted; libraries may only warn."""
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("zhongkong").setLevel(logging.INFO)
    access.setLevel(logging.INFO if requests else logging.WARNING)


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
            self.tell(scope, status, began)

    def tell(self, scope: Scope, status: int, began: Seconds) -> None:
        """Count a request that was served, and log it; `began` is on our boot-time clock."""
        self._telemetry.served(status)
        if access.isEnabledFor(logging.INFO):
            access.handle(Served(self._clock.wall(), scope, status, self._clock.boot() - began))


def _utc(seconds: float) -> str:
    whole, rest = divmod(int(seconds * 1000), 1000)
    return f"{_utc_whole(whole)}.{rest:03d}Z"


@lru_cache(maxsize=1)
def _utc_whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _one_line(text: str) -> str:
    return " ".join(text.split())
