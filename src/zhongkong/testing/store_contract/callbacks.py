"""The contract of callbacks and of the files that prove a domain."""

from __future__ import annotations

from dataclasses import replace

from zhongkong.core.callbacks import Callback, Proof
from zhongkong.core.model import Secret
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract.stories import ACCOUNT, APPID, Harness, on_a_store

CALLBACK = Callback(
    APPID,
    Secret("callback-token-1"),
    Secret("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
    Secret("http://robot:password@10.0.0.5/wechat?key=消息"),
    (Secret("http://10.0.0.6/a"), Secret("http://10.0.0.7/b")),
)


class CallbackContract:
    """How an account is pushed to."""

    @on_a_store
    async def test_a_callback_is_kept_in_every_detail(self, store: FullStore, harness: Harness) -> None:
        """On every replica, and under the seal."""
        await store.put_account(ACCOUNT)
        assert await store.callback(APPID) is None
        assert await store.put_callback(CALLBACK) is True
        other = await harness.open()
        assert await other.callback(APPID) == CALLBACK
        bare = Callback(APPID, Secret("another"))
        assert await other.put_callback(bare) is True
        assert await store.callback(APPID) == bare
        await other.close()
        stored = harness.stored_bytes()
        for secret in (CALLBACK.token, CALLBACK.encoding_aes_key, CALLBACK.handler, *CALLBACK.listeners):
            assert secret.reveal().encode() not in stored

    @on_a_store
    async def test_files_are_found_by_name_whoever_they_are_for(self, store: FullStore, harness: Harness) -> None:
        """The platform asks for a name, and says nothing of an account."""
        other = replace(ACCOUNT, appid="wx-other")
        for account in (ACCOUNT, other):
            await store.put_account(account)
        mine = [Proof("MP_verify_b.txt", APPID, "b"), Proof("MP_verify_a.txt", APPID, "a")]
        for proof in (*mine, Proof("WW_verify_c.txt", other.appid, "c")):
            assert await store.put_proof(proof) is True
        assert await store.put_proof(mine[0]._replace(body="B")) is True
        replica = await harness.open()
        assert await replica.proof("MP_verify_b.txt") == mine[0]._replace(body="B")
        assert await replica.proof("MP_verify_z.txt") is None
        assert await replica.proofs(APPID) == [mine[1], mine[0]._replace(body="B")]
        await replica.close()

    @on_a_store
    async def test_nothing_is_kept_for_nobody_and_all_goes_with_its_account(
        self, store: FullStore, harness: Harness
    ) -> None:
        """Who comes back under the same appid begins without them."""
        proof = Proof("MP_verify_a.txt", APPID, "a")
        assert await store.put_callback(CALLBACK) is False
        assert await store.put_proof(proof) is False
        assert (await store.callback(APPID), await store.proof(proof.name)) == (None, None)
        await store.put_account(ACCOUNT)
        await store.put_callback(CALLBACK)
        await store.put_proof(proof)
        await store.remove_account(APPID)
        await store.put_account(ACCOUNT)
        other = await harness.open()
        assert (await other.callback(APPID), await other.proof(proof.name)) == (None, None)
        await other.close()
