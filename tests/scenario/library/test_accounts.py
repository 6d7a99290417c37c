"""The accounts that a program names: added, corrected, and never worse than what is in the store."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from tests.scenario.keeper.scene import APPID, SLOT, Scene
from tests.scenario.library.program import Program
from zhongkong.core.model import Account, Mode, Secret
from zhongkong.errors import CredentialUnavailable, StoreUnavailable

WRONG = Secret("f" * 32)


def stored(scene: Scene, appid: str = APPID) -> Account:
    """Return the account as the store has it."""
    account = scene.run(scene.store.account(appid))
    assert account is not None
    return account


def test_an_account_that_is_named_is_added_as_declared() -> None:
    """Also when it was never there: the first read finds it."""
    scene = Scene(replicas=0, account=False)
    program = Program(scene, accounts=[scene.account])
    assert program.credential().value
    assert stored(scene) == replace(scene.account, declared=True)
    assert scene.events.count("account_declared") == 1


def test_programs_that_name_the_same_account_write_it_once() -> None:
    """Fifty workers of one application begin with the same words."""
    scene = Scene(replicas=0, account=False)
    Program(scene, accounts=[scene.account]).credential()
    version = scene.record.version
    for index in range(1, 5):
        Program(scene, index, accounts=[scene.account]).credential()
    assert (stored(scene).revision, scene.record.version) == (1, version)
    assert scene.events.count("account_declared") == 1


def test_others_in_the_store_stay_as_they_are() -> None:
    """A program declares what it needs; what others declared, or people added, is theirs."""
    scene = Scene(replicas=0)
    others = [replace(scene.account, appid=f"wx-other-{one}", declared=one == 1) for one in range(2)]
    before = [scene.run(scene.store.put_account(other)) for other in others]
    Program(scene, accounts=[scene.account]).credential()
    assert [stored(scene, other.appid) for other in others] == before


def test_a_corrected_secret_is_tried_and_then_replaces_the_one_in_the_store() -> None:
    """It was reset at the platform: the program was changed and begun anew, and that is all there is to do."""
    scene = Scene(replicas=0)
    right = scene.account
    scene.change_account(secret=WRONG)
    with pytest.raises(CredentialUnavailable) as refused:
        Program(scene, 0).credential()
    assert refused.value.values["errcode"] == 40125
    assert Program(scene, 1, accounts=[right]).credential().value
    assert stored(scene).secret == right.secret
    assert stored(scene).revision == 3


def test_a_wrong_secret_does_not_replace_a_right_one(caplog: pytest.LogCaptureFixture) -> None:
    """A worker of yesterday's deployment begins anew beside today's: the log says what is wrong."""
    scene = Scene(replicas=0)
    program = Program(scene, accounts=[replace(scene.account, secret=WRONG)])
    assert program.credential().value
    scene.turn(1000)
    assert stored(scene) == scene.account
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "40125" in caplog.text
    assert WRONG.reveal() not in caplog.text


def test_a_secret_that_cannot_be_tried_yet_waits(caplog: pytest.LogCaptureFixture) -> None:
    """Our address is not allowed: neither secret can be judged, so the store's own goes on until it can."""
    scene = Scene(replicas=0)
    right = scene.account
    scene.change_account(secret=WRONG)
    scene.line.refusal = 40164
    program = Program(scene, accounts=[right])
    with pytest.raises(CredentialUnavailable) as refused:
        program.credential()
    assert refused.value.values["errcode"] == 40164
    assert stored(scene).secret == WRONG
    assert len(scene.line.asked()) == 2
    scene.line.refusal = None
    scene.turn(400)
    assert program.credential().value
    assert stored(scene).secret == right.secret
    assert "AppSecret" in caplog.text


def test_a_secret_that_is_known_to_be_wrong_is_replaced_untried() -> None:
    """There is nothing to lose; to go on with it would hide what is wrong with the new one."""
    scene = Scene(replicas=0)
    right = scene.account
    scene.change_account(secret=WRONG)
    with pytest.raises(CredentialUnavailable):
        Program(scene, 0).credential()
    scene.line.refusal = 40164
    with pytest.raises(CredentialUnavailable) as refused:
        Program(scene, 1, accounts=[right]).credential()
    assert refused.value.values["errcode"] == 40164
    assert stored(scene).secret == right.secret


def test_another_mode_takes_effect_and_the_living_token_goes_on() -> None:
    """What is said of an account besides its secret needs no trial."""
    scene = Scene(replicas=0)
    former = Program(scene, 0).credential()
    program = Program(scene, 1, accounts=[replace(scene.account, mode=Mode.CLASSIC)])
    assert program.credential().value == former.value
    scene.turn(120.0)
    assert stored(scene).mode is Mode.CLASSIC
    assert [call.what for call in scene.line.asked()] == ["stable_token", "token"]


def test_an_account_that_could_not_be_written_is_told_by_its_store_and_written_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full. To say that there is no such account would send people the wrong way."""
    scene = Scene(replicas=0, account=False)
    program = Program(scene, accounts=[scene.account])

    async def refuse(_account: Account) -> Account:
        raise StoreUnavailable("store_full", path="wx.db", owner="me")

    with monkeypatch.context() as full:
        full.setattr(scene.store, "put_account", refuse)
        with pytest.raises(StoreUnavailable, match="store_full"):
            program.credential()
    scene.turn(2.0)
    assert program.credential().value


def test_what_a_person_must_see_to_is_logged_once_while_the_token_lives(caplog: pytest.LogCaptureFixture) -> None:
    """The address fell off the allow-list: no call fails for an hour, and then all do."""
    scene = Scene(Mode.CLASSIC, replicas=0)
    program = Program(scene)
    value = program.credential().value
    scene.line.refusal = 40164
    scene.turn_to(scene.record.refresh_at + 1200)
    assert program.credential().value == value
    assert scene.record.slot == SLOT
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "40164" in caplog.text
