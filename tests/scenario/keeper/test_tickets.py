"""Tickets: fetched when somebody reads them, kept while somebody does, asked for with a token that may be dead."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.keeper.scene import APPID, MODES, SLOT, TICKET, Scene, gaps
from zhongkong.core.model import Kind, Mode, Slot
from zhongkong.errors import AccountUnknown, CredentialUnavailable, StoreUnavailable
from zhongkong.keeper.keeper import RejectOutcome
from zhongkong.keeper.knowledge import KEPT_UNREAD
from zhongkong.sandbox.switches import Switches

KIND = TICKET.kind.value
CARD = Slot(APPID, Kind.WX_CARD_TICKET)
NEW = Switches(repeated_ticket="new")
DAY = 86_400.0


# --- the parent


@pytest.mark.parametrize("mode", MODES)
def test_a_parent_refused_while_a_ticket_is_asked_for_is_replaced_and_the_reader_gets_his_ticket(mode: Mode) -> None:
    """That answer is the proof: no probe, one mint, and the ticket's second request is its last."""
    scene = Scene(mode)
    before = scene.read()
    scene.turn(60)
    scene.revoke_all()
    ticket = scene.read(slot=TICKET)
    assert [call.errcode for call in scene.line.asked(KIND)] in ([40001, 0], [42001, 0])
    assert scene.line.asked("probe") == []
    assert (scene.read().generation, scene.is_alive(scene.read().value)) == (before.generation + 1, True)
    assert ticket.generation == 1
    assert scene.events.count("condemned") == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_round_that_meets_a_dead_parent_heals_it(mode: Mode) -> None:
    """Nobody need be waiting."""
    scene = Scene(mode, switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn(5000)
    scene.revoke_all()
    scene.turn(900)
    assert scene.read(slot=TICKET).generation == first.generation + 1
    assert scene.is_alive(scene.read().value)


def test_a_call_that_refuses_whatever_it_is_given_ends_one_token_and_not_one_after_the_other() -> None:
    """The second one was new: from then on only a probe condemns, and it finds the token alive."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.line.ticket_refusal = 40001
    with pytest.raises(CredentialUnavailable) as refused:
        scene.read(slot=TICKET)
    assert (refused.value.kind, refused.value.values["errcode"]) == (KIND, 40001)
    scene.turn(3600)
    assert scene.events.count("condemned") == 1
    assert len(scene.line.asked("token")) == 2
    assert scene.is_alive(scene.read().value)
    assert len(scene.line.asked("probe")) > 1
    scene.line.ticket_refusal = None
    scene.turn(120)
    assert scene.read(slot=TICKET).generation == 1


def test_a_child_that_was_believed_is_not_believed_again_because_its_parent_could_not_be_had() -> None:
    """It began again with nothing: what it was refused with before is remembered, and its second word is probed."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.line.ticket_refusal, scene.line.refusal = 40001, -1
    with pytest.raises(CredentialUnavailable):
        scene.read(slot=TICKET)
    scene.line.refusal = None
    scene.turn(120)
    assert scene.is_alive(scene.read().value)
    with pytest.raises(CredentialUnavailable):
        scene.read(slot=TICKET)
    scene.turn(600)
    assert scene.events.count("condemned") == 1
    assert len(scene.line.asked("token")) >= 2


def test_a_parent_that_dies_while_its_child_is_in_trouble_is_found_by_the_probe() -> None:
    """What made the child's word worth less must not leave it without help."""
    scene = Scene(Mode.CLASSIC)
    scene.line.ticket_refusal = 40001
    with pytest.raises(CredentialUnavailable):
        scene.read(slot=TICKET)
    scene.line.ticket_refusal = None
    scene.revoke_all()
    scene.turn(120)
    assert scene.read(slot=TICKET).generation == 1
    assert scene.is_alive(scene.read().value)


def test_who_tries_a_child_in_trouble_waits_for_the_probe_that_another_replica_sent() -> None:
    """Both find the wait over at one moment; one probes the parent, and neither asks with a dead one meanwhile."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.line.ticket_refusal = 40001
    for replica in range(2):
        with pytest.raises(CredentialUnavailable):
            scene.read(replica, TICKET)
    scene.line.ticket_refusal = None
    scene.revoke_all()
    before = len(scene.line.asked(KIND))
    scene.turn(120)
    assert [call.errcode for call in scene.line.asked(KIND)[before:]] == [0]
    assert scene.read(slot=TICKET).generation == 1


def test_a_parent_that_cannot_be_had_is_the_cause_that_the_reader_is_told() -> None:
    """It is the access_token that a person must mend, and no lease of the ticket is held meanwhile."""
    scene = Scene()
    scene.line.refusal = 40164
    with pytest.raises(CredentialUnavailable) as refused:
        scene.read(slot=TICKET)
    assert (refused.value.kind, refused.value.cause) == ("access_token", "blocked")
    assert scene.line.asked(KIND) == []
    assert scene.run(scene.store.load(TICKET)).lease is None


def test_a_parents_new_generation_ends_no_child_and_a_childs_reject_touches_no_parent() -> None:
    """Their lives are their own."""
    scene = Scene(Mode.CLASSIC)
    ticket, token = scene.read(slot=TICKET), scene.read()
    scene.turn(200)
    assert scene.run(scene.replicas[0].keeper.force(SLOT)).handed.generation == token.generation + 1
    assert scene.read(slot=TICKET).generation == ticket.generation
    scene.turn(100)
    rejected = scene.reject(ticket.value, slot=TICKET)
    assert rejected.outcome is RejectOutcome.STILL_VALID
    assert scene.read().generation == token.generation + 1
    assert scene.line.asked("probe") == []


def test_no_lease_of_a_child_is_held_while_its_parent_is_fetched() -> None:
    """Leases never nest: whoever dies with one leaves the other free."""
    scene = Scene()
    scene.line.is_cut = True
    reading = scene.begin(scene.replicas[0].keeper.credential(TICKET))
    scene.turn(3)
    assert scene.record.lease is not None
    assert scene.run(scene.store.load(TICKET)).lease is None
    scene.line.is_cut = False
    scene.turn(30)
    assert isinstance(reading.exception(), CredentialUnavailable)
    assert scene.read(slot=TICKET).generation == 1


# --- kept while read


def test_a_ticket_that_nobody_reads_is_never_fetched() -> None:
    """And leaves no trace in the store."""
    scene = Scene()
    scene.read()
    scene.turn(2 * DAY)
    assert scene.line.asked(KIND) == []
    assert scene.run(scene.store.load(TICKET)).version == 0


@pytest.mark.parametrize("switches", [Switches(), NEW])
def test_a_ticket_that_is_read_now_and_then_is_never_empty(switches: Switches) -> None:
    """Each read costs no wait but at the very end of one that is only repeated."""
    scene = Scene(switches=switches, replicas=2)
    for hour in range(48):
        began = scene.time()
        handed = scene.read(hour % 2, TICKET)
        assert handed.expires_in > 0
        assert scene.time() - began < 0.5
        scene.turn(3600)
    spent = scene.line.asked(KIND)
    assert len(spent) <= 2 * 49
    assert all(call.errcode == 0 for call in spent)
    assert "budget_spent" not in scene.events


def test_a_ticket_that_nobody_read_for_a_day_lapses_and_is_back_with_the_next_read() -> None:
    """The page that used it is gone; its two generations go on counting."""
    scene = Scene()
    first = scene.read(slot=TICKET)
    scene.turn(KEPT_UNREAD + 7200)
    asked = len(scene.line.asked(KIND))
    scene.turn(2 * DAY)
    assert len(scene.line.asked(KIND)) == asked
    again = scene.read(slot=TICKET)
    assert again.generation > first.generation
    assert again.expires_in > 7000
    scene.turn(DAY / 2)
    assert scene.read(slot=TICKET).expires_in > 0


@pytest.mark.parametrize("replicas", [1, 2])
def test_at_its_end_one_request_brings_the_next(replicas: int) -> None:
    """Readers of a ticket that is only repeated meet its end, and wait for one round trip."""
    scene = Scene(replicas=replicas)
    first = scene.read(slot=TICKET)
    scene.turn_to(first.expires_at - 1)
    assert scene.read(slot=TICKET).value == first.value
    before = len(scene.line.asked(KIND))
    scene.turn_to(first.expires_at)
    readings = [scene.begin(one.keeper.credential(TICKET)) for one in scene.replicas for _ in range(20)]
    scene.turn(2)
    assert {reading.result().generation for reading in readings} == {first.generation + 1}
    assert len(scene.line.asked(KIND)) == before + 1


def test_two_replicas_fetch_once_and_each_kind_is_its_own() -> None:
    """A hundred readers of a ticket that nobody had, on both."""
    scene = Scene(replicas=2)
    readings = [
        scene.begin(scene.replicas[number % 2].keeper.credential(slot))
        for slot in (TICKET, CARD)
        for number in range(50)
    ]
    scene.turn(3)
    assert {reading.result().value for reading in readings[:50]}.isdisjoint(
        {reading.result().value for reading in readings[50:]}
    )
    assert (len(scene.line.asked(KIND)), len(scene.line.asked(CARD.kind.value))) == (1, 1)
    assert len(scene.line.asked()) == 1


def test_an_outage_of_the_platform_empties_no_ticket() -> None:
    """Where asking brings another one a quarter of its life is bridged, and no read fails or waits."""
    scene = Scene(Mode.CLASSIC, switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn_to(first.expires_at - 1700)
    scene.line.is_cut = True
    for _ in range(14):
        scene.turn(100)
        began = scene.time()
        assert scene.read(slot=TICKET).expires_in > 0
        assert scene.time() == began
    scene.line.is_cut = False
    scene.turn(290)
    assert scene.read(slot=TICKET).expires_in > 5000


# --- rejected


def test_rejected_twice_within_60_s_it_is_fetched_once() -> None:
    """By two callers on two replicas; the same value came, so it is still valid."""
    scene = Scene(replicas=2)
    first = scene.read(slot=TICKET)
    scene.turn(100)
    one = scene.reject(first.value, "one", 0, TICKET)
    scene.turn(30)
    two = scene.reject(first.value, "two", 1, TICKET)
    assert (one.outcome, two.outcome) == (RejectOutcome.STILL_VALID, RejectOutcome.STILL_VALID)
    assert len(scene.line.asked(KIND)) == 2
    scene.turn(31)
    assert scene.reject(first.value, "one", 0, TICKET).outcome is RejectOutcome.STILL_VALID
    assert len(scene.line.asked(KIND)) == 3


def test_where_asking_brings_another_ticket_a_reject_is_answered_with_it() -> None:
    """Refreshed for who names the current one, already newer for who is late."""
    scene = Scene(switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn(100)
    refreshed = scene.reject(first.value, slot=TICKET)
    assert (refreshed.outcome, refreshed.handed.generation) == (RejectOutcome.REFRESHED, 2)
    late = scene.reject(first.value, "late", slot=TICKET)
    assert (late.outcome, late.handed.value) == (RejectOutcome.ALREADY_NEWER, refreshed.handed.value)
    too_soon = scene.reject(refreshed.handed.value, slot=TICKET)
    assert too_soon.outcome is RejectOutcome.STILL_VALID
    assert len(scene.line.asked(KIND)) == 2


def test_a_thousand_rejects_are_one_fetch() -> None:
    """At once, on two replicas."""
    scene = Scene(replicas=2, switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn(100)
    rejects = [
        scene.begin(scene.replicas[number % 2].keeper.reject(TICKET, f"caller {number}", value=first.value))
        for number in range(1000)
    ]
    scene.turn(5)
    outcomes = {reject.result().outcome for reject in rejects}
    assert outcomes <= {RejectOutcome.REFRESHED, RejectOutcome.ALREADY_NEWER}
    assert len(scene.line.asked(KIND)) == 2


def test_who_rejects_all_day_takes_half_of_it_and_readers_notice_nothing() -> None:
    """A page that reports good tickets once a minute."""
    scene = Scene()
    refused: list[str] = []

    async def complain() -> None:
        while True:
            handed = await scene.replicas[0].keeper.credential(TICKET)
            assert not handed.doubtful
            try:
                await scene.replicas[0].keeper.reject(TICKET, "page", value=handed.value)
            except CredentialUnavailable as error:
                refused.append(error.cause)
            await asyncio.sleep(61)

    _ = scene.begin(complain())
    scene.turn(DAY)
    assert set(refused) == {"budget"}
    assert min(gaps(scene.line.asked(KIND))) > 1
    assert len(scene.line.asked(KIND)) <= 2 * 50 + 49 * 2
    assert scene.read(slot=TICKET).expires_in > 0


def test_while_the_platform_is_away_a_reject_is_told_why_and_readers_go_on() -> None:
    """Nobody waits because of another one's word."""
    scene = Scene()
    first = scene.read(slot=TICKET)
    scene.turn(100)
    scene.line.is_unreachable = True
    with pytest.raises(CredentialUnavailable) as refused:
        scene.reject(first.value, slot=TICKET)
    assert refused.value.cause == "unreachable"
    began = scene.time()
    handed = scene.read(slot=TICKET)
    assert (handed.value, handed.doubtful, scene.time()) == (first.value, False, began)


# --- the account, the store


def test_what_the_account_may_not_have_is_said_once_and_asked_for_no_oftener_than_it_pays() -> None:
    """48001: a person must act, and every call is counted."""
    scene = Scene()
    scene.line.ticket_refusal = 48001
    with pytest.raises(CredentialUnavailable) as refused:
        scene.read(slot=TICKET)
    assert (refused.value.cause, refused.value.kind) == ("blocked", KIND)
    scene.turn(DAY)
    assert len(scene.line.asked(KIND)) <= 2 * 100
    assert scene.read().expires_in > 0


def test_a_change_of_the_account_reaches_its_tickets_and_a_removal_too() -> None:
    """A new base URL condemns the ticket of the old one; who is gone has none."""
    scene = Scene()
    first = scene.read(slot=TICKET)
    scene.change_account(base_url="http://127.0.0.1:8601")
    scene.turn(4)
    asked = len(scene.line.asked(KIND))
    assert scene.read(slot=TICKET).value == first.value
    assert len(scene.line.asked(KIND)) == asked
    record = scene.run(scene.store.load(TICKET))
    assert (record.revision, record.condemned, record.generation) == (2, "", 1)
    scene.run(scene.store.remove_account(APPID))
    scene.turn(4)
    with pytest.raises(AccountUnknown):
        scene.read(slot=TICKET)


def test_an_account_that_changed_before_its_first_ticket_is_asked_as_it_is_now() -> None:
    """A slot that was never written is of its account's revision: nobody turns in circles."""
    scene = Scene()
    scene.read()
    scene.change_account(mode=Mode.CLASSIC)
    assert scene.read(slot=TICKET).generation == 1


def test_a_store_that_is_away_costs_no_ticket() -> None:
    """It ends nothing, so it is asked for into memory; the store's next one is another, of the same generation."""
    scene = Scene(switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn_to(first.expires_at - 1850)
    scene.store.is_away = True
    scene.turn(1000)
    handed = scene.read(slot=TICKET)
    assert (handed.stale, handed.generation) == (True, 2)
    scene.store.is_away = False
    scene.turn(60)
    assert scene.run(scene.store.load(TICKET)).generation == 2
    assert (scene.read(slot=TICKET).generation, scene.read(slot=TICKET).stale) == (2, False)


def test_a_dead_parent_is_replaced_while_the_store_is_away() -> None:
    """Stable does not go dark, and neither do its children."""
    scene = Scene(switches=NEW)
    first = scene.read(slot=TICKET)
    scene.turn_to(first.expires_at - 1850)
    scene.store.is_away = True
    scene.revoke_all()
    scene.turn(1500)
    scene.store.is_away = False
    scene.turn(120)
    assert scene.read(slot=TICKET).generation == 2


def test_a_ticket_whose_token_only_the_store_can_replace_is_left_alone_until_it_is_back() -> None:
    """A classic token is minted under a claim or not at all: there is nothing to try, every second, for hours."""
    scene = Scene(Mode.CLASSIC)
    scene.read()
    scene.read(slot=TICKET)
    scene.store.is_away = True
    scene.turn(7300)
    before = scene.store.applied
    scene.turn(3600)
    assert scene.store.applied - before == 0
    scene.store.is_away = False
    scene.turn(15)
    assert scene.read(slot=TICKET).generation == 2


def test_who_wants_a_ticket_whose_token_only_the_store_can_replace_is_told_of_the_store() -> None:
    """What the ticket was refused with hours ago is not what anybody can do something about."""
    scene = Scene(Mode.CLASSIC, replicas=2)
    scene.read()
    scene.store.is_full, scene.store.refuses_after = True, 5.0
    scene.turn(60)
    scene.revoke_all()
    with pytest.raises(CredentialUnavailable):
        scene.read(slot=TICKET)
    for _ in range(5):
        scene.turn(600)
        with pytest.raises(StoreUnavailable):
            scene.read(slot=TICKET)


def test_after_a_restart_a_ticket_is_kept_from_its_first_read_on() -> None:
    """What was read before is nobody's knowledge; it is in the store until its end."""
    scene = Scene(switches=NEW, replicas=2)
    first = scene.read(0, TICKET)
    scene.clock.loop.kill(scene.replicas[0].process)
    scene.turn_to(first.expires_at - 600)
    assert scene.read(1, TICKET).value == first.value
    scene.turn(5)
    assert scene.read(1, TICKET).generation == 2
