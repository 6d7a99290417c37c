"""A program that reads from a hub: when it asks, when it waits, and what it hands out meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.scenario.client.desk import URL, Program, open_program, problem
from tests.scenario.hub.house import APPID, House
from zhongkong.client.hub_engine import LET_GO_AFTER, POLLS_AT_ONCE
from zhongkong.core.grants import Grant
from zhongkong.core.model import Mode
from zhongkong.errors import CredentialUnavailable

READ = f"/v1/accounts/{APPID}/access_token"


def unreachable() -> Exception:
    """Return what the HTTP client raises where nobody listens."""
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return error


def appid_of(number: int) -> str:
    """Return one of many appids."""
    return f"wx{number:016x}"


# --- reading


def test_a_thousand_cold_readers_make_one_request(house: House, program: Program) -> None:
    """A program that starts under load must not storm its hub."""

    async def all_at_once() -> set[str]:
        return set(await asyncio.gather(*(program.source.access_token(APPID) for _ in range(1000))))

    program.network.delay = 0.2
    assert program.clock.run(all_at_once()) == {house.token()}
    program.clock.turn(1)
    assert [one.wait for one in program.network.asked] == [0, 30]


def test_what_is_fresh_is_handed_out_without_asking(house: House, program: Program) -> None:
    """Reads are many and the hub is one."""
    program.token()
    asked = len(program.network.asked)
    assert {program.at_once() for _ in range(100)} == {house.token()}
    assert len(program.network.asked) == asked


def test_a_credential_says_what_is_left_of_its_promise(program: Program) -> None:
    """Who keeps it elsewhere reckons with these spans."""
    first = program.credential()
    program.clock.turn(20)
    second = program.credential()
    assert (first.generation, second.generation) == (1, 1)
    assert first.expires_in - second.expires_in in (20, 21)
    assert 1 <= second.refresh_in <= 60


def test_hours_of_reading_ask_no_more_than_the_rhythm_of_polls(house: House, program: Program) -> None:
    """One question in half a minute, whatever is read."""
    begun = program.clock.boot()
    for _ in range(5 * 60):
        program.token()
        program.clock.turn(60)
    spent = program.clock.boot() - begun
    assert len(program.network.asked) <= spent / 30 * 1.2
    assert len(house.world.issued(APPID)) >= 3


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_no_token_that_is_handed_out_is_dead_and_no_reader_waits(mode: Mode) -> None:
    """Through the rotations of some hours, looked at every seven seconds."""
    house = House()
    house.open()
    house.add_account(mode=mode)
    program = open_program(house)
    program.token()
    seen = set()
    for _ in range(5 * 3600 // 7):
        program.clock.turn(7)
        token = program.at_once()
        seen.add(token)
        assert house.world.is_alive(token, house.clock.wall())
    assert len(seen) >= 3
    program.end()
    house.close()


def test_news_of_a_forced_refresh_comes_by_itself(house: House, program: Program) -> None:
    """The long poll tells it within a moment, and no reader has to be refused first."""
    former = program.token()
    program.clock.turn(600)
    forcing = house.add_key(Grant.READ, Grant.FORCE)
    house.call("POST", f"{READ}/reject", forcing, json={"force": True})
    program.clock.turn(2)
    assert house.token() != former
    assert program.at_once() == house.token()


def test_a_client_that_sends_its_etag_is_never_taken_back(house: House, program: Program) -> None:
    """Every question but the first names what is held."""
    for _ in range(4 * 60):
        program.token()
        program.clock.turn(60)
    assert program.network.asked[0].etag == ""
    assert all(one.etag for one in program.network.asked[1:])
    generations = [int(one.etag.split('"')[1].split(".")[0]) for one in program.network.asked[1:]]
    assert generations == sorted(generations)
    assert generations[-1] > 1
    assert house.token() == program.token()


def test_an_answer_to_an_earlier_question_does_not_replace_that_to_a_later_one(house: House, program: Program) -> None:
    """A replica that lags may answer a poll after a reject was answered by one that does not."""
    former = program.token()
    body = house.call("GET", READ, house.texts[-1]).json()
    headers = {"ETag": 'W/"1.00000000"'}
    house.world.revoke_all(APPID, house.clock.wall())
    program.network.delay = 0.5
    program.network.answer = lambda _: httpx.Response(200, json={**body, "expires_in": 10}, headers=headers)
    program.clock.turn(1.2)  # a poll is on its way, and will be answered so
    assert program.network.waiting == 1
    program.network.delay, program.network.answer = 0.0, None
    rejected = program.reject(former)
    assert rejected.outcome == "refreshed"
    program.clock.turn(0.4)
    assert program.at_once() == rejected.credential.value


# --- many accounts


def test_a_handful_of_polls_at_once_and_the_rest_is_read_in_time(house: House, program: Program) -> None:
    """A hub has many clients, and each poll keeps one connection of its busy."""
    appids = [appid_of(number) for number in range(12)]
    for appid in appids:
        house.add_account(appid)
        program.token(appid)
    program.clock.turn(600)
    assert program.network.most_waiting == POLLS_AT_ONCE
    begun = program.clock.boot()
    for _ in range(60):
        program.clock.turn(60)
        assert {program.at_once(appid) for appid in appids}
    spent = program.clock.boot() - begun
    polled, read = spent / 30 * POLLS_AT_ONCE, spent / 50 * (len(appids) - POLLS_AT_ONCE)
    assert len(program.network.since(begun)) <= (polled + read) * 1.3


def test_what_nobody_asks_for_is_let_go_and_taken_up_again(house: House, program: Program) -> None:
    """An account that was read once in a night is not polled for ever; asked again it is there at once."""
    program.token()
    program.clock.turn(LET_GO_AFTER + 60)
    quiet = program.clock.boot()
    program.clock.turn(600)
    assert program.network.since(quiet) == []
    assert program.at_once() == house.token()
    program.clock.turn(60)
    assert program.network.since(quiet) != []


def test_what_is_read_all_the_time_is_never_let_go(program: Program) -> None:
    """The way of fresh reads leaves no trace, and must not be mistaken for silence."""
    program.token()
    for _ in range(int(2.5 * LET_GO_AFTER)):
        program.clock.turn(1)
        program.at_once()
    assert program.network.waiting == 1


# --- the hub is away


def test_a_hub_away_for_ten_minutes_costs_no_read(house: House, program: Program) -> None:
    """What it promised holds without it; it is only marked."""
    token = program.token()
    program.clock.turn(60)
    program.network.broken = unreachable
    for _ in range(600):
        program.clock.turn(1)
        assert program.at_once() == token
        assert house.world.is_alive(token, house.clock.wall())
    assert program.credential().stale
    program.network.broken = None
    program.clock.turn(11)
    assert not program.credential().stale
    assert program.at_once() == house.token()


def test_an_hour_and_more_away_is_not_taken_for_an_hour_unasked(house: House, program: Program) -> None:
    """It is looked for all the time, so that readers find it again at once when it is back."""
    program.token()
    program.network.broken = unreachable
    for _ in range(75):
        program.clock.turn(60)
        program.at_once()
    program.network.broken = None
    program.clock.turn(11)
    assert program.at_once() == house.token()
    assert not program.credential().stale


def test_a_hub_that_is_away_is_spared(program: Program) -> None:
    """One question at a time, ever more slowly, whatever is read."""
    program.token()
    program.network.broken = unreachable
    program.clock.turn(60)
    begun = program.clock.boot()
    for _ in range(600):
        program.clock.turn(1)
        program.token()
    assert len(program.network.since(begun)) <= 600 / 5 + 1


def test_a_hub_that_is_away_is_spared_by_all_accounts_together(house: House, program: Program) -> None:
    """One looks whether it is back, and the others wait for what he finds."""
    appids = [appid_of(number) for number in range(12)]
    for appid in appids:
        house.add_account(appid)
        program.token(appid)
    program.network.broken = unreachable
    program.clock.turn(60)
    begun = program.clock.boot()
    program.clock.turn(600)
    assert len(program.network.since(begun)) <= 600 / 5 + 1
    program.network.broken = None
    program.clock.turn(12)
    assert not any(program.credential(appid).stale for appid in appids)


def test_those_that_fail_together_are_one_failure(house: House, program: Program) -> None:
    """A moment without a hub is no long outage because many were asking."""
    appids = [appid_of(number) for number in range(12)]
    for appid in appids:
        house.add_account(appid)

    async def all_at_once() -> set[str]:
        return set(await asyncio.gather(*map(program.source.access_token, appids)))

    program.network.delay, program.network.broken = 0.1, unreachable
    program.clock.loop.call_later(0.3, setattr, program.network, "broken", None)
    begun = program.clock.boot()
    assert len(program.clock.run(all_at_once())) == 12
    assert program.clock.boot() - begun < 3


def test_when_the_promise_is_over_the_error_names_the_hub(program: Program) -> None:
    """Who reads the log has to know where to look."""
    left = program.credential().expires_in
    program.network.broken = unreachable
    program.clock.turn(left + 30)
    before = program.clock.boot()
    with pytest.raises(CredentialUnavailable) as caught:
        program.token()
    assert program.clock.boot() == before, "nobody waits for a hub that was away for longer than his patience"
    error = caught.value
    assert (error.cause, error.values["hub"], error.values["why"]) == ("hub_unreachable", URL, "Connection refused")
    assert error.retry_after is not None
    assert 1 <= error.retry_after <= 10
    (note,) = error.__notes__
    assert URL in note


def test_readers_wait_for_a_hub_that_restarts(house: House, program: Program) -> None:
    """Two seconds without a hub, at the worst moment, are a wait and no error."""
    program.network.broken = unreachable
    program.clock.loop.call_later(2.0, setattr, program.network, "broken", None)
    assert program.token() == house.token()
    assert program.clock.boot() < 5


def test_nobody_waits_longer_than_his_patience(house: House) -> None:
    """Cold, before a hub that takes connections and says nothing."""
    program = open_program(house, patience=2.0)
    program.network.delay = 3600
    before = program.clock.boot()
    with pytest.raises(CredentialUnavailable) as caught:
        program.token()
    assert program.clock.boot() - before == pytest.approx(2.0, abs=0.01)
    assert caught.value.cause == "hub_slow"
    program.end()


def test_one_connection_that_broke_is_no_outage(house: House, program: Program) -> None:
    """A kept connection that the hub closes that very moment: the question is put once more."""

    def once() -> Exception:
        program.network.broken = None
        return httpx.RemoteProtocolError("Server disconnected without sending a response.")

    program.network.broken = once
    assert program.token() == house.token()
    assert [one.at for one in program.network.asked[:2]] == [program.network.asked[0].at] * 2


def test_a_hub_about_to_end_is_not_asked_in_a_circle(house: House, program: Program) -> None:
    """Its polls end at once while it drains."""
    program.token()
    house.draining.set()
    begun = program.clock.boot()
    program.clock.turn(15)
    assert len(program.network.since(begun)) <= 16


@pytest.mark.parametrize(
    ("answer", "cause", "said"),
    [
        (lambda _: httpx.Response(200, html="<html>login</html>"), "hub_not_understood", "HTTP 200"),
        (lambda _: httpx.Response(502, html="<html>bad gateway</html>"), "hub_not_understood", "HTTP 502"),
        (lambda _: httpx.Response(403, html="<html>forbidden</html>"), "hub_not_understood", "HTTP 403"),
        (lambda _: httpx.Response(200, json={"errcode": 40066, "errmsg": "invalid url"}), "hub_not_understood", None),
        (lambda _: httpx.Response(200, content=b'{"appid":"wx01234'), "hub_not_understood", None),
        (lambda _: httpx.Response(200, content=b"[" * 100_000), "hub_not_understood", None),
        (lambda _: httpx.Response(304), "hub_not_understood", "HTTP 304"),
        (
            lambda _: httpx.Response(302, headers={"Location": "https://sso.test/login?next=secret"}),
            "hub_redirects",
            None,
        ),
        (problem(503, 1, code="store_unavailable"), "hub_troubled", "HTTP 503 store_unavailable"),
        (problem(500, code="internal_error"), "hub_troubled", "HTTP 500 internal_error"),
        (problem(429, 3, code="key_too_often"), "hub_troubled", "HTTP 429 key_too_often"),
    ],
)
def test_what_is_no_hubs_word_is_an_outage(house: House, program: Program, answer: Any, cause: str, said: Any) -> None:
    """A proxy's page, a redirect or a hub without its store proves nothing of a token that was promised."""
    with_token = open_program(house)
    token = with_token.token()
    with_token.network.answer = program.network.answer = answer
    with_token.clock.turn(120)
    assert with_token.at_once() == token
    with pytest.raises(CredentialUnavailable) as caught:
        program.token()
    assert caught.value.cause == cause
    assert caught.value.values["hub"] == URL
    assert said is None or caught.value.values["said"] == said
    assert "secret" not in str(caught.value)
    with_token.end()


def test_the_end_of_a_program_is_silent(program: Program) -> None:
    """Polls under way are ended, and nothing is left behind."""
    program.token()
    program.clock.turn(5)
    program.end()
    begun = program.clock.boot()
    program.clock.turn(600)
    assert program.network.since(begun) == []
    assert program.network.waiting == 0
