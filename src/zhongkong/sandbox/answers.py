"""The platform's error answers, word for word: SDKs match some of these texts, so they are kept exact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]
"""A JSON body, as the platform writes it."""


@dataclass(frozen=True, slots=True)
class File:
    """An answer that is no JSON: a picture, a sound. `name`, when given, is what it is to be saved as."""

    content: bytes = field(repr=False)
    content_type: str
    name: str | None = None
    status: int = 200


Answer: TypeAlias = Body | File
"""What the platform may answer."""

ERRMSGS = {
    -1: "system error",
    40001: (
        "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, "
        "more details at https://mmbizurl.cn/s/JtxxFh33r"
    ),
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40013: "invalid appid",
    40014: "invalid access_token",
    40016: "invalid button size",
    40017: "invalid button type",
    40018: "invalid button name size",
    40019: "invalid button key size",
    40020: "invalid button url size",
    40023: "invalid sub button size",
    40024: "invalid sub button type",
    40025: "invalid sub button name size",
    40026: "invalid sub button key size",
    40027: "invalid sub button url size",
    40029: "invalid code",
    40030: "invalid refresh_token",
    40032: "invalid openid list size",
    40037: "invalid template_id",
    40052: "invalid action name",
    40053: "invalid action info",
    40054: "invalid sub button url domain",
    40055: "invalid button url domain",
    40066: "invalid url",
    40097: "invalid args",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip {ip} ipv6 {ipv6}, not in whitelist",
    40243: "AppSecret was frozen",
    41001: "access_token missing",
    41002: "appid missing",
    41003: "refresh_token missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41008: "missing code",
    41009: "missing openid",
    42001: "access_token expired",
    42002: "refresh_token expired",
    42003: "code expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    44001: "empty media data",
    44002: "empty post data",
    44004: "empty content",
    45001: "media size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    46003: "menu no exist",
    47001: "data format error",
    47003: "argument invalid! data.{field}.value invalid",
    48001: "api unauthorized",
    48004: "api forbidden for irregularities, view detail on mp.weixin.qq.com",
    48006: "forbid to clear quota because of reaching the limit",
    50004: "user not allow to use accesstoken, maybe for punishment",
    61004: "access clientip is not registered requestIP: {ip}",
    76021: "cgi_path not found, please check",
    76022: "could not use this cgi_path,no permission",
}
"""Texts by errcode, without the rid; braces are filled from the values of a `Refused`. Source: 全局错误码."""


class Refused(Exception):
    """The platform refuses the call. `errmsg`, when given, takes the place of the code's usual text.

    A 40164 names the caller in both families; of `ip` alone the second is made.
    """

    def __init__(self, errcode: int, *, errmsg: str | None = None, **values: str) -> None:
        """Refuse with `errcode`; `values` fill the braces of its text."""
        super().__init__(errcode)
        self.errcode = errcode
        if "ip" in values:
            values["ipv6"] = values["ip"] if ":" in values["ip"] else f"::ffff:{values['ip']}"
        self.is_usual = errmsg is None
        text = ERRMSGS.get(errcode, "unknown error") if errmsg is None else errmsg
        self.errmsg = text.format_map(values) if values else text

    def body(self, rid: str, path: str) -> Body:
        """Return the JSON body; on /sns the platform puts a comma before the rid, elsewhere only a space."""
        comma = "," if path.startswith("/sns/") else ""
        return {"errcode": self.errcode, "errmsg": f"{self.errmsg}{comma} rid: {rid}"}


def ok(**rest: Any) -> Body:
    """Return the body of a success that says so, with what else it tells."""
    return {"errcode": 0, "errmsg": "ok"} | rest


def text_of(params: Mapping[str, Any], name: str) -> str:
    """Return the text under `name`; an empty one when there is none, or no text."""
    value = params.get(name)
    return value if isinstance(value, str) else ""
