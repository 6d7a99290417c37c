"""Reading a credential over HTTP."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256

import httpx
import pytest

from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Ambiguous, Mode, NotSent, Slot
from zhongkong.wechat.answers import Refused

PATH = f"/v1/accounts/{APPID}/access_token"
REJECT = f"{PATH}/reject"


def test_a_read_has_exactly_the_members_of_the_contract(house: House, reader: str) -> None:
    """Clients in many languages are written against these names."""
    house.add_account()
    answer = house.call("GET", PATH, reader)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["appid", "kind", "access_token", "expires_in", "expires_at", "refresh_in", "generation"]
    assert (body["appid"], body["kind"], body["generation"]) == (APPID, "access_token", 1)
    assert house.world.refusal_of(body["access_token"], house.clock.wall()) is None
    assert body["expires_at"] == pytest.approx(house.clock.wall() + body["expires_in"], abs=2)
    assert answer.headers["cache-control"] == f"private, max-age={body['refresh_in']}"


def test_the_first_read_waits_for_the_first_mint(house: House, reader: str) -> None:
    """Whoever adds an account and reads at once is not told to come again."""
    house.platform.delay = 3.0
    house.add_account()
    assert house.call("GET", PATH, reader).status_code == 200


def test_text_is_answered_to_who_wants_text(house: House, reader: str) -> None:
    """`TOKEN=$(curl …)` needs no JSON parser."""
    house.add_account()
    answer = house.call("GET", PATH, reader, headers={"Accept": "text/plain"})
    assert answer.text == house.token()
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/plain;q=0.5, application/json", "text/html", ""])
def test_json_is_answered_to_everybody_else(house: House, reader: str, accept: str) -> None:
    """A browser's or a library's default header is no wish for text."""
    house.add_account()
    assert house.call("GET", PATH, reader, headers={"Accept": accept}).json()["appid"] == APPID


def test_who_has_it_is_told_so(house: House, reader: str) -> None:
    """A 304 spares the token another trip."""
    house.add_account()
    etag = house.call("GET", PATH, reader).headers["etag"]
    assert etag.startswith('W/"1.')
    answer = house.call("GET", PATH, reader, headers={"If-None-Match": f'"x", {etag}'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert answer.headers["cache-control"].startswith("private, max-age=")


def test_an_etag_of_another_generation_is_answered_in_full(house: House, reader: str) -> None:
    """Only the very same credential is a 304."""
    house.add_account()
    etag = house.call("GET", PATH, reader).headers["etag"]
    house.world.revoke_all(APPID, house.clock.wall())
    house.call("POST", REJECT, reader, json={"generation": 1})
    answer = house.call("GET", PATH, reader, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)


def test_who_saw_a_later_generation_is_never_given_an_earlier_one(house: House, reader: str) -> None:
    """A replica that is behind says so instead of taking a client back."""
    house.add_account()
    answer = house.call("GET", PATH, reader, headers={"If-None-Match": 'W/"2.00000000"'})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "store_behind", "1")


def test_an_etag_of_a_store_that_is_gone_shuts_nobody_out(house: House, reader: str) -> None:
    """What no replica can ever have counted to is another store's number: its client gets what there is."""
    house.add_account()
    answer = house.call("GET", PATH, reader, headers={"If-None-Match": 'W/"7.00000000"'})
    assert (answer.status_code, answer.json()["generation"]) == (200, 1)


def test_a_long_poll_ends_with_the_news(house: House, reader: str) -> None:
    """A business server learns of a new token the moment there is one."""
    house.add_account()
    etag = house.call("GET", PATH, reader).headers["etag"]
    waiting = house.clock.begin(house.calling("GET", f"{PATH}?wait=30", reader, headers={"If-None-Match": etag}))
    house.clock.turn(10.0)
    assert not waiting.done()
    house.world.revoke_all(APPID, house.clock.wall())
    house.call("POST", REJECT, reader, json={"generation": 1})
    house.clock.turn(0.1)
    assert waiting.result().json()["generation"] == 2


def test_a_long_poll_without_news_ends_in_time(house: House, reader: str) -> None:
    """Proxies cut what stays silent for longer than they were told."""
    house.add_account()
    etag = house.call("GET", PATH, reader).headers["etag"]
    began = house.clock.boot()
    answer = house.call("GET", f"{PATH}?wait=30", reader, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert house.clock.boot() - began == pytest.approx(30, abs=0.1)


def test_a_long_poll_without_the_last_etag_is_answered_at_once(house: House, reader: str) -> None:
    """There is nothing to compare with, so everything is news."""
    house.add_account()
    began = house.clock.boot()
    assert house.call("GET", f"{PATH}?wait=30", reader).status_code == 200
    assert house.clock.boot() - began < 1


def test_a_long_poll_ends_when_the_hub_does(house: House, reader: str) -> None:
    """A rolling restart does not wait for pollers, and does not cut them."""
    house.add_account()
    etag = house.call("GET", PATH, reader).headers["etag"]
    waiting = house.clock.begin(house.calling("GET", f"{PATH}?wait=60", reader, headers={"If-None-Match": etag}))
    house.clock.turn(1.0)
    house.draining.set()
    house.clock.turn(0.01)
    assert waiting.result().status_code == 304


@pytest.mark.parametrize("wait", ["61", "-1", "soon", "1.5", "9" * 40, "٣"])
def test_a_wait_that_cannot_be_is_refused(house: House, reader: str, wait: str) -> None:
    """A poller that asks for an hour would loop without knowing why."""
    house.add_account()
    answer = house.call("GET", PATH, reader, params={"wait": wait})
    assert (answer.status_code, answer.json()["field"], answer.json()["wanted"]) == (400, "wait", "0..60")


@pytest.mark.parametrize("path", ["", "/access_token", "/callback"])
@pytest.mark.parametrize("appid", ["%00", APPID + "%20", APPID + "%00", "%F0%9F%90%BC"])
def test_what_can_be_no_appid_is_asked_of_no_database(house: House, appid: str, path: str) -> None:
    """Some refuse such characters, others overlook them and find somebody else's account."""
    house.add_account()
    key = house.add_key(Grant.READ, Grant.ADMIN)
    house.store.is_away = True
    answer = house.call("GET", f"/v1/accounts/{appid}{path}", key)
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")


def test_an_unknown_account_is_not_found(house: House, reader: str) -> None:
    """The key covers every account, so it may know which ones there are."""
    answer = house.call("GET", f"/v1/accounts/{OTHER}/access_token", reader)
    assert (answer.status_code, answer.json()["code"], answer.json()["appid"]) == (404, "account_unknown", OTHER)


def test_a_refusal_of_the_platform_is_told_in_full(house: House, reader: str) -> None:
    """Whoever reads the problem knows what WeChat said, what it means, and when to come again."""
    house.world.add_account(APPID, "0" * 32)
    house.add_account()
    answer = house.call("GET", PATH, reader)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    problem = answer.json()
    assert problem["code"] == "credential_unavailable"
    assert (problem["errcode"], problem["action"], problem["cause"]) == (40125, "fix_config", "blocked")
    assert problem["errmsg"].startswith("invalid appsecret")
    assert problem["rid"] == "6720ea21-0dc53ebd-5bdb45c7"
    assert "AppSecret" in problem["detail"]
    assert answer.headers["content-language"] == "zh-CN"


def test_a_problem_is_told_in_the_language_asked_for(house: House, reader: str) -> None:
    """The same code, another text."""
    house.world.add_account(APPID, "0" * 32)
    house.add_account()
    answer = house.call("GET", PATH, reader, headers={"Accept-Language": "en-GB, zh;q=0.5"})
    assert answer.headers["content-language"] == "en"
    assert "The secret of" in answer.json()["detail"]
    assert answer.json()["title"] == "Not available for the moment; try again later."


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (NotSent("connection_refused"), "unreachable"),
        (Ambiguous("timeout"), "unanswered"),
        (Refused(45009, "reach max api daily quota limit"), "quota"),
        (Refused(-1, "system error"), "refused"),
    ],
)
def test_why_there_is_nothing_is_said(house: House, reader: str, outcome: Refused, cause: str) -> None:
    """Each cause is another person's work."""
    house.platform.fails_with = outcome
    house.add_account()
    answer = house.call("GET", PATH, reader)
    assert (answer.status_code, answer.json()["cause"]) == (503, cause)
    assert "retry-after" in answer.headers


def test_an_old_token_is_served_while_the_store_is_away(house: House, reader: str) -> None:
    """A lost store withholds nothing; the answer says that memory speaks."""
    house.add_account()
    house.store.is_away = True
    house.clock.turn(20.0)
    body = house.call("GET", PATH, reader).json()
    assert body["stale"] is True
    assert body["generation"] == 1


def test_a_doubtful_token_is_marked(house: House, reader: str) -> None:
    """The caller may decide to wait; `expires_in` promises nothing."""
    house.add_account(mode=Mode.CLASSIC)
    house.platform.fails_with = Ambiguous("timeout")
    slot = Slot(APPID)
    house.clock.turn(5400.0)
    assert house.keeper.known.record(slot).attempts  # type: ignore[union-attr]
    house.clock.turn(301.0)
    body = house.call("GET", PATH, reader).json()
    assert (body["doubtful"], body["expires_in"], body["generation"]) == (True, 0, 1)


def test_a_reject_of_a_dead_token_brings_another(house: House, reader: str) -> None:
    """The whole point: the caller repeats his call with what he gets."""
    house.add_account()
    dead = house.token()
    house.world.revoke_all(APPID, house.clock.wall())
    answer = house.call("POST", REJECT, reader, json={"rejected": dead})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["outcome"], body["generation"]) == ("refreshed", 2)
    assert body["access_token"] != dead
    assert list(body)[-1] == "outcome"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["etag"] == house.call("GET", PATH, reader).headers["etag"]


def test_a_reject_of_an_older_token_brings_the_current_one(house: House, reader: str) -> None:
    """Late reporters cost the platform nothing."""
    house.add_account()
    dead = house.token()
    house.world.revoke_all(APPID, house.clock.wall())
    house.call("POST", REJECT, reader, json={"rejected": dead})
    mints = len(house.platform.mints)
    body = house.call("POST", REJECT, reader, json={"rejected": dead}).json()
    assert (body["outcome"], len(house.platform.mints)) == ("already_newer", mints)


def test_a_reject_of_a_living_token_is_not_believed(house: House, reader: str) -> None:
    """A buggy caller must not be able to spend the day's quota."""
    house.add_account()
    body = house.call("POST", REJECT, reader, json={"rejected": house.token()}).json()
    assert (body["outcome"], house.platform.probes) == ("still_valid", 1)


def test_a_token_may_be_rejected_by_its_hash(house: House, reader: str) -> None:
    """Who logs no tokens can still say which one it was."""
    house.add_account()
    digest = sha256(house.token().encode()).hexdigest().upper()
    assert house.call("POST", REJECT, reader, json={"rejected_sha256": digest}).json()["outcome"] == "still_valid"


def test_a_thousand_rejects_cost_one_probe_and_one_mint(house: House, reader: str) -> None:
    """A fleet notices a dead token all at once."""
    house.add_account()
    dead = house.token()
    house.world.revoke_all(APPID, house.clock.wall())
    mints = len(house.platform.mints)

    async def storm() -> list[httpx.Response]:
        calls = [house.calling("POST", REJECT, reader, json={"rejected": dead}) for _ in range(1000)]
        return await asyncio.gather(*calls)

    outcomes = {json.dumps([one.status_code, one.json()["outcome"]]) for one in house.clock.run(storm())}
    assert outcomes <= {'[200, "refreshed"]', '[200, "already_newer"]'}
    assert (house.platform.probes, len(house.platform.mints) - mints) == (1, 1)


def test_two_servers_with_one_key_are_two_callers(house: House, reader: str) -> None:
    """A verdict told to one does not silence the other; both insisting is a sign."""
    house.add_account()
    for address in ("10.0.0.1", "10.0.0.2"):
        house.call("POST", REJECT, reader, json={"generation": 1}, address=address)
    record = house.keeper.known.record(Slot(APPID))
    assert record is not None
    assert len(record.complaints) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rejected": "a", "generation": 1},
        {"force": False},
        {"rejected": ""},
        {"rejected": "x" * 2049},
        {"rejected": 5},
        {"rejected_sha256": "abc"},
        {"generation": 0},
        {"generation": True},
        {"generation": "1"},
        {"reject": "misspelt"},
        {"rejected": "a\ud800b"},
        {"rejected": "a\nb"},
    ],
)
def test_a_reject_names_one_credential_in_one_way(house: House, reader: str, body: object) -> None:
    """A misspelt field must not look like a reject of nothing."""
    house.add_account()
    content = json.dumps(body).encode()
    answer = house.call("POST", REJECT, reader, content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert house.platform.probes == 0


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'"x"', b"{'a':1}", b'{"generation":1,"generation":2}', b'{"generation":NaN}', b"\xff", b"[" * 9000],
)
def test_what_is_no_json_object_is_refused(house: House, reader: str, content: bytes) -> None:
    """Each of them says so, none is a bug of ours."""
    house.add_account()
    answer = house.call("POST", REJECT, reader, content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_not_json")


def test_a_long_body_is_refused(house: House, reader: str) -> None:
    """Nobody fills our memory."""
    house.add_account()
    answer = house.call("POST", REJECT, reader, content=b" " * 70_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")


def test_a_body_that_does_not_come_is_not_waited_for(house: House, reader: str) -> None:
    """A client that stalls holds a request, not the hub."""
    house.add_account()

    async def stalling() -> object:
        yield b"{"
        await asyncio.sleep(3600)

    answer = house.call("POST", REJECT, reader, content=stalling())
    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")


def test_a_reject_that_cannot_be_decided_says_when_to_come_again(house: House, reader: str) -> None:
    """An unanswered probe proves nothing, so nothing is minted and nothing is claimed."""
    house.add_account()
    house.platform.fails_with = Ambiguous("timeout")
    mints = len(house.platform.mints)
    answer = house.call("POST", REJECT, reader, json={"generation": 1})
    assert (answer.status_code, answer.json()["cause"]) == (503, "unanswered")
    assert answer.json()["code"] == "credential_unavailable"  # programs, followers among them, go by it
    assert "照常发放" in answer.json()["detail"]  # there is a token, and `GET` hands it out
    assert int(answer.headers["retry-after"]) >= 1
    assert len(house.platform.mints) == mints


def test_a_reject_while_the_store_is_away_says_so(house: House, reader: str) -> None:
    """A reject is decided on the store's record, never on memory."""
    house.add_account()
    house.store.is_away = True
    answer = house.call("POST", REJECT, reader, json={"generation": 1})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")


def test_force_needs_its_grant(house: House, reader: str) -> None:
    """Ten forced refreshes a day are few; who may spend them is decided when the key is made."""
    house.add_account()
    answer = house.call("POST", REJECT, reader, json={"force": True})
    assert (answer.status_code, answer.json()["code"], answer.json()["grant"]) == (403, "grant_missing", "force")


def test_force_replaces_what_nobody_refused(house: House) -> None:
    """For the day a token leaked."""
    house.add_account()
    forcer = house.add_key(Grant.READ, Grant.FORCE)
    house.clock.turn(120.0)
    body = house.call("POST", REJECT, forcer, json={"force": True}).json()
    assert (body["outcome"], body["generation"]) == ("refreshed", 2)


def test_a_force_too_soon_is_the_callers_own_limit(house: House) -> None:
    """429 and when to come again: the hub is well, he asks too often."""
    house.add_account()
    forcer = house.add_key(Grant.READ, Grant.FORCE)
    house.clock.turn(120.0)
    house.call("POST", REJECT, forcer, json={"force": True})
    answer = house.call("POST", REJECT, forcer, json={"force": True})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["cause"]) == (429, "force_refused", "too_soon")
    assert answer.headers["retry-after"] == "90"
    assert "90" in problem["detail"]
    assert "没有换" in problem["detail"]
    assert house.call("GET", PATH, forcer).status_code == 200


def test_a_force_that_nothing_can_follow_says_that_there_is_nothing(house: House) -> None:
    """A dead token, and a platform that refuses: then it is no matter of too soon."""
    house.add_account()
    forcer = house.add_key(Grant.READ, Grant.FORCE)
    house.clock.turn(120.0)
    house.world.revoke_all(APPID, house.clock.wall())
    house.platform.fails_with = Refused(40164, "invalid ip 1.2.3.4, not in whitelist")
    house.call("POST", REJECT, forcer, json={"rejected": house.token()})
    problem = house.call("POST", REJECT, forcer, json={"force": True}).json()
    assert (problem["code"], problem["cause"]) == ("credential_unavailable", "blocked")


def test_a_head_is_answered_as_a_get_without_its_body(house: House, reader: str) -> None:
    """Monitors ask that way."""
    house.add_account()
    answer = house.call("HEAD", PATH, reader)
    assert (answer.status_code, answer.headers["etag"][:4]) == (200, 'W/"1')
