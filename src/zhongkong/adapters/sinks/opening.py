"""Makes the sink that the settings name. Libraries are imported when their kind is met."""

from __future__ import annotations

from zhongkong.adapters.sinks.file import FileSink
from zhongkong.adapters.sinks.webhook import WebhookSink
from zhongkong.core.model import Secret
from zhongkong.core.ports import Clock, Sink
from zhongkong.core.sinks import Aim, SinkKind
from zhongkong.errors import SettingInvalid


def open_sink(aim: Aim, secret: Secret | None, prefix: str, clock: Clock) -> Sink:
    """Return the sink. Nothing is connected to yet; `prefix` stands before every Redis key of ours.

    Raises: SettingInvalid: the package that it needs is not installed.
    """
    match aim.kind:
        case SinkKind.REDIS:
            try:
                from zhongkong.adapters.sinks.redis import RedisSink  # noqa: PLC0415 (only where one is set)
            except ModuleNotFoundError as error:
                raise SettingInvalid("sink_needs_redis", sink=aim.name) from error
            return RedisSink(aim, secret, prefix)
        case SinkKind.FILE:
            return FileSink(aim)
        case SinkKind.WEBHOOK:
            return WebhookSink(aim, secret or Secret(""), clock)
