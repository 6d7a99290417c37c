"""Refusals: which, in which order, and in the platform's exact words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, SECRET, START, Caller, build_caller
from zhongkong.sandbox.answers import Refused
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

RID = r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}"
RID_AT_START = RID.replace("[0-9a-f]{8}", f"{int(START):08x}", 1)
LONG_40001 = (
    "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, "
    "more details at https://mmbizurl.cn/s/JtxxFh33r"
)


def text_of(body: dict[str, Any] | None) -> str:
    """Return the errmsg without its rid, which has to be there and of the right form."""
    assert body is not None
    assert body.keys() == {"errcode", "errmsg"}
    said = re.fullmatch(rf"(.*) rid: {RID_AT_START}", body["errmsg"])
    assert said, body["errmsg"]
    return said[1]


@pytest.mark.parametrize(
    ("wrong", "errcode", "text"),
    [
        ({"appid": None}, 41002, "appid missing"),
        ({"appid": ""}, 41002, "appid missing"),
        ({"secret": None}, 41004, "appsecret missing"),
        ({"grant_type": None}, 40002, "invalid grant_type"),
        ({"grant_type": "authorization_code"}, 40002, "invalid grant_type"),
        ({"appid": APPID[:-1]}, 40013, "invalid appid"),
        ({"secret": SECRET[:-1]}, 40125, "invalid appsecret"),
    ],
)
def test_both_token_calls_refuse_a_wrong_request_in_the_platforms_words(
    caller: Caller, wrong: dict[str, Any], errcode: int, text: str
) -> None:
    """SDKs match on code and text; a wrong secret is 40125 and never 40001."""
    for ask in (caller.classic, caller.stable):
        body = ask(START, **wrong)
        assert (body["errcode"], text_of(body)) == (errcode, text)


def test_what_is_wrong_is_told_in_one_fixed_order() -> None:
    """Everything wrong at once, mended step by step: from the request to the account's state."""
    caller = build_caller(allow_list=[], switches=Switches(freeze_delay_seconds=0))
    caller.world.account(APPID).set_quota("/cgi-bin/token", 0, 0)
    caller.world.freeze_secret(APPID, START)
    asked: dict[str, Any] = {"appid": None, "secret": None, "grant_type": None}
    codes = [caller.classic(START, **asked)["errcode"]]
    for mend in ({"appid": "wx"}, {"secret": "?"}, {"grant_type": "client_credential"}, {"appid": APPID}):
        asked |= mend
        codes.append(caller.classic(START, **asked)["errcode"])
    asked["secret"] = SECRET
    codes.append(caller.classic(START, **asked)["errcode"])
    caller.world.thaw_secret(APPID, START)
    codes.append(caller.classic(START, **asked)["errcode"])
    caller.world.account(APPID).set_allow_list(None)
    codes.append(caller.classic(START, **asked)["errcode"])
    caller.world.account(APPID).set_quota("/cgi-bin/token", 0, None)
    codes.append(caller.classic(START, **asked)["errcode"])
    assert codes == [41002, 41004, 40002, 40013, 40125, 40243, 40164, 45011, 45009]


class TestAllowList:
    """IP白名单."""

    @pytest.mark.parametrize(
        ("ip", "text"),
        [
            ("1.2.3.4", "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist"),
            ("::ffff:1.2.3.4", "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist"),
            ("2001:db8::1", "invalid ip 2001:db8::1 ipv6 2001:db8::1, not in whitelist"),
        ],
    )
    def test_the_refusal_names_the_callers_ip(self, ip: str, text: str) -> None:
        """It is the address that a person has to add, so a program reads it from here."""
        body = build_caller(allow_list=["5.6.7.8"]).classic(START, ip=ip)
        assert (body["errcode"], text_of(body)) == (40164, text)

    @pytest.mark.parametrize("ip", ["5.6.7.8", "::ffff:5.6.7.8", "2001:db8::1"])
    def test_who_is_on_it_may_ask(self, ip: str) -> None:
        """An IPv4 address arrives mapped on a socket of both families."""
        assert "access_token" in build_caller(allow_list=["5.6.7.8", "2001:db8::1"]).stable(START, ip=ip)

    def test_none_lets_everybody_and_an_empty_one_nobody(self, caller: Caller) -> None:
        """Not set and emptied are two things."""
        assert "access_token" in caller.classic(START)
        caller.world.account(APPID).set_allow_list([])
        assert caller.classic(START)["errcode"] == 40164

    def test_it_does_not_judge_calls_with_a_token(self, caller: Caller) -> None:
        """It guards what takes the secret."""
        token = caller.classic(START)["access_token"]
        caller.world.account(APPID).set_allow_list([])
        assert caller.probe(token, START) == 0

    def test_by_switch_it_is_61004(self) -> None:
        """One page of 2025 says so."""
        body = build_caller(allow_list=[], switches=Switches(not_allowed_errcode=61004)).classic(START)
        assert (body["errcode"], text_of(body)) == (61004, "access clientip is not registered requestIP: 1.2.3.4")

    def test_by_switch_a_test_account_has_none(self) -> None:
        """Its page shows no such field."""
        switches = Switches(test_account_has_allow_list=False)
        assert "access_token" in build_caller(profile="test", allow_list=[], switches=switches).classic(START)
        assert build_caller(profile="verified", allow_list=[], switches=switches).classic(START)["errcode"] == 40164
        assert build_caller(profile="test", allow_list=[]).classic(START)["errcode"] == 40164


class TestNewAddress:
    """风险调用确认, by switch: an account without an allow-list is called from where it never was."""

    SWITCHES = Switches(new_ip_check=True, new_ip_errmsg="wait for {him}")

    def test_the_administrator_is_asked_once_and_then_it_is_let_in(self) -> None:
        """The other addresses wait on; the text is a switch, for nobody recorded it."""
        caller = build_caller(switches=self.SWITCHES)
        body = caller.classic(START)
        assert (body["errcode"], text_of(body)) == (89503, "wait for {him}")
        assert [ask(START)["errcode"] for ask in (caller.stable, caller.classic)] == [89501, 89501]
        caller.world.account(APPID).confirm("1.2.3.4", START, agreed=True)
        assert "access_token" in caller.classic(START, ip="::ffff:1.2.3.4")
        assert caller.classic(START, ip="5.6.7.8")["errcode"] == 89503

    def test_a_refusal_shuts_out_for_an_hour_a_second_one_within_a_day_for_a_day(self) -> None:
        """And then he is asked anew."""
        caller = build_caller(switches=self.SWITCHES)
        account = caller.world.account(APPID)
        told = [caller.classic(START)["errcode"]]
        account.confirm("1.2.3.4", START, agreed=False)
        told += [caller.classic(START + after)["errcode"] for after in (3599, 3600, 3601)]
        account.confirm("1.2.3.4", START + 4000, agreed=False)
        told += [caller.classic(START + 4000 + after)["errcode"] for after in (86_399, 86_400, 86_401)]
        account.confirm("1.2.3.4", START + 100_000, agreed=False)
        told.append(caller.classic(START + 100_000)["errcode"])
        assert told == [89503, 89507, 89503, 89501, 89506, 89503, 89501, 89507]

    def test_an_allow_list_spares_one_that_and_so_does_the_usual_reading(self, caller: Caller) -> None:
        """Which calls the platform takes for risky nobody knows; most are not."""
        assert "access_token" in build_caller(switches=self.SWITCHES, allow_list=["1.2.3.4"]).classic(START)
        assert "access_token" in caller.classic(START)
        assert not caller.world.account(APPID).addresses


class TestFrozen:
    """AppSecret 冻结."""

    def test_freezing_and_thawing_take_ten_minutes_each(self, caller: Caller) -> None:
        """A person who just thawed it has to be told to wait."""
        caller.world.freeze_secret(APPID, START)
        assert "access_token" in caller.classic(START + 599)
        assert caller.classic(START + 600)["errcode"] == 40243
        caller.world.thaw_secret(APPID, START + 1000)
        assert caller.stable(START + 1599)["errcode"] == 40243
        assert "access_token" in caller.stable(START + 1600)

    def test_freezing_twice_does_not_thaw(self, caller: Caller) -> None:
        """The second click must not put the first one off."""
        caller.world.freeze_secret(APPID, START)
        caller.world.freeze_secret(APPID, START + 700)
        assert caller.classic(START + 700)["errcode"] == 40243

    def test_the_text_is_a_switch_and_the_tokens_live_on(self) -> None:
        """Only the code is confirmed."""
        caller = build_caller(switches=Switches(freeze_delay_seconds=0, frozen_errmsg="{so} be it"))
        token = caller.classic(START)["access_token"]
        caller.world.freeze_secret(APPID, START)
        assert text_of(caller.classic(START)) == "{so} be it"
        assert caller.probe(token, START) == 0


class TestBearer:
    """What a call with an access_token is told."""

    def test_replaced_unknown_and_revoked_are_40001_at_length(self, caller: Caller) -> None:
        """The usual stale case."""
        revoked, current = (caller.classic(START)["access_token"] for _ in range(2))
        caller.world.revoke(revoked, START)
        for token in (revoked, "83_never-issued", current + "x"):
            assert caller.probe(token, START) == 40001
            assert text_of(caller.world.refusal_of(token, START)) == LONG_40001

    def test_died_of_age_is_42001_with_the_words_that_easywechat_looks_for(self, caller: Caller) -> None:
        """It refreshes on nothing but this text."""
        token = caller.classic(START - 7200)["access_token"]
        body = caller.world.refusal_of(token, START)
        assert body
        assert (body["errcode"], text_of(body)) == (42001, "access_token expired")

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_none_at_all_is_41001(self, world: World, nothing: str | None) -> None:
        """A forgotten parameter is no stale token; nothing is to be refreshed."""
        body = world.call("/cgi-bin/user/get", access_token=nothing, now=START)
        assert (body["errcode"], text_of(body)) == (41001, "access_token missing")

    def test_by_switch_an_unknown_string_is_40014(self) -> None:
        """SDKs refresh on it too; when the platform says it is unclear."""
        caller = build_caller(switches=Switches(unknown_token="40014"))
        body = caller.world.refusal_of("nonsense", START)
        assert body
        assert (body["errcode"], text_of(body)) == (40014, "invalid access_token")

    def test_a_permission_that_is_off_is_48001_for_its_path_only(self, caller: Caller) -> None:
        """The token is good; refreshing it would heal nothing."""
        token = caller.classic(START)["access_token"]
        caller.world.account(APPID).forbidden.add("/cgi-bin/user/get")
        body = caller.world.refusal_of(token, START, "/cgi-bin/user/get")
        assert body
        assert (body["errcode"], text_of(body)) == (48001, "api unauthorized")
        assert caller.world.refusal_of(token, START, "/cgi-bin/user/info") is None

    def test_a_token_of_the_wrong_kind_is_48001(self) -> None:
        """Tokens of different kinds are isolated."""
        caller = build_caller(kind="miniprogram")
        token = caller.stable(START)["access_token"]
        assert caller.world.call("/cgi-bin/user/get", access_token=token, now=START)["errcode"] == 48001
        assert caller.probe(token, START) == 0

    def test_a_dead_token_is_dead_before_it_is_unauthorised(self, caller: Caller) -> None:
        """48001 would keep a hub from refreshing."""
        token = caller.classic(START)["access_token"]
        caller.world.account(APPID).forbidden.add("/cgi-bin/user/get")
        body = caller.world.refusal_of(token, START + 7200, "/cgi-bin/user/get")
        assert body
        assert body["errcode"] == 42001

    def test_whose_a_token_is_can_be_asked(self, caller: Caller) -> None:
        """The truth for an oracle, dead tokens included."""
        token = caller.classic(START)["access_token"]
        assert caller.world.account_of(token) is caller.world.account(APPID)
        assert caller.world.account_of("never") is None
        assert [issued.value for issued in caller.world.issued(APPID)] == [token]

    def test_an_unknown_path_is_40066_whatever_the_token(self, world: World) -> None:
        """The platform's answer to a spelling mistake."""
        body = world.call("/cgi-bin/nothing", access_token=None, now=START)
        assert (body["errcode"], text_of(body)) == (40066, "invalid url")


class TestWords:
    """How an error answer is written."""

    def test_the_first_group_of_a_rid_is_the_second_of_the_request(self, world: World) -> None:
        """The platform's own sample: rid 617682e0-... at 1635156704."""
        errmsg = world.refusal(-1, 1_635_156_704.9)["errmsg"]
        assert re.fullmatch(r"system error rid: 617682e0-[0-9a-f]{8}-[0-9a-f]{8}", errmsg)

    def test_no_two_refusals_share_a_rid(self, world: World) -> None:
        """A rid is what one looks an answer up by."""
        assert len({world.refusal(-1, START)["errmsg"] for _ in range(1000)}) == 1000

    def test_on_sns_a_comma_stands_before_the_rid(self, world: World) -> None:
        """Recorded: `invalid appid, rid: ...` there, only a space on /cgi-bin."""
        assert re.fullmatch(rf"invalid appid, rid: {RID}", world.refusal(40013, START, "/sns/jscode2session")["errmsg"])

    def test_a_fault_may_bring_its_own_words_or_values(self, world: World) -> None:
        """Whoever puts faults before the world speaks through the same mouth."""
        assert text_of(world.refusal(89503, START, errmsg="wait for the administrator")) == "wait for the administrator"
        assert text_of(world.refusal(40164, START, ip="9.9.9.9")).startswith("invalid ip 9.9.9.9 ipv6 ::ffff:9.9.9.9,")

    def test_a_code_without_a_known_text_is_still_an_answer(self) -> None:
        """A fault may name any number."""
        assert Refused(12345).body("r", "/cgi-bin/token") == {"errcode": 12345, "errmsg": "unknown error rid: r"}
