"""What the platform holds for an account: menu, media, QR codes, tickets, its list of templates."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.caller import APPID, START, Caller, build_caller
from zhongkong.sandbox.calls import CALLS
from zhongkong.sandbox.holdings import KEPT, KEPT_MEDIA_BYTES, MEDIA_SECONDS, Media
from zhongkong.sandbox.media import MOST_BYTES, file_name
from zhongkong.sandbox.multipart import Part
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

OK = {"errcode": 0, "errmsg": "ok"}
PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
CLICK = {"type": "click", "name": "今日歌曲", "key": "V1001"}
VIEW = {"type": "view", "name": "搜索", "url": "https://example.com/"}


def ask(caller: Caller, path: str, now: float = START, **params: Any) -> dict[str, Any]:
    """Return the answer to a call with a good token."""
    return caller.world.call(
        f"/cgi-bin/{path}", access_token=caller.stable(now)["access_token"], params=params, now=now
    )


def errcode(body: dict[str, Any]) -> int:
    """Return the errcode of a body; a success without one is 0."""
    return int(body.get("errcode", 0))


class TestMenu:
    """menu/create, menu/get, menu/delete."""

    def test_a_menu_is_read_as_it_was_created_with_every_level_named(self, caller: Caller) -> None:
        """SDKs walk through sub_button without asking whether there is one."""
        menu = [CLICK, {"name": "菜单", "sub_button": [VIEW]}]
        assert ask(caller, "menu/create", button=menu) == OK
        assert ask(caller, "menu/get") == {
            "menu": {
                "button": [
                    CLICK | {"sub_button": []},
                    {"name": "菜单", "sub_button": [VIEW | {"sub_button": []}]},
                ]
            }
        }

    def test_no_menu_is_46003_and_may_be_deleted_all_the_same(self, caller: Caller) -> None:
        """Wechatpy makes None of that code."""
        ask(caller, "menu/create", button=[CLICK])
        assert ask(caller, "menu/delete") == ask(caller, "menu/delete") == OK
        assert ask(caller, "menu/get")["errmsg"].startswith("menu no exist rid: ")

    @pytest.mark.parametrize(
        ("button", "expected"),
        [
            ([], 40016),
            ([CLICK] * 4, 40016),
            (CLICK, 40016),
            (["x"], 47001),
            ([{"name": "x"}], 40017),
            ([CLICK | {"type": "dance"}], 40017),
            ([CLICK | {"type": ["click"]}], 40017),
            ([CLICK | {"name": ""}], 40018),
            ([CLICK | {"name": "六个汉字太长"}], 40018),
            ([CLICK | {"key": "k" * 129}], 40019),
            ([{"type": "click", "name": "x"}], 40019),
            ([VIEW | {"url": "https://" + "u" * 1024}], 40020),
            ([VIEW | {"url": "javascript:0"}], 40055),
            ([{"name": "x", "sub_button": [VIEW] * 6}], 40023),
            ([{"name": "x", "sub_button": [VIEW | {"type": "dance"}]}], 40024),
            ([{"name": "x", "sub_button": [VIEW | {"name": "n" * 61}]}], 40025),
            ([{"name": "x", "sub_button": [CLICK | {"key": ""}]}], 40026),
            ([{"name": "x", "sub_button": [{"type": "view", "name": "x"}]}], 40027),
            ([{"name": "x", "sub_button": [VIEW | {"url": "ftp://x"}]}], 40054),
        ],
    )
    def test_a_menu_that_cannot_be_is_refused_and_the_old_one_stays(
        self, caller: Caller, button: Any, expected: int
    ) -> None:
        """Each fault has a code of its own on each level."""
        ask(caller, "menu/create", button=[VIEW])
        body = ask(caller, "menu/create", button=button)
        assert errcode(body) == expected
        assert "unknown" not in body["errmsg"]
        assert ask(caller, "menu/get")["menu"]["button"][0]["name"] == "搜索"


class TestMedia:
    """media/upload and media/get."""

    def upload(self, caller: Caller, content: bytes, kind: str = "image", now: float = START) -> dict[str, Any]:
        """Return the answer to an upload."""
        return ask(caller, "media/upload", now, type=kind, media=Part("media", "a", content))

    def get(self, caller: Caller, media_id: str, now: float = START) -> Media | dict[str, Any]:
        """Return the file or the refusal."""
        token = caller.stable(now)["access_token"]
        return caller.world.media(access_token=token, params={"media_id": media_id}, now=now)

    def test_a_file_is_had_back_byte_for_byte_for_three_days(self, caller: Caller) -> None:
        """And then its id is as unknown as any other."""
        body = self.upload(caller, PNG)
        assert (body["type"], body["created_at"]) == ("image", int(START))
        media = self.get(caller, body["media_id"], START + MEDIA_SECONDS - 1)
        assert isinstance(media, Media)
        assert (media.content, media.content_type, file_name(media)) == (PNG, "image/png", f"{body['media_id']}.png")
        for refused in (self.get(caller, body["media_id"], START + MEDIA_SECONDS), self.get(caller, "x")):
            assert isinstance(refused, dict)
            assert refused["errmsg"].startswith("invalid media_id rid: ")

    @pytest.mark.parametrize(
        ("kind", "content", "expected"),
        [
            ("picture", PNG, 40004),
            ("image", b"", 44001),
            ("image", b"x" * (MOST_BYTES["image"] + 1), 40009),
            ("thumb", b"x" * (MOST_BYTES["thumb"] + 1), 40009),
            ("voice", b"x" * (MOST_BYTES["voice"] + 1), 45001),
            ("video", b"x" * (MOST_BYTES["video"] + 1), 45001),
            ("video", b"x" * MOST_BYTES["video"], 0),
        ],
    )
    def test_what_is_no_file_of_its_type_is_refused(
        self, caller: Caller, kind: str, content: bytes, expected: int
    ) -> None:
        """By type, emptiness and size."""
        assert errcode(self.upload(caller, content, kind)) == expected

    def test_an_upload_without_a_file_is_41005(self, caller: Caller) -> None:
        """A client that forgot it, or named the field otherwise."""
        assert errcode(ask(caller, "media/upload", type="image")) == 41005

    def test_what_an_account_keeps_is_bounded_and_the_oldest_goes_first(self, caller: Caller) -> None:
        """A sandbox that runs for weeks under a test suite must not grow for ever."""
        size = MOST_BYTES["image"]
        ids = [self.upload(caller, bytes([i]) * size)["media_id"] for i in range(KEPT_MEDIA_BYTES // size + 1)]
        assert isinstance(self.get(caller, ids[0]), dict)
        assert all(isinstance(self.get(caller, media_id), Media) for media_id in ids[1:])

    def test_what_is_over_gives_its_room_back(self, caller: Caller) -> None:
        """At the next upload."""
        self.upload(caller, PNG)
        self.upload(caller, PNG, now=START + MEDIA_SECONDS)
        assert len(caller.world.account(APPID).media) == 1

    @pytest.mark.parametrize("name", ["thumb_media_id", "media_id"])
    def test_the_name_of_a_thumbs_id_is_a_switch(self, name: Any) -> None:
        """SDKs read either."""
        caller = build_caller(switches=Switches(thumb_answer=name))
        assert self.upload(caller, b"x", "thumb").keys() == {"type", name, "created_at"}


class TestQRCodes:
    """qrcode/create and what showqrcode finds."""

    def create(self, caller: Caller, **params: Any) -> dict[str, Any]:
        """Return the answer for a temporary code unless said otherwise."""
        right = {"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 123}}}
        return ask(caller, "qrcode/create", **right | params)

    def test_a_temporary_code_is_shown_until_it_ends(self, caller: Caller) -> None:
        """60 seconds when nothing was said."""
        body = self.create(caller)
        assert body["expire_seconds"] == 60
        assert body["url"].startswith("http://weixin.qq.com/q/")
        shown = caller.world.qrcode(body["ticket"], START + 59)
        assert shown is not None
        assert (shown.url, shown.scene) == (body["url"], 123)
        assert caller.world.qrcode(body["ticket"], START + 60) is None
        assert caller.world.qrcode(None, START) is None

    def test_a_permanent_code_tells_no_seconds_and_stays(self, caller: Caller) -> None:
        """By number and by name."""
        info = {"scene": {"scene_str": "门店"}}
        for body in (
            self.create(caller, action_name="QR_LIMIT_SCENE"),
            self.create(caller, action_name="QR_LIMIT_STR_SCENE", action_info=info),
        ):
            assert body.keys() == {"ticket", "url"}
            assert caller.world.qrcode(body["ticket"], START + 10 * 365 * 86_400)

    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            ({"action_name": None}, 40052),
            ({"action_name": ["QR_SCENE"]}, 40052),
            ({"action_name": "QR_DANCE"}, 40052),
            ({"expire_seconds": 2_592_001}, 40053),
            ({"expire_seconds": 0}, 40053),
            ({"expire_seconds": "60"}, 40053),
            ({"action_info": "x"}, 40053),
            ({"action_info": {"scene": {}}}, 40053),
            ({"action_info": {"scene": {"scene_id": 0}}}, 40053),
            ({"action_info": {"scene": {"scene_id": True}}}, 40053),
            ({"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 100_001}}}, 40053),
            ({"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "x" * 65}}}, 40053),
            ({"expire_seconds": 2_592_000}, 0),
        ],
    )
    def test_a_code_that_cannot_be_is_refused(self, caller: Caller, params: dict[str, Any], expected: int) -> None:
        """Each limit on its own."""
        assert errcode(self.create(caller, **params)) == expected

    def test_the_codes_kept_are_bounded(self, caller: Caller) -> None:
        """The oldest goes first."""
        first, second = self.create(caller)["ticket"], self.create(caller)["ticket"]
        for _ in range(KEPT - 1):
            self.create(caller)
        assert caller.world.qrcode(first, START) is None
        assert caller.world.qrcode(second, START)


class TestTickets:
    """ticket/getticket."""

    def test_a_ticket_repeats_with_its_rest_until_it_ends(self, caller: Caller) -> None:
        """One to a type, each with a life of its own."""
        first, card = ask(caller, "ticket/getticket", type="jsapi"), ask(caller, "ticket/getticket", type="wx_card")
        assert (first["errcode"], first["expires_in"], len(first["ticket"])) == (0, 7200, 86)
        assert card["ticket"] != first["ticket"]
        late = ask(caller, "ticket/getticket", START + 7199, type="jsapi")
        assert (late["ticket"], late["expires_in"]) == (first["ticket"], 1)
        fresh = ask(caller, "ticket/getticket", START + 7199.5, type="jsapi")
        assert (fresh["ticket"] != first["ticket"], fresh["expires_in"]) == (True, 7200)

    def test_a_ticket_outlives_the_token_it_was_asked_for_with(self, caller: Caller) -> None:
        """Their lives are independent, as far as anybody knows."""
        first = ask(caller, "ticket/getticket", type="jsapi")
        caller.world.revoke_all(APPID, START + 1)
        assert ask(caller, "ticket/getticket", START + 1, type="jsapi")["ticket"] == first["ticket"]

    def test_with_the_other_reading_each_call_makes_a_new_one(self) -> None:
        """Nobody documented which it is."""
        caller = build_caller(switches=Switches(repeated_ticket="new"))
        first, second = (ask(caller, "ticket/getticket", type="jsapi") for _ in range(2))
        assert first["ticket"] != second["ticket"]

    @pytest.mark.parametrize("fetch", ["classic", "stable"])
    def test_with_a_third_reading_a_new_token_ends_the_tickets_before_it(self, fetch: str) -> None:
        """A ticket that is kept for its announced life is then dead early; a token that is repeated ends none."""
        caller = build_caller(switches=Switches(new_token_ends_ticket=True))
        first = ask(caller, "ticket/getticket", type="jsapi")
        assert ask(caller, "ticket/getticket", START, type="jsapi")["ticket"] == first["ticket"]
        getattr(caller, fetch)(START + 10, **({"force_refresh": True} if fetch == "stable" else {}))
        second = ask(caller, "ticket/getticket", START + 10, type="jsapi")
        assert (second["ticket"] != first["ticket"], second["expires_in"]) == (True, 7200)
        caller.stable(START + 20)
        assert ask(caller, "ticket/getticket", START + 20, type="jsapi")["ticket"] == second["ticket"]

    @pytest.mark.parametrize("kind", [None, "", "agent_config"])
    def test_another_type_is_refused(self, caller: Caller, kind: str | None) -> None:
        """Also none at all."""
        assert errcode(ask(caller, "ticket/getticket", type=kind)) == 40097


class TestTemplates:
    """The account's list of templates."""

    def test_a_template_is_taken_from_the_library_used_listed_and_deleted(self, caller: Caller, world: World) -> None:
        """The whole life of it, as SDKs lead it."""
        openid = world.add_follower(APPID, "小明", START).openid
        names = ["单号", "金额"]
        added = ask(caller, "template/api_add_template", template_id_short="TM00015", keyword_name_list=names)
        template_id = added["template_id"]
        [listed] = ask(caller, "template/get_all_private_template")["template_list"]
        assert listed == {
            "template_id": template_id,
            "title": "TM00015",
            "primary_industry": "",
            "deputy_industry": "",
            "content": "{{first.DATA}}\n单号：{{keyword1.DATA}}\n金额：{{keyword2.DATA}}\n{{remark.DATA}}",
            "example": "",
        }
        data = {"keyword1": {"value": 7}}
        assert ask(caller, "message/template/send", touser=openid, template_id=template_id, data=data)["msgid"]
        assert ask(caller, "template/del_private_template", template_id=template_id) == OK
        assert errcode(ask(caller, "template/del_private_template", template_id=template_id)) == 40037
        assert ask(caller, "template/get_all_private_template") == {"template_list": []}

    @pytest.mark.parametrize(
        ("params", "expected"), [({}, 40037), ({"template_id_short": "x", "keyword_name_list": [1]}, 47001)]
    )
    def test_a_template_that_is_none_is_refused(self, caller: Caller, params: dict[str, Any], expected: int) -> None:
        """Without a number there is nothing to take."""
        assert errcode(ask(caller, "template/api_add_template", **params)) == expected


class TestBatch:
    """user/info/batchget."""

    def test_many_are_told_of_as_one_would_be(self, caller: Caller, world: World) -> None:
        """In the order they were asked for, also who left."""
        stays, left = (world.add_follower(APPID, name, START).openid for name in ("小明", "Alice"))
        world.account(APPID).unfollow(left)
        people = [{"openid": left}, {"openid": stays, "lang": "en"}]
        listed = ask(caller, "user/info/batchget", user_list=people)
        assert listed == {
            "user_info_list": [
                ask(caller, "user/info", openid=left),
                ask(caller, "user/info", openid=stays, lang="en"),
            ]
        }

    @pytest.mark.parametrize(
        ("people", "expected"),
        [([], 40032), ([{"openid": "x"}] * 101, 40032), (None, 40032), (["x"], 47001), ([{"openid": "x"}], 40003)],
    )
    def test_a_list_that_cannot_be_is_refused(self, caller: Caller, people: Any, expected: int) -> None:
        """100 is the most."""
        assert errcode(ask(caller, "user/info/batchget", user_list=people)) == expected


def test_a_mini_program_has_no_menu_but_may_upload() -> None:
    """A call of another kind of account is 48001."""
    caller = build_caller(kind="miniprogram")
    assert errcode(ask(caller, "menu/get")) == 48001
    assert errcode(ask(caller, "media/upload", type="image", media=Part("media", "a", PNG))) == 0


def test_only_the_upload_takes_a_file() -> None:
    """What else is posted is JSON."""
    assert [path for path, row in CALLS.items() if row.takes_file] == ["/cgi-bin/media/upload"]
