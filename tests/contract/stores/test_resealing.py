"""Rotating the seal of a SQLite store while it is in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.stores.sqlite import run
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.sql import SqlStore, open_sqlite
from zhongkong.core.model import Slot
from zhongkong.errors import WrongSeal
from zhongkong.testing.store_contract.stories import ACCOUNT, TOKEN, minted

APPIDS = [f"wx{number:03}" for number in range(450)]


async def filled(store: SqlStore) -> None:
    """Add accounts; every third has a credential."""
    for number, appid in enumerate(APPIDS):
        account = await store.put_account(replace(ACCOUNT, appid=appid))
        if number % 3 == 0:
            await minted(store, account, TOKEN + appid)


async def all_is_there(store: SqlStore) -> None:
    """Assert that every secret and value can be unsealed."""
    assert [account.secret for account in await store.accounts()] == [ACCOUNT.secret] * len(APPIDS)
    for appid in APPIDS[::3]:
        credential = (await store.load(Slot(appid))).credential
        assert credential is not None
        assert credential.value == TOKEN + appid


@run
async def test_after_resealing_the_former_seal_may_go(tmp_path: Path) -> None:
    """And it tells how far it has come, from the first page to the last."""
    seal = FileSeal(tmp_path / "seal")
    store = await open_sqlite(tmp_path / "hub.db", seal)
    await filled(store)
    first, signing_key = seal.check, await store.signing_key()
    seal.rotate()
    progress = [step async for step in store.reseal()]
    assert [step.done for step in progress] == [200, 400, 450, 600]
    assert {step.total for step in progress} == {600}
    assert await store.sealed_by() == seal.check != first
    await store.close()
    seal.rotate()
    assert not seal.knows(first)
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    await all_is_there(store)
    assert await store.signing_key() == signing_key
    await store.close()


@run
async def test_until_then_both_seals_are_needed(tmp_path: Path) -> None:
    """Interrupted, it is begun again; what one seal closed and what the other did can be read all the while."""
    seal = FileSeal(tmp_path / "seal")
    store = await open_sqlite(tmp_path / "hub.db", seal)
    await filled(store)
    first = seal.check
    seal.rotate()
    async for step in store.reseal():
        if step.done == 400:
            break
    assert await store.sealed_by() == first
    await store.close()
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    await all_is_there(store)
    assert [step.done async for step in store.reseal()][-1] == 600
    assert await store.sealed_by() == seal.check
    await store.close()


@run
async def test_a_store_whose_seal_was_forgotten_does_not_open(tmp_path: Path) -> None:
    """Two rotations without resealing between: the seal that closed everything is gone."""
    seal = FileSeal(tmp_path / "seal")
    store = await open_sqlite(tmp_path / "hub.db", seal)
    await filled(store)
    await store.close()
    seal.rotate()
    seal.rotate()
    with pytest.raises(WrongSeal):
        await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))


@run
async def test_running_replicas_follow_a_rotation(tmp_path: Path) -> None:
    """A hub reads what an admin's command closed with the new seal, and closes with it too."""
    running = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    await filled(running)
    admin_seal = FileSeal(tmp_path / "seal")
    admin = await open_sqlite(tmp_path / "hub.db", admin_seal)
    admin_seal.rotate()
    assert [step.done async for step in admin.reseal()][-1] == 600
    await all_is_there(running)
    await running.put_account(replace(ACCOUNT, appid="wx-new"))
    await admin.close()
    await running.close()
    admin_seal.rotate()
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    account = await store.account("wx-new")
    assert account is not None
    assert account.secret == ACCOUNT.secret
    await store.close()


@run
async def test_a_value_kept_by_a_write_keeps_the_newest_seal(tmp_path: Path) -> None:
    """A claim carries the sealed value along unopened: it must be the one that lies there, not one remembered."""
    seal = FileSeal(tmp_path / "seal")
    store = await open_sqlite(tmp_path / "hub.db", seal)
    account = await store.put_account(ACCOUNT)
    await minted(store, account)
    seal.rotate()
    [_ async for _ in store.reseal()]
    await store.put_account(replace(account, mode=account.on_contest))
    await store.close()
    seal.rotate()
    store = await open_sqlite(tmp_path / "hub.db", FileSeal(tmp_path / "seal"))
    credential = (await store.load(Slot(account.appid))).credential
    assert credential is not None
    assert credential.value == TOKEN
    await store.close()
