"""WeRoBot at the hub."""

from flows import APPID, DATA, HUB, KEY, MENU, OPENID, PICTURE, SCENE, TEMPLATE_ID, TEXT
from flows import check_file, check_menu, check_picture, serve

# 改这几行
import requests
import werobot.client
from requests.adapters import HTTPAdapter


class Hub(HTTPAdapter):
    def send(self, request, **kwargs):
        request.url = HUB + request.path_url
        return super().send(request, **kwargs)


werobot.client.requests = requests.Session()
werobot.client.requests.mount("https://", Hub())
# 到这里

client = werobot.client.Client({"APP_ID": APPID, "APP_SECRET": KEY})
kept = {}


def token():
    return len(client.token)


def users():
    assert OPENID in client.get_followers()["data"]["openid"]


def user_info():
    assert client.get_user_info(OPENID)["openid"] == OPENID


def users_batch():
    assert client.get_users_info([OPENID])["user_info_list"][0]["openid"] == OPENID


def template_message():
    return client.send_template_message(OPENID, TEMPLATE_ID, DATA)["msgid"]


def custom_message():
    assert client.send_text_message(OPENID, TEXT)["errcode"] == 0


def menu_create():
    assert client.create_menu(MENU)["errcode"] == 0


def menu_get():
    check_menu(client.get_menu())


def menu_delete():
    assert client.delete_menu()["errcode"] == 0


def media_upload():
    with open(PICTURE, "rb") as file:
        kept["media_id"] = client.upload_media("image", file)["media_id"]


def media_download():
    check_file(client.download_media(kept["media_id"]).content)


def qrcode():
    kept["ticket"] = client.create_qrcode(SCENE)["ticket"]


def showqrcode():
    check_picture(client.show_qrcode(kept["ticket"]).content)


FLOWS = (
    token, users, user_info, users_batch, template_message, custom_message, menu_create, menu_get, menu_delete,
    media_upload, media_download, qrcode, showqrcode,
)  # fmt: skip
serve({flow.__name__: flow for flow in FLOWS}, werobot.client.ClientException)
