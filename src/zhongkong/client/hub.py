"""Where a hub is, and the key that opens it: what a source needs to be told, checked before anything is sent."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from random import Random, SystemRandom
from urllib.parse import urlsplit

import httpx

from zhongkong.client.clock import find_boot_clock
from zhongkong.client.hub_engine import POLLS_AT_ONCE, HubEngine, Kept, SlotName
from zhongkong.client.wire import READS_AT_ONCE, Wire
from zhongkong.errors import SettingInvalid
from zhongkong.version import __version__

_KEY = re.compile(r"[\x21-\x7e]{1,512}")


class Hub:
    """Where a hub is, and what opens it: makes an engine for each process that needs one.

    What the engines learn they leave here, so a forked child goes on from what its parent knew. Proxies of the
    environment are not used: a hub is inside, where they are not. `transport` replaces how it is reached altogether.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        proxy: str | None = None,
        verify: ssl.SSLContext | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
        boot: Callable[[], float] | None = None,
        random: Random | None = None,
    ) -> None:
        """Take where and how. Without `key` it is ZHONGKONG_KEY's. Raises: SettingInvalid."""
        self.url = _read_url(url)
        self._key = _read_key(key or os.environ.get("ZHONGKONG_KEY", ""))
        self._proxy = _read_proxy(proxy)
        self._verify = _read_verify(verify)  # once, for children too: some 40 ms
        self._transport = transport
        self._boot = boot or find_boot_clock()
        self._random = random or SystemRandom()
        self._memory: dict[SlotName, Kept] = {}

    def __repr__(self) -> str:
        return f"<hub {self.url}>"

    def make_engine(self) -> HubEngine:
        """Return an engine of its own, which sends nothing yet."""
        client = httpx.AsyncClient(
            base_url=self.url,
            headers={
                "Authorization": f"Bearer {self._key}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"zhongkong/{__version__}",
            },
            transport=self._transport() if self._transport else None,
            proxy=self._proxy,
            verify=self._verify,
            limits=httpx.Limits(max_connections=POLLS_AT_ONCE + READS_AT_ONCE, keepalive_expiry=4.0),
            trust_env=False,
        )
        wire = Wire(self.url, client, self._boot, self._random)
        return HubEngine(wire, self._memory, self._boot)


def _read_url(url: str) -> str:
    """Return the URL without a slash at its end."""
    try:
        place = urlsplit(url)
        host, _ = httpx.URL(url).host, place.port
    except (ValueError, httpx.InvalidURL):
        raise SettingInvalid("hub_url_unusable") from None
    is_plain = not (place.username or place.password or place.query or place.fragment)
    if place.scheme not in ("http", "https") or not host or not is_plain:
        raise SettingInvalid("hub_url_unusable")  # and not repeated: it may hold a password
    return url.rstrip("/")


def _read_key(key: str) -> str:
    key = key.strip()
    if not key:
        raise SettingInvalid("hub_key_missing")
    if "…" in key or "..." in key:
        raise SettingInvalid("hub_key_placeholder")
    if not _KEY.fullmatch(key):
        raise SettingInvalid("hub_key_malformed")
    return key


def _read_proxy(proxy: str | None) -> str | None:
    """Return the proxy's URL, None for none. It is not repeated: it may hold a password."""
    if not proxy:
        return None
    try:
        place = httpx.URL(proxy)
    except (TypeError, httpx.InvalidURL):
        place = httpx.URL()
    if place.scheme not in ("http", "https") or not place.host:
        raise SettingInvalid("setting_wants_proxy", setting="proxy", where="zhongkong.connect")
    return proxy


def _read_verify(verify: ssl.SSLContext | None) -> ssl.SSLContext:
    if verify is None:
        return _make_context()
    if not isinstance(verify, ssl.SSLContext):
        raise SettingInvalid("hub_verify_unusable")
    return verify


def _make_context() -> ssl.SSLContext:
    """Return a context that trusts whom the system trusts, a company's own authority too, and the public ones."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
