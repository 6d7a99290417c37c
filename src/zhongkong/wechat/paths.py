"""What each path of the platform carries: where the credential of a call sits, and whose it is.

Nearly every call names its credential in the query as `access_token`; the table below is of those that do not.
Sources: the pages of each call in the platform's own documentation; 获取 Access Token, 网页授权, 第三方平台.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Carries(Enum):
    """Whose credential a call shows."""

    TOKEN = "token"
    """An account's credential, in the query."""
    MINT = "mint"
    """An account's secret, in exchange for a credential."""
    TICKET = "ticket"
    """An account's credential, in exchange for its ticket."""
    SECRET = "secret"
    """An account's secret, for a call that mints nothing."""
    PERSON = "person"
    """A person's own OAuth token, which is no business of the account's."""
    NOTHING = "nothing"
    """Nobody's: whoever has the address may ask."""


class Path(NamedTuple):
    """One line of the table."""

    carries: Carries
    names: tuple[str, ...] = ()
    """The query's parameters that may hold the credential, or members that may hold the secret."""
    host: str = ""
    """The host that answers it, where that is not the API's."""


ACCESS_TOKEN = "access_token"
COMPONENT_ACCESS_TOKEN = "component_access_token"

_BY_TOKEN = Path(Carries.TOKEN, (ACCESS_TOKEN,))
_BY_COMPONENT = Path(Carries.TOKEN, (COMPONENT_ACCESS_TOKEN, ACCESS_TOKEN))
_BY_PERSON = Path(Carries.PERSON, (ACCESS_TOKEN, "refresh_token"))
_MINTS = Path(Carries.MINT)

_PATHS = {
    "/cgi-bin/token": _MINTS,
    "/cgi-bin/stable_token": _MINTS,
    "/cgi-bin/gettoken": _MINTS,
    "/cgi-bin/component/api_component_token": _MINTS,
    "/cgi-bin/component/api_authorizer_token": _MINTS,
    "/cgi-bin/component/api_query_auth": _MINTS,  # its answer holds a token and what renews it
    "/cgi-bin/component/api_start_push_ticket": _MINTS,
    "/cgi-bin/service/get_suite_token": _MINTS,
    "/cgi-bin/service/get_corp_token": _MINTS,
    "/cgi-bin/service/get_provider_token": _MINTS,
    "/cgi-bin/ticket/getticket": Path(Carries.TICKET, (ACCESS_TOKEN,)),
    "/cgi-bin/get_jsapi_ticket": Path(Carries.TICKET, (ACCESS_TOKEN,)),
    "/cgi-bin/ticket/get": Path(Carries.TICKET, (ACCESS_TOKEN,)),
    "/cgi-bin/clear_quota/v2": Path(Carries.SECRET, ("appsecret",)),
    "/cgi-bin/showqrcode": Path(Carries.NOTHING, host="mp.weixin.qq.com"),
    "/sns/oauth2/access_token": Path(Carries.SECRET, ("secret",)),
    "/sns/jscode2session": Path(Carries.SECRET, ("secret",)),
    "/sns/oauth2/component/access_token": _BY_COMPONENT,
    "/sns/oauth2/component/refresh_token": _BY_COMPONENT,
    "/sns/component/jscode2session": _BY_COMPONENT,
    "/sns/userinfo": _BY_PERSON,
    "/sns/auth": _BY_PERSON,
    "/sns/oauth2/refresh_token": _BY_PERSON,
}
"""The calls that show something else than `access_token` in the query, or are answered by who keeps the credentials."""

_FAMILIES = frozenset(
    {
        *("cgi-bin", "sns", "wxa", "wxaapi", "wxaapp", "wxopen", "wxcomponent", "datacube", "card", "customservice"),
        *("product", "shop", "merchant", "mall", "channels", "union", "xpay", "tcb", "cv", "semantic", "intp"),
        *("bizwifi", "shakearound", "scan", "device", "hardware", "nontax", "publisher", "cityservice", "payapp"),
        *("secsvc", "sec", "game", "express", "poi", "invoice", "business", "qyapi"),
    }
)
"""What the paths of the documented calls begin with."""
_LONGEST = 256
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+)+/?")


def is_platform_path(path: str) -> bool:
    """Say whether the path looks like one of the platform's, known or not."""
    return path[1:].partition("/")[0] in _FAMILIES


def find_path(path: str) -> Path | None:
    """Return what a path carries; None for one that no call of the platform has: escapes, dots, empty parts, novels.

    A call that is not in the table shows its credential in the query, as nearly all do.
    """
    if len(path) > _LONGEST or _PATH.fullmatch(path) is None:
        return None
    path = path.rstrip("/")
    if path.startswith("/cgi-bin/component/") and path not in _PATHS:
        return _BY_COMPONENT
    return _PATHS.get(path, _BY_TOKEN)
