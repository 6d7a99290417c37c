"""Brings the accounts that a program names into its store. Others that are there stay as they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from copy import copy
from dataclasses import replace

from zhongkong.client.explaining import speaking
from zhongkong.core.model import Account, Event, Seconds, Slot
from zhongkong.core.ports import KeeperStore, Order, Platform
from zhongkong.errors import StoreError
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.messages import render
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import WRONG_PAIR

logger = logging.getLogger("zhongkong.library")

BY = "library"
STORE_AGAIN: Seconds = 1.0
TRY_AGAIN: Seconds = 300.0
"""After this a new secret is tried again that could not be: the platform was silent, or did not allow our address."""


class Declarations:
    """The accounts that a program names. `settled` says when the store has one."""

    def __init__(self, store: KeeperStore, platform: Platform, known: Knowledge, accounts: Iterable[Account]) -> None:
        """Take the accounts; they are brought into the store by `run`."""
        self._store = store
        self._platform = platform
        self._known = known
        self._waiting = {account.appid: replace(account, declared=True) for account in accounts}
        self._attempted = {appid: asyncio.Event() for appid in self._waiting}
        self._errors: dict[str, StoreError] = {}

    async def settled(self, appid: str) -> None:
        """Return when the account was dealt with, at once if the program did not name it.

        Raises: StoreError: the account is not in the store, and this is why.
        """
        if appid in self._attempted:
            await self._attempted[appid].wait()
        if appid in self._errors and self._known.account(appid) is None:
            raise copy(self._errors[appid])

    async def run(self) -> None:
        """Deal with the accounts until none is left, then rest."""
        while self._waiting:
            waits = await asyncio.gather(*map(self._settle, list(self._waiting.values())))
            await asyncio.sleep(min(wait for wait in waits) if self._waiting else 0.0)
        await asyncio.Event().wait()

    async def _settle(self, account: Account) -> Seconds:
        """Deal with an account; return how long to wait if it is to be dealt with again."""
        try:
            is_done = await self._declare(account)
        except StoreError as error:
            self._errors[account.appid] = error
            return STORE_AGAIN
        else:
            self._errors.pop(account.appid, None)
            if is_done:
                del self._waiting[account.appid]
            return TRY_AGAIN
        finally:
            self._attempted[account.appid].set()

    async def _declare(self, account: Account) -> bool:
        """Have the store hold the account as it was named; say whether that is settled."""
        old = await self._store.account(account.appid)
        if old is not None and replace(account, revision=old.revision) == old:
            return True
        if old is not None and old.secret != account.secret and not self._is_refused(old):
            verdict = await self._try_secret(account)
            if verdict is not True:
                return verdict is False
        kept = await self._store.put_account(account)
        await self._store.tell([Event("account_declared", account.appid, {"by": BY})])
        self._known.learn_account(kept)
        self._known.learn(await self._store.load(Slot(account.appid)))
        return True

    def _is_refused(self, account: Account) -> bool:
        """Say whether the secret in the store is known to be wrong: nothing is lost with it."""
        record = self._known.record(Slot(account.appid))
        trouble = record.retry.trouble if record is not None else None
        return trouble is not None and trouble.errcode in WRONG_PAIR

    async def _try_secret(self, account: Account) -> bool | None:
        """Say whether a secret that differs from the one in use is right; None if it cannot be told.

        An old deployment that begins anew must not undo what a newer one corrected. The call ends no token.
        """
        outcome = await self._platform.mint(Order(account, account.asking_mode, force=False))
        if isinstance(outcome, Granted):
            return True
        if isinstance(outcome, Refused) and outcome.errcode in WRONG_PAIR:
            said = f"{outcome.errcode} {outcome.errmsg}".rstrip()
            logger.error("%s", render("library_secret_refused", speaking(), appid=account.appid, said=said))
            return False
        logger.warning("%s", render("library_secret_untried", speaking(), appid=account.appid))
        return None
