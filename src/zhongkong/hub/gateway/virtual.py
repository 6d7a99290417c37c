"""Virtual tokens: what clients of the gateway hold in place of an account's access_token. Pure.

A virtual token says by itself whose it is and until when; a signature proves that a hub on this store made it. So it
is good at every replica, costs no write, and issuing another never ends it.
"""

from __future__ import annotations

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from math import ceil
from typing import NamedTuple
from zlib import crc32

from zhongkong.core.model import Instant

LIFE = 7200
"""Seconds that a client may use a virtual token after it was handed out, whatever else is issued."""
LEAST_ANNOUNCED = 1800
"""A token that is handed out again has more than this left: some SDKs take one with less for spent."""
PREFIX = "zkt_"
REMEMBERED = 4096

_HEAD = struct.Struct(">BI8s4s")
_VERSION = 1
_MAC = 16
_REPEATED = b"\0\0\0\0"


class VirtualToken(NamedTuple):
    """What a virtual token says."""

    key_id: str
    appid: str
    until: int
    """The store's time (seconds) from which on it is refused."""


class Signer:
    """Makes virtual tokens, and reads those that a hub on the same store made."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = signing_key
        self._seen: dict[str, VirtualToken] = {}
        """Those that were read lately. Only good ones: a guesser fills nothing."""

    def make(self, key_id: str, appid: str, now: Instant, nonce: bytes) -> tuple[str, int]:
        """Return a token that was never handed out before, and its life in seconds. `nonce` is 4 random bytes."""
        return self._sign(key_id, appid, ceil(now) + LIFE, nonce), LIFE

    def repeat(self, key_id: str, appid: str, now: Instant) -> tuple[str, int]:
        """Return the token that everybody with this key gets now, and what it announces: more than 1,800 s.

        Handed out for 5,400 s, then followed by another; good until 7,200 s after it was handed out last.
        """
        span = LIFE - LEAST_ANNOUNCED
        age = (int(now) + crc32(f"{key_id}/{appid}".encode())) % span  # so that not all of them change at once
        return self._sign(key_id, appid, int(now) - age + span + LIFE, _REPEATED), LIFE - age

    def _sign(self, key_id: str, appid: str, until: int, nonce: bytes) -> str:
        said = _HEAD.pack(_VERSION, until, key_id.encode(), nonce) + appid.encode()
        return PREFIX + urlsafe_b64encode(said + self._mac(said)).decode().rstrip("=")

    def read(self, text: str) -> VirtualToken | None:
        """Return what the token says, whether its time is over or not; None for what no hub on this store made."""
        token = self._seen.get(text)
        if token is None and (token := self._read(text)) is not None:
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[text] = token
        return token

    def _read(self, text: str) -> VirtualToken | None:
        body = text.removeprefix(PREFIX)
        if body == text:
            return None
        try:
            raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
            said, mac = raw[:-_MAC], raw[-_MAC:]
            if not hmac.compare_digest(mac, self._mac(said)):
                return None
            version, until, key_id, _ = _HEAD.unpack_from(said)
            if version != _VERSION or urlsafe_b64encode(raw).decode().rstrip("=") != body:
                return None
            return VirtualToken(key_id.decode(), said[_HEAD.size :].decode(), until)
        except (ValueError, struct.error):
            return None

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, sha256)[:_MAC]
