"""QR codes with a scene (带参数二维码), temporary and permanent."""

from collections.abc import Mapping
from typing import Any

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Body, Refused, text_of
from zhongkong.sandbox.holdings import QRCode, keep_newest
from zhongkong.sandbox.moment import Moment

SHOW_PATH = "/cgi-bin/showqrcode"
USUAL_SECONDS, MOST_SECONDS = 60, 2_592_000
_TEMPORARY = frozenset({"QR_SCENE", "QR_STR_SCENE"})
_PERMANENT = frozenset({"QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"})
_MOST_PERMANENT_ID, _MOST_TEMPORARY_ID = 100_000, 2**32 - 1
_LONGEST_SCENE = 64


def qrcode_create(account: Account, params: Mapping[str, Any], at: Moment) -> Body:
    """Make a QR code and return the ticket that its picture is shown for. Source: 生成带参数的二维码."""
    action = text_of(params, "action_name")
    if action not in _TEMPORARY | _PERMANENT:
        raise Refused(40052)
    scene, seconds = _scene(params, action), _seconds(params) if action in _TEMPORARY else None
    ticket = "gQ" + at.draws.base64(70)[2:]  # 96 characters that a URL has to escape, as theirs
    url = "http://weixin.qq.com/q/" + at.draws.text(22)
    expires_at = None if seconds is None else at.now + seconds
    account.qrcodes[ticket] = QRCode(ticket, url, action, scene, at.now, expires_at)
    keep_newest(account.qrcodes)
    return {"ticket": ticket} | ({} if seconds is None else {"expire_seconds": seconds}) | {"url": url}


def _seconds(params: Mapping[str, Any]) -> int:
    seconds = params.get("expire_seconds", USUAL_SECONDS)
    if type(seconds) is not int or not 1 <= seconds <= MOST_SECONDS:
        raise Refused(40053)
    return seconds


def _scene(params: Mapping[str, Any], action: str) -> int | str:
    """Return the scene of `action_info`. Raises Refused."""
    info = params.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    if not isinstance(scene, dict):
        raise Refused(40053)
    if action.endswith("STR_SCENE"):
        text = scene.get("scene_str")
        if isinstance(text, str) and 1 <= len(text) <= _LONGEST_SCENE:
            return text
        raise Refused(40053)
    number = scene.get("scene_id")
    most = _MOST_PERMANENT_ID if action in _PERMANENT else _MOST_TEMPORARY_ID
    if type(number) is int and 1 <= number <= most:
        return number
    raise Refused(40053)
