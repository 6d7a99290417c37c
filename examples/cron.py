"""A script that cron starts: how many follow each account. No hub, one file, and as many scripts at once as you like.

*/10 * * * *  /srv/wx/.venv/bin/python /srv/wx/cron.py
Beside this file lies accounts.json, mode 600: {"wx0123456789abcdef": "AppSecret"}.
"""

import json
import os
from pathlib import Path

import httpx

import zhongkong

HERE = Path(__file__).parent
accounts = json.loads((HERE / "accounts.json").read_text())
wechat = httpx.Client(base_url=os.environ.get("WECHAT_API", "https://api.weixin.qq.com"))

with zhongkong.connect(f"sqlite:///{HERE}/wx.db", accounts=accounts) as source:
    for appid in accounts:
        answer = wechat.get("/cgi-bin/user/get", auth=zhongkong.WeChatAuth(source, appid)).json()
        print(appid, answer["total"])
