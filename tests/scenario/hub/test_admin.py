"""What an administrator does where no hub runs: on the command line, and at a hub's start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scenario.hub.house import APPID, OTHER, SECRET, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Account, AccountKind, Event, Mode, Secret, Slot
from zhongkong.errors import SettingInvalid
from zhongkong.serving import seat_store
from zhongkong.settings import load_settings


@pytest.fixture
def desk() -> Iterator[House]:
    """A house in which nothing runs by itself; the store was read once."""
    house = House()
    house.clock.run(house.keeper.poll())
    yield house
    house.close()


def account(appid: str = APPID, **given: object) -> Account:
    """Return an account as settings declare it."""
    made = Account(appid, AccountKind.OFFICIAL, Secret(SECRET), base_url="http://sandbox.test", declared=True)
    return replace(made, **given)  # type: ignore[arg-type]  # fields by name


def events(house: House) -> list[tuple[str, str]]:
    """Return what the audit log holds of accounts."""
    kept = [one.event for one in house.clock.run(house.store.events())]
    return [(one.code, one.appid) for one in kept if one.code.startswith("account_")]


def test_an_account_that_is_added_where_nothing_runs_mints_all_the_same(desk: House) -> None:
    """`zhongkong account add` says that it works, with or without a hub."""
    desk.world.add_account(APPID, SECRET)
    desk.clock.run(desk.admin.add_account(account(), "cli"))
    health = desk.clock.run(desk.admin.settle(Slot(APPID)))
    assert (health.state, health.serving) == ("well", True)


def test_a_change_where_nothing_runs_is_tried_all_the_same(desk: House) -> None:
    """A token that is still good does not hide that the new mode was never tried."""
    desk.add_account()
    desk.clock.run(desk.admin.settle(Slot(APPID)))
    desk.clock.turn(200.0)
    desk.clock.run(desk.admin.change_account(APPID, "cli", mode=Mode.CLASSIC))
    desk.clock.run(desk.admin.settle(Slot(APPID)))
    assert desk.platform.mints[-1].mode is Mode.CLASSIC


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_a_change_soon_after_a_mint_is_answered_at_once(desk: House, mode: Mode) -> None:
    """The new secret was tried before it was taken; what may not be minted yet is not waited for."""
    desk.add_account(mode=mode)
    desk.clock.run(desk.admin.settle(Slot(APPID)))
    secret = desk.world.reset_secret(APPID, desk.clock.wall())
    desk.texts.append(secret)
    began = desk.clock.boot()
    changed = desk.clock.run(desk.admin.change_account(APPID, "cli", secret=Secret(secret)))
    health = desk.clock.run(desk.admin.settle(Slot(APPID)))
    assert desk.clock.boot() - began < 1.0
    assert (changed.fields, health.state) == (("secret",), "well")
    assert desk.platform.mints[-1].account.secret.reveal() == secret


def test_declared_accounts_are_added_and_changed(house: House) -> None:
    """The settings are the truth of what they declare."""
    house.clock.run(house.admin.declare([account(), account(OTHER)], "settings"))
    house.clock.run(house.admin.declare([account(mode=Mode.CLASSIC), account(OTHER)], "settings"))
    stored = {one.appid: one for one in house.clock.run(house.store.accounts())}
    assert (stored[APPID].mode, stored[APPID].revision, stored[OTHER].revision) == (Mode.CLASSIC, 2, 1)
    assert all(one.declared for one in stored.values())
    assert events(house) == [("account_declared", APPID), ("account_declared", OTHER), ("account_declared", APPID)]


def test_a_start_with_the_same_settings_changes_nothing(house: House) -> None:
    """Not even a wait: a hub that is restarted in a loop must not call the platform in one."""
    house.platform.fails_with = None
    house.world.add_account(APPID, "0" * 32)
    house.clock.run(house.admin.declare([account()], "settings"))
    house.clock.turn(2.0)
    mints = len(house.platform.mints)
    house.clock.run(house.admin.declare([account()], "settings"))
    house.clock.turn(2.0)
    assert (len(house.platform.mints), len(events(house))) == (mints, 1)


def test_an_account_that_is_no_longer_declared_stays_and_can_be_changed(house: House, admin: str) -> None:
    """A line that was lost from a file must not take an account down."""
    house.clock.run(house.admin.declare([account()], "settings"))
    house.clock.run(house.admin.declare([], "settings"))
    assert house.call("PATCH", f"/v1/accounts/{APPID}", admin, json={"name": "x"}).status_code == 200


def test_a_store_of_another_kind_is_refused_without_its_password(tmp_path: Path) -> None:
    """Whoever reads the message needs to know which setting, not which password."""
    settings = load_settings(flags={"data_dir": tmp_path, "store_url": "oracle://user:hunter2@db/zhongkong"})

    async def opened() -> None:
        async with seat_store(settings):
            pass

    with pytest.raises(SettingInvalid) as refused:
        House().clock.run(opened())
    assert refused.value.code == "store_kind_unknown"
    assert "hunter2" not in str(refused.value)


def test_an_event_reaches_who_listens_to_the_tail_once(house: House) -> None:
    """One look at the store serves the log and every stream."""
    heard: list[str] = []
    house.tail.listen(lambda kept: heard.append(kept.event.code))
    house.clock.run(house.store.tell([Event("contested", APPID)]))
    house.clock.turn(5.0)
    assert heard == ["contested"]


def test_keys_of_the_command_line_are_good_at_the_hub(house: House) -> None:
    """One store, one set of keys."""
    _, text = house.clock.run(house.admin.create_key("cli", name="x", grants=[Grant.READ]))
    house.clock.turn(2.0)
    assert house.call("GET", "/v1/whoami", text.reveal()).status_code == 200
