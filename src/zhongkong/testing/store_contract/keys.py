"""The contract of keys."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from zhongkong.core.grants import Grant, Key
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract.stories import (
    Harness,
    on_a_store,
)


class KeyContract:
    """Keys of business servers."""

    @on_a_store
    async def test_keys_are_kept_in_every_detail(self, store: FullStore, harness: Harness) -> None:
        """A grant that is lost locks out, one that is gained lets in."""
        key = Key(
            id="Ab3_-xYz",
            sha256="ab" * 32,
            name="订单服务",
            grants=frozenset({Grant.READ, Grant.FORCE}),
            appids=frozenset({"wxa", "wxb"}),
            created_at=1795240189.5774968,
            expires_at=1795240190.25,
            networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
            rate=600,
            last_used_at=1795240189.75,
        )
        bare = Key("Aa", "cd" * 32, "", frozenset({Grant.ADMIN}), frozenset(), 1.0)
        await store.put_key(key)
        await store.put_key(bare)
        other = await harness.open()
        assert await other.keys() == [bare, key]
        await other.close()

    @on_a_store
    async def test_a_key_is_replaced_and_removed_by_its_id(self, store: FullStore, harness: Harness) -> None:
        """A revoked key is gone at once, on every replica."""
        other = await harness.open()
        key = Key("k1", "ab" * 32, "one", frozenset({Grant.READ}), frozenset(), 1.0)
        await store.put_key(key)
        await store.put_key(replace(key, name="two"))
        assert [one.name for one in await other.keys()] == ["two"]
        assert await other.remove_key("k1") is True
        assert await store.remove_key("k1") is False
        assert await store.keys() == []
        await other.close()

    @on_a_store
    async def test_the_signing_key_is_one_for_all_replicas(self, store: FullStore, harness: Harness) -> None:
        """A virtual token that one replica signed is good at every other, and it is signed under the seal."""
        key = await store.signing_key()
        assert len(key) == 32
        other = await harness.open()
        assert await other.signing_key() == key
        await other.close()
        stored = harness.stored_bytes()
        assert key not in stored
        assert key.hex().encode() not in stored

    @on_a_store
    async def test_the_last_use_never_moves_back(self, store: FullStore, harness: Harness) -> None:
        """Replicas note it late and out of order."""
        for key_id in ("k1", "k2"):
            await store.put_key(Key(key_id, "ab" * 32, "", frozenset({Grant.READ}), frozenset(), 1.0))
        await store.used_keys({"k1": 100.0, "k2": 200.0, "gone": 300.0})
        await store.used_keys({"k1": 150.0, "k2": 150.0})
        await store.used_keys({})
        assert [key.last_used_at for key in await store.keys()] == [150.0, 200.0]
