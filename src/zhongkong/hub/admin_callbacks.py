"""What an administrator does to callbacks: how accounts are pushed to; each act is an event."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from typing import NamedTuple
from urllib.parse import urlsplit

from zhongkong.core.callbacks import Callback, Proof, is_proof_name
from zhongkong.core.model import Event, Secret
from zhongkong.core.ports import FullStore
from zhongkong.errors import AccountUnknown, RequestRefused
from zhongkong.wechat.cipher import KEY_LENGTH, is_encoding_aes_key

TOKEN_LENGTH = 32
LISTENERS_MOST = 16
_LETTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(r"[A-Za-z0-9]{3,32}")
"""Source: 接口配置信息 (Token: letters and digits, 3 to 32 of them)."""
_ACCESS_TOKEN = re.compile(r"[0-9]{1,3}_[A-Za-z0-9_-]+|[A-Za-z0-9_-]{64,}")
"""How an access_token begins, or how long it is."""
_PROOF_BODY = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What shall be another than before; None: as it is."""

    token: Secret | None = None
    encoding_aes_key: Secret | None = None
    handler: Secret | None = None
    listeners: Sequence[Secret] | None = None
    makes_token: bool = False
    makes_encoding_aes_key: bool = False


class Made(NamedTuple):
    """An account's callback after a change, and what was made for it: it is shown once."""

    callback: Callback
    token: Secret | None
    encoding_aes_key: Secret | None


class CallbackAdmin:
    """Changes callbacks. `by` says who did it. Every method may raise StoreError."""

    def __init__(self, store: FullStore, *, random: Random | None = None) -> None:
        self._store = store
        self._random = random or SystemRandom()

    async def find(self, appid: str) -> tuple[Callback | None, list[Proof]]:
        """Return the account's callback, and its files. Raises: AccountUnknown."""
        if await self._store.account(appid) is None:
            raise AccountUnknown(appid)
        return await self._store.callback(appid), await self._store.proofs(appid)

    async def change(self, appid: str, wish: Wish, by: str) -> Made:
        """Change an account's callback and return it.

        Raises: AccountUnknown. RequestRefused: a Token or key is none, a URL is none, or there is no Token yet.
        """
        account = await self._store.account(appid)
        if account is None:
            raise AccountUnknown(appid)
        made_token = Secret(self._make(TOKEN_LENGTH)) if wish.makes_token else None
        made_key = Secret(self._make(KEY_LENGTH)) if wish.makes_encoding_aes_key else None
        token, key = made_token or wish.token, made_key or wish.encoding_aes_key
        _judge(token, key, account.secret)
        urls = [*([wish.handler] if wish.handler else ()), *(wish.listeners or ())]
        _judge_urls(urls)
        old = await self._store.callback(appid)
        if old is None and token is None:
            raise RequestRefused("callback_token_wanted", appid=appid)
        new = old or Callback(appid, token or Secret(""))
        new = replace(
            new,
            token=new.token if token is None else token,
            encoding_aes_key=new.encoding_aes_key if key is None else key,
            handler=new.handler if wish.handler is None else wish.handler,
            listeners=new.listeners if wish.listeners is None else tuple(wish.listeners),
        )
        fields = _changed(old, new)
        if fields:
            if not await self._store.put_callback(new):
                raise AccountUnknown(appid)
            await self._store.tell([Event("callback_changed", appid, {"by": by, "fields": ", ".join(fields)})])
        return Made(new, made_token, made_key)

    async def add_proof(self, appid: str, name: str, body: str, by: str) -> Proof:
        """Store a file that proves whose a domain is, and return it.

        Raises: AccountUnknown. RequestRefused: the name or the body is not that of such a file.
        """
        if not is_proof_name(name):
            raise RequestRefused("verify_file_name")
        body = body.removeprefix("\ufeff").strip()
        if not _PROOF_BODY.fullmatch(body):
            raise RequestRefused("verify_file_body")
        proof, other = Proof(name, appid, body), await self._store.proof(name)
        if other is not None and other.appid != appid:
            raise RequestRefused("verify_file_taken", appid=other.appid)
        if not await self._store.put_proof(proof):
            raise AccountUnknown(appid)
        await self._store.tell([Event("verify_file_stored", appid, {"by": by, "name": name})])
        return proof

    def _make(self, length: int) -> str:
        return "".join(self._random.choices(_LETTERS, k=length))


def _judge(token: Secret | None, key: Secret | None, secret: Secret) -> None:
    if token is not None:
        if token == secret:
            raise RequestRefused("callback_token_is_secret")
        if _ACCESS_TOKEN.fullmatch(token.reveal()):
            raise RequestRefused("callback_token_is_access_token")
        if not _TOKEN.fullmatch(token.reveal()):
            raise RequestRefused("callback_token_invalid")
    if key is not None and key and not is_encoding_aes_key(key.reveal()):
        raise RequestRefused("encoding_aes_key_invalid", length=len(key.reveal()))


def _judge_urls(urls: Sequence[Secret]) -> None:
    if len(urls) > LISTENERS_MOST:
        raise RequestRefused("request_invalid", field="listeners", wanted=f"0..{LISTENERS_MOST}")
    for url in urls:
        if not _is_url(url.reveal()):
            raise RequestRefused("callback_target_invalid")


def _is_url(text: str) -> bool:
    if not re.fullmatch(r"https?://[\x21-\x7e]{1,2000}", text) or "#" in text:
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _changed(old: Callback | None, new: Callback) -> list[str]:
    before = old or Callback(new.appid, Secret(""))
    names = ("token", "encoding_aes_key", "handler", "listeners")
    return [name for name in names if getattr(new, name) != getattr(before, name)]
