"""A world can be put away and taken up again as if nothing had been."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from tests.unit.sandbox.caller import APPID, SECRET, START, Caller, build_caller
from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.multipart import Part
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World


def build_lived() -> Caller:
    """Return a caller whose world has something of everything."""
    caller = build_caller(allow_list=["1.2.3.4"], profile="test", expires_in=600, switches=Switches())
    world = caller.world
    tokens = [caller.classic(START + 5 * i)["access_token"] for i in range(4)]
    caller.stable(START, force_refresh=True)
    caller.stable(START + 40, force_refresh=True)
    world.revoke(tokens[3], START + 20)
    openid = world.add_follower(APPID, "王小明", START, unionid="oU").openid
    template = world.add_template(APPID, "t", "{{a.DATA}}")
    body = {"touser": openid, "template_id": template.template_id, "data": {"a": {"value": "1"}}}
    token = caller.stable(START + 41)["access_token"]
    world.call("/cgi-bin/message/template/send", access_token=token, params=body, now=START + 41)
    world.call("/cgi-bin/clear_quota", access_token=token, params={"appid": APPID}, now=START + 41)
    hold_something(world, openid, token)
    world.account(APPID).forbidden.add("/cgi-bin/user/get")
    world.freeze_secret(APPID, START + 50)
    world.account(APPID).confirm("5.6.7.8", START, agreed=False)
    return caller


def hold_something(world: World, openid: str, token: str) -> None:
    """Let the account have a menu, a file, both kinds of QR code, a ticket, a code and a consent."""
    scene = {"scene": {"scene_id": 1}}
    calls: list[tuple[str, dict[str, object]]] = [
        ("menu/create", {"button": [{"type": "click", "name": "a", "key": "b"}]}),
        ("media/upload", {"type": "image", "media": Part("media", "a", bytes(range(256)))}),
        ("qrcode/create", {"action_name": "QR_SCENE", "action_info": scene}),
        ("qrcode/create", {"action_name": "QR_LIMIT_SCENE", "action_info": scene}),
        ("ticket/getticket", {"type": "jsapi"}),
    ]
    for path, params in calls:
        body = world.call(f"/cgi-bin/{path}", access_token=token, params=params, now=START + 41)
        assert body.get("errcode", 0) == 0, body
    world.agree(APPID, openid, "snsapi_base", START + 41)
    code = world.agree(APPID, openid, "snsapi_base", START + 41).value
    values = {"appid": APPID, "secret": SECRET, "code": code, "grant_type": "authorization_code"}
    assert world.sns("/sns/oauth2/access_token", values, ip="1.2.3.4", now=START + 41)["openid"] == openid


def test_a_snapshot_survives_strict_json_and_becomes_the_same_world() -> None:
    """It goes to a file; a restored world must then go on exactly as the first would have."""
    lived = build_lived()
    text = json.dumps(lived.world.snapshot(), allow_nan=False)
    twin = Caller(World(seed=99))
    twin.world.restore(json.loads(text))
    assert json.dumps(twin.world.snapshot()) == text
    for held in ("menu", "media", "qrcodes", "tickets", "codes", "grants", "addresses"):
        kept = getattr(twin.world.account(APPID), held)
        assert kept
        assert kept == getattr(lived.world.account(APPID), held)
    for now in (START + 60, START + 300, START + 640, START + 650, START + 700):
        assert twin.stable(now, force_refresh=True) == lived.stable(now, force_refresh=True)
        assert twin.classic(now) == lived.classic(now)
        for issued in lived.world.issued(APPID):
            assert twin.world.dies_at(issued.value) == issued.dies_at
            assert twin.world.refusal_of(issued.value, now) == lived.world.refusal_of(issued.value, now)


def test_every_field_of_an_account_is_kept() -> None:
    """A field that is added and forgotten here would be lost overnight."""
    (account,) = build_lived().world.snapshot()["accounts"]
    assert account.keys() == {field.name for field in fields(Account)}


def test_a_world_kept_before_there_were_menus_is_read() -> None:
    """An upgrade must not cost the test account."""
    lived = build_lived().world.snapshot()
    for held in ("menu", "media", "qrcodes", "tickets", "codes", "grants", "addresses"):
        del lived["accounts"][0][held]
    world = World()
    world.restore(lived)
    assert world.account(APPID).followers
    assert world.account(APPID).menu is None
    assert not world.account(APPID).media


def test_a_snapshot_does_not_change_with_the_world() -> None:
    """It is a picture, not a view."""
    caller = build_lived()
    snapshot = caller.world.snapshot()
    before = json.dumps(snapshot)
    caller.world.revoke_all(APPID, START + 45)
    caller.world.account(APPID).forbidden.clear()
    menu = caller.world.account(APPID).menu
    assert menu
    menu["button"].clear()
    assert json.dumps(snapshot) == before


@pytest.mark.parametrize("broken", [{}, {"accounts": [{}], "seed": 0, "draws": 0}, {"accounts": []}])
def test_what_is_no_snapshot_changes_nothing(broken: dict[str, object]) -> None:
    """A damaged file must not cost the world that runs."""
    caller = build_lived()
    before = caller.world.snapshot()
    with pytest.raises((KeyError, TypeError)):
        caller.world.restore(broken)
    assert caller.world.snapshot() == before
