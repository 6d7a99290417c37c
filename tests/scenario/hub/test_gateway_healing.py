"""A real token that the platform refuses is replaced behind the SDK's back; what cannot be healed makes nobody loop."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.scenario.hub.house import APPID, OTHER, SECRET
from tests.scenario.hub.test_secrecy import guises
from tests.scenario.hub.through import Answer, Raw, Through
from zhongkong.core.grants import Grant
from zhongkong.core.model import Mode, NotSent
from zhongkong.errors import PlatformUnreachable, StoreUnavailable
from zhongkong.hub.gateway.desk import unavailable
from zhongkong.hub.logs import configure_logging
from zhongkong.sandbox.faults import Fault
from zhongkong.wechat.answers import Refused

CALL = "/cgi-bin/user/get"
RID = "6720ea21-0dc53ebd-5bdb45c7"
REFUSED = b'{"errcode":40001,"errmsg":"invalid credential rid: 6720ea21-0dc53ebd-5bdb45c7"}'
LOOPING = (40001, 40014, 42001)


@pytest.fixture
def house() -> Iterator[Through]:
    """A hub with a gateway; whatever was tried, nothing is left under way."""
    house = Through()
    yield house
    house.clock.turn(1)
    assert house.line.open == 0
    house.close()


def test_a_revoked_token_is_healed_and_the_client_sees_nothing(house: Through) -> None:
    """One refusal, one probe, one mint, one repeat."""
    token, dead = house.virtual(), house.token()
    house.revoke()
    assert house.ask(CALL, token).json()["total"] == 0
    assert house.line.tokens() == [dead, house.token()]
    assert (house.platform.probes, len(house.platform.mints)) == (1, 2)
    assert house.token() != dead
    assert f'key="{house.key.id}",outcome="healed"}} 1.0' in house.measures()


def test_an_upload_is_sent_again_from_its_first_byte(house: Through) -> None:
    """Its body is held until it is certain that it need not be."""
    token, picture = house.virtual(), bytes(range(256)) * 100
    house.revoke()
    made = house.ask(
        "/cgi-bin/media/upload",
        token,
        "POST",
        params={"type": "image"},
        files={"media": ("a.jpg", picture, "image/jpeg")},
    ).json()
    assert house.line.bodies[0] == house.line.bodies[1]
    house.revoke()
    assert house.ask("/cgi-bin/media/get", token, params={"media_id": made["media_id"]}).content == picture


def test_a_hundred_callers_are_healed_by_one_mint(house: Through) -> None:
    """JSON, uploads and downloads together: one probe, one mint."""
    token = house.virtual()
    media = {"params": {"type": "image"}, "files": {"media": ("a.jpg", b"xyz", "image/jpeg")}}
    made = house.ask("/cgi-bin/media/upload", token, "POST", **media).json()["media_id"]
    house.revoke()

    async def everybody() -> list[httpx.Response]:
        calls = []
        for index in range(100):
            params: dict[str, Any] = {"access_token": token}
            if index % 3 == 0:
                calls.append(house.calling("GET", CALL, params=params))
            elif index % 3 == 1:
                files = media["files"]
                params["type"] = "image"
                calls.append(house.calling("POST", "/cgi-bin/media/upload", params=params, files=files))
            else:
                calls.append(house.calling("GET", "/cgi-bin/media/get", params={**params, "media_id": made}))
        return await asyncio.gather(*calls)

    answers = house.clock.run(everybody())
    assert [answer.json()["total"] for answer in answers[::3]] == [0] * 34
    assert all("media_id" in answer.json() for answer in answers[1::3])
    assert {answer.content for answer in answers[2::3]} == {b"xyz"}
    assert (house.platform.probes, len(house.platform.mints)) == (1, 2)
    assert len(house.line.calls) == 201


@pytest.mark.parametrize("errcode", LOOPING)
def test_all_three_refusals_are_healed(house: Through, errcode: int) -> None:
    """Whatever the platform calls it."""
    token = house.virtual()
    house.line.answers = [Answer([b'{"errcode":%d}' % errcode])]
    house.revoke()
    assert house.ask(CALL, token).json()["total"] == 0


def test_a_call_that_was_under_way_while_another_healed_is_repeated_with_what_there_is(house: Through) -> None:
    """Nothing is reported twice."""
    token, gate = house.virtual(), asyncio.Event()
    house.line.before = gate.wait  # type: ignore[assignment]
    late = Raw(house, "GET", f"{CALL}?access_token={token}")
    house.clock.turn(0.1)
    house.line.before = None
    house.revoke()
    assert house.ask(CALL, token).json()["total"] == 0
    assert not late.task.done()
    gate.set()
    house.clock.turn(1)
    assert len(house.line.calls) == 4
    assert json.loads(late.body)["total"] == 0
    assert (house.platform.probes, len(house.platform.mints)) == (1, 2)


# --- what cannot be healed


def test_a_refusal_of_a_living_token_is_later_and_no_loop(house: Through) -> None:
    """The probe says alive: the platform's nodes disagree, or the call means something else by its code."""
    token = house.virtual()
    house.line.faults.add(Fault(path=CALL, answer="errcode", errcode=40001))
    told = house.read(house.ask(CALL, token))
    assert told["errcode"] == -1
    assert told["errmsg"].startswith("system error")
    assert "40001" in told["errmsg"]
    for _ in range(30):
        assert house.errcode(house.ask(CALL, token)) == -1
        house.clock.turn(0.1)
    assert house.platform.probes <= 3
    assert len(house.platform.mints) <= 2


def test_a_new_token_that_is_refused_too_is_no_loop(house: Through) -> None:
    """Two calls, and no third."""
    token = house.virtual()
    house.line.answers = [Answer([REFUSED]), Answer([REFUSED])]
    house.revoke()
    told = house.read(house.ask(CALL, token))
    assert told["errcode"] == -1
    assert f"rid: {RID}" in told["errmsg"]
    assert len(house.line.calls) == 2
    (event,) = house.events("gateway_unhealed")
    assert event["request"] in told["errmsg"]
    assert (event["path"], event["errcode"], event["rid"], event["why"]) == (CALL, 40001, RID, "refused_again")


def test_a_secret_that_was_reset_is_told_and_no_loop(house: Through) -> None:
    """With the platform's code in words; the token route goes on to hand out virtual ones."""
    token = house.virtual()
    house.world.reset_secret(APPID, house.clock.wall())
    house.revoke()
    for _ in range(10):
        told = house.read(house.ask(CALL, token))
        assert told["errcode"] == -1
        assert "40125" in told["errmsg"]
        house.clock.turn(1)
    assert "access_token" in house.fetch()
    assert len(house.platform.mints) <= 3


def test_a_platform_that_is_away_while_we_heal(house: Through) -> None:
    """No verdict, no mint; later."""
    token = house.virtual()
    house.revoke()
    house.platform.fails_with = NotSent("connect_failed")
    assert house.errcode(house.ask(CALL, token)) == -1
    house.platform.fails_with = None
    house.clock.turn(30)
    assert house.ask(CALL, token).json()["total"] == 0


def test_a_repeat_that_is_cut_is_not_repeated(house: Through) -> None:
    """It may have been heard."""
    token = house.virtual()
    house.line.answers = [Answer([REFUSED]), PlatformUnreachable("cut", was_sent=True)]
    house.revoke()
    assert house.errcode(house.ask(CALL, token)) == -1
    assert len(house.line.calls) == 2


def test_without_a_credential_nothing_is_sent(house: Through) -> None:
    """A new account whose secret is wrong: the code and the platform's id in words."""
    house.platform.fails_with = Refused(40125, "invalid appsecret", RID)
    house.add_account(OTHER)
    told = house.read(house.ask(CALL, house.virtual(appid=OTHER)))
    assert told["errcode"] == -1
    assert "40125" in told["errmsg"]
    assert RID in told["errmsg"]
    assert house.line.calls == []


def test_while_the_store_is_away_calls_go_on(house: Through) -> None:
    """What is in memory holds; what would need the store is later."""
    token = house.virtual()
    house.store.is_away = True
    house.clock.turn(5)
    assert house.ask(CALL, token).json()["total"] == 0
    assert "access_token" in house.fetch()
    house.revoke()
    assert house.errcode(house.ask(CALL, token)) == -1
    house.store.is_away = False
    house.clock.turn(30)
    assert house.ask(CALL, token).json()["total"] == 0


def test_before_the_store_was_ever_read_it_is_later() -> None:
    """A replica that begins while the store is away knows neither keys nor tokens."""
    refusal = unavailable(StoreUnavailable("store_unavailable", retry_after=1.0))
    assert json.loads(refusal.body) == {"errcode": -1, "errmsg": "system error, zhongkong: the store is away"}


def test_a_client_that_leaves_while_we_heal_leaves_the_healing_to_the_others(house: Through) -> None:
    """The report was theirs too."""
    token = house.virtual()
    house.revoke()
    house.platform.delay = 0.5
    first = Raw(house, "GET", f"{CALL}?access_token={token}")
    second = Raw(house, "GET", f"{CALL}?access_token={token}")
    house.clock.turn(0.2)
    first.leaves()
    assert first.task.done()
    house.clock.turn(5)
    assert json.loads(second.body)["total"] == 0
    assert (house.platform.probes, len(house.platform.mints)) == (1, 2)


# --- what is told


def test_a_spent_quota_is_told_once_and_passed_on(house: Through) -> None:
    """As the platform said it; and once an hour for each call."""
    token, spent = (
        house.virtual(),
        b'{"errcode":45009,"errmsg":"reach max api daily quota limit rid: %s"}' % RID.encode(),
    )
    for _ in range(3):
        house.line.answers = [Answer([spent])]
        assert house.ask(CALL, token).content == spent
    house.line.answers = [Answer([spent])]
    house.ask("/cgi-bin/menu/get", token)
    assert [(one["path"], one["rid"]) for one in house.events("gateway_quota_spent")] == [
        (CALL, RID),
        ("/cgi-bin/menu/get", RID),
    ]
    assert len(house.line.calls) == 4


def test_the_quota_of_calls_with_a_secret_is_told_too(house: Through) -> None:
    """Logins of a mini program have one."""
    house.line.answers = [Answer([b'{"errcode":45009}'])]
    params = {"appid": APPID, "secret": house.text, "js_code": "x", "grant_type": "authorization_code"}
    house.call("GET", "/sns/jscode2session", params=params)
    assert [one["path"] for one in house.events("gateway_quota_spent")] == ["/sns/jscode2session"]


def test_a_refused_secret_is_the_clients_to_read(house: Through) -> None:
    """40001 of a login means the secret, not the token: nothing is healed, and the answer passes."""
    house.line.answers = [Answer([REFUSED])]
    params = {"appid": APPID, "secret": house.text, "js_code": "x", "grant_type": "authorization_code"}
    assert house.call("GET", "/sns/jscode2session", params=params).content == REFUSED
    assert house.platform.probes == 0


def test_a_storm_of_one_trouble_is_one_event(house: Through) -> None:
    """A minute, then it is told again; the answers name each request."""
    token = house.virtual()
    house.line.answers = [PlatformUnreachable("timeout", was_sent=True) for _ in range(50)]
    told = {house.ask(CALL, token).text for _ in range(49)}
    assert len(told) == 49
    assert len(house.events("gateway_unreachable")) == 1
    house.clock.turn(61)
    house.ask(CALL, token)
    assert len(house.events("gateway_unreachable")) == 2


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as the hub logs it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("json", stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def test_nothing_that_is_secret_is_told(house: Through, log: io.StringIO) -> None:
    """Every trouble that there is; then what was logged, kept, measured and answered is searched."""
    admin, body = house.add_key(Grant.ADMIN), "body-" + "s3cr3t" * 8
    answers: list[httpx.Response] = []
    virtual, stable = house.virtual(), house.fetch_stable()["access_token"]
    tokens = [house.token()]
    cut = PlatformUnreachable("cut", was_sent=True)
    everything: list[list[Answer | Exception]] = [
        [Answer([REFUSED.replace(b"invalid", tokens[0].encode())])] * 2,
        [cut],
        [Answer([b"{", cut])],
        [ValueError(f"https://api.weixin.qq.com{CALL}?access_token={tokens[0]}")],
        [Answer([b'{"errcode":45009,"errmsg":"%s"}' % tokens[0].encode()])],
    ]
    for one in everything:
        house.line.answers = one
        answers.append(house.ask(CALL, virtual, "POST", content=body.encode()))
    house.revoke()
    house.line.answers = []
    answers.append(house.ask(CALL, virtual))
    tokens.append(house.token())
    for query in (f"secret={SECRET}", f"appid={APPID}&secret={SECRET}", f"appid={APPID}&secret={house.text}x"):
        answers.append(house.call("GET", f"/cgi-bin/token?grant_type=client_credential&{query}"))
        answers.append(house.call("GET", f"/sns/jscode2session?{query}"))
    answers.append(house.call("GET", f"{CALL}?access_token={tokens[0]}"))
    house.clock.turn(5)
    answers += [
        house.call("GET", path, admin) for path in ("/v1/events?after=0", "/metrics", "/v1/accounts", "/v1/keys")
    ]
    told = log.getvalue() + "".join(answer.text + str(answer.headers) for answer in answers)
    assert "gateway_unhealed" in told
    assert CALL in log.getvalue()
    for secret in (SECRET, house.text, admin, body, stable, *tokens):
        found = [guise for guise in guises(secret) if guise in told]
        assert not found, f"{secret} is told as {found}"
    assert virtual not in log.getvalue() + answers[-4].text + answers[-3].text


def test_nothing_is_left_running(house: Through) -> None:
    """Clients that left, answers that were cut, calls that were healed: no task of theirs goes on."""
    token = house.virtual()
    before = len(asyncio.all_tasks(house.clock.loop))
    house.revoke()
    house.ask(CALL, token)
    house.line.answers = [Answer([b"x", asyncio.Event()], 200, [(b"content-type", b"image/png")])]
    raw = Raw(house, "GET", f"{CALL}?access_token={token}")
    house.clock.turn(1)
    raw.leaves()
    house.line.answers = [PlatformUnreachable("cut", was_sent=True)]
    house.ask(CALL, token)
    house.clock.turn(1)
    assert len(asyncio.all_tasks(house.clock.loop)) == before


def test_an_account_in_classic_mode_is_healed_alike(house: Through) -> None:
    """Every mint ends the former token there: the more it matters that one is made for all."""
    house.add_account(OTHER, mode=Mode.CLASSIC)
    token = house.virtual(appid=OTHER)
    assert house.ask(CALL, token).json()["total"] == 0
    house.world.revoke_all(OTHER, house.clock.wall())
    assert house.ask(CALL, token).json()["total"] == 0
