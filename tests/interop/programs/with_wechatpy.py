"""wechatpy at the hub."""

import warnings

from flows import APPID, DATA, HUB, KEY, MENU, OPENID, PICTURE, SCENE, TEMPLATE_ID, TEXT
from flows import check_file, check_menu, serve
from wechatpy.exceptions import WeChatClientException

warnings.simplefilter("ignore")

# 改这几行
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient


class Hub(HTTPAdapter):
    def send(self, request, **kwargs):
        request.url = HUB + request.path_url
        return super().send(request, **kwargs)


client = WeChatClient(APPID, KEY)
client._http.mount("https://", Hub())
# 到这里

kept = {}


def token():
    return len(client.access_token)


def users():
    assert OPENID in client.user.get_followers()["data"]["openid"]


def user_info():
    assert client.user.get(OPENID)["openid"] == OPENID


def users_batch():
    assert client.user.get_batch([OPENID])[0]["openid"] == OPENID


def template_message():
    return client.message.send_template(OPENID, TEMPLATE_ID, DATA)["msgid"]


def custom_message():
    assert client.message.send_text(OPENID, TEXT)["errcode"] == 0


def menu_create():
    assert client.menu.create(MENU)["errcode"] == 0


def menu_get():
    check_menu(client.menu.get())


def menu_delete():
    assert client.menu.delete()["errcode"] == 0


def media_upload():
    with open(PICTURE, "rb") as file:
        kept["media_id"] = client.media.upload("image", file)["media_id"]


def media_download():
    check_file(client.media.download(kept["media_id"]).content)


def qrcode():
    return client.qrcode.create(SCENE)["ticket"]  # its show() asks mp.weixin.qq.com itself, which takes no token


def jsapi_ticket():
    assert client.jsapi.get_jsapi_ticket()


FLOWS = (
    token, users, user_info, users_batch, template_message, custom_message, menu_create, menu_get, menu_delete,
    media_upload, media_download, qrcode, jsapi_ticket,
)  # fmt: skip
serve({flow.__name__: flow for flow in FLOWS}, WeChatClientException)
