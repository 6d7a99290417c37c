"""Flask: each application has a source, named in its configuration; `source` is that of the application at work.

app.config["ZHONGKONG_URL"] = "https://hub.internal:8600"
init_app(app)
wechat = httpx.Client(base_url="https://api.weixin.qq.com", auth=zhongkong.WeChatAuth(source, APPID))
"""

from __future__ import annotations

from typing import cast

import zhongkong
from zhongkong.client.explaining import speaking
from zhongkong.client.source import Source
from zhongkong.integrations import needing, read_options
from zhongkong.messages import render

with needing("Flask"):
    from flask import Flask, current_app
    from werkzeug.local import LocalProxy

NAME = "zhongkong"


def init_app(app: Flask) -> None:
    """Connect an application; nothing is opened or sent before it asks for a token.

    The parameters of `connect` are its `ZHONGKONG_URL`, `ZHONGKONG_KEY`, `ZHONGKONG_ACCOUNTS`, and so on. The URL may
    also stand in the environment as ZHONGKONG_HUB, the key as ZHONGKONG_KEY.

    Raises: SettingInvalid.
    """
    app.extensions[NAME] = zhongkong.connect(**read_options(app.config.get_namespace("ZHONGKONG_"), "app.config"))


def _find_source() -> Source:
    found: Source | None = current_app.extensions.get(NAME)
    if found is None:
        raise RuntimeError(render("integration_not_begun", speaking()))
    return found


source = cast("Source", LocalProxy(_find_source))
"""The source of the application whose context this is. Raises RuntimeError outside of one, as `current_app` does."""
