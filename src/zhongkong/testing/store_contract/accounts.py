"""The contract of accounts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from zhongkong.core.claim import Claim, Claimed, Moved
from zhongkong.core.model import (
    NEVER,
    Account,
    AccountKind,
    Kind,
    Mode,
    Record,
    Retry,
    Secret,
    Slot,
    hash_value,
)
from zhongkong.core.ports import FullStore
from zhongkong.core.save import LeaseLost, Save
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
from zhongkong.wechat.answers import Granted, Refused

TICKET = Slot(APPID, Kind.JSAPI_TICKET)


class AccountContract:
    """Accounts, and how their records follow in the same transaction."""

    @on_a_store
    async def test_accounts_are_kept_in_every_detail(self, store: FullStore, harness: Harness) -> None:
        """A setting that is not stored is a setting that changes at the next start."""
        account = Account(
            APPID,
            AccountKind.MINIPROGRAM,
            Secret(SECRET),
            Mode.CLASSIC,
            base_url="http://127.0.0.1:8601",
            is_test=True,
            on_contest=Mode.CLASSIC,
            name="商城 · ✓",
            declared=True,
        )
        assert await store.put_account(account) == account
        other = await harness.open()
        assert await other.account(APPID) == account
        assert (await other.changes(NEVER)).accounts == (account,)
        assert (await other.load(SLOT)).revision == 1
        await other.close()

    @on_a_store
    async def test_accounts_are_listed_by_appid(self, store: FullStore, harness: Harness) -> None:
        """And one that is not there is None."""
        for appid in ("wxc", "wxa", "wxb"):
            await store.put_account(replace(ACCOUNT, appid=appid))
        assert [account.appid for account in await store.accounts()] == ["wxa", "wxb", "wxc"]
        assert await store.account("wxd") is None

    @on_a_store
    async def test_an_equal_account_only_clears_the_wait(self, store: FullStore, harness: Harness) -> None:
        """*Try now* is the empty change: it ends no lease and condemns nothing."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "one", 0)])
        await store.apply([Save(SLOT, account, "one", Refused(40164, "no", ""))])
        assert await store.put_account(ACCOUNT) == account
        record = await store.load(SLOT)
        assert record.retry == Retry()
        assert record.revision == 1

    @on_a_store
    async def test_what_does_not_matter_to_minting_changes_no_revision(
        self, store: FullStore, harness: Harness
    ) -> None:
        """A new name must not void a lease."""
        await store.put_account(ACCOUNT)
        changed = replace(ACCOUNT, name="another", is_test=True, on_contest=Mode.CLASSIC, declared=True, revision=7)
        assert await store.put_account(changed) == replace(changed, revision=1)
        assert await store.account(APPID) == replace(changed, revision=1)

    @on_a_store
    async def test_what_matters_to_minting_voids_the_lease_and_makes_the_slot_due(
        self, store: FullStore, harness: Harness
    ) -> None:
        """Kind, secret, mode, base URL: a mint under way is a mint of the account that was."""
        account = await store.put_account(ACCOUNT)
        changes: list[dict[str, object]] = [
            {"secret": Secret("another")},
            {"mode": Mode.STABLE},
            {"base_url": "http://127.0.0.1:8601"},
            {"kind": AccountKind.MINIPROGRAM},
        ]
        for revision, change in enumerate(changes, start=2):
            await store.apply([Claim(SLOT, account, f"f{revision}", 0)])
            harness.advance(1)
            account = await store.put_account(replace(account, **change))  # type: ignore[arg-type]
            record = await store.load(SLOT)
            assert account.revision == record.revision == revision
            assert record.lease is None
            assert record.refresh_at == (await store.changes(NEVER)).now

    @on_a_store
    async def test_a_credential_stays_with_its_account_unless_that_moves(
        self, store: FullStore, harness: Harness
    ) -> None:
        """A new secret ends no token; another platform never knew it."""
        account = await store.put_account(ACCOUNT)
        await minted(store, account)
        account = await store.put_account(replace(account, secret=Secret("another")))
        assert (await store.load(SLOT)).condemned == ""
        await store.put_account(replace(account, base_url="http://127.0.0.1:8601"))
        record = await store.load(SLOT)
        assert record.condemned == "moved"
        assert record.credential is not None

    @on_a_store
    async def test_an_old_revision_can_neither_claim_nor_save(self, store: FullStore, harness: Harness) -> None:
        """A mint in flight while the secret was changed is not the new account's."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(SLOT, account, "old", 0)])
        await store.put_account(replace(account, secret=Secret("another")))
        assert isinstance((await one(store, Claim(SLOT, account, "new", 0))).answer, Moved)
        late = await one(store, Save(SLOT, account, "old", Granted(TOKEN, 7200)))
        assert isinstance(late.answer, LeaseLost)
        assert late.record.credential is None

    @on_a_store
    async def test_accounts_changed_at_once_get_a_revision_each(self, store: FullStore, harness: Harness) -> None:
        """Two admins, two replicas: whoever comes second changes what the first one made."""
        other = await harness.open()
        await store.put_account(ACCOUNT)
        puts = [
            replica.put_account(replace(ACCOUNT, secret=Secret(f"s{name}{number}")))
            for number in range(10)
            for name, replica in (("a", store), ("b", other))
        ]
        revisions = [account.revision for account in await asyncio.gather(*puts)]
        assert sorted(revisions) == list(range(2, 22))
        last = await store.account(APPID)
        assert last is not None
        assert last.revision == (await store.load(SLOT)).revision == 21
        await other.close()

    @on_a_store
    async def test_a_poll_sees_accounts_and_records_of_one_moment(self, store: FullStore, harness: Harness) -> None:
        """They are written in one transaction: a record of another revision than its account's is a riddle."""
        other = await harness.open()
        await store.put_account(ACCOUNT)

        async def change() -> None:
            for number in range(150):
                await store.put_account(replace(ACCOUNT, secret=Secret(f"s{number}")))

        changing = asyncio.ensure_future(change())
        while not changing.done():
            changes = await other.changes(NEVER)
            assert [record.revision for record in changes.records] == [one.revision for one in changes.accounts]
            await asyncio.sleep(0)
        await changing
        await other.close()

    @on_a_store
    async def test_a_removed_account_leaves_a_tombstone(self, store: FullStore, harness: Harness) -> None:
        """Nothing of the credential but what identifies it; other replicas find the tombstone among the changes."""
        account = await store.put_account(ACCOUNT)
        await minted(store, account)
        harness.advance(60)
        assert await store.remove_account(APPID) is True
        assert await store.remove_account(APPID) is False
        assert await store.account(APPID) is None
        assert await store.accounts() == []
        changes = await store.changes((await store.changes(NEVER)).now)
        (record,) = changes.records
        assert record.removed
        assert record.credential is None
        assert record.past == (hash_value(TOKEN),)
        assert isinstance((await one(store, Claim(SLOT, account, "late", 1))).answer, Moved)

    @on_a_store
    async def test_generations_and_revisions_never_begin_again(self, store: FullStore, harness: Harness) -> None:
        """A business server that knows generation 2 must never be shown generation 1 as something newer."""
        account = await store.put_account(ACCOUNT)
        await minted(store, account)
        await store.remove_account(APPID)
        account = await store.put_account(ACCOUNT)
        assert account.revision == 2
        record = await minted(store, account, "another-token", fence="f1")
        assert (record.generation, record.removed) == (2, False)

    @on_a_store
    async def test_changed_accounts_are_among_the_changes(self, store: FullStore, harness: Harness) -> None:
        """A running hub sees what an admin did elsewhere at its next poll."""
        await store.put_account(replace(ACCOUNT, appid="wxa"))
        harness.advance(60)
        account = await store.put_account(ACCOUNT)
        now = (await store.changes(NEVER)).now
        assert account in (await store.changes(now)).accounts
        assert len((await store.changes(NEVER)).accounts) == 2

    @on_a_store
    async def test_a_slot_that_was_never_written_is_of_its_accounts_revision(
        self, store: FullStore, harness: Harness
    ) -> None:
        """So a ticket's first claim is one like any, unless its account is not there, or is another by now."""
        assert (await store.load(TICKET)).revision == 0
        assert isinstance((await one(store, Claim(TICKET, ACCOUNT, "early", 0))).answer, Moved)
        old = await store.put_account(ACCOUNT)
        account = await store.put_account(replace(ACCOUNT, secret=Secret("f" * 32)))
        assert await store.load(TICKET) == Record(TICKET, revision=2)
        assert isinstance((await one(store, Claim(TICKET, old, "late", 0))).answer, Moved)
        claimed = await one(store, Claim(TICKET, account, "now", 0))
        assert isinstance(claimed.answer, Claimed)
        other = await harness.open()
        assert await other.load(TICKET) == claimed.record
        await other.close()

    @on_a_store
    async def test_a_slot_that_is_first_written_while_its_account_changes_is_of_the_new_revision(
        self, store: FullStore, harness: Harness
    ) -> None:
        """Whichever comes first: a record of the old revision would be claimed with the old secret."""
        other = await harness.open()
        await asyncio.gather(*(store.put_account(replace(ACCOUNT, appid=f"wx{number}")) for number in range(40)))
        for number in range(40):
            changed = replace(ACCOUNT, appid=f"wx{number}", secret=Secret("f" * 32))
            ticket = Slot(changed.appid, Kind.JSAPI_TICKET)
            await asyncio.gather(store.put_account(changed), other.apply([Count(ticket)]))
            assert (await store.load(ticket)).revision == 2
        await other.close()

    @on_a_store
    async def test_a_change_reaches_every_slot_that_was_ever_written_and_writes_no_other(
        self, store: FullStore, harness: Harness
    ) -> None:
        """The lease of a ticket's mint is void, its credential condemned; nobody asked for the other ticket."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(TICKET, account, "one", 0)])
        await store.apply([Save(TICKET, account, "one", Granted("ticket", 7200))])
        moved = await store.put_account(replace(ACCOUNT, base_url="http://127.0.0.1:8601"))
        record = await store.load(TICKET)
        assert (record.revision, record.condemned, record.generation) == (moved.revision, "moved", 1)
        kinds = {record.slot.kind for record in (await store.changes(NEVER)).records}
        assert kinds == {Kind.ACCESS_TOKEN, Kind.JSAPI_TICKET}

    @on_a_store
    async def test_a_removal_leaves_a_tombstone_of_every_slot_that_was_ever_written(
        self, store: FullStore, harness: Harness
    ) -> None:
        """A ticket's generations never begin again either, and its value is gone from the store."""
        account = await store.put_account(ACCOUNT)
        await store.apply([Claim(TICKET, account, "one", 0)])
        await store.apply([Save(TICKET, account, "one", Granted("ticket", 7200))])
        await store.remove_account(APPID)
        record = await store.load(TICKET)
        assert (record.removed, record.credential, record.generation) == (True, None, 1)
        assert (await store.load(Slot(APPID, Kind.WX_CARD_TICKET))).version == 0
        account = await store.put_account(ACCOUNT)
        record = await store.load(TICKET)
        assert (record.removed, record.revision, record.generation) == (False, account.revision, 1)
        assert isinstance((await one(store, Claim(TICKET, account, "two", 1))).answer, Claimed)
