"""The contract of what lies in the store."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from zhongkong.core.model import (
    NEVER,
    Secret,
    Slot,
    hash_value,
)
from zhongkong.core.ports import FullStore
from zhongkong.errors import WrongSeal
from zhongkong.testing.store_contract.stories import (
    ACCOUNT,
    APPID,
    SECRET,
    SLOT,
    TOKEN,
    Count,
    Harness,
    minted,
    on_a_store,
    one,
)

WELL = replace(ACCOUNT, appid="wx-well")


class SealContract:
    """What lies in the store is worth nothing to whoever reads it without the seal."""

    @on_a_store
    async def test_no_secret_and_no_token_lies_in_the_store_unsealed(self, store: FullStore, harness: Harness) -> None:
        """Not in clear, base64, hex or URL form, not in a log beside the database, not what was there before."""
        account = await store.put_account(ACCOUNT)
        await minted(store, account)
        harness.advance(7200)
        await minted(store, account, "second" + TOKEN[6:], fence="f1")
        await store.put_account(replace(account, secret=Secret("second" + SECRET[6:])))
        stored = harness.stored_bytes()
        if stored:
            assert APPID.encode() in stored  # it looks in the right place
        for secret in (TOKEN, "second" + TOKEN[6:], SECRET, "second" + SECRET[6:]):
            for form in _forms(secret):
                assert form not in stored
        await store.remove_account(APPID)

    @on_a_store
    async def test_what_cannot_be_unsealed_is_named_and_keeps_nobody_else_from_being_read(
        self, store: FullStore, harness: Harness
    ) -> None:
        """One account that another seal closed, or that is damaged, must not darken all others; nor seem absent."""
        await minted(store, await store.put_account(ACCOUNT))
        account = await store.put_account(WELL)
        record = await minted(store, account, "well" + TOKEN[4:])
        harness.advance(60)
        if not harness.spoil(APPID):
            return
        other = await harness.open()
        changes = await other.changes(NEVER)
        assert (changes.records, changes.unreadable_records) == ((record,), (SLOT,))
        assert (changes.accounts, changes.unreadable_accounts) == ((account,), (APPID,))
        assert await other.accounts() == [account]
        for call in (other.load(SLOT), other.account(APPID), other.apply([Count(SLOT)]), other.put_account(ACCOUNT)):
            assert await _refused(call) == APPID
        assert (await one(other, Count(Slot(WELL.appid)))).answer == 0
        later = await other.changes(changes.now)
        assert (later.unreadable_records, later.unreadable_accounts) == ((), ())
        await other.close()

    @on_a_store
    async def test_a_batch_with_one_that_cannot_be_unsealed_fails_and_others_beside_it_do_not(
        self, store: FullStore, harness: Harness
    ) -> None:
        """Whoever happens to be in the same commit has nothing to do with it."""
        await minted(store, await store.put_account(ACCOUNT))
        await store.put_account(WELL)
        if not harness.spoil(APPID):
            return
        other = await harness.open()
        well = Slot(WELL.appid)
        answers = await asyncio.gather(
            other.apply([Count(well), Count(SLOT)]), other.apply([Count(well)]), return_exceptions=True
        )
        assert isinstance(answers[0], WrongSeal)
        assert not isinstance(answers[1], BaseException)
        assert (await other.load(well)).asks == 1
        await other.close()

    @on_a_store
    async def test_an_account_that_cannot_be_unsealed_can_be_removed_and_added_again(
        self, store: FullStore, harness: Harness
    ) -> None:
        """The way out when its seal is lost for good; its generations go on all the same."""
        await minted(store, await store.put_account(ACCOUNT))
        if not harness.spoil(APPID):
            return
        other = await harness.open()
        assert await other.remove_account(APPID) is True
        assert await other.account(APPID) is None
        tombstone = await other.load(SLOT)
        assert (tombstone.removed, tombstone.generation, tombstone.past) == (True, 1, (hash_value(TOKEN),))
        account = await other.put_account(ACCOUNT)
        assert account.revision == 2
        assert (await minted(other, account, "another-token", fence="f1")).generation == 2
        changes = await other.changes(NEVER)
        assert (changes.unreadable_records, changes.unreadable_accounts) == ((), ())
        await other.close()


async def _refused(call: Awaitable[Any]) -> object:
    """Return the appid that the refusal names."""
    try:
        await call
    except WrongSeal as error:
        return error.values["appid"]
    return None


def _forms(secret: str) -> set[bytes]:
    """Return the ways in which a secret might be found; base64 of its inside, whatever stands before it."""
    raw = secret.encode()
    forms = {raw, raw[8:-8], raw.hex().encode(), raw.hex().upper().encode(), quote(secret, safe="").encode()}
    forms.add(json.dumps(secret)[1:-1].encode())
    for shift in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            forms.add(encode(b"\0" * shift + raw)[4:-4])
    return forms
