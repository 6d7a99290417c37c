"""wechatpy's client for WeCom at the hub."""

import warnings

from flows import APPID, HUB, KEY, OPENID, PICTURE, TEMPLATE_ID, TEXT
from flows import check_file, serve
from wechatpy.exceptions import WeChatClientException

CORPID, AGENTID = APPID.partition(":")[0], int(TEMPLATE_ID)
warnings.simplefilter("ignore")

# 改这几行
from requests.adapters import HTTPAdapter
from wechatpy.enterprise import WeChatClient


class Hub(HTTPAdapter):
    def send(self, request, **kwargs):
        request.url = HUB + request.path_url
        return super().send(request, **kwargs)


client = WeChatClient(CORPID, KEY)
client._http.mount("https://", Hub())
# 到这里

kept = {}


def token():
    return len(client.access_token)


def users():
    assert OPENID in [user["userid"] for user in client.user.list(1, simple=True)]


def user_info():
    assert client.user.get(OPENID)["userid"] == OPENID


def departments():
    assert client.department.get()[0]["id"] == 1


def agent():
    assert client.agent.get(AGENTID)["agentid"] == AGENTID


def text_message():
    assert client.message.send_text(AGENTID, OPENID, TEXT)["errcode"] == 0


def media_upload():
    with open(PICTURE, "rb") as file:
        kept["media_id"] = client.media.upload("image", file)["media_id"]


def media_download():
    check_file(client.get("media/get", params={"media_id": kept["media_id"]}).content)


def jsapi_ticket():
    assert client.jsapi.get_jsapi_ticket()


def agent_ticket():
    assert client.jsapi.get_agent_jsapi_ticket()


FLOWS = (
    token, users, user_info, departments, agent, text_message, media_upload, media_download, jsapi_ticket, agent_ticket,
)  # fmt: skip
serve({flow.__name__: flow for flow in FLOWS}, WeChatClientException)
