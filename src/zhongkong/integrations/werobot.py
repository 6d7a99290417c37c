"""WeRoBot: a client whose access_token comes from a source, in place of `robot.client`.

client = SourceClient(zhongkong.connect("https://hub.internal:8600"), "wx0123456789abcdef")
client.send_text_message(user, "…")
"""

from __future__ import annotations

from typing import Any

from zhongkong.client.auth import WeChatAuth
from zhongkong.client.source import Source
from zhongkong.integrations import needing

with needing("WeRoBot"):
    import requests
    from werobot.client import Client  # type: ignore[import-untyped]

PLATFORM = "https://api.weixin.qq.com/cgi-bin"
TIMEOUT = 60.0
"""Seconds without a word from the platform; WeRoBot by itself waits for ever."""


class SourceClient(Client):  # type: ignore[misc]
    """A `Client` without a secret. A call that is refused for its token is reported and made once more.

    WeRoBot downloads media past its own `request`: that is done here. It uploads permanent videos past it as well:
    those bear the source's token, and are not repeated.
    """

    def __init__(self, source: Source, appid: str) -> None:
        """Take the source, and the account that is spoken for."""
        super().__init__({"APP_ID": appid})
        self._source = source
        self._auth = WeChatAuth(source, appid)

    def get_access_token(self) -> str:
        """Return the account's token; without any I/O while it is fresh."""
        return self._source.access_token(self.appid)

    def grant_token(self) -> dict[str, Any]:
        """Return the token in the platform's form; the source has fetched it when it was time to."""
        held = self._source.credential(self.appid)
        return {"access_token": held.value, "expires_in": held.expires_in}

    def request(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        """Return what the platform answers. Raises: werobot's ClientException; as `Source.access_token`."""
        answer: dict[str, Any] = super().request(method, url, **{"auth": self._auth, "timeout": TIMEOUT, **given})
        return answer

    def download_media(self, media_id: str) -> requests.Response:
        """Return the answer that is the medium."""
        params = {"media_id": media_id}
        return requests.get(f"{PLATFORM}/media/get", params, auth=self._auth, timeout=TIMEOUT)

    def download_permanent_media(self, media_id: str) -> requests.Response:
        """Return the answer that is the medium."""
        body = {"media_id": media_id}
        return requests.post(f"{PLATFORM}/material/get_material", json=body, auth=self._auth, timeout=TIMEOUT)
