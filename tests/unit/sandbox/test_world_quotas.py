"""Quotas: by Shanghai day, by minute, longer for short lives, cleared ten times a month."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, SECRET, START, Caller, build_caller
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

SHANGHAI = timezone(timedelta(hours=8))
NOON = datetime(2026, 11, 21, 12, tzinfo=SHANGHAI).timestamp()
MIDNIGHT = datetime(2026, 11, 22, tzinfo=SHANGHAI).timestamp()


def build_limited(daily: int, per_minute: int | None = None, **account: Any) -> Caller:
    """Return a caller whose account has these quotas of classic calls."""
    caller = build_caller(**account)
    caller.world.account(APPID).set_quota("/cgi-bin/token", daily, per_minute)
    return caller


@pytest.mark.parametrize(("profile", "daily"), [("verified", 2000), ("test", 200)])
def test_a_day_of_classic_calls(profile: str, daily: int) -> None:
    """A storm of mints darkens an account for the rest of the day."""
    caller = build_caller(profile=profile)
    assert all("access_token" in caller.classic(NOON + i) for i in range(daily))
    body = caller.classic(NOON + daily)
    assert body["errcode"] == 45009
    assert body["errmsg"].startswith("reach max api daily quota limit rid: ")


def test_stable_calls_are_plenty(caller: Caller) -> None:
    """10,000 a minute, 500,000 a day; whoever polls faster is refused like anybody."""
    codes = {i: caller.stable(NOON).get("errcode", 0) for i in range(10_001)}
    assert (codes[9_999], codes[10_000]) == (0, 45011)
    assert caller.world.account(APPID).meters["/cgi-bin/stable_token"].daily == 500_000


def test_the_day_ends_at_midnight_in_shanghai() -> None:
    """45009 is over at 16:00 UTC, not before and not later."""
    caller = build_limited(1)
    caller.classic(NOON)
    assert caller.classic(MIDNIGHT - 0.001)["errcode"] == 45009
    assert "access_token" in caller.classic(MIDNIGHT)


def test_the_minute_quota_has_its_own_code_and_is_over_with_the_minute() -> None:
    """Its text says *retry next minute*."""
    caller = build_limited(1000, per_minute=2)
    bodies = [caller.classic(NOON + second) for second in (0, 30, 59.9, 60)]
    assert [body.get("errcode", 0) for body in bodies] == [0, 0, 45011, 0]
    assert bodies[2]["errmsg"].startswith("api minute-quota reach limit, must slower, retry next minute rid: ")


def test_by_switch_the_minute_quota_is_45009() -> None:
    """A hub must survive the day's code for a minute's wait."""
    caller = build_limited(1000, 0, switches=Switches(minute_quota_errcode=45009))
    assert caller.classic(NOON)["errcode"] == 45009


def test_the_minute_quota_of_new_accounts_is_a_switch() -> None:
    """The platform does not publish it."""
    world = World(switches=Switches(classic_minute_quota=3))
    assert world.add_account().meters["/cgi-bin/token"].per_minute == 3


def test_only_calls_that_pass_are_counted() -> None:
    """A wrong secret asked all day must not spend the account's quota."""
    caller = build_limited(2)
    for i in range(50):
        caller.classic(NOON + i, secret="wrong")
    assert [caller.classic(NOON + i).get("errcode", 0) for i in range(5)] == [0, 0, 45009, 45009, 45009]
    assert caller.world.account(APPID).meters["/cgi-bin/token"].used(NOON) == 2


def test_quotas_of_the_two_modes_are_two() -> None:
    """A spent classic quota leaves the stable way open."""
    caller = build_limited(0)
    assert caller.classic(NOON)["errcode"] == 45009
    assert "access_token" in caller.stable(NOON)


def test_a_shortened_life_lengthens_the_quotas() -> None:
    """Tokens of 60 s are asked for 120 times as often."""
    caller = build_limited(2, expires_in=60)
    assert [caller.classic(NOON + i).get("errcode", 0) for i in range(241)] == [0] * 240 + [45009]


def test_a_longer_life_does_not_shorten_them() -> None:
    """The scale is never below 1."""
    assert build_limited(2, expires_in=86_400).world.account(APPID).scale == 1


class TestClearQuota:
    """Both forms of 重置API调用次数."""

    def test_with_a_token_all_counts_begin_anew(self) -> None:
        """The way out of a 45009, while a token lives."""
        caller = build_limited(1)
        token = caller.classic(NOON)["access_token"]
        assert caller.classic(NOON)["errcode"] == 45009
        cleared = caller.world.call("/cgi-bin/clear_quota", access_token=token, params={"appid": APPID}, now=NOON)
        assert cleared == {"errcode": 0, "errmsg": "ok"}
        assert "access_token" in caller.classic(NOON)

    def test_the_minute_begins_anew_too(self) -> None:
        """A cleared quota is whole at once, not in the next minute."""
        caller = build_limited(1000, per_minute=1)
        caller.classic(NOON)
        caller.world.clear_quota_v2(appid=APPID, appsecret=SECRET, ip="1.2.3.4", now=NOON)
        assert "access_token" in caller.classic(NOON)

    def test_an_appid_that_is_not_the_tokens_is_40013(self, caller: Caller) -> None:
        """Nobody clears another's."""
        token = caller.classic(NOON)["access_token"]
        body = caller.world.call("/cgi-bin/clear_quota", access_token=token, params={"appid": "wx"}, now=NOON)
        assert body["errcode"] == 40013

    def test_v2_needs_no_token(self) -> None:
        """It exists because a spent token quota blocks the first form."""
        caller = build_limited(0)
        asked: dict[str, Any] = {"appid": APPID, "appsecret": SECRET, "ip": "1.2.3.4", "now": NOON}
        assert caller.world.clear_quota_v2(**asked) == {"errcode": 0, "errmsg": "ok"}
        assert caller.world.clear_quota_v2(**asked | {"appsecret": "wrong"})["errcode"] == 40125

    def test_ten_a_month_both_forms_together(self, caller: Caller) -> None:
        """48006 until the month is over in Shanghai."""
        token = caller.stable(MIDNIGHT)["access_token"]

        def clear(now: float) -> int:
            body = caller.world.clear_quota_v2(appid=APPID, appsecret=SECRET, ip="1.2.3.4", now=now)
            return int(body["errcode"])

        params = {"appid": APPID}
        first = [caller.world.call("/cgi-bin/clear_quota", access_token=token, params=params, now=MIDNIGHT)["errcode"]]
        december = datetime(2026, 12, 1, tzinfo=SHANGHAI).timestamp()
        assert first + [clear(MIDNIGHT) for _ in range(9)] == [0] * 10
        assert (clear(december - 1), clear(december)) == (48006, 0)


class TestQuotaGet:
    """查询API调用额度."""

    def ask(self, caller: Caller, path: str, now: float = NOON) -> dict[str, Any]:
        """Return the body for one cgi_path."""
        token = caller.stable(now)["access_token"]
        params = {"cgi_path": path}
        return caller.world.call("/cgi-bin/openapi/quota/get", access_token=token, params=params, now=now)

    def test_shows_limit_and_use(self) -> None:
        """In the platform's nested shape."""
        caller = build_limited(10, 5)
        caller.classic(NOON)
        assert self.ask(caller, "/cgi-bin/token") == {
            "errcode": 0,
            "errmsg": "ok",
            "quota": {"daily_limit": 10, "used": 1, "remain": 9},
            "rate_limit": {"call_count": 5, "refresh_second": 60},
            "component_rate_limit": {"call_count": 0, "refresh_second": 0},
        }

    def test_shows_todays_use_only(self) -> None:
        """Yesterday's calls are gone at midnight, also when none was made since."""
        caller = build_limited(10)
        caller.classic(NOON)
        assert self.ask(caller, "/cgi-bin/token", MIDNIGHT)["quota"]["used"] == 0

    def test_by_switch_the_use_of_the_token_calls_stays_at_0(self) -> None:
        """It was recorded so."""
        caller = build_limited(10, switches=Switches(quota_get_counts_tokens=False))
        caller.classic(NOON)
        assert self.ask(caller, "/cgi-bin/token")["quota"] == {"daily_limit": 10, "used": 0, "remain": 10}

    @pytest.mark.parametrize(("path", "errcode"), [("/cgi-bin/nothing", 76021), ("", 76021), ("/sns/userinfo", 76022)])
    def test_refuses_paths_it_does_not_know(self, caller: Caller, path: str, errcode: int) -> None:
        """And those of /sns."""
        assert self.ask(caller, path)["errcode"] == errcode


def test_a_call_with_a_token_has_its_own_quota(caller: Caller) -> None:
    """Spent, it is refused; the token is no worse for it."""
    caller.world.account(APPID).set_quota("/cgi-bin/user/get", 1)
    token = caller.stable(START)["access_token"]
    codes = [caller.world.call("/cgi-bin/user/get", access_token=token, now=START).get("errcode", 0) for _ in "ab"]
    assert codes == [0, 45009]
    assert caller.probe(token, START) == 0
