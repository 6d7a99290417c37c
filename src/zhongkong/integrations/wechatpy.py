"""wechatpy: a client whose access_token comes from a source, and a session storage that reads it there.

client = SourceClient(zhongkong.connect("https://hub.internal:8600"), "wx0123456789abcdef")
client.user.get_followers()
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from zhongkong.client.auth import WeChatAuth
from zhongkong.client.explaining import explained
from zhongkong.client.source import Source
from zhongkong.errors import RequestRefused
from zhongkong.integrations import needing

with needing("wechatpy"):
    from wechatpy import WeChatClient  # type: ignore[import-untyped]
    from wechatpy.session.memorystorage import MemoryStorage  # type: ignore[import-untyped]

TOKEN = "_access_token"
"""What wechatpy puts behind the appid to name the token in its session."""


class SourceClient(WeChatClient):  # type: ignore[misc]
    """A `WeChatClient` that fetches no token of its own: it knows the source's only.

    A call that is refused for its token (40001, 40014, 42001) is reported and made once more; wechatpy's own way,
    which fetches and repeats without end, is off. Errors are wechatpy's, and where there is no token the source's.
    """

    def __init__(
        self,
        source: Source,
        appid: str,
        *,
        secret: str = "",
        session: object = None,
        timeout: float | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        """Take the source. `secret` is for logins and card signatures alone; `hosts` get the token besides WeChat's."""
        super().__init__(appid, secret, session=session, timeout=timeout, auto_retry=False)
        self._source = source
        self._http.auth = WeChatAuth(source, appid, hosts=hosts)

    @property
    def access_token(self) -> str:
        """The account's token; without any I/O while it is fresh."""
        return self._source.access_token(self.appid)

    def fetch_access_token(self) -> dict[str, Any]:
        """Return the token in the platform's form; the source has fetched it when it was time to."""
        held = self._source.credential(self.appid)
        return {"access_token": held.value, "expires_in": held.expires_in}


class SourceStorage(MemoryStorage):  # type: ignore[misc]
    """A session where a client of wechatpy's own finds the source's token. To the client belongs `auto_retry=False`.

    A refused token is the caller's to report. What else wechatpy keeps in a session is kept in memory.
    """

    def __init__(self, source: Source) -> None:
        """Take the source."""
        super().__init__()
        self._source = source

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 (whatever was kept)
        """Return the account's token for `<appid>_access_token`, and otherwise what was kept."""
        if key.endswith(TOKEN):
            return self._source.access_token(key.removesuffix(TOKEN))
        return super().get(key, default)

    def set(self, key: str, value: object, ttl: int | None = None) -> None:
        """Keep anything but a token. Raises: RequestRefused: wechatpy would fetch them one after the other."""
        if key.endswith(TOKEN):
            raise explained(RequestRefused("integration_fetches_itself"))
        super().set(key, value, ttl)
