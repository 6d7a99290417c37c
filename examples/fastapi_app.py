"""FastAPI: the followers of an account. `uvicorn fastapi_app:app`, or `fastapi run fastapi_app.py`.

ZHONGKONG_HUB and ZHONGKONG_KEY say where tokens are.
"""

import os

import httpx
from fastapi import FastAPI

import zhongkong
from zhongkong.integrations.fastapi import Source, open_source

APPID = os.environ["WECHAT_APPID"]

app = FastAPI(lifespan=open_source())
wechat = httpx.AsyncClient(base_url=os.environ.get("WECHAT_API", "https://api.weixin.qq.com"))


@app.get("/followers")
async def followers(source: Source) -> dict:
    answer = await wechat.get("/cgi-bin/user/get", auth=zhongkong.WeChatAuth(source, APPID))
    return answer.json()
