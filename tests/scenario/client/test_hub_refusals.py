"""A hub that refuses: what the program is told, how soon, and how often the hub is asked again."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenario.client.desk import URL, Program, open_program, problem
from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Ambiguous, Mode
from zhongkong.errors import AccessDenied, AccountUnknown, CredentialUnavailable, RequestRefused
from zhongkong.wechat.answers import Refused

RID = "6720ea21-0dc53ebd-5bdb45c7"

# --- keys and accounts


def test_a_key_that_was_revoked_opens_nothing_any_more(house: House) -> None:
    """Within one poll the token is no longer handed out, although it lives: its people took the key away."""
    key, text = house.make_key(Grant.READ, name="program")
    program = Program(house, text)
    program.token()
    house.call("DELETE", f"/v1/keys/{key.id}", house.add_key(Grant.ADMIN))
    program.clock.turn(35)
    with pytest.raises(AccessDenied) as caught:
        program.token()
    assert caught.value.code == "key_unknown"
    assert caught.value.values["hub"] == URL
    assert text not in repr(caught.value) + str(caught.value.__notes__)
    program.end()


def test_who_is_refused_asks_again_every_two_seconds_at_most(program: Program) -> None:
    """A program in a loop must not storm the hub with a wrong appid."""
    begun = program.clock.boot()
    for _ in range(200):
        with pytest.raises(AccountUnknown):
            program.token(OTHER)
        program.clock.turn(0.1)
    assert len(program.network.since(begun)) <= 11


def test_an_account_that_was_added_meanwhile_is_found(house: House, program: Program) -> None:
    """Nobody has to restart his program for it."""
    with pytest.raises(AccountUnknown):
        program.token(OTHER)
    house.add_account(OTHER)
    program.clock.turn(2)
    assert program.token(OTHER)


def test_a_key_for_other_accounts_is_told_so(house: House) -> None:
    """The text names the account, so that its people know which key to make."""
    program = Program(house, house.add_key(Grant.READ, appids=(OTHER,)))
    with pytest.raises(AccessDenied) as caught:
        program.token()
    assert (caught.value.code, caught.value.values["appid"]) == ("account_not_granted", APPID)
    program.end()


@pytest.mark.parametrize("appid", ["", "wx 1", "wx\n1", "公众号", "x" * 200, "\udc80"])
def test_what_can_be_no_appid_is_not_asked_for(program: Program, appid: str) -> None:
    """An empty variable of the environment is the usual cause."""
    with pytest.raises(AccountUnknown):
        program.token(appid)
    assert program.network.asked == []


@pytest.mark.parametrize("appid", ["../keys", "wx/..", "wx?wait=60", "wx#", "wx%2e"])
def test_an_appid_leads_nowhere_else(program: Program, appid: str) -> None:
    """It may come from a form that a stranger filled in."""
    with pytest.raises((AccountUnknown, RequestRefused)):
        program.token(appid)
    (asked,) = program.network.asked
    assert asked.path.startswith("/v1/accounts/")
    assert asked.wait == 0


def test_a_kind_that_the_hub_does_not_serve_is_told_so(program: Program) -> None:
    """An older hub, or a misspelling."""
    with pytest.raises(RequestRefused) as caught:
        program.credential(kind="no_such_ticket")
    assert caught.value.values == {"hub": URL, "kind": "no_such_ticket"}


# --- no credential now


def test_the_platforms_refusal_reaches_the_program(house: House, program: Program) -> None:
    """Code, words and rid are what its people look up; the note says who does what."""
    house.add_account(OTHER)
    house.platform.fails_with = Refused(40125, "invalid appsecret", RID)
    house.world.add_account("wx00000000000000ff", "x" * 32)
    house.add_account("wx00000000000000ff")
    with pytest.raises(CredentialUnavailable) as caught:
        program.token("wx00000000000000ff")
    error = caught.value
    assert (error.cause, error.values["errcode"], error.values["rid"]) == ("blocked", 40125, RID)
    assert error.retry_after is not None
    assert error.retry_after > 100
    assert "zhongkong account set wx00000000000000ff --secret" in error.__notes__[0]


def test_a_dead_credential_is_withdrawn_and_comes_back_when_there_is_one(house: House, program: Program) -> None:
    """Condemned at the hub, and the platform away: readers get the cause, and the next token within seconds."""
    token = program.token()
    program.clock.turn(5)  # a poll is on its way, and will not hear of it
    house.platform.fails_with = Refused(45009, "reach max api daily quota limit", RID)
    house.world.revoke_all(APPID, house.clock.wall())
    with pytest.raises(CredentialUnavailable) as caught:
        program.reject(token)
    assert caught.value.values["errcode"] == 45009
    program.clock.turn(1)
    with pytest.raises(CredentialUnavailable) as caught:
        program.token()
    assert caught.value.values["errcode"] == 45009
    house.platform.fails_with = None
    house.call("PATCH", f"/v1/accounts/{APPID}", house.add_key(Grant.ADMIN), json={})
    program.clock.turn(10)
    assert program.token() == house.token() != token


def test_what_was_withdrawn_and_is_well_again_is_handed_out_as_before(program: Program) -> None:
    """The hub says that nothing changed: then its promise is what it was."""
    before = program.credential()
    program.network.answer = problem(403, code="key_not_from_here", address="192.0.2.9")
    program.clock.turn(35)
    with pytest.raises(AccessDenied):
        program.token()
    program.network.answer = None
    program.clock.turn(3)
    assert program.token() == before.value
    assert before.expires_in - program.credential().expires_in < 60


def test_what_the_hub_waits_for_is_not_asked_for_all_the_time(program: Program) -> None:
    """Readers in a loop get the same error from memory, with what is left of the wait."""
    program.network.answer = problem(503, 30, code="credential_unavailable", cause="unreachable")
    left = []
    begun = program.clock.boot()
    for _ in range(100):
        with pytest.raises(CredentialUnavailable) as caught:
            program.token()
        left.append(caught.value.retry_after or 0.0)
        program.clock.turn(0.2)
    assert len(program.network.since(begun)) <= 5
    assert left[0] == 30
    assert min(left) >= 25


def test_a_cause_that_is_not_known_here_is_told_by_its_name(program: Program) -> None:
    """A newer hub may know troubles that this client has no text for."""
    program.network.answer = problem(503, 3, code="credential_unavailable", cause="eclipse_of_the_sun")
    with pytest.raises(CredentialUnavailable) as caught:
        program.token()
    assert "eclipse_of_the_sun" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(401, "key_tired", AccessDenied), (403, "moon", AccessDenied), (400, "request_invalid", RequestRefused)],
)
def test_a_refusal_of_a_newer_hub_is_still_one(
    program: Program, status: int, code: str, kind: type[AccessDenied | RequestRefused]
) -> None:
    """What it says by its status holds, whatever the code."""
    program.network.answer = problem(status, code=code)
    with pytest.raises(kind) as caught:
        program.token()
    assert code in caught.value.__notes__[0]


def test_a_doubtful_credential_is_handed_out_marked_and_looked_at_again() -> None:
    """A lost answer: while nobody knows, the token is used and the hub asked once a second."""
    house = House()
    house.open()
    house.add_account(mode=Mode.CLASSIC)
    program = open_program(house)
    token = program.token()
    house.platform.fails_with = Ambiguous("timeout")
    credential = program.credential()
    while not credential.doubtful and program.clock.boot() < 7200:
        program.clock.turn(60)
        credential = program.credential()
    assert (credential.doubtful, credential.value, credential.expires_in) == (True, token, 0)
    begun = program.clock.boot()
    for _ in range(100):
        program.clock.turn(0.1)
        program.token()
    spent = program.clock.boot() - begun
    assert len(program.network.since(begun)) <= spent / 1.0 + 2
    house.platform.fails_with = None
    program.clock.turn(60)
    assert not program.credential().doubtful
    program.end()
    house.close()


# --- rejects


def test_a_refused_token_is_replaced(house: House, program: Program) -> None:
    """The one report is enough: every later read has the new one."""
    token = program.token()
    house.world.revoke_all(APPID, house.clock.wall())
    rejected = program.reject(token)
    assert rejected.outcome == "refreshed"
    assert rejected.credential.value == program.at_once() == house.token() != token
    assert program.reject(token).outcome == "already_newer"


def test_a_good_token_stays(program: Program) -> None:
    """A caller may be wrong."""
    token = program.token()
    rejected = program.reject(token)
    assert (rejected.outcome, rejected.credential.value) == ("still_valid", token)


def test_a_thousand_reports_of_one_token_make_one_request(house: House, program: Program) -> None:
    """All threads of a program are refused in the same moment."""
    token = program.token()
    house.world.revoke_all(APPID, house.clock.wall())

    async def all_at_once() -> list[str]:
        reports = (program.source.reject(APPID, token) for _ in range(1000))
        return [one.credential.value for one in await asyncio.gather(*reports)]

    assert set(program.clock.run(all_at_once())) == {house.token()}
    assert len(program.network.since(0, "POST")) == 1


def test_a_report_that_nobody_takes_is_an_error_within_the_patience(program: Program) -> None:
    """The caller's own call has failed; he is not kept."""
    token = program.token()
    program.network.answer = problem(503, 1, code="store_unavailable")
    before = program.clock.boot()
    with pytest.raises(CredentialUnavailable) as caught:
        program.reject(token)
    assert caught.value.cause == "hub_troubled"
    assert program.clock.boot() - before <= 5
    assert program.at_once() == token
