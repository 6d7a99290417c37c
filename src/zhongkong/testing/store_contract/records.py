"""The contract of `apply`, `load` and `changes`."""

from __future__ import annotations

import asyncio

from zhongkong.core.command import Applied
from zhongkong.core.model import (
    NEVER,
    Record,
    Slot,
)
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract.stories import (
    ACCOUNT,
    SLOT,
    Break,
    Broken,
    Count,
    Harness,
    Look,
    Put,
    full_record,
    minted,
    on_a_store,
    one,
)


class RecordContract:
    """`apply`, `load` and `changes`: a store decides nothing, and loses nothing."""

    @on_a_store
    async def test_a_slot_never_written_has_an_empty_record(self, store: FullStore, harness: Harness) -> None:
        """Nobody has to add a slot before it is claimed."""
        assert await store.load(SLOT) == Record(SLOT)
        assert (await store.changes(NEVER)).records == ()

    @on_a_store
    async def test_a_write_is_versioned_and_stamped_by_the_stores_clock(
        self, store: FullStore, harness: Harness
    ) -> None:
        """Replicas tell newer from older by the version, and find what is new by the stamp."""
        began = (await store.changes(NEVER)).now
        harness.advance(5)
        first = await one(store, Count(SLOT))
        harness.advance(2.5)
        second = await one(store, Count(SLOT))
        assert (first.record.version, second.record.version) == (1, 2)
        assert (first.now, second.now) == (began + 5, began + 7.5)
        assert second.record.changed_at == second.now
        assert await store.load(SLOT) == second.record

    @on_a_store
    async def test_a_command_that_changes_nothing_writes_nothing(self, store: FullStore, harness: Harness) -> None:
        """Rejects of a thousand callers must not become a thousand changes that every replica reads."""
        counted = await one(store, Count(SLOT))
        harness.advance(60)
        looked = await one(store, Look(SLOT))
        assert looked == Applied(counted.record, counted.now + 60, counted.now + 60)
        assert await store.load(SLOT) == counted.record
        assert (await store.changes(counted.now + 1)).records == ()

    @on_a_store
    async def test_answers_come_in_the_order_of_the_commands(self, store: FullStore, harness: Harness) -> None:
        """A caller tells by the place which answer is whose."""
        slots = [Slot(f"wx{number:04}") for number in range(700)]
        await store.apply([Count(slot) for slot in slots[::2]])
        applied = await store.apply([Count(slot) for slot in slots])
        assert [one.record.slot for one in applied] == slots
        assert [one.answer for one in applied] == [1, 0] * 350

    @on_a_store
    async def test_commands_of_one_batch_see_each_other(self, store: FullStore, harness: Harness) -> None:
        """A batch is no snapshot: two commands on one record come one after the other."""
        applied = await store.apply([Count(SLOT), Count(SLOT), Count(SLOT)])
        assert [one.answer for one in applied] == [0, 1, 2]
        assert [one.record.version for one in applied] == [1, 2, 3]

    @on_a_store
    async def test_an_empty_batch_is_nothing(self, store: FullStore, harness: Harness) -> None:
        """A round with nothing to do asks for nothing."""
        assert await store.apply([]) == []

    @on_a_store
    async def test_commands_on_one_record_never_interleave(self, store: FullStore, harness: Harness) -> None:
        """Whoever sends them, from whichever replica: a lost update would be a lost lease, and two mints."""
        other = await harness.open()
        calls = [replica.apply([Count(SLOT)] * 4) for _ in range(50) for replica in (store, other)]
        answers = [one.answer for applied in await asyncio.gather(*calls) for one in applied]
        assert sorted(answers) == list(range(400))
        assert (await other.load(SLOT)).asks == 400
        assert [one.event.values["before"] for one in await store.events(limit=1000)] == list(range(400))
        await other.close()

    @on_a_store
    async def test_a_command_that_raises_harms_nobody_else(self, store: FullStore, harness: Harness) -> None:
        """A bug in one call must not fail, or half do, those that happen to share its commit."""
        calls = [store.apply([Count(SLOT)]) for _ in range(10)]
        calls.insert(5, store.apply([Break(SLOT)]))
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(done.pop(5), Broken)
        assert sorted(applied[0].answer for applied in done if isinstance(applied, list)) == list(range(10))
        assert (await one(store, Look(SLOT))).record.asks == 10

    @on_a_store
    async def test_a_cancelled_call_is_done_wholly_or_not_at_all(self, store: FullStore, harness: Harness) -> None:
        """A caller that gives up leaves no half of a write, and does not disturb the others."""
        calls = [asyncio.ensure_future(store.apply([Count(SLOT)])) for _ in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        record = (await one(store, Look(SLOT))).record
        assert 10 <= record.asks <= 20
        assert record.version == record.asks == len(await store.events(limit=1000))

    @on_a_store
    async def test_a_record_outlives_the_store_in_every_detail(self, store: FullStore, harness: Harness) -> None:
        """What is read back is what was written, to the last bit of an instant."""
        written = (await one(store, Put(SLOT, full_record()))).record
        await store.close()
        again = await harness.open()
        assert await again.load(SLOT) == written
        assert (await again.changes(NEVER)).records == (written,)
        await again.close()

    @on_a_store
    async def test_a_token_of_2048_characters_is_kept(self, store: FullStore, harness: Harness) -> None:
        """Tokens grow; the platform asks for room. Source: 获取 Access Token (at least 512), 企业微信 (more)."""
        longest = "x" * 2047 + "~"
        await store.put_account(ACCOUNT)
        await minted(store, ACCOUNT, longest)
        other = await harness.open()
        credential = (await other.load(SLOT)).credential
        assert credential is not None
        assert credential.value == longest
        await other.close()

    @on_a_store
    async def test_another_replica_sees_what_was_committed(self, store: FullStore, harness: Harness) -> None:
        """The store is the only thing that replicas share, and no memory of one stands before it."""
        other = await harness.open()
        for _ in range(3):
            for writer, reader in ((store, other), (other, store)):
                written = (await one(writer, Count(SLOT))).record
                assert await reader.load(SLOT) == written
                assert (await reader.changes(NEVER)).records == (written,)
        await other.close()

    @on_a_store
    async def test_what_was_accepted_is_durable_after_close(self, store: FullStore, harness: Harness) -> None:
        """A server that ends does not drop answers of the platform that are on their way to the disk."""
        call = asyncio.ensure_future(store.apply([Count(SLOT)]))
        await asyncio.sleep(0)
        await store.close()
        await call
        again = await harness.open()
        assert (await again.load(SLOT)).asks == 1
        await again.close()

    @on_a_store
    async def test_changes_tell_what_was_written_at_or_after_an_instant(
        self, store: FullStore, harness: Harness
    ) -> None:
        """At, not only after: two writes may bear one stamp, and a poll may fall between them."""
        slots = [Slot(f"wx{number}") for number in range(3)]
        stamps = []
        for slot in slots:
            harness.advance(1)
            stamps.append((await one(store, Count(slot))).record.changed_at)
        changed = await store.changes(stamps[1])
        assert {record.slot for record in changed.records} == set(slots[1:])
        assert {record.slot for record in (await store.changes(NEVER)).records} == set(slots)
        assert changed.now == stamps[2]

    @on_a_store
    async def test_polling_misses_no_write(self, store: FullStore, harness: Harness) -> None:
        """A replica that polls from its last poll's time on knows, in the end, every record as it stands."""
        other = await harness.open()
        slots = [Slot(f"wx{number}") for number in range(8)]
        known: dict[Slot, Record] = {}
        seen = NEVER

        async def write(number: int) -> None:
            for turn in range(30):
                harness.advance(0.001)
                await store.apply([Count(slots[number]), Count(slots[(number + turn) % len(slots)])])

        async def poll() -> None:
            nonlocal seen
            changes = await other.changes(seen)
            known.update({record.slot: record for record in changes.records})
            seen = changes.now

        writers = [asyncio.ensure_future(write(number)) for number in range(len(slots))]
        while not all(writer.done() for writer in writers):
            await poll()
            await asyncio.sleep(0)
        await asyncio.gather(*writers)
        await poll()
        assert known == {slot: await store.load(slot) for slot in slots}
        await other.close()

    @on_a_store
    async def test_a_store_is_known_by_its_incarnation(self, store: FullStore, harness: Harness) -> None:
        """A lost or restored store is another one; a store that was closed and opened is not."""
        other = await harness.open()
        incarnations = {(await replica.changes(NEVER)).incarnation for replica in (store, other)}
        await other.close()
        again = await harness.open()
        incarnations.add((await again.changes(NEVER)).incarnation)
        assert len(incarnations) == 1
        assert "" not in incarnations
        await again.close()
