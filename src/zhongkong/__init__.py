"""zhongkong (中控): the central control server for WeChat access tokens.

source = zhongkong.connect("https://hub.internal:8600")     # or "sqlite:///wx.db", accounts={"wx1…": "secret"}
source.access_token("wx1…")
httpx.Client(auth=zhongkong.WeChatAuth(source, "wx1…"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from zhongkong.version import __version__

if TYPE_CHECKING:
    from zhongkong.client.auth import WeChatAuth
    from zhongkong.client.source import AsyncSource, Credential, Rejected, Source
    from zhongkong.client.thread import SourceClosed
    from zhongkong.connecting import connect, connect_async
    from zhongkong.errors import (
        AccessDenied,
        AccountRejected,
        AccountUnknown,
        CredentialUnavailable,
        PlatformError,
        RequestRefused,
        SettingInvalid,
        StoreError,
        ZhongkongError,
    )

__all__ = [
    "AccessDenied",
    "AccountRejected",
    "AccountUnknown",
    "AsyncSource",
    "Credential",
    "CredentialUnavailable",
    "PlatformError",
    "Rejected",
    "RequestRefused",
    "SettingInvalid",
    "Source",
    "SourceClosed",
    "StoreError",
    "WeChatAuth",
    "ZhongkongError",
    "__version__",
    "connect",
    "connect_async",
]

_PLACES = {
    "WeChatAuth": "zhongkong.client.auth",
    "AsyncSource": "zhongkong.client.source",
    "Credential": "zhongkong.client.source",
    "Rejected": "zhongkong.client.source",
    "Source": "zhongkong.client.source",
    "SourceClosed": "zhongkong.client.thread",
    "connect": "zhongkong.connecting",
    "connect_async": "zhongkong.connecting",
}
"""Where a name is that is no error. Each is imported when it is met: a program pays for what it uses."""


if not TYPE_CHECKING:  # a checker that saw it would take every name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(import_module(_PLACES.get(name, "zhongkong.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
