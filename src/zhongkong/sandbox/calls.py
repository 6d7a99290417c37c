"""The calls that take an access_token: what each answers once its token was found good.

A row of `CALLS` is all that a further call needs. A function gets the account that the token belongs to and the
parameters, query or parsed body alike, and returns the body as the platform writes it. Raises: Refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zhongkong.sandbox.accounts import Account, Follower, Kind, Sent
from zhongkong.sandbox.answers import Body, Refused
from zhongkong.sandbox.quotas import CLEARINGS_A_MONTH, STABLE_TOKEN_PATH, TOKEN_PATH, shanghai_month
from zhongkong.sandbox.switches import Switches

TEMPLATE_SEND_PATH = "/cgi-bin/message/template/send"
CUSTOM_SEND_PATH = "/cgi-bin/message/custom/send"
PAGE_OF_OPENIDS = 10_000
CUSTOMER_SERVICE_SECONDS = 48 * 3600
FIRST_MSGID = 200_228_332  # of the official example
MESSAGE_TYPES = frozenset(
    {"text", "image", "voice", "video", "music", "news", "mpnews", "mpnewsarticle", "msgmenu", "wxcard"}
    | {"miniprogrampage", "link"}
)

Params = Mapping[str, Any]
Answer = Callable[[Account, Params, float, Switches], Body]


@dataclass(frozen=True, slots=True)
class Call:
    """One path: its HTTP method, the kinds of account that may call it, and what it answers."""

    method: Literal["GET", "POST"]
    kinds: frozenset[Kind]
    answer: Answer


def get_api_domain_ip(_account: Account, _params: Params, _now: float, _switches: Switches) -> Body:
    """Return addresses that the platform is called at. Source: 获取微信API服务器IP."""
    return {"ip_list": ["101.89.47.18", "101.91.34.103", "117.184.242.111", "112.65.193.170"]}


def getcallbackip(_account: Account, _params: Params, _now: float, _switches: Switches) -> Body:
    """Return addresses that the platform's pushes come from. Source: 获取微信推送服务器IP."""
    return {"ip_list": ["106.55.208.91", "162.62.80.50", "81.69.101.12", "175.178.49.22"]}


def clear_quota(account: Account, params: Params, now: float, _switches: Switches) -> Body:
    """Clear the account's quotas, ten times a month by Shanghai time, both forms together. Source: 重置API调用次数."""
    if params.get("appid") != account.appid:
        raise Refused(40013)
    month = shanghai_month(now)
    if month != account.clearings_month:
        account.clearings_month, account.clearings = month, 0
    if account.clearings >= CLEARINGS_A_MONTH:
        raise Refused(48006)
    account.clearings += 1
    for meter in account.meters.values():
        meter.clear()
    return _ok()


def quota_get(account: Account, params: Params, now: float, switches: Switches) -> Body:
    """Return quota and use of `cgi_path`; paths of /sns are refused. Source: 查询API调用额度."""
    path = _text(params, "cgi_path")
    if path.startswith("/sns"):
        raise Refused(76022)
    meter = account.meters.get(path)
    if meter is None:
        raise Refused(76021)
    counts = switches.quota_get_counts_tokens or path not in (TOKEN_PATH, STABLE_TOKEN_PATH)
    limit, used = int(meter.daily * account.scale), meter.used(now) if counts else 0
    return _ok(
        quota={"daily_limit": limit, "used": used, "remain": limit - used},
        rate_limit={"call_count": int((meter.per_minute or 0) * account.scale), "refresh_second": 60},
        component_rate_limit={"call_count": 0, "refresh_second": 0},
    )


def user_get(account: Account, params: Params, _now: float, switches: Switches) -> Body:
    """Return a page of followers after `next_openid`, in the order they came. Source: 获取关注用户列表."""
    after, known = _text(params, "next_openid"), list(account.followers)
    if after and after not in account.followers:
        raise Refused(40003)
    subscribed = [openid for openid in known if account.followers[openid].subscribed]
    rest = known[known.index(after) + 1 :] if after else known  # also after one who left meanwhile
    page = [openid for openid in rest if account.followers[openid].subscribed][:PAGE_OF_OPENIDS]
    body: Body = {"total": len(subscribed), "count": len(page)}
    if page or switches.empty_page_has_data:
        body["data"] = {"openid": page}
    return body | {"next_openid": page[-1] if page else ""}


def user_info(account: Account, params: Params, _now: float, switches: Switches) -> Body:
    """Return what is known of one follower; of one who left only that. Source: 获取用户基本信息."""
    follower = _follower(account, params, "openid")
    union = {"unionid": follower.unionid} if follower.unionid else {}
    if not follower.subscribed:
        return {"subscribe": 0, "openid": follower.openid} | union
    return {
        "subscribe": 1,
        "openid": follower.openid,
        "nickname": follower.nickname if switches.nicknames_shown else "",
        "sex": 0,
        "language": _text(params, "lang") or "zh_CN",
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


def template_send(account: Account, params: Params, now: float, _switches: Switches) -> Body:
    """Send a template message and return its msgid. Source: 发送模板消息."""
    follower = _follower(account, params, "touser")
    if not follower.subscribed:
        raise Refused(43004)
    template = account.templates.get(_text(params, "template_id"))
    if template is None:
        raise Refused(40037)
    data = params.get("data")
    if not isinstance(data, dict):
        raise Refused(47001)
    for name, field in data.items():
        if not isinstance(field, dict) or not isinstance(field.get("value"), str | int | float):
            raise Refused(47003, field=name)
    _deliver(account, Sent(now, TEMPLATE_SEND_PATH, follower.openid, template.fill(data), dict(params)))
    return _ok(msgid=FIRST_MSGID + account.messages)


def custom_send(account: Account, params: Params, now: float, switches: Switches) -> Body:
    """Send a customer message to one who did something within 48 hours. Source: 发送客服消息."""
    follower = _follower(account, params, "touser")
    msgtype = _text(params, "msgtype")
    if msgtype not in MESSAGE_TYPES:
        raise Refused(40008)
    payload = params.get(msgtype)
    if not isinstance(payload, dict):
        raise Refused(47001)
    if msgtype == "text" and not payload.get("content"):
        raise Refused(44004)
    if not follower.subscribed or now - follower.spoke_at >= CUSTOMER_SERVICE_SECONDS:
        raise Refused(45015)
    limit = switches.custom_sends_per_word
    if limit is not None and follower.sends_since_spoke >= limit:
        raise Refused(45047)
    follower.sends_since_spoke += 1
    text = str(payload["content"]) if msgtype == "text" else f"[{msgtype}]"
    _deliver(account, Sent(now, CUSTOM_SEND_PATH, follower.openid, text, dict(params)))
    return _ok()


_OFFICIAL: frozenset[Kind] = frozenset({"official"})
_BOTH: frozenset[Kind] = frozenset({"official", "miniprogram"})

CALLS = {
    "/cgi-bin/get_api_domain_ip": Call("GET", _BOTH, get_api_domain_ip),
    "/cgi-bin/getcallbackip": Call("GET", _BOTH, getcallbackip),
    "/cgi-bin/clear_quota": Call("POST", _BOTH, clear_quota),
    "/cgi-bin/openapi/quota/get": Call("POST", _BOTH, quota_get),
    "/cgi-bin/user/get": Call("GET", _OFFICIAL, user_get),
    "/cgi-bin/user/info": Call("GET", _OFFICIAL, user_info),
    TEMPLATE_SEND_PATH: Call("POST", _OFFICIAL, template_send),
    CUSTOM_SEND_PATH: Call("POST", _BOTH, custom_send),
}


def _ok(**rest: Any) -> Body:
    return {"errcode": 0, "errmsg": "ok"} | rest


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    return value if isinstance(value, str) else ""


def _follower(account: Account, params: Params, name: str) -> Follower:
    follower = account.followers.get(_text(params, name))
    if follower is None:
        raise Refused(40003)
    return follower


def _deliver(account: Account, sent: Sent) -> None:
    account.messages += 1
    account.sent.append(sent)
