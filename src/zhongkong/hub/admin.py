"""What an administrator does to accounts and keys, whether over HTTP or on the command line; each act is an event."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any

from zhongkong.core.grants import Key, create_key
from zhongkong.core.model import Account, Event, Instant, Mode, Record, Seconds, Secret, Slot
from zhongkong.core.ports import FullStore, Order, Platform
from zhongkong.core.rounds import needs_mint
from zhongkong.errors import AccountRejected, AccountUnknown, RequestRefused, ZhongkongError
from zhongkong.hub.health import Health, health_of
from zhongkong.keeper.keeper import PATIENCE, Keeper
from zhongkong.wechat.advice import build_error
from zhongkong.wechat.answers import Granted, Refused

WRONG_PAIR = frozenset({40001, 40013, 40125})
"""The platform does not know this appid with this secret: nothing that time, quota or an allow-list would mend."""
TRY_AGAIN: Seconds = 5.0


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

        It is added unless the platform does not know the pair; what else is wrong is told by `settle`, and it is
        tried again by itself.
        Raises: RequestRefused: it is there already. AccountRejected: wrong appid or secret; nothing was added.
        """
        if await self._store.account(account.appid) is not None:
            raise RequestRefused("account_exists", appid=account.appid)
        outcome = await self._platform.mint(Order(account, Mode.STABLE, force=False))
        if isinstance(outcome, Refused) and outcome.errcode in WRONG_PAIR:
            said = f"{outcome.errcode} {outcome.errmsg}".rstrip()
            raise AccountRejected(
                "account_not_added", outcome.errcode, outcome.errmsg, outcome.rid, appid=account.appid, said=said
            )
        return await self._put(account, Event("account_added", account.appid, {"by": by, "mode": account.mode.value}))

    async def change_account(self, appid: str, by: str, **changes: Any) -> Account:
        """Change fields of an account and return it; without any, what waits is tried now.

        A new secret is tried before it replaces the old one, by a call that ends no token.
        Raises: AccountUnknown. RequestRefused: it is declared in the settings, or the secret could not be tried.
        PlatformError: the new secret was refused. In each case nothing was changed.
        """
        old = await self._store.account(appid)
        if old is None:
            raise AccountUnknown(appid)
        if changes and old.declared:
            raise RequestRefused("account_declared", appid=appid)
        new = replace(old, **changes)
        if new.secret != old.secret:
            await self._try_secret(new)
        if not changes:
            return await self._put(new, Event("account_tried", appid, {"by": by}))
        fields = ", ".join(sorted(changes))
        return await self._put(new, Event("account_changed", appid, {"by": by, "fields": fields}))

    async def remove_account(self, appid: str, by: str) -> None:
        """Remove an account and its credentials.

        Raises: AccountUnknown. RequestRefused: it is declared in the settings.
        """
        account = await self._store.account(appid)
        if account is None:
            raise AccountUnknown(appid)
        if account.declared:
            raise RequestRefused("account_declared", appid=appid)
        await self._store.remove_account(appid)
        await self._store.tell([Event("account_removed", appid, {"by": by})])
        self._keeper.known.learn(await self._store.load(Slot(appid)))

    async def declare(self, accounts: Iterable[Account], by: str) -> None:
        """Have exactly these accounts declared: add and change what differs; a former one stays, no longer declared."""
        stored = {account.appid: account for account in await self._store.accounts()}
        declared = {account.appid: replace(account, declared=True) for account in accounts}
        for appid, account in declared.items():
            old = stored.get(appid)
            if old is None or replace(account, revision=old.revision) != old:
                await self._put(account, Event("account_declared", appid, {"by": by}))
        for appid in stored.keys() - declared.keys():
            if stored[appid].declared:
                await self._store.put_account(replace(stored[appid], declared=False))

    async def settle(self, slot: Slot, patience: Seconds = PATIENCE) -> Health:
        """Return how the slot is once it was tried after a change, or when `patience` is over."""
        known = self._keeper.known
        await self._keeper.poll()
        with suppress(ZhongkongError):
            await self._keeper.credential(slot, patience)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._is_under_way(known.record(slot)):
                    self._keeper.plan_round()  # where no rounds run, as on the command line, this one does
                    await known.changed(slot)
        return health_of(known, slot)

    def _is_under_way(self, record: Record | None) -> bool:
        return record is not None and record.retry.trouble is None and needs_mint(record, self._keeper.known.now())

    async def _try_secret(self, account: Account) -> None:
        outcome = await self._platform.mint(Order(account, Mode.STABLE, force=False))
        if isinstance(outcome, Refused):
            raise build_error(account.appid, outcome)
        if not isinstance(outcome, Granted):
            raise RequestRefused("secret_not_tried", appid=account.appid, why=outcome.why, retry_after=TRY_AGAIN)

    async def _put(self, account: Account, event: Event) -> Account:
        kept = await self._store.put_account(account)
        await self._store.tell([event])
        self._keeper.known.learn_account(kept)
        self._keeper.known.learn(await self._store.load(Slot(account.appid)))
        return kept

    # --- keys

    async def create_key(self, by: str, **holds: Any) -> tuple[Key, Secret]:
        """Make a key and return it with its text, which is nowhere else."""
        key, text = create_key(self._random, self._keeper.known.now(), **holds)
        await self._store.put_key(key)
        await self._store.tell([Event("key_created", "", {"by": by, "key": key.id, "name": key.name})])
        return key, text

    async def rotate_key(self, key_id: str, overlap: Seconds, by: str) -> tuple[Key, Secret]:
        """Make a twin of a key and return it with its text; the old one goes on for `overlap` seconds.

        Raises: RequestRefused: there is no such key.
        """
        old = await self._find_key(key_id)
        now = self._keeper.known.now()
        key, text = create_key(
            self._random,
            now,
            name=old.name,
            grants=old.grants,
            appids=old.appids,
            expires_at=old.expires_at,
            networks=old.networks,
            rate=old.rate,
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


def _earlier(one: Instant | None, other: Instant) -> Instant:
    return other if one is None else min(one, other)
