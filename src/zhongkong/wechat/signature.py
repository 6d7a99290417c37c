"""The signature of what the platform pushes. Sources: 消息推送 (接入概述), 加解密技术方案; 企业微信 回调和回复."""

from __future__ import annotations

import hmac
from hashlib import sha1


def sign_push(token: str, *signed: str) -> str:
    """Return the signature of a push, lower-case hex.

    `signed` are timestamp and nonce for `signature`, and besides the ciphertext for `msg_signature`. All of them and
    the account's Token are sorted as texts, by their bytes and never as numbers, and joined.
    """
    parts = sorted(part.encode() for part in (token, *signed))
    return sha1(b"".join(parts), usedforsecurity=False).hexdigest()


def is_signed(signature: str, token: str, *signed: str) -> bool:
    """Say whether `signature` is that of `sign_push`; how long that takes tells nothing about it."""
    return hmac.compare_digest(signature.encode(), sign_push(token, *signed).encode())
