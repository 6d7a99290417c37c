"""What the gateway itself says, in the platform's own shape: HTTP 200, compact raw UTF-8, words that SDKs know.

Never 40001 or 42001 where asking again would not help: some SDKs then ask for ever.
"""

from __future__ import annotations

import json

from zhongkong.core.model import Seconds

LATER = -1
_MISSING = {
    **dict.fromkeys(("appid", "corpid"), 41002),
    **dict.fromkeys(("secret", "appsecret", "corpsecret"), 41004),
    "access_token": 41001,
}


class Refusal(Exception):
    """The gateway answers a call by itself, with an errcode."""

    def __init__(self, errcode: int, errmsg: str, *, because: str = "") -> None:
        super().__init__(errcode, errmsg)
        self.errcode = errcode
        self.errmsg = f"{errmsg}, zhongkong: {because}" if because else errmsg

    @property
    def body(self) -> bytes:
        """Return the answer's body."""
        return write({"errcode": self.errcode, "errmsg": self.errmsg})


def write(members: dict[str, object]) -> bytes:
    """Return an answer of ours."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


# --- on token routes: 40125 and 40013 end an SDK's attempts, 40001 would not


def wrong_grant_type() -> Refusal:
    """Return the refusal of another `grant_type`."""
    return Refusal(40002, "invalid grant_type")


def missing(name: str) -> Refusal:
    """Return the refusal of a call that lacks a parameter."""
    errcode = _MISSING.get(name, 47001)
    return Refusal(errcode, f"{'appsecret' if name == 'secret' else name} missing")


def unknown_appid() -> Refusal:
    """Return the refusal of an appid that nobody keeps here."""
    return Refusal(40013, "invalid appid", because="no such account here; see `zhongkong account list`")


def wrong_key(because: str) -> Refusal:
    """Return the refusal of what stands where the secret should."""
    return Refusal(40125, "invalid appsecret", because=because)


def not_at_wecom() -> Refusal:
    """Return the refusal of an account of WeCom where official accounts ask."""
    return Refusal(40013, "invalid appid", because="an account of WeCom asks /cgi-bin/gettoken with its corpid")


def unknown_corpid() -> Refusal:
    """Return the refusal of a corp of which nobody keeps an application here."""
    return Refusal(40013, "invalid corpid", because="no such corp here; see `zhongkong account list`")


def wrong_corpsecret(because: str) -> Refusal:
    """Return the refusal of what stands where an application's secret should. Never 40001, WeCom's own code for it."""
    return Refusal(40125, "invalid corpsecret", because=because)


# --- on calls


def unknown_token(because: str = "", *, at_wecom: bool = False) -> Refusal:
    """Return the refusal of a token that no hub on this store made, or whose key is gone: the client fetches one."""
    path, name = ("/cgi-bin/gettoken", "corpsecret") if at_wecom else ("/cgi-bin/token", "secret")
    because = because or f"no token of this gateway's; fetch one here at {path}, with a hub key as the {name}"
    if at_wecom:
        return Refusal(40014, "invalid access_token", because=because)
    return Refusal(40001, "invalid credential, access_token is invalid or not latest", because=because)


def expired_token() -> Refusal:
    """Return the refusal of a token whose time is over. EasyWeChat knows it by exactly these words."""
    return Refusal(42001, "access_token expired")


def wrong_path() -> Refusal:
    """Return the refusal of a path that no call of the platform has."""
    return Refusal(40066, "invalid url")


def not_allowed(because: str) -> Refusal:
    """Return the refusal of what the key, or the gateway, may not do."""
    return Refusal(48001, "api unauthorized", because=because)


def not_from_here(address: str) -> Refusal:
    """Return the refusal of a key that is not good at the client's address."""
    return Refusal(40164, f"invalid ip {address or '?'}, not in whitelist", because="the hub key's networks")


def too_often(seconds: Seconds) -> Refusal:
    """Return the refusal of a key whose minute is spent, or whose calls under way are too many."""
    because = f"try again in {max(1, round(seconds))} s"
    return Refusal(45011, "api minute-quota reach limit, must slower, retry next minute", because=because)


def too_long(limit: int) -> Refusal:
    """Return the refusal of a body that is longer than the gateway holds."""
    return Refusal(45001, "media size out of limit", because=f"at most {limit} bytes (gateway_body_limit)")


def later(because: str) -> Refusal:
    """Return what every SDK takes for: nothing is wrong with you, try again later."""
    return Refusal(LATER, "system error", because=because)
