"""The calls that business servers make: users, template messages, customer messages, addresses."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, START, Caller, build_caller
from zhongkong.sandbox.accounts import Follower, Template
from zhongkong.sandbox.calls import CALLS, PAGE_OF_OPENIDS
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

HOUR = 3600.0


def ask(caller: Caller, path: str, now: float = START, **params: Any) -> dict[str, Any]:
    """Return the answer to a call with a good token."""
    return caller.world.call(path, access_token=caller.stable(now)["access_token"], params=params, now=now)


@pytest.fixture
def follower(world: World) -> Follower:
    """Return somebody who follows the account since START."""
    return world.add_follower(APPID, "王小明", START, unionid="oU")


@pytest.fixture
def template(world: World) -> Template:
    """Return a template of two fields."""
    return world.add_template(APPID, "提醒", "{{first.DATA}}\n温度：{{temperature.DATA}}")


@pytest.mark.parametrize("path", ["/cgi-bin/get_api_domain_ip", "/cgi-bin/getcallbackip"])
def test_the_lists_of_addresses_hold_addresses(caller: Caller, path: str) -> None:
    """The first of them is the hub's probe."""
    body = ask(caller, path)
    assert body.keys() == {"ip_list"}
    assert all(ip_address(ip) for ip in body["ip_list"])


def test_every_row_answers_without_parameters_in_the_platforms_shape(caller: Caller) -> None:
    """Whatever a client forgets, it gets a body of the platform's and never a traceback."""
    for path in CALLS:
        body = ask(caller, path)
        assert body.get("errcode", 0) == 0 or " rid: " in body["errmsg"]


class TestUsers:
    """user/get and user/info."""

    def test_nobody_yet_is_an_empty_list(self, caller: Caller) -> None:
        """Without `data`, as on every empty page."""
        assert ask(caller, "/cgi-bin/user/get") == {"total": 0, "count": 0, "next_openid": ""}

    def test_followers_come_in_the_order_they_came(self, caller: Caller) -> None:
        """The last openid is named even on the last page; the page after it is empty."""
        openids = [caller.world.add_follower(APPID, str(i), START).openid for i in range(3)]
        assert ask(caller, "/cgi-bin/user/get") == {
            "total": 3,
            "count": 3,
            "data": {"openid": openids},
            "next_openid": openids[2],
        }
        assert ask(caller, "/cgi-bin/user/get", next_openid=openids[0])["data"] == {"openid": openids[1:]}
        assert ask(caller, "/cgi-bin/user/get", next_openid=openids[2]) == {"total": 3, "count": 0, "next_openid": ""}

    def test_a_page_has_ten_thousand(self, caller: Caller) -> None:
        """The next one begins after its last."""
        for i in range(PAGE_OF_OPENIDS + 1):
            caller.world.add_follower(APPID, "", START, openid=f"o{i}")
        page = ask(caller, "/cgi-bin/user/get")
        assert (page["total"], page["count"]) == (PAGE_OF_OPENIDS + 1, PAGE_OF_OPENIDS)
        assert ask(caller, "/cgi-bin/user/get", next_openid=page["next_openid"])["data"] == {
            "openid": [f"o{PAGE_OF_OPENIDS}"]
        }

    def test_paging_goes_on_after_one_who_left_meanwhile(self, caller: Caller) -> None:
        """Beginning again at the first page would never end."""
        openids = [caller.world.add_follower(APPID, str(i), START).openid for i in range(3)]
        caller.world.account(APPID).unfollow(openids[1])
        assert ask(caller, "/cgi-bin/user/get")["total"] == 2
        assert ask(caller, "/cgi-bin/user/get", next_openid=openids[1])["data"] == {"openid": openids[2:]}

    def test_an_unknown_next_openid_is_40003(self, caller: Caller) -> None:
        """It belongs to another account."""
        assert ask(caller, "/cgi-bin/user/get", next_openid="oX")["errcode"] == 40003

    def test_by_switch_an_empty_page_has_data(self) -> None:
        """Clients index into it without asking."""
        caller = build_caller(switches=Switches(empty_page_has_data=True))
        assert ask(caller, "/cgi-bin/user/get")["data"] == {"openid": []}

    def test_info_of_a_follower(self, caller: Caller, follower: Follower) -> None:
        """The nickname is empty since the end of 2021."""
        body = ask(caller, "/cgi-bin/user/info", openid=follower.openid, lang="en")
        assert (body["subscribe"], body["openid"], body["unionid"]) == (1, follower.openid, "oU")
        assert (body["nickname"], body["language"], body["subscribe_time"]) == ("", "en", START)

    def test_by_switch_nicknames_are_shown(self) -> None:
        """Older programs print them."""
        caller = build_caller(switches=Switches(nicknames_shown=True))
        openid = caller.world.add_follower(APPID, "王小明", START).openid
        assert ask(caller, "/cgi-bin/user/info", openid=openid)["nickname"] == "王小明"

    def test_of_one_who_left_only_that_is_known(self, caller: Caller, follower: Follower) -> None:
        """A client that reads subscribe_time regardless fails here as on the platform."""
        caller.world.account(APPID).unfollow(follower.openid)
        body = ask(caller, "/cgi-bin/user/info", openid=follower.openid)
        assert body == {"subscribe": 0, "openid": follower.openid, "unionid": "oU"}

    @pytest.mark.parametrize("openid", ["oX", None, ["o"], 5])
    def test_an_openid_that_is_none_is_40003(self, caller: Caller, openid: object) -> None:
        """JSON may bring anything."""
        assert ask(caller, "/cgi-bin/user/info", openid=openid)["errcode"] == 40003


class TestTemplateSend:
    """message/template/send."""

    def send(self, caller: Caller, follower: Follower, **changed: Any) -> dict[str, Any]:
        """Return the answer to a right message, changed."""
        (template_id,) = caller.world.account(APPID).templates
        right = {
            "touser": follower.openid,
            "template_id": template_id,
            "data": {"first": {"value": "今天", "color": "#173177"}, "temperature": {"value": 21}},
        }
        return ask(caller, "/cgi-bin/message/template/send", **right | changed)

    @pytest.mark.usefixtures("template")
    def test_is_answered_with_a_number_and_can_be_read_afterwards(self, caller: Caller, follower: Follower) -> None:
        """People and tests see what the follower would."""
        first, second = (self.send(caller, follower) for _ in range(2))
        assert (first["errcode"], first["errmsg"]) == (0, "ok")
        assert second["msgid"] == first["msgid"] + 1
        sent = caller.world.account(APPID).sent[0]
        assert (sent.at, sent.openid, sent.text) == (START, follower.openid, "今天\n温度：21")
        assert sent.body["touser"] == follower.openid

    @pytest.mark.usefixtures("template")
    @pytest.mark.parametrize(
        ("changed", "errcode"),
        [
            ({"touser": "oX"}, 40003),
            ({"template_id": "none"}, 40037),
            ({"template_id": None}, 40037),
            ({"data": "text"}, 47001),
            ({"data": {"first": "bare"}}, 47003),
            ({"data": {"first": {"color": "#000"}}}, 47003),
        ],
    )
    def test_a_wrong_one_is_refused_and_not_sent(
        self, caller: Caller, follower: Follower, changed: dict[str, Any], errcode: int
    ) -> None:
        """Each with the platform's code."""
        assert self.send(caller, follower, **changed)["errcode"] == errcode
        assert not caller.world.account(APPID).sent

    @pytest.mark.usefixtures("template")
    def test_a_refused_field_is_named(self, caller: Caller, follower: Follower) -> None:
        """Recorded: `argument invalid! data.phrase4.value invalid rid: ..`."""
        errmsg = self.send(caller, follower, data={"phrase4": {}})["errmsg"]
        assert errmsg.startswith("argument invalid! data.phrase4.value invalid rid: ")

    @pytest.mark.usefixtures("template")
    def test_one_who_left_gets_none(self, caller: Caller, follower: Follower) -> None:
        """43004."""
        caller.world.account(APPID).unfollow(follower.openid)
        assert self.send(caller, follower)["errcode"] == 43004

    @pytest.mark.usefixtures("template")
    def test_a_field_without_a_value_is_blank(self, caller: Caller, follower: Follower) -> None:
        """And one the template does not have is ignored."""
        self.send(caller, follower, data={"first": {"value": "a"}, "other": {"value": "b"}})
        assert caller.world.account(APPID).sent[0].text == "a\n温度："


class TestCustomSend:
    """message/custom/send."""

    PATH = "/cgi-bin/message/custom/send"

    def test_reaches_one_who_followed_within_48_hours(self, caller: Caller, follower: Follower) -> None:
        """And is kept as it was posted."""
        body = ask(caller, self.PATH, touser=follower.openid, msgtype="text", text={"content": "你好"})
        assert body == {"errcode": 0, "errmsg": "ok"}
        assert [(sent.text, sent.path) for sent in caller.world.account(APPID).sent] == [("你好", self.PATH)]

    def test_is_45015_after_48_hours_until_the_follower_writes_again(self, caller: Caller, follower: Follower) -> None:
        """Counted from what he did last."""
        message: dict[str, Any] = {"touser": follower.openid, "msgtype": "text", "text": {"content": "?"}}
        late = START + 48 * HOUR
        assert ask(caller, self.PATH, late - 1, **message)["errcode"] == 0
        assert ask(caller, self.PATH, late, **message)["errcode"] == 45015
        caller.world.account(APPID).hear(follower.openid, late)
        assert ask(caller, self.PATH, late, **message)["errcode"] == 0

    def test_is_45015_for_one_who_left(self, caller: Caller, follower: Follower) -> None:
        """One text for both."""
        caller.world.account(APPID).unfollow(follower.openid)
        body = ask(caller, self.PATH, touser=follower.openid, msgtype="image", image={"media_id": "m"})
        assert body["errmsg"].startswith("response out of time limit or subscription is canceled rid: ")

    def test_by_switch_there_is_a_limit_per_word_of_the_follower(self) -> None:
        """45047, until he writes again."""
        caller = build_caller(switches=Switches(custom_sends_per_word=1))
        openid = caller.world.add_follower(APPID, "", START).openid
        message: dict[str, Any] = {"touser": openid, "msgtype": "text", "text": {"content": "?"}}
        assert [ask(caller, self.PATH, **message)["errcode"] for _ in range(2)] == [0, 45047]
        caller.world.account(APPID).hear(openid, START)
        assert ask(caller, self.PATH, **message)["errcode"] == 0

    @pytest.mark.parametrize(
        ("message", "errcode"),
        [
            ({"msgtype": "telepathy"}, 40008),
            ({}, 40008),
            ({"msgtype": "text"}, 47001),
            ({"msgtype": "text", "text": {"content": ""}}, 44004),
        ],
    )
    def test_a_wrong_one_is_refused(
        self, caller: Caller, follower: Follower, message: dict[str, Any], errcode: int
    ) -> None:
        """Each with the platform's code."""
        assert ask(caller, self.PATH, touser=follower.openid, **message)["errcode"] == errcode


def test_what_was_sent_is_kept_within_bounds(caller: Caller, follower: Follower) -> None:
    """A load test must not fill the memory; the count goes on."""
    message: dict[str, Any] = {"touser": follower.openid, "msgtype": "text", "text": {"content": "?"}}
    for _ in range(1010):
        ask(caller, "/cgi-bin/message/custom/send", **message)
    account = caller.world.account(APPID)
    assert (len(account.sent), account.messages) == (1000, 1010)


def test_a_follower_who_is_none_cannot_leave(world: World) -> None:
    """A person's slip gets a clear error."""
    with pytest.raises(LookupError, match="no follower oX"):
        world.account(APPID).unfollow("oX")
