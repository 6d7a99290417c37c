"""The account's menu (自定义菜单): created whole, read as it was created, deleted."""

from collections.abc import Mapping
from typing import Any

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Body, Refused, ok, text_of
from zhongkong.sandbox.moment import Moment

MOST_BUTTONS, MOST_SUB_BUTTONS = 3, 5
_LONGEST_KEY, _LONGEST_URL = 128, 1024
_LONGEST_NAME, _LONGEST_SUB_NAME = 16, 60
_WITH_KEY = frozenset(
    {"click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin"}
    | {"location_select"}
)
_WITH_URL = frozenset({"view", "miniprogram"})
_WITH_MATERIAL = frozenset({"media_id", "view_limited", "article_id", "article_view_limited"})
_TOP = {"type": 40017, "name": 40018, "key": 40019, "url": 40020, "domain": 40055}
_SUB = {"type": 40024, "name": 40025, "key": 40026, "url": 40027, "domain": 40054}

Params = Mapping[str, Any]


def menu_create(account: Account, params: Params, _at: Moment) -> Body:
    """Put the menu in the place of the one there was. Source: 创建自定义菜单."""
    account.menu = {"button": [_button(button) for button in _buttons(params.get("button"), MOST_BUTTONS, 40016)]}
    return ok()


def menu_get(account: Account, _params: Params, _at: Moment) -> Body:
    """Return the menu. Source: 获取自定义菜单配置."""
    if account.menu is None:
        raise Refused(46003)
    return {"menu": account.menu}


def menu_delete(account: Account, _params: Params, _at: Moment) -> Body:
    """Take the menu away, also when there is none. Source: 删除自定义菜单."""
    account.menu = None
    return ok()


def _buttons(given: object, most: int, errcode: int) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not 1 <= len(given) <= most:
        raise Refused(errcode)
    if not all(isinstance(button, dict) for button in given):
        raise Refused(47001)
    return given


def _button(button: dict[str, Any]) -> dict[str, Any]:
    """Return a button of the first level, with its sub-buttons or with what it does."""
    _check_name(button, _LONGEST_NAME, _TOP)
    below = button.get("sub_button")
    if not below:
        _check_deed(button, _TOP)
        return button | {"sub_button": []}
    return button | {"sub_button": [_sub_button(sub) for sub in _buttons(below, MOST_SUB_BUTTONS, 40023)]}


def _sub_button(button: dict[str, Any]) -> dict[str, Any]:
    _check_name(button, _LONGEST_SUB_NAME, _SUB)
    _check_deed(button, _SUB)
    return button | {"sub_button": []}


def _check_name(button: dict[str, Any], longest: int, errcodes: Mapping[str, int]) -> None:
    if not 1 <= _size(button, "name") <= longest:
        raise Refused(errcodes["name"])


def _check_deed(button: dict[str, Any], errcodes: Mapping[str, int]) -> None:
    """Raise unless the button has a type and what that type needs. What a material's id names is not looked up."""
    kind = text_of(button, "type")
    if kind in _WITH_KEY:
        if not 1 <= _size(button, "key") <= _LONGEST_KEY:
            raise Refused(errcodes["key"])
    elif kind in _WITH_URL:
        if not 1 <= _size(button, "url") <= _LONGEST_URL:
            raise Refused(errcodes["url"])
        if not button["url"].startswith(("http://", "https://")):
            raise Refused(errcodes["domain"])
    elif kind not in _WITH_MATERIAL:
        raise Refused(errcodes["type"])


def _size(button: dict[str, Any], name: str) -> int:
    """Return the bytes of a text; 0 when there is none."""
    value = button.get(name)
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0
