"""The contract of pushes: which were here before, on whichever replica."""

from __future__ import annotations

import asyncio
from collections import Counter

from zhongkong.core.callbacks import PUSHES_KEPT, TURN, Push, Standing, Taken
from zhongkong.core.model import NEVER
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract.stories import ACCOUNT, APPID, Harness, on_a_store

PUSH = Push(APPID, "ab" * 32, "1795240000 1234567890")
FIRST, UNDER_WAY = Taken(Standing.FIRST), Taken(Standing.UNDER_WAY)


class PushContract:
    """A push is delivered once."""

    @on_a_store
    async def test_of_all_replicas_one_gets_a_push(self, store: FullStore, harness: Harness) -> None:
        """However many of its repetitions come at one moment."""
        await store.put_account(ACCOUNT)
        other = await harness.open()
        taken = await asyncio.gather(*(one.take_push(PUSH, f"f{n}") for n in range(8) for one in (store, other)))
        assert Counter(taken) == {FIRST: 1, UNDER_WAY: 15}
        await other.close()

    @on_a_store
    async def test_a_repetition_is_told_what_was_answered(self, store: FullStore, harness: Harness) -> None:
        """Also where it was signed anew; the answer is a letter, and lies sealed."""
        answer = "<xml><Content><![CDATA[你好，这是回复]]></Content></xml>"
        assert await store.take_push(PUSH, "f1") == FIRST
        assert await store.answer_push(PUSH, "f1", answer) is True
        other = await harness.open()
        for again in (PUSH, PUSH._replace(stamp="1795240005 99")):
            assert await other.take_push(again, "f2") == Taken(Standing.ANSWERED, answer)
        await other.close()
        assert "这是回复".encode() not in harness.stored_bytes()

    @on_a_store
    async def test_another_message_or_account_is_another_push(self, store: FullStore, harness: Harness) -> None:
        """And an empty answer is one too."""
        await store.take_push(PUSH, "f1")
        assert await store.answer_push(PUSH, "f1", "") is True
        assert await store.take_push(PUSH, "f1") == Taken(Standing.ANSWERED, "")
        assert await store.take_push(PUSH._replace(appid="wx-other"), "f2") == FIRST
        harness.advance(1)
        assert await store.take_push(PUSH._replace(identity="cd" * 32, stamp="2 2"), "f3") == FIRST

    @on_a_store
    async def test_a_stamp_is_good_for_one_message(self, store: FullStore, harness: Harness) -> None:
        """In plaintext mode whoever saw a signed URL could say anything with it; refused, it is not noted either."""
        await store.take_push(PUSH, "f1")
        forged = PUSH._replace(identity="cd" * 32)
        other = await harness.open()
        assert await other.take_push(forged, "f2") == Taken(Standing.REPLAYED)
        assert await other.take_push(forged._replace(stamp="2 2"), "f3") == FIRST
        await other.close()

    @on_a_store
    async def test_who_does_not_answer_in_his_turn_loses_it(self, store: FullStore, harness: Harness) -> None:
        """He crashed, and the platform asks again; what he answers after all counts for nothing."""
        await store.take_push(PUSH, "f1")
        harness.advance(TURN - 0.5)
        assert await store.take_push(PUSH, "f2") == UNDER_WAY
        harness.advance(1)
        assert await store.take_push(PUSH, "f3") == FIRST
        assert await store.answer_push(PUSH, "f1", "late") is False
        assert await store.answer_push(PUSH, "f3", "answer") is True
        assert (await store.take_push(PUSH, "f4")).answer == "answer"

    @on_a_store
    async def test_old_ones_are_swept_a_few_at_a_time(self, store: FullStore, harness: Harness) -> None:
        """Young ones stay."""
        for number in range(5):
            await store.take_push(PUSH._replace(identity=f"{number:064}", stamp=str(number)), "f1")
        harness.advance(PUSHES_KEPT)
        await store.take_push(PUSH, "young")
        now = (await store.changes(NEVER)).now
        assert [await store.sweep_pushes(now - 60, 6) for _ in range(3)] == [6, 4, 0]
        assert await store.take_push(PUSH, "f1") == UNDER_WAY
