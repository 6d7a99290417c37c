"""How often WeCom may be called, and for how long who goes beyond is shut out."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.caller import START
from tests.unit.sandbox.test_world_wecom import CORP, CRM, IP, OA, ask, build_world, call
from zhongkong.sandbox.wecom_rates import HOUR, MINUTE, Gate, Rates

GETTOKEN = "/cgi-bin/gettoken"
AT = START - START % HOUR


def spend(rates: Rates, times: int, now: float, appid: str = CRM, path: str = GETTOKEN, ip: str = IP) -> int:
    """Make so many calls and return how many of them were let through."""
    return sum(rates.spend(appid, path, ip, now) for _ in range(times))


def test_a_corp_has_ten_thousand_calls_a_minute_to_one_api_whatever_its_application() -> None:
    """Another API, and another corp, have their own."""
    rates = Rates()
    assert spend(rates, 6000, AT) + spend(rates, 6000, AT, OA) == 10_000
    assert spend(rates, 1, AT, path="/cgi-bin/user/get") == 1
    assert spend(rates, 1, AT, appid="wwother:app") == 1


def test_who_goes_beyond_a_minutes_rule_is_shut_out_for_a_minute() -> None:
    """From then on, not until the next minute of the clock."""
    rates = Rates()
    spend(rates, 10_000, AT + 50)
    assert [spend(rates, 1, AT + at) for at in (50, 61, 109.9, 110)] == [0, 0, 0, 1]


def test_an_address_has_twenty_thousand_a_minute_for_all_it_calls() -> None:
    """Of whatever corps."""
    rates = Rates()
    done = sum(spend(rates, 3000, AT, f"ww{number}:app") for number in range(8))
    assert done == 20_000
    assert spend(rates, 1, AT, "ww9:app", ip="5.6.7.8") == 1


@pytest.mark.parametrize("window", [MINUTE, HOUR])
def test_a_rule_shuts_for_as_long_as_its_window(window: int) -> None:
    """The hour's for an hour."""
    gate = Gate(window, 2)
    for _ in range(2):
        assert gate.admits(AT)
        gate.count += 1
    assert not gate.admits(AT + 10)
    assert not gate.admits(AT + 9.9 + window)
    assert gate.admits(AT + 10 + window)


def test_tickets_are_few() -> None:
    """400 an hour to a corp, 100 to one of its applications."""
    rates, path = Rates(), "/cgi-bin/ticket/get"
    assert spend(rates, 150, AT, CRM, path) == 100
    more = sum(spend(rates, 150, AT, f"{CORP}:app{number}", path) for number in range(5))
    assert more == 300


def test_wrong_secrets_shut_an_address_out_for_an_hour() -> None:
    """Then a right one is refused as well; others are not."""
    world = build_world(wecom_wrong_calls=5)
    assert [ask(world, AT, secret="x" * 43)["errcode"] for _ in range(7)] == [40001] * 5 + [45009] * 2
    assert ask(world, AT)["errcode"] == 45009
    assert ask(world, AT, ip="5.6.7.8")["errcode"] == 0
    assert [ask(world, AT + at)["errcode"] for at in (HOUR - 1, HOUR)] == [45009, 0]


def test_a_world_refuses_what_is_beyond_in_wecoms_words_and_a_reset_forgives() -> None:
    """Calls with a token are counted like gettoken."""
    world = build_world()
    token = ask(world, AT)["access_token"]
    codes = [call(world, "ticket/get", token, AT, type="agent_config")["errcode"] for _ in range(101)]
    assert codes == [0] * 100 + [45009]
    assert "api freq out of limit" in call(world, "ticket/get", token, AT, type="agent_config")["errmsg"]
    world.reset()
    world.add_account(CRM, "c" * 43, kind="wecom")
    token = ask(world, AT)["access_token"]
    assert call(world, "ticket/get", token, AT, type="agent_config")["errcode"] == 0
