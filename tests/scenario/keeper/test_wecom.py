"""An application of WeCom: kept by asking again, healed where its platform heals, and blocked in words where not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenario.keeper.scene import WECOM, Scene, gaps
from zhongkong.core.model import Kind, Mode, Secret, Slot
from zhongkong.errors import CredentialUnavailable, RequestRefused
from zhongkong.keeper.keeper import RejectOutcome
from zhongkong.sandbox.switches import Switches
from zhongkong.wechat.advice import explain_error

AGENT = Slot(WECOM.appid, Kind.AGENT_CONFIG_TICKET)
CORP = Slot(WECOM.appid, Kind.JSAPI_TICKET)


def blocked(scene: Scene, slot: Slot | None = None) -> CredentialUnavailable:
    """Return why there is nothing to hand out."""
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read(slot=slot)
    assert caught.value.cause == "blocked"
    return caught.value


def test_a_cold_start_costs_one_call() -> None:
    """Whoever asks first; the token lives two hours and nobody asks again before its last minutes."""
    scene = Scene(Mode.WECOM, replicas=3)
    handed = scene.read()
    assert scene.is_alive(handed.value)
    assert [scene.read(replica).value for replica in range(3)] == [handed.value] * 3
    scene.turn(6800.0)
    assert [call.what for call in scene.line.journal] == ["gettoken"]


def test_it_is_asked_for_in_its_last_minutes_and_at_its_end() -> None:
    """The platform repeats it to the last second: one read may wait for one call then, and none is refused or fails."""
    scene = Scene(Mode.WECOM)
    reader = scene.seat_reader(every=1.0)
    scene.turn(3 * 7200.0)
    assert reader.failed == []
    assert reader.refused == []
    assert reader.marks == set()
    assert reader.longest_wait < 2.0
    assert len(scene.issued) == 3 + 1
    asked = scene.line.asked()
    assert len(asked) < 4 * 20
    assert min(gaps(asked)) > 0.5
    assert "foreign_mint" not in scene.events


def test_a_token_that_ended_early_is_replaced_for_who_rejects_it() -> None:
    """40014 is the proof; the next gettoken brings another one. It is no stranger's work."""
    scene = Scene(Mode.WECOM)
    dead = scene.read().value
    scene.revoke_all()
    rejected = scene.reject(dead)
    assert rejected.outcome is RejectOutcome.REFRESHED
    assert scene.is_alive(rejected.handed.value)
    assert [call.what for call in scene.line.journal] == ["gettoken", "probe", "gettoken"]
    assert scene.record.contest.seen == ()


def test_a_token_past_its_life_is_seen_dead_by_42001() -> None:
    """A clock of ours that is behind must not hand it out for long."""
    scene = Scene(Mode.WECOM)
    value = scene.read().value
    scene.world.find(value).close(scene.clock.wall(), "age")  # type: ignore[union-attr]
    rejected = scene.reject(value)
    assert [call.errcode for call in scene.line.asked("probe")] == [42001]
    assert rejected.outcome is RejectOutcome.REFRESHED


def test_a_living_one_is_still_valid() -> None:
    """Asked again it would be the same."""
    scene = Scene(Mode.WECOM)
    assert scene.reject(scene.read().value).outcome is RejectOutcome.STILL_VALID
    assert len(scene.line.asked()) == 1


def test_a_platform_that_repeats_a_dead_token_is_asked_every_minute() -> None:
    """Nobody gets it; it is told once; and it is over with the first other token."""
    scene = Scene(Mode.WECOM, switches=Switches(wecom_revoked="same"))
    dead = scene.read().value
    scene.revoke_all()
    with pytest.raises(CredentialUnavailable):
        scene.reject(dead)
    assert scene.record.condemned == "rejected"
    scene.turn(1800.0)
    with pytest.raises(CredentialUnavailable) as caught:
        scene.read()
    assert caught.value.cause == "token_repeated"
    assert min(gaps(scene.line.asked()[1:])) > 59.0
    assert 25 <= len(scene.line.asked()) <= 33
    assert scene.events.count("mint_failed") == 1
    scene.world.switches = replace(scene.world.switches, wecom_revoked="new")
    scene.turn(70.0)
    assert scene.is_alive(scene.read().value)
    assert scene.record.retry.trouble is None


def test_a_repeated_token_whose_successor_came_while_the_store_was_away_is_replaced_there_too() -> None:
    """Memory has what the store has not: it is the store's own, dead and repeated, that is looked at and replaced."""
    scene = Scene(Mode.WECOM, switches=Switches(wecom_revoked="same"))
    dead = scene.read()
    scene.turn_to(dead.expires_at - 600.0)
    scene.revoke_all()
    with pytest.raises(CredentialUnavailable):
        scene.reject(dead.value)
    scene.turn_to(dead.expires_at - 60.0)
    scene.store.is_away = True
    scene.turn(300.0)
    assert scene.read().generation == 2
    scene.store.is_away = False
    scene.turn(120.0)
    assert (scene.record.generation, scene.record.condemned) == (2, "")
    assert scene.read().value == scene.credential.value


def test_a_repeated_token_that_works_again_is_handed_out_again() -> None:
    """A node that was wrong for a while must not cost two hours."""
    scene = Scene(Mode.WECOM, switches=Switches(wecom_revoked="same"))
    value = scene.read().value
    issued = scene.world.find(value)
    assert issued is not None
    dies_at = issued.dies_at
    scene.revoke_all()
    with pytest.raises(CredentialUnavailable):
        scene.reject(value)
    issued.dies_at = dies_at
    scene.turn(70.0)
    handed = scene.read()
    assert (handed.value, handed.doubtful) == (value, False)


def test_a_wrong_secret_blocks_in_words_until_the_right_one_is_brought() -> None:
    """Here 40001 is what a wrong secret is answered, and it is asked every five minutes."""
    scene = Scene(Mode.WECOM)
    secret = scene.world.reset_secret(WECOM.appid, scene.clock.wall())
    scene.turn(1300.0)
    error = blocked(scene)
    assert error.values["errcode"] == 40001
    assert "--secret" in explain_error(error, "en")
    assert "work.weixin.qq.com" in explain_error(error, "zh")
    assert min(gaps(scene.line.asked())) > 299.0
    assert scene.line.asked("probe") == []
    scene.change_account(secret=Secret(secret))
    scene.turn(4.0)
    assert scene.is_alive(scene.read().value)


def test_an_address_that_is_not_trusted_blocks_and_is_named() -> None:
    """The platform tells it; a person adds it, and one try more it is well."""
    scene = Scene(Mode.WECOM)
    scene.world.account(WECOM.appid).set_allow_list(["203.0.113.1"])
    error = blocked(scene)
    assert error.values["errcode"] == 60020
    assert scene.replicas[0].ip in explain_error(error, "zh")
    scene.world.account(WECOM.appid).set_allow_list([scene.replicas[0].ip])
    scene.change_account()
    scene.turn(4.0)
    assert scene.is_alive(scene.read().value)


def test_where_only_calls_look_at_the_address_the_tickets_are_blocked() -> None:
    """The token is alive all the same: that refusal was given to a token that the platform knew."""
    scene = Scene(Mode.WECOM, switches=Switches(wecom_trusted_ip="calls"))
    scene.world.account(WECOM.appid).set_allow_list(["203.0.113.1"])
    value = scene.read().value
    assert scene.replicas[0].ip in explain_error(blocked(scene, CORP), "en")
    assert scene.reject(value).outcome is RejectOutcome.STILL_VALID


def test_a_crash_in_the_middle_of_an_ask_costs_nothing() -> None:
    """An ask ends no token: its lost answer is no doubt."""
    scene = Scene(Mode.WECOM, replicas=2)
    scene.read()
    scene.turn_to(scene.credential.expires_at - 400.0)
    scene.line.answers_to_lose = 3
    for _ in range(50):
        scene.turn(5.0)
        assert not scene.read(1).doubtful


def test_both_tickets_are_kept_beside_the_token() -> None:
    """Each asked for with it, and handed out as before while it is renewed."""
    scene = Scene(Mode.WECOM)
    corp, agent = scene.read(slot=CORP), scene.read(slot=AGENT)
    assert corp.value != agent.value
    assert [call.what for call in scene.line.journal] == ["gettoken", "jsapi_ticket", "agent_config_ticket"]
    scene.turn(7300.0)
    assert scene.read(slot=AGENT).value != agent.value
    assert len(scene.line.asked("agent_config_ticket")) < 10


def test_a_ticket_whose_token_is_refused_has_it_replaced() -> None:
    """That refusal is the proof: no probe is sent, and the ticket begins again once."""
    scene = Scene(Mode.WECOM)
    scene.read()
    scene.revoke_all()
    assert scene.read(slot=AGENT).value
    assert [(call.what, call.errcode) for call in scene.line.journal[1:]] == [
        ("agent_config_ticket", 40014),
        ("gettoken", 0),
        ("agent_config_ticket", 0),
    ]


def test_a_ticket_that_refuses_a_good_token_is_believed_once() -> None:
    """The platform repeats the token, so nothing comes of it; from then on a probe is asked, and the token stays."""
    scene = Scene(Mode.WECOM)
    token = scene.read()
    scene.line.ticket_refusal = 40014
    for _ in range(60):
        with pytest.raises(CredentialUnavailable):
            scene.read(slot=AGENT)
        scene.turn(10.0)
        assert scene.read().value == token.value
    assert scene.events.count("condemned") == 1
    assert len(scene.line.asked("agent_config_ticket")) < 40
    scene.line.ticket_refusal = None
    scene.turn(70.0)
    assert scene.read(slot=AGENT).generation == 1


@pytest.mark.parametrize(("mode", "kind"), [(Mode.WECOM, Kind.WX_CARD_TICKET), (Mode.STABLE, Kind.AGENT_CONFIG_TICKET)])
def test_a_ticket_of_another_platform_is_refused_in_words(mode: Mode, kind: Kind) -> None:
    """And nothing is asked for, nor kept."""
    scene = Scene(mode)
    slot = Slot(scene.slot.appid, kind)
    with pytest.raises(RequestRefused) as caught:
        scene.read(slot=slot)
    assert caught.value.code == "kind_unfit"
    scene.turn(10.0)
    assert scene.line.asked(kind.value) == []
