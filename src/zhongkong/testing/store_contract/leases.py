"""The contract of refreshing over a store: claims and saves."""

from __future__ import annotations

import asyncio

from zhongkong.core.claim import Claim, Claimed, Held
from zhongkong.core.model import (
    LEASE,
    NEVER,
    Trouble,
)
from zhongkong.core.ports import FullStore
from zhongkong.core.save import GiveBack, LeaseLost, Save, Saved
from zhongkong.testing.store_contract.stories import (
    ACCOUNT,
    SLOT,
    TOKEN,
    Harness,
    minted,
    on_a_store,
    one,
)
from zhongkong.wechat.answers import Granted, Refused


class LeaseContract:
    """Claims and saves over a store: the laws of refreshing hold across replicas."""

    @on_a_store
    async def test_two_replicas_one_claim(self, store: FullStore, harness: Harness) -> None:
        """One mint per generation, whatever happens."""
        other = await harness.open()
        account = await store.put_account(ACCOUNT)
        claims = [
            one(replica, Claim(SLOT, account, f"{name}{number}", 0))
            for number in range(20)
            for name, replica in (("a", store), ("b", other))
        ]
        answers = [applied.answer for applied in await asyncio.gather(*claims)]
        assert sum(isinstance(answer, Claimed) for answer in answers) == 1
        assert sum(isinstance(answer, Held) for answer in answers) == 39
        assert len((await store.load(SLOT)).attempts) == 1
        await other.close()

    @on_a_store
    async def test_a_lease_ages_by_the_stores_clock(self, store: FullStore, harness: Harness) -> None:
        """A holder that died keeps the others away for the lease, and not longer."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "dead", 0)])
        harness.advance(LEASE - 0.5)
        assert isinstance((await one(store, Claim(SLOT, account, "next", 0))).answer, Held)
        harness.advance(0.5)
        assert isinstance((await one(store, Claim(SLOT, account, "next", 0))).answer, Claimed)

    @on_a_store
    async def test_a_late_save_is_refused_and_leaves_its_attempt_open(self, store: FullStore, harness: Harness) -> None:
        """Its token may have ended the newer one: only its own answer, saved under its own lease, lifts the doubt."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "late", 0)])
        harness.advance(LEASE)
        await store.apply([Claim(SLOT, account, "next", 0)])
        late = await one(store, Save(SLOT, account, "late", Granted("late-token", 7200)))
        assert isinstance(late.answer, LeaseLost)
        saved = await one(store, Save(SLOT, account, "next", Granted(TOKEN, 7200)))
        assert isinstance(saved.answer, Saved)
        record = await store.load(SLOT)
        assert [attempt.fence for attempt in record.attempts] == ["late"]
        assert record.credential is not None
        assert record.credential.value == TOKEN

    @on_a_store
    async def test_a_claim_repeated_under_its_fence_is_the_same_claim(self, store: FullStore, harness: Harness) -> None:
        """Whoever did not hear the answer asks again, and the budget is spent once."""
        account = await store.put_account(ACCOUNT)
        first = await one(store, Claim(SLOT, account, "mine", 0))
        other = await harness.open()
        again = await one(other, Claim(SLOT, account, "mine", 0))
        assert again.answer == first.answer
        assert again.record == first.record
        await other.close()

    @on_a_store
    async def test_a_save_repeated_is_recognised(self, store: FullStore, harness: Harness) -> None:
        """A commit whose acknowledgement was lost is no second generation."""
        account = await store.put_account(ACCOUNT)
        record = await minted(store, account, fence="mine")
        again = await one(store, Save(SLOT, account, "mine", Granted(TOKEN, 7200)))
        assert isinstance(again.answer, Saved)
        assert again.record == record
        assert len(await store.events()) == 1

    @on_a_store
    async def test_a_renewed_credential_is_what_others_read(self, store: FullStore, harness: Harness) -> None:
        """Value and sha-256 lie apart in a store, and belong together."""
        account = await store.put_account(ACCOUNT)
        for number in range(3):
            harness.advance(7200)
            record = await minted(store, account, f"{TOKEN}{number}", fence=f"f{number}")
            other = await harness.open()
            assert await other.load(SLOT) == record
            await other.close()

    @on_a_store
    async def test_a_claim_given_back_leaves_no_attempt(self, store: FullStore, harness: Harness) -> None:
        """What never left needs no doubt."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "mine", 0)])
        await store.apply([GiveBack(SLOT, "mine")])
        record = await store.load(SLOT)
        assert (record.attempts, record.lease) == ((), None)

    @on_a_store
    async def test_a_failure_is_seen_by_all(self, store: FullStore, harness: Harness) -> None:
        """What the platform refused one replica it would refuse the next: the wait is in the record."""
        other = await harness.open()
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "mine", 0)])
        await store.apply([Save(SLOT, account, "mine", Refused(40164, "invalid ip 10.1.2.3", "rid"))])
        retry = (await other.load(SLOT)).retry
        assert retry.trouble == Trouble("blocked", 40164, "invalid ip 10.1.2.3", "rid")
        assert retry.next_try_at > (await other.changes(NEVER)).now
        await other.close()
