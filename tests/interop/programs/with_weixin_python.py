"""weixin-python at the hub. It uploads nothing, and what it posts for batchget and showqrcode no platform takes."""

import os

from flows import APPID, DATA, HUB, KEY, MENU, OPENID, TEMPLATE_ID, TEXT
from flows import check_menu, serve
from weixin.mp import WeixinMPError

# 改这几行
from weixin.mp import WeixinMP

WeixinMP.api_uri = HUB
mp = WeixinMP(APPID, KEY)
# 到这里

if "REQUESTS_CA_BUNDLE" in os.environ:
    mp.session.verify = os.environ["REQUESTS_CA_BUNDLE"]  # which it does not look at


def token():
    return len(mp.access_token)


def users():
    assert OPENID in mp.user_get()["data"]["openid"]


def user_info():
    assert mp.user_info(OPENID)["openid"] == OPENID


def template_message():
    return mp.template_send(TEMPLATE_ID, OPENID, DATA)["msgid"]


def custom_message():
    posted = {"touser": OPENID, "msgtype": "text", "text": {"content": TEXT}}
    assert mp.post("/message/custom/send", posted)["errcode"] == 0


def menu_create():
    assert mp.menu_create(MENU["button"])["errcode"] == 0


def menu_get():
    check_menu(mp.menu_get())


def menu_delete():
    assert mp.menu_delete()["errcode"] == 0


def qrcode():
    return mp.qrcode_create(7, 600)["ticket"]


def jsapi_ticket():
    assert mp.jsapi_ticket


FLOWS = (
    token, users, user_info, template_message, custom_message, menu_create, menu_get, menu_delete, qrcode, jsapi_ticket,
)  # fmt: skip
serve({flow.__name__: flow for flow in FLOWS}, WeixinMPError)
