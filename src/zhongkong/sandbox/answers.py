"""The platform's error answers, word for word: SDKs match some of these texts, so they are kept exact."""

from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]
"""A JSON body, as the platform writes it."""

ERRMSGS = {
    -1: "system error",
    40001: (
        "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, "
        "more details at https://mmbizurl.cn/s/JtxxFh33r"
    ),
    40002: "invalid grant_type",
    40003: "invalid openid",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40037: "invalid template_id",
    40066: "invalid url",
    40125: "invalid appsecret",
    40164: "invalid ip {ip} ipv6 {ipv6}, not in whitelist",
    40243: "AppSecret was frozen",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    44002: "empty post data",
    44004: "empty content",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
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
        text = ERRMSGS.get(errcode, "unknown error") if errmsg is None else errmsg
        self.errmsg = text.format_map(values) if values else text

    def body(self, rid: str, path: str) -> Body:
        """Return the JSON body; on /sns the platform puts a comma before the rid, elsewhere only a space."""
        comma = "," if path.startswith("/sns/") else ""
        return {"errcode": self.errcode, "errmsg": f"{self.errmsg}{comma} rid: {rid}"}
