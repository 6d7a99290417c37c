"""The calls that take an access_token: what each answers once its token was found good.

A row of `CALLS` is all that a further call needs. A function gets the account that the token belongs to and the
parameters, query or parsed body alike, and returns the body as the platform writes it. Raises: Refused. Of a call that
`takes_file` the parameters are the query, and the file as `media`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zhongkong.sandbox.accounts import Account, Follower, Kind, Sent, TemplateStatus
from zhongkong.sandbox.answers import Body, Refused, ok, text_of
from zhongkong.sandbox.media import MEDIA_UPLOAD_PATH, media_upload
from zhongkong.sandbox.menus import menu_create, menu_delete, menu_get
from zhongkong.sandbox.moment import Moment
from zhongkong.sandbox.private_templates import api_add_template, del_private_template, get_all_private_template
from zhongkong.sandbox.qrcodes import qrcode_create
from zhongkong.sandbox.quotas import CLEARINGS_A_MONTH, STABLE_TOKEN_PATH, TOKEN_PATH, shanghai_month
from zhongkong.sandbox.tickets import getticket

TEMPLATE_SEND_PATH = "/cgi-bin/message/template/send"
CUSTOM_SEND_PATH = "/cgi-bin/message/custom/send"
PAGE_OF_OPENIDS = 10_000
BATCH_OF_OPENIDS = 100
CUSTOMER_SERVICE_SECONDS = 48 * 3600
FIRST_MSGID = 200_228_332  # of the official example
MESSAGE_TYPES = frozenset(
    {"text", "image", "voice", "video", "music", "news", "mpnews", "mpnewsarticle", "msgmenu", "wxcard"}
    | {"miniprogrampage", "link"}
)

_JOB_STATUS: dict[TemplateStatus, str] = {
    "success": "success",
    "user block": "failed:user block",
    "system failed": "failed: system failed",  # with its blank, as the platform has it
}

Params = Mapping[str, Any]
Answer = Callable[[Account, Params, Moment], Body]


@dataclass(frozen=True, slots=True)
class Call:
    """One path: its HTTP method, the kinds of account that may call it, and what it answers."""

    method: Literal["GET", "POST"]
    kinds: frozenset[Kind]
    answer: Answer
    takes_file: bool = False


def get_api_domain_ip(_account: Account, _params: Params, _at: Moment) -> Body:
    """Return addresses that the platform is called at. Source: 获取微信API服务器IP."""
    return {"ip_list": ["101.89.47.18", "101.91.34.103", "117.184.242.111", "112.65.193.170"]}


def getcallbackip(_account: Account, _params: Params, _at: Moment) -> Body:
    """Return addresses that the platform's pushes come from. Source: 获取微信推送服务器IP."""
    return {"ip_list": ["106.55.208.91", "162.62.80.50", "81.69.101.12", "175.178.49.22"]}


def clear_quota(account: Account, params: Params, at: Moment) -> Body:
    """Clear the account's quotas, ten times a month by Shanghai time, both forms together. Source: 重置API调用次数."""
    if params.get("appid") != account.appid:
        raise Refused(40013)
    month = shanghai_month(at.now)
    if month != account.clearings_month:
        account.clearings_month, account.clearings = month, 0
    if account.clearings >= CLEARINGS_A_MONTH:
        raise Refused(48006)
    account.clearings += 1
    for meter in account.meters.values():
        meter.clear()
    return ok()


def quota_get(account: Account, params: Params, at: Moment) -> Body:
    """Return quota and use of `cgi_path`; paths of /sns are refused. Source: 查询API调用额度."""
    path = text_of(params, "cgi_path")
    if path.startswith("/sns"):
        raise Refused(76022)
    meter = account.meters.get(path)
    if meter is None:
        raise Refused(76021)
    counts = at.switches.quota_get_counts_tokens or path not in (TOKEN_PATH, STABLE_TOKEN_PATH)
    limit, used = int(meter.daily * account.scale), meter.used(at.now) if counts else 0
    return ok(
        quota={"daily_limit": limit, "used": used, "remain": limit - used},
        rate_limit={"call_count": int((meter.per_minute or 0) * account.scale), "refresh_second": 60},
        component_rate_limit={"call_count": 0, "refresh_second": 0},
    )


def user_get(account: Account, params: Params, at: Moment) -> Body:
    """Return a page of followers after `next_openid`, in the order they came. Source: 获取关注用户列表."""
    after, known = text_of(params, "next_openid"), list(account.followers)
    if after and after not in account.followers:
        raise Refused(40003)
    subscribed = [openid for openid in known if account.followers[openid].subscribed]
    rest = known[known.index(after) + 1 :] if after else known  # also after one who left meanwhile
    page = [openid for openid in rest if account.followers[openid].subscribed][:PAGE_OF_OPENIDS]
    body: Body = {"total": len(subscribed), "count": len(page)}
    if page or at.switches.empty_page_has_data:
        body["data"] = {"openid": page}
    return body | {"next_openid": page[-1] if page else ""}


def user_info(account: Account, params: Params, at: Moment) -> Body:
    """Return what is known of one follower; of one who left only that. Source: 获取用户基本信息."""
    return _known_of(_follower(account, params, "openid"), text_of(params, "lang"), at)


def user_info_batchget(account: Account, params: Params, at: Moment) -> Body:
    """Return the same of up to 100 followers; one unknown openid refuses them all. Source: 批量获取用户基本信息."""
    asked = params.get("user_list")
    if not isinstance(asked, list) or not 1 <= len(asked) <= BATCH_OF_OPENIDS:
        raise Refused(40032)
    if not all(isinstance(one, dict) for one in asked):
        raise Refused(47001)
    people = [(_follower(account, one, "openid"), text_of(one, "lang")) for one in asked]
    return {"user_info_list": [_known_of(follower, lang, at) for follower, lang in people]}


def template_send(account: Account, params: Params, at: Moment) -> Body:
    """Send a template message and return its msgid; what became of it is pushed afterwards. Source: 发送模板消息."""
    follower = _follower(account, params, "touser")
    if not follower.subscribed:
        raise Refused(43004)
    template = account.templates.get(text_of(params, "template_id"))
    if template is None:
        raise Refused(40037)
    data = params.get("data")
    if not isinstance(data, dict):
        raise Refused(47001)
    for name, field in data.items():
        if not isinstance(field, dict) or not isinstance(field.get("value"), str | int | float):
            raise Refused(47003, field=name)
    account.messages += 1
    msgid, status = FIRST_MSGID + account.messages, follower.template_status
    if status == "success":
        account.sent.append(Sent(at.now, TEMPLATE_SEND_PATH, follower.openid, template.fill(data), dict(params)))
    if account.callback is not None:
        account.due.append(
            {
                "FromUserName": follower.openid,
                "Event": "TEMPLATESENDJOBFINISH",
                "MsgID": msgid,
                "Status": _JOB_STATUS[status],
            }
        )
    return ok(msgid=msgid)


def custom_send(account: Account, params: Params, at: Moment) -> Body:
    """Send a customer message to one who did something within 48 hours. Source: 发送客服消息."""
    follower = _follower(account, params, "touser")
    msgtype = text_of(params, "msgtype")
    if msgtype not in MESSAGE_TYPES:
        raise Refused(40008)
    payload = params.get(msgtype)
    if not isinstance(payload, dict):
        raise Refused(47001)
    if msgtype == "text" and not payload.get("content"):
        raise Refused(44004)
    if not follower.subscribed or at.now - follower.spoke_at >= CUSTOMER_SERVICE_SECONDS:
        raise Refused(45015)
    limit = at.switches.custom_sends_per_word
    if limit is not None and follower.sends_since_spoke >= limit:
        raise Refused(45047)
    follower.sends_since_spoke += 1
    text = str(payload["content"]) if msgtype == "text" else f"[{msgtype}]"
    account.messages += 1
    account.sent.append(Sent(at.now, CUSTOM_SEND_PATH, follower.openid, text, dict(params)))
    return ok()


_OFFICIAL: frozenset[Kind] = frozenset({"official"})
_BOTH: frozenset[Kind] = frozenset({"official", "miniprogram"})

CALLS = {
    "/cgi-bin/get_api_domain_ip": Call("GET", _BOTH, get_api_domain_ip),
    "/cgi-bin/getcallbackip": Call("GET", _BOTH, getcallbackip),
    "/cgi-bin/clear_quota": Call("POST", _BOTH, clear_quota),
    "/cgi-bin/openapi/quota/get": Call("POST", _BOTH, quota_get),
    "/cgi-bin/user/get": Call("GET", _OFFICIAL, user_get),
    "/cgi-bin/user/info": Call("GET", _OFFICIAL, user_info),
    "/cgi-bin/user/info/batchget": Call("POST", _OFFICIAL, user_info_batchget),
    "/cgi-bin/menu/create": Call("POST", _OFFICIAL, menu_create),
    "/cgi-bin/menu/get": Call("GET", _OFFICIAL, menu_get),
    "/cgi-bin/menu/delete": Call("GET", _OFFICIAL, menu_delete),
    MEDIA_UPLOAD_PATH: Call("POST", _BOTH, media_upload, takes_file=True),
    "/cgi-bin/qrcode/create": Call("POST", _OFFICIAL, qrcode_create),
    "/cgi-bin/ticket/getticket": Call("GET", _OFFICIAL, getticket),
    "/cgi-bin/template/get_all_private_template": Call("GET", _OFFICIAL, get_all_private_template),
    "/cgi-bin/template/api_add_template": Call("POST", _OFFICIAL, api_add_template),
    "/cgi-bin/template/del_private_template": Call("POST", _OFFICIAL, del_private_template),
    TEMPLATE_SEND_PATH: Call("POST", _OFFICIAL, template_send),
    CUSTOM_SEND_PATH: Call("POST", _BOTH, custom_send),
}


def _follower(account: Account, params: Params, name: str) -> Follower:
    follower = account.followers.get(text_of(params, name))
    if follower is None:
        raise Refused(40003)
    return follower


def _known_of(follower: Follower, lang: str, at: Moment) -> Body:
    """Return what user/info tells of one person."""
    union = {"unionid": follower.unionid} if follower.unionid else {}
    if not follower.subscribed:
        return {"subscribe": 0, "openid": follower.openid} | union
    return {
        "subscribe": 1,
        "openid": follower.openid,
        "nickname": follower.nickname if at.switches.nicknames_shown else "",
        "sex": 0,
        "language": lang or "zh_CN",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": follower.subscribe_time,
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 0,
        "qr_scene_str": "",
    } | union
