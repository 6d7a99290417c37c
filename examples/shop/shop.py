"""小店：发货时给顾客发模板消息，顾客写“订单 1024”就回复物流。运行：`flask --app shop run`。

ZHONGKONG_HUB、ZHONGKONG_KEY：令牌向哪个中控要。WECHAT_APPID：哪个账号。SHOP_TEMPLATE：发货通知的模板 ID。
SHOP_TOKEN：公众平台上填的 Token；服务器地址填 https://…/wechat，或者填中控的，由它转过来。
只读明文模式、兼容模式的消息；安全模式的要先解密。
"""

import os
import sys

import httpx
from flask import Flask, abort, request
from wechatpy import create_reply, parse_message
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.utils import check_signature

import zhongkong

NEEDED = ("ZHONGKONG_HUB", "WECHAT_APPID", "SHOP_TEMPLATE", "SHOP_TOKEN")
ORDERS = {"1024": "顺丰 SF1234567890"}


class Shop:
    def __init__(self, source, appid, template_id, api="https://api.weixin.qq.com"):
        self.wechat = httpx.Client(base_url=api, auth=zhongkong.WeChatAuth(source, appid))
        self.template_id = template_id
        self.to_phone = set()  # 没收到通知的顾客：打电话

    def ship(self, openid, order):
        """发货，告诉顾客。"""
        data = {"order": {"value": order}, "express": {"value": ORDERS[order]}}
        message = {"touser": openid, "template_id": self.template_id, "data": data}
        answer = self.wechat.post("/cgi-bin/message/template/send", json=message).json()
        if answer["errcode"]:
            raise RuntimeError(f"微信不收：{answer['errcode']} {answer['errmsg']}")
        return answer["msgid"]

    def note_sent(self, openid, status):
        """记下模板消息的结果。"""
        if status != "success":
            self.to_phone.add(openid)

    def answer(self, text):
        """回答顾客写的话。"""
        word, _, order = text.partition(" ")
        if word != "订单":
            return "查物流请写：订单 号码"
        return ORDERS.get(order.strip(), "没有这个订单")


def build_app(shop, token):
    app = Flask(__name__)

    @app.before_request
    def only_wechat():
        words = [request.args.get(name, "") for name in ("signature", "timestamp", "nonce")]
        try:
            check_signature(token, *words)
        except InvalidSignatureException:
            abort(403)

    @app.get("/wechat")
    def check():
        return request.args["echostr"]

    @app.post("/wechat")
    def push():
        message = parse_message(request.data)
        if message.type == "text":
            return create_reply(shop.answer(message.content), message=message).render()
        if getattr(message, "event", "") == "templatesendjobfinish":
            shop.note_sent(message.source, message.status)
        return "success"

    return app


def create_app():
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        sys.exit(f"缺少环境变量：{'、'.join(missing)}。各是什么，见 shop.py 开头。")
    source, appid = zhongkong.connect(os.environ["ZHONGKONG_HUB"]), os.environ["WECHAT_APPID"]
    api = os.environ.get("WECHAT_API", "https://api.weixin.qq.com")
    return build_app(Shop(source, appid, os.environ["SHOP_TEMPLATE"], api), os.environ["SHOP_TOKEN"])
