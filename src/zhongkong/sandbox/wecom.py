"""WeCom (企业微信): its codes and texts, and the calls that an application's SDK begins with.

An account of kind `wecom` is one application (应用) of a corp, its appid `corpid:name`; those of a corp stand apart.
Its followers are the members (成员) that the application sees, their openids the userids. As in `calls`, a row of
`WECOM_CALLS` is all that a further call needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from zhongkong.sandbox.accounts import Account, Follower, Sent
from zhongkong.sandbox.answers import ERRMSGS, Body, Refused, ok, text_of
from zhongkong.sandbox.calls import Answer, Params
from zhongkong.sandbox.holdings import Ticket, TicketType
from zhongkong.sandbox.media import MEDIA_UPLOAD_PATH, media_upload
from zhongkong.sandbox.moment import Moment

GETTOKEN_PATH = "/cgi-bin/gettoken"
MESSAGE_SEND_PATH = "/cgi-bin/message/send"
CORP_DEPARTMENT = 1
MESSAGE_TYPES = frozenset(
    {"text", "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown", "template_card"}
    | {"miniprogram_notice"}
)
_LOOK_UP = "https://open.work.weixin.qq.com/devtool/query"

WECOM_ERRMSGS = {
    -1: "system busy",
    40001: "invalid credential",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40056: "invalid agentid",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    42001: "access_token expired",
    45009: "api freq out of limit",
    48002: "api forbidden",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    81013: "user & party & tag all invalid",
}
"""Texts by errcode where they are WeCom's own. Source: 全局错误码 (企业微信)."""


@dataclass(frozen=True, slots=True)
class WecomCall:
    """One path: its HTTP method, and what it answers."""

    method: Literal["GET", "POST"]
    answer: Answer
    takes_file: bool = False


def build_refusal(refused: Refused, ip: str, at: Moment) -> Body:
    """Return WeCom's body: the text, a hint that begins with the time, the caller's address, where to look it up."""
    hint = f"{int(at.now)}{int(at.draws.hex(12), 16) % 10**15:015d}"
    text = WECOM_ERRMSGS.get(refused.errcode) or ERRMSGS.get(refused.errcode, "unknown error")
    text = text if refused.is_usual else refused.errmsg
    said = f"{text}, hint: [{hint}], from ip: {ip}, more info at {_LOOK_UP}?e={refused.errcode}"
    return {"errcode": refused.errcode, "errmsg": said}


def find_application(accounts: Mapping[str, Account], corpid: str | None, corpsecret: str | None) -> Account:
    """Return the corp's application whose secret this is. Source: 获取access_token. Raises Refused."""
    if not corpid:
        raise Refused(41002)
    if not corpsecret:
        raise Refused(41004)
    of_corp = [account for appid, account in accounts.items() if appid.partition(":")[0] == corpid and ":" in appid]
    if not of_corp:
        raise Refused(40013)
    account = next((account for account in of_corp if account.secret == corpsecret), None)
    if account is None:
        raise Refused(40001)
    return account


def check_ip(account: Account, path: str, ip: str, at: Moment) -> None:
    """Raise Refused for a caller outside the trusted addresses (企业可信IP), where that path looks at them."""
    looks = path != GETTOKEN_PATH or at.switches.wecom_trusted_ip == "everywhere"
    if looks and account.allow_list is not None and ip.removeprefix("::ffff:") not in account.allow_list:
        raise Refused(60020)


def agentid_of(account: Account) -> int:
    """Return the application's agentid, always the same for the same appid."""
    return 1_000_002 + crc32(account.appid.encode()) % 1000


def get_api_domain_ip(_account: Account, _params: Params, _at: Moment) -> Body:
    """Return addresses that WeCom is called at. Source: 获取企业微信接口IP段."""
    return ok(ip_list=["101.226.129.166", "140.207.54.79", "117.135.171.85"])


def getcallbackip(_account: Account, _params: Params, _at: Moment) -> Body:
    """Return addresses that WeCom's pushes come from. Source: 获取企业微信回调IP段."""
    return ok(ip_list=["182.254.11.176", "182.254.78.66"])


def user_get(account: Account, params: Params, _at: Moment) -> Body:
    """Return one member. Source: 读取成员."""
    member = account.followers.get(text_of(params, "userid"))
    if member is None or not member.subscribed:
        raise Refused(60111)
    return ok(**_shown(member), status=1, main_department=CORP_DEPARTMENT)


def user_simplelist(account: Account, _params: Params, _at: Moment) -> Body:
    """Return the members of a department; there is one. Source: 获取部门成员."""
    return ok(userlist=[_shown(member) for member in account.followers.values() if member.subscribed])


def department_list(_account: Account, _params: Params, _at: Moment) -> Body:
    """Return the departments: the corp itself. Source: 获取部门列表."""
    return ok(department=[{"id": CORP_DEPARTMENT, "name": "企业", "parentid": 0, "order": 100000000}])


def agent_get(account: Account, params: Params, _at: Moment) -> Body:
    """Return the application itself; no other one. Source: 获取指定的应用详情."""
    _check_agentid(account, params)
    members = [{"userid": member.openid} for member in account.followers.values() if member.subscribed]
    return ok(
        agentid=agentid_of(account),
        name=account.appid.partition(":")[2],
        close=0,
        allow_userinfos={"user": members},
        allow_partys={"partyid": [CORP_DEPARTMENT]},
    )


def message_send(account: Account, params: Params, at: Moment) -> Body:
    """Send a message to members and name those it cannot reach; to none at all is refused. Source: 发送应用消息."""
    _check_agentid(account, params)
    msgtype = text_of(params, "msgtype")
    if msgtype not in MESSAGE_TYPES:
        raise Refused(40008)
    payload = params.get(msgtype)
    if not isinstance(payload, dict):
        raise Refused(47001)
    members = {userid for userid, member in account.followers.items() if member.subscribed}
    named = [userid for userid in text_of(params, "touser").split("|") if userid]
    reached = sorted(members) if "@all" in named else [userid for userid in named if userid in members]
    if not reached:
        raise Refused(81013)
    text = str(payload["content"]) if "content" in payload else f"[{msgtype}]"
    account.messages += 1
    for userid in reached:
        account.sent.append(Sent(at.now, MESSAGE_SEND_PATH, userid, text, dict(params)))
    invalid = [userid for userid in named if userid not in members and userid != "@all"]
    return ok(invaliduser="|".join(invalid), msgid=at.draws.text(32))


def upload(account: Account, params: Params, at: Moment) -> Body:
    """Keep a file for three days; here the time is told as a text. Source: 上传临时素材 (企业微信)."""
    body = media_upload(account, params, at)
    return ok(**body | {"created_at": str(body["created_at"])})


def get_jsapi_ticket(account: Account, _params: Params, at: Moment) -> Body:
    """Return the ticket for `wx.config`. Source: JS-SDK 使用权限签名算法 (企业微信)."""
    return _ticket(account, "jsapi", at)


def ticket_get(account: Account, params: Params, at: Moment) -> Body:
    """Return the ticket for `wx.agentConfig`. Source: JS-SDK 使用权限签名算法 (企业微信)."""
    if params.get("type") != "agent_config":
        raise Refused(40097)
    return _ticket(account, "agent_config", at)


WECOM_CALLS = {
    "/cgi-bin/get_api_domain_ip": WecomCall("GET", get_api_domain_ip),
    "/cgi-bin/getcallbackip": WecomCall("GET", getcallbackip),
    "/cgi-bin/user/get": WecomCall("GET", user_get),
    "/cgi-bin/user/simplelist": WecomCall("GET", user_simplelist),
    "/cgi-bin/department/list": WecomCall("GET", department_list),
    "/cgi-bin/agent/get": WecomCall("GET", agent_get),
    MESSAGE_SEND_PATH: WecomCall("POST", message_send),
    MEDIA_UPLOAD_PATH: WecomCall("POST", upload, takes_file=True),
    "/cgi-bin/get_jsapi_ticket": WecomCall("GET", get_jsapi_ticket),
    "/cgi-bin/ticket/get": WecomCall("GET", ticket_get),
}


def _ticket(account: Account, kind: TicketType, at: Moment) -> Body:
    ticket = account.tickets.get(kind)
    if ticket is None or ticket.left(at.now) < 1 or at.switches.repeated_ticket == "new":
        ticket = account.tickets[kind] = Ticket(at.draws.text(86), at.now, account.expires_in)
    return ok(ticket=ticket.value, expires_in=ticket.left(at.now))


def _check_agentid(account: Account, params: Params) -> None:
    if str(params.get("agentid", "")) != str(agentid_of(account)):
        raise Refused(40056)


def _shown(member: Follower) -> Body:
    return {"userid": member.openid, "name": member.nickname, "department": [CORP_DEPARTMENT]}
