"""What a person lets the account know of him: /sns, for web pages (网页授权) and for logins of mini programs.

The access_token here is one person's consent, not the account's. A function gets the accounts, the values of query or
form, the address of a caller who brings the secret, and returns the body. Raises: Refused.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from zhongkong.sandbox.accounts import Account, Follower, Kind
from zhongkong.sandbox.admission import admit
from zhongkong.sandbox.answers import Body, Refused, ok
from zhongkong.sandbox.holdings import CODE_SECONDS, KEPT, REFRESH_SECONDS, Code, Grant, keep_newest
from zhongkong.sandbox.moment import Moment

Accounts: TypeAlias = Mapping[str, Account]
Values: TypeAlias = Mapping[str, str]
REFUSED_TOKEN = "invalid credential, access_token is invalid or not latest"  # without the advice of /cgi-bin


def oauth2_access_token(accounts: Accounts, values: Values, _ip: str, at: Moment) -> Body:
    """Exchange a code of the authorize page. No allow-list covers it. Source: 通过code换取网页授权access_token."""
    account, code = _redeem(accounts, values, at, kind="official", name="code", ip=None)
    grant = Grant(
        _draw_token(account, at),
        _draw_token(account, at),
        code.openid,
        code.scope,
        at.now + account.expires_in,
        at.now + REFRESH_SECONDS,
    )
    account.grants[grant.access_token] = grant
    keep_newest(account.grants, KEPT)
    return _show(account, grant)


def oauth2_refresh_token(accounts: Accounts, values: Values, _ip: str, at: Moment) -> Body:
    """Renew the life of a consent's token; of one that is over return another. Source: 刷新access_token."""
    if not values.get("appid"):
        raise Refused(41002)
    if values.get("grant_type") != "refresh_token":
        raise Refused(40002)
    given = values.get("refresh_token")
    if not given:
        raise Refused(41003)
    account = accounts.get(values["appid"])
    if account is None:
        raise Refused(40013)
    grant = next((grant for grant in account.grants.values() if grant.refresh_token == given), None)
    if grant is None:
        raise Refused(40030)
    if at.now >= grant.refresh_until:
        raise Refused(42002)
    if at.now >= grant.expires_at:
        del account.grants[grant.access_token]
        grant.access_token = _draw_token(account, at)
        account.grants[grant.access_token] = grant
    grant.expires_at = at.now + account.expires_in
    return _show(account, grant)


def userinfo(accounts: Accounts, values: Values, _ip: str, at: Moment) -> Body:
    """Return name and picture of a person who agreed to more than his openid. Source: 拉取用户信息."""
    account, grant = _consent(accounts, values, at)
    if grant.scope == "snsapi_base":
        raise Refused(48001)
    person = account.followers[grant.openid]
    return {
        "openid": person.openid,
        "nickname": person.nickname,
        "sex": 0,
        "language": "",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "privilege": [],
    } | _unionid(person)


def auth(accounts: Accounts, values: Values, _ip: str, at: Moment) -> Body:
    """Say whether a consent's token is good. Source: 检验授权凭证是否有效."""
    _consent(accounts, values, at)
    return ok()


def jscode2session(accounts: Accounts, values: Values, ip: str, at: Moment) -> Body:
    """Exchange the code of a mini program's login. Source: 小程序登录."""
    account, code = _redeem(accounts, values, at, kind="miniprogram", name="js_code", ip=ip)
    return {"session_key": at.draws.base64(16), "openid": code.openid} | _unionid(account.followers[code.openid])


SNS: dict[str, Callable[[Accounts, Values, str, Moment], Body]] = {
    "/sns/oauth2/access_token": oauth2_access_token,
    "/sns/oauth2/refresh_token": oauth2_refresh_token,
    "/sns/userinfo": userinfo,
    "/sns/auth": auth,
    "/sns/jscode2session": jscode2session,
}


def _redeem(
    accounts: Accounts, values: Values, at: Moment, *, kind: Kind, name: str, ip: str | None
) -> tuple[Account, Code]:
    """Return the account and the code, which is used from now on."""
    account = admit(
        accounts,
        at,
        appid=values.get("appid"),
        secret=values.get("secret"),
        grant_type=values.get("grant_type"),
        ip=ip,
        expected="authorization_code",
    )
    if account.kind != kind:
        raise Refused(48001)
    given = values.get(name)
    if not given:
        raise Refused(41008)
    code = account.codes.get(given)
    if code is None:
        raise Refused(40029)
    if code.used:
        raise Refused(40163)
    if at.now - code.made_at >= CODE_SECONDS:
        raise Refused(int(at.switches.expired_code))
    code.used = True
    return account, code


def _consent(accounts: Accounts, values: Values, at: Moment) -> tuple[Account, Grant]:
    """Return whose consent the token is, if it is his whose openid is named."""
    token, openid = values.get("access_token"), values.get("openid")
    if not token:
        raise Refused(41001)
    if not openid:
        raise Refused(41009)
    account = next((account for account in accounts.values() if token in account.grants), None)
    if account is None:
        raise Refused(40001, errmsg=REFUSED_TOKEN)
    grant = account.grants[token]
    if at.now >= grant.expires_at:
        raise Refused(42001)
    if openid != grant.openid:
        raise Refused(40003)
    return account, grant


def _show(account: Account, grant: Grant) -> Body:
    return {
        "access_token": grant.access_token,
        "expires_in": account.expires_in,
        "refresh_token": grant.refresh_token,
        "openid": grant.openid,
        "scope": grant.scope,
    } | _unionid(account.followers[grant.openid])


def _unionid(person: Follower) -> Body:
    return {"unionid": person.unionid} if person.unionid else {}


def _draw_token(account: Account, at: Moment) -> str:
    prefix = "83_"
    return prefix + at.draws.text(account.token_length - len(prefix))
