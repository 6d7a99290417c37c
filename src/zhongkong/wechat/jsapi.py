"""The signature of a page in WeChat that uses the JS-SDK. Source: JS-SDK 说明文档, 附录1 JS-SDK 使用权限签名算法."""

from __future__ import annotations

import re
from hashlib import sha1
from urllib.parse import urlsplit

_URL = re.compile(r"https?://[\x21-\x7e]+")


def is_page_url(url: str) -> bool:
    """Say whether `url` can be the address of a page, as `location.href` has it: http or https, a host, ASCII.

    A blank or a letter beyond ASCII was percent-encoded in the browser: who sends it as it reads has decoded it once
    too often, and would sign what the page is not.
    """
    if not _URL.fullmatch(url):
        return False
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def sign_page(jsapi_ticket: str, noncestr: str, timestamp: int, url: str) -> str:
    """Return the signature for `wx.config`, lower-case hex. What follows the first `#` of `url` is not signed.

    Every value goes in as it is, without any encoding, and the platform does the same: a URL that differs by one
    character is another page.
    """
    page = url.partition("#")[0]
    text = f"jsapi_ticket={jsapi_ticket}&noncestr={noncestr}&timestamp={timestamp}&url={page}"
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
