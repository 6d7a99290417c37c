"""The page that everybody begins with, done: web.py under Apache, several processes, one SQLite file, one mint.

GET /wx_access_token/<appid> answers with the token. Beside this file lies accounts.json: {"wx…": "AppSecret"}.
"""

import json
from pathlib import Path

import web

import zhongkong

HERE = Path(__file__).parent
source = zhongkong.connect(f"sqlite:///{HERE}/data/wx.db", accounts=json.loads((HERE / "accounts.json").read_text()))


class AccessToken:
    def GET(self, appid):
        return source.access_token(appid)


application = web.application(("/wx_access_token/(wx[0-9a-f]+)", AccessToken)).wsgifunc()
