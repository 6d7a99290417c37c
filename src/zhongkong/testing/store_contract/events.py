"""The contract of the audit log."""

from __future__ import annotations

from zhongkong.core.model import (
    NEVER,
    Event,
)
from zhongkong.core.ports import FullStore
from zhongkong.core.reject import Reject
from zhongkong.testing.store_contract.stories import (
    ACCOUNT,
    APPID,
    SLOT,
    Harness,
    minted,
    on_a_store,
    told,
)


class EventContract:
    """The audit log."""

    @on_a_store
    async def test_events_of_a_command_are_kept_with_its_record(self, store: FullStore, harness: Harness) -> None:
        """Who did what is known for every change, at the time of the change, and for nothing else."""
        account = await store.put_account(ACCOUNT)
        harness.advance(3)
        record = await minted(store, account)
        await store.apply([Reject(SLOT, "k1", generation=0)])
        (kept,) = await store.events()
        assert kept.event == Event(
            "minted", APPID, {"kind": "access_token", "generation": 1, "mode": "classic", "life": 7200}
        )
        assert kept.at == record.changed_at

    @on_a_store
    async def test_events_told_are_stamped_and_kept_in_every_detail(self, store: FullStore, harness: Harness) -> None:
        """Values come back as they went: text, number, fraction."""
        event = told(APPID, by="管理员 k1", revision=1, seconds=0.1)
        await store.tell([event, told()])
        await store.tell([])
        now = (await store.changes(NEVER)).now
        other = await harness.open()
        kept = await other.events()
        assert [one.event for one in kept] == [event, told()]
        assert {one.at for one in kept} == {now}
        await other.close()

    @on_a_store
    async def test_events_are_paged_oldest_first(self, store: FullStore, harness: Harness) -> None:
        """A follower asks from its last id on and gets each event once."""
        await store.tell([told(("wxa", "wxb")[number % 2], n=number) for number in range(10)])
        seen, after = [], 0
        while page := await store.events(after, limit=3):
            seen += [one.event.values["n"] for one in page]
            after = page[-1].id
        assert seen == list(range(10))
        of_one = await store.events(limit=2, appid="wxb")
        assert [one.event.values["n"] for one in of_one] == [1, 3]
        assert [one.event.values["n"] for one in await store.events(of_one[-1].id, appid="wxb")] == [5, 7, 9]

    @on_a_store
    async def test_the_last_events_come_oldest_first(self, store: FullStore, harness: Harness) -> None:
        """As a log is read."""
        await store.tell([told(("wxa", "wxb")[number % 2], n=number) for number in range(10)])
        assert [one.event.values["n"] for one in await store.last_events(3)] == [7, 8, 9]
        assert [one.event.values["n"] for one in await store.last_events(2, appid="wxa")] == [6, 8]
        assert len(await store.last_events()) == 10

    @on_a_store
    async def test_old_events_are_swept_a_few_at_a_time(self, store: FullStore, harness: Harness) -> None:
        """The oldest first, never one that is young enough, and never so many that others wait."""
        await store.tell([told(n=number) for number in range(5)])
        harness.advance(100)
        await store.tell([told(n=5)])
        now = (await store.changes(NEVER)).now
        assert await store.sweep_events(now, limit=2) == 2
        assert [one.event.values["n"] for one in await store.events()] == [2, 3, 4, 5]
        assert await store.sweep_events(now) == 3
        assert await store.sweep_events(now) == 0
        assert [one.event.values["n"] for one in await store.events()] == [5]

    @on_a_store
    async def test_ids_of_events_are_never_given_again(self, store: FullStore, harness: Harness) -> None:
        """A follower that asks after its last id would miss an event that got a smaller one."""
        await store.tell([told(n=1), told(n=2)])
        last = (await store.events())[-1].id
        harness.advance(1)
        await store.sweep_events((await store.changes(NEVER)).now)
        assert await store.events() == []
        await store.close()
        again = await harness.open()
        await again.tell([told(n=3)])
        assert [one.event for one in await again.events(after=last)] == [told(n=3)]
        await again.close()
