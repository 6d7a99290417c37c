"""Flask: the followers of an account. `flask --app flask_app run`, or `gunicorn --preload --workers 3 flask_app:app`.

ZHONGKONG_HUB and ZHONGKONG_KEY say where tokens are. Without a hub, for all workers together one file:
ZHONGKONG_HUB=sqlite:////srv/wx/wx.db FLASK_ZHONGKONG_ACCOUNTS='{"wx0123456789abcdef": "AppSecret"}'
"""

import os

import httpx
from flask import Flask

import zhongkong
from zhongkong.integrations.flask import init_app, source

app = Flask(__name__)
app.config.from_prefixed_env()
init_app(app)
wechat = httpx.Client(
    base_url=os.environ.get("WECHAT_API", "https://api.weixin.qq.com"),
    auth=zhongkong.WeChatAuth(source, os.environ["WECHAT_APPID"]),
)


@app.get("/followers")
def followers():
    return wechat.get("/cgi-bin/user/get").json()
