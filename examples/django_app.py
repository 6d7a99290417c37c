"""Django in one file: the followers of an account. `python django_app.py runserver`, or any WSGI server.

ZHONGKONG_HUB and ZHONGKONG_KEY say where tokens are; `python django_app.py zhongkong_token APPID` shows one.
"""

import os
import sys

import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import zhongkong
from zhongkong.integrations.django import source

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    INSTALLED_APPS=["zhongkong.integrations.django"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
    ZHONGKONG={"url": os.environ["ZHONGKONG_HUB"]},
)
wechat = httpx.Client(
    base_url=os.environ.get("WECHAT_API", "https://api.weixin.qq.com"),
    auth=zhongkong.WeChatAuth(source, os.environ["WECHAT_APPID"]),
)


def followers(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(wechat.get("/cgi-bin/user/get").json())


urlpatterns = [path("followers", followers)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
