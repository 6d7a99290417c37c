"""What an administrator does to accounts and keys, whether over HTTP or on the command line; each act is an event."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any, NamedTuple

from zhongkong.core.following import find_unfit
from zhongkong.core.grants import Key, create_key
from zhongkong.core.model import (
    Account,
    AccountKind,
    Event,
    Instant,
    Mode,
    Outcome,
    Record,
    Seconds,
    Secret,
    Slot,
    Withheld,
    home_of,
)
from zhongkong.core.ports import FullStore, Order, Platform
from zhongkong.core.rounds import needs_mint
from zhongkong.errors import AccountRejected, AccountUnknown, RequestRefused, WrongSeal, ZhongkongError
from zhongkong.hub.health import Health, health_of
from zhongkong.keeper.keeper import PATIENCE, Keeper
from zhongkong.wechat.advice import build_error
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import WRONG_PAIR

TRY_AGAIN: Seconds = 5.0


class Changed(NamedTuple):
    """What became of a change."""

    account: Account
    fields: tuple[str, ...]
    """What is another than before; one that was given as it had been is not in it."""


class Admin:
    """Changes accounts and keys. `by` says who did it: a key's id, `cli`, or where it was declared.

    Every method may raise StoreError; one that does may have taken effect.
    """

    def __init__(self, store: FullStore, platform: Platform, keeper: Keeper, *, random: Random | None = None) -> None:
        self._store = store
        self._platform = platform
        self._keeper = keeper
        self._random = random or SystemRandom()

    # --- accounts

    async def add_account(self, account: Account, by: str) -> Account:
        """Try the secret, add the account and return it.

        It is added unless the platform does not know the pair, or the hub to follow the key or the account; what else
        is wrong is told by `settle`, and it is tried again by itself.
        Raises: RequestRefused: it is there already, a field does not go with its mode, or that hub refuses.
        AccountRejected: wrong appid or secret. Nothing was added.
        """
        _refuse_unfit(account)
        if await self._store.account(account.appid) is not None:
            raise RequestRefused("account_exists", appid=account.appid)
        outcome = await self._try(account)
        _refuse_unfollowed(account, outcome)
        if isinstance(outcome, Refused) and outcome.errcode in WRONG_PAIR:
            said = f"{outcome.errcode} {outcome.errmsg}".rstrip()
            code = "wecom_not_added" if account.kind is AccountKind.WECOM else "account_not_added"
            raise AccountRejected(code, outcome.errcode, outcome.errmsg, outcome.rid, appid=account.appid, said=said)
        return await self._put(account, Event("account_added", account.appid, {"by": by, "mode": account.mode.value}))

    async def change_account(self, appid: str, by: str, **changes: Any) -> Changed:
        """Change fields of an account and say which are others now; where none is, what waits is tried now.

        A new secret is tried before it replaces the old one, by a call that ends no token; so is whatever decides
        about following; and so is an account of which nothing changes and nothing waits, for that is what was asked.
        Who no longer follows asks the platform itself, unless another base URL is named.
        Raises: AccountUnknown. RequestRefused: it is declared in the settings, a field does not go with its mode, or
        it could not be tried. PlatformError: the new secret was refused. In each case nothing was changed.
        """
        old = await self._store.account(appid)
        if old is None:
            raise AccountUnknown(appid)
        if changes and old.declared:
            raise RequestRefused("account_declared", appid=appid)
        if old.mode is Mode.FOLLOW and changes.get("mode", Mode.FOLLOW) is not Mode.FOLLOW:
            changes = {"base_url": home_of(old.kind), **changes}
        new = replace(old, **changes)
        if changes:
            _refuse_unfit(new)
        if new.secret != old.secret or (new.mode is Mode.FOLLOW and new.mints_otherwise_than(old)):
            await self._try_secret(new)
        fields = tuple(sorted(name for name in changes if getattr(new, name) != getattr(old, name)))
        if not fields and not self._waits(Slot(appid)):
            await self._try_secret(new, "account_not_tried")
        event = Event("account_changed", appid, {"by": by, "fields": ", ".join(fields)})
        return Changed(await self._put(new, event if fields else Event("account_tried", appid, {"by": by})), fields)

    async def remove_account(self, appid: str, by: str) -> None:
        """Remove an account and its credentials.

        Raises: AccountUnknown. RequestRefused: it is declared in the settings.
        """
        with suppress(WrongSeal):  # what cannot be unsealed can still be got rid of
            account = await self._store.account(appid)
            if account is None:
                raise AccountUnknown(appid)
            if account.declared:
                raise RequestRefused("account_declared", appid=appid)
        await self._store.remove_account(appid)
        await self._store.tell([Event("account_removed", appid, {"by": by})])
        self._keeper.known.learn(await self._store.load(Slot(appid)))
        await self._keeper.poll()  # its tickets go too

    async def declare(self, accounts: Iterable[Account], by: str) -> None:
        """Have exactly these accounts declared: add and change what differs; a former one stays, no longer declared.

        One that cannot be unsealed stays as it is: its health tells of it, and it keeps the others from nothing.
        """
        stored = {account.appid: account for account in await self._store.accounts()}
        declared = {account.appid: replace(account, declared=True) for account in accounts}
        for appid, account in declared.items():
            old = stored.get(appid)
            if old is None or replace(account, revision=old.revision) != old:
                with suppress(WrongSeal):
                    await self._put(account, Event("account_declared", appid, {"by": by}))
        for appid in stored.keys() - declared.keys():
            if stored[appid].declared:
                with suppress(WrongSeal):
                    await self._store.put_account(replace(stored[appid], declared=False))

    async def settle(self, slot: Slot, patience: Seconds = PATIENCE) -> Health:
        """Return how the slot is once it was tried after a change, or when `patience` is over."""
        known = self._keeper.known
        await self._keeper.poll()
        with suppress(ZhongkongError):
            await self._keeper.credential(slot, patience)
        await self._keeper.renew(slot, patience)  # a token that is still good hides that the change was not tried
        return health_of(known, slot)

    async def _try(self, account: Account) -> Outcome:
        """Ask in a way that ends no token."""
        return await self._platform.mint(Order(account, account.asking_mode, force=False))

    def _waits(self, slot: Slot) -> bool:
        """Say whether `settle` is going to ask for a credential."""
        known = self._keeper.known
        return needs_mint(known.record(slot) or Record(slot), known.now())

    async def _try_secret(self, account: Account, code: str = "secret_not_tried") -> None:
        outcome = await self._try(account)
        _refuse_unfollowed(account, outcome)
        if isinstance(outcome, Refused):
            raise build_error(account.appid, outcome)
        if isinstance(outcome, Granted) or (isinstance(outcome, Withheld) and outcome.trouble.errcode is not None):
            return  # also if all that the leader has is the platform's word: the key was good enough to be told
        why = outcome.trouble.errmsg if isinstance(outcome, Withheld) else outcome.why
        if account.mode is Mode.FOLLOW:
            raise RequestRefused("leader_not_tried", appid=account.appid, why=why, retry_after=TRY_AGAIN)
        raise RequestRefused(code, appid=account.appid, why=why, retry_after=TRY_AGAIN)

    async def _put(self, account: Account, event: Event) -> Account:
        kept = await self._store.put_account(account)
        await self._store.tell([event])
        self._keeper.known.learn_account(kept)
        self._keeper.known.learn(await self._store.load(Slot(account.appid)))
        return kept

    # --- keys

    async def create_key(self, by: str, **holds: Any) -> tuple[Key, Secret]:
        """Make a key and return it with its text, which is nowhere else."""
        key, text = create_key(self._random, self._keeper.known.told_now(), **holds)
        await self._store.put_key(key)
        await self._store.tell([Event("key_created", "", {"by": by, "key": key.id, "name": key.name})])
        return key, text

    async def rotate_key(self, key_id: str, overlap: Seconds, by: str) -> tuple[Key, Secret]:
        """Make a twin of a key and return it with its text; the old one goes on for `overlap` seconds.

        One that ends gets a successor that is given as long as it was, from now on.
        Raises: RequestRefused: there is no such key.
        """
        old = await self._find_key(key_id)
        now = self._keeper.known.told_now()
        key, text = create_key(
            self._random,
            now,
            name=old.name,
            grants=old.grants,
            appids=old.appids,
            expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
            networks=old.networks,
            rate=old.rate,
            paths=old.paths,
        )
        await self._store.put_key(key)
        await self._store.put_key(replace(old, expires_at=_earlier(old.expires_at, now + overlap)))
        await self._store.tell(
            [Event("key_rotated", "", {"by": by, "former": old.id, "key": key.id, "name": key.name})]
        )
        return key, text

    async def revoke_key(self, key_id: str, by: str) -> None:
        """Remove a key: every hub refuses it within two seconds.

        Raises: RequestRefused: there is no such key.
        """
        key = await self._find_key(key_id)
        await self._store.remove_key(key_id)
        await self._store.tell([Event("key_revoked", "", {"by": by, "key": key.id, "name": key.name})])

    async def _find_key(self, key_id: str) -> Key:
        for key in await self._store.keys():
            if key.id == key_id:
                return key
        raise RequestRefused("key_not_found", key=key_id)


def _refuse_unfit(account: Account) -> None:
    field = find_unfit(account)
    if field:
        is_key_wanted = field == "secret" and account.mode is Mode.FOLLOW
        wanted = {
            "appid": "corpid:name" if account.kind is AccountKind.WECOM else "wx…",
            "mode": "wecom | follow" if account.kind is AccountKind.WECOM else "stable | classic | follow",
            "base_url": "https://hub.internal:8600",
            "on_contest": '"stable" | "classic"',
            "secret": "AppSecret",
        }
        raise RequestRefused("request_invalid", field=field, wanted="zk_…" if is_key_wanted else wanted[field])


def _refuse_unfollowed(account: Account, outcome: Outcome) -> None:
    """Refuse an account whose hub to follow does not take the key, or does not keep the account."""
    if isinstance(outcome, Withheld) and outcome.trouble.state in ("leader_key", "leader_account"):
        raise RequestRefused("leader_refused", appid=account.appid, said=outcome.trouble.errmsg)


def _earlier(one: Instant | None, other: Instant) -> Instant:
    return other if one is None else min(one, other)
