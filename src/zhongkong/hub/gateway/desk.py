"""Who shows what at the gateway: the key behind a secret or a virtual token, and whether it may.

The token routes are answered here, in the platform's own shapes. Sources: 获取 Access Token; 获取稳定版接口调用凭据;
获取access_token (企业微信).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import NamedTuple, TypeAlias

from zhongkong.core.grants import Grant, Key
from zhongkong.core.model import Account, AccountKind, Mode, Slot
from zhongkong.errors import AccessDenied, StoreUnavailable, ZhongkongError
from zhongkong.hub.gateway import saying
from zhongkong.hub.gateway.virtual import Signer
from zhongkong.hub.keys import Keyring
from zhongkong.keeper.keeper import Keeper
from zhongkong.wechat.answers import Unreadable, parse_object
from zhongkong.wechat.endpoints import corpid_of

NONCE_BITS = 32

Note: TypeAlias = Callable[[Key], None]


class Client(NamedTuple):
    """A client whose key is good for the account."""

    key: Key
    account: Account


class Desk:
    """Lets calls in, and hands out virtual tokens. `note` is told whose key is shown, as soon as that is known."""

    def __init__(self, keeper: Keeper, keyring: Keyring, signer: Signer, random: Random) -> None:
        self._keeper = keeper
        self._keyring = keyring
        self._signer = signer
        self._random = random

    def by_token(self, text: str, path: str, address: str, note: Note, *, at_wecom: bool) -> Client:
        """Return who shows a virtual token; a good one tells by itself for which platform it is.

        Raises: Refusal. StoreUnavailable.
        """
        token = self._signer.read(text)
        if token is None:
            raise saying.unknown_token(at_wecom=at_wecom)
        unknown = partial(saying.unknown_token, at_wecom=corpid_of(token.appid) is not None)
        key, account = self._keyring.find_by_id(token.key_id), self._keeper.known.account(token.appid)
        if key is not None:
            note(key)
        if self._keeper.known.told_now() >= token.until:
            raise saying.expired_token()
        if key is None:
            raise unknown(f"key {token.key_id} of this token is gone")
        if account is None:
            raise unknown("no such account here; see `zhongkong account list`")
        self._may(key, unknown)
        if not key.covers(token.appid):
            raise unknown(f"key {key.id} is not for this account")
        self._admit(key, address, partial(unknown, f"key {key.id} has expired"))
        return self._checked(Client(key, account), path)

    def by_secret(self, appid: str, secret: str, path: str | None, address: str, note: Note) -> Client:
        """Return who shows an appid with a hub key in its secret's place; `path` is None where a token is asked for.

        Raises: Refusal. StoreUnavailable.
        """
        if not appid:
            raise saying.missing("appid")
        if not secret:
            raise saying.missing("secret")
        key = self._key_of(secret, saying.wrong_key)
        note(key)
        account = self._keeper.known.account(appid)
        if account is None:
            raise saying.unknown_appid()
        if account.kind is AccountKind.WECOM:
            raise saying.not_at_wecom()
        self._may(key, saying.wrong_key)
        if not key.covers(appid):
            raise saying.wrong_key(f"key {key.id} is not for this account")
        self._admit(key, address, partial(saying.wrong_key, f"key {key.id} has expired"))
        return self._checked(Client(key, account), path)

    def by_corp(self, corpid: str, corpsecret: str, address: str, note: Note) -> Client:
        """Return who shows a corpid with a hub key in its secret's place.

        A corp has an account here for each of its applications, and the real secret says which is meant. A key does so
        by its grants: it is good for exactly one of them.
        Raises: Refusal. StoreUnavailable.
        """
        if not corpid:
            raise saying.missing("corpid")
        if not corpsecret:
            raise saying.missing("corpsecret")
        key = self._key_of(corpsecret, saying.wrong_corpsecret)
        note(key)
        of_corp = [account for account in self._keeper.known.accounts() if corpid_of(account.appid) == corpid]
        if not of_corp:
            raise saying.unknown_corpid()
        self._may(key, saying.wrong_corpsecret)
        covered = [account for account in of_corp if key.covers(account.appid)]
        if not covered:
            raise saying.wrong_corpsecret(f"key {key.id} is for no account of this corp")
        if len(covered) > 1:
            because = f"key {key.id} is for {len(covered)} accounts of this corp, one is wanted: key create --appid"
            raise saying.wrong_corpsecret(f"{because} {min(account.appid for account in covered)}")
        self._admit(key, address, partial(saying.wrong_corpsecret, f"key {key.id} has expired"))
        return Client(key, covered[0])

    def _key_of(self, secret: str, wrong: Callable[[str], saying.Refusal]) -> Key:
        key = self._keyring.find(secret)
        if key is None:
            because = "a hub key is wanted here, not the AppSecret; see `zhongkong key create`"
            raise wrong("no such key" if secret.startswith("zk_") else because)
        return key

    def _may(self, key: Key, wrong: Callable[[str], saying.Refusal]) -> None:
        if not key.allows(Grant.GATEWAY):
            raise wrong(f"key {key.id} lacks the grant gateway")

    def by_header_or_network(self, authorization: str, path: str, address: str, note: Note) -> None:
        """Let in who shows a hub key, or comes from where a key for the gateway may be used.

        Raises: Refusal. StoreUnavailable.
        """
        now = self._keeper.known.told_now()
        scheme, _, text = authorization.partition(" ")
        shown = self._keyring.find(text.strip()) if scheme.lower() == "bearer" else None
        if shown is not None:
            note(shown)
        keys = self._keyring.keys() if shown is None else [shown]
        if not any(
            key.allows(Grant.GATEWAY)
            and not key.is_expired(now)
            and key.allows_path(path)
            and (not key.networks or (address and key.accepts_from(address)))
            for key in keys
        ):
            raise saying.not_allowed("no key with the grant gateway may be used for this from this address")

    def grant(self, client: Client) -> bytes:
        """Answer `cgi-bin/token`: a token that nobody was given before; the former ones go on."""
        nonce = self._random.getrandbits(NONCE_BITS).to_bytes(4, "big")
        return _granted(*self._signer.make(client.key.id, client.account.appid, self._now(), nonce))

    async def repeat(self, client: Client, *, force: bool) -> bytes:
        """Answer `cgi-bin/stable_token`: the same token with its rest, while more than 1,800 s of it are left.

        `force` renews the real token, for a key that may; the virtual one stays as it is, and with it everybody else's.
        """
        if force and client.key.allows(Grant.FORCE):
            with suppress(ZhongkongError, TimeoutError):  # too soon, as on the platform: the current one comes back
                await self._keeper.force(Slot(client.account.appid))
        return _granted(*self._signer.repeat(client.key.id, client.account.appid, self._now()))

    def repeat_at_wecom(self, client: Client) -> bytes:
        """Answer `cgi-bin/gettoken` of WeCom: the same token with its rest, as there, under an errcode."""
        token, expires_in = self._signer.repeat(client.key.id, client.account.appid, self._now())
        return saying.write({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": expires_in})

    def _now(self) -> float:
        return self._keeper.known.told_now()

    def _admit(self, key: Key, address: str, expired: Callable[[], saying.Refusal]) -> None:
        try:
            self._keyring.admit(key, address)
        except AccessDenied as error:
            if error.code == "key_too_often":
                raise saying.too_often(error.retry_after or 1.0) from None
            raise (saying.not_from_here(address) if error.code == "key_not_from_here" else expired()) from None

    def _checked(self, client: Client, path: str | None) -> Client:
        """Return the client, if his key may send this call."""
        if path is not None and not client.key.allows_path(path):
            raise saying.not_allowed(f"key {client.key.id} may not call {path}")
        return client


def refuse_followed(account: Account) -> None:
    """Refuse a call for an account that follows: its calls go through the gateway of its leader.

    Raises: Refusal.
    """
    if account.mode is Mode.FOLLOW:
        raise saying.not_allowed("this account follows another hub; point the SDK at that hub")


def is_forced(body: bytes) -> bool:
    """Say whether the body of a call to `stable_token` asks for `force_refresh`."""
    members = parse_object(body)
    return not isinstance(members, Unreadable) and members.get("force_refresh") is True


def unavailable(error: ZhongkongError) -> saying.Refusal:
    """Return what a client is told when there is no credential to send his call with."""
    if isinstance(error, StoreUnavailable):
        return saying.later("the store is away")
    return saying.later(words_of(error))


def words_of(error: ZhongkongError) -> str:
    """Return what an error says that a person can look up: our code, the cause, the platform's code and rid."""
    return ", ".join(
        [error.code, *(str(error.values[name]) for name in ("cause", "errcode", "rid") if error.values.get(name))]
    )


def _granted(token: str, expires_in: int) -> bytes:
    return saying.write({"access_token": token, "expires_in": expires_in})
