"""One file for business servers that can install nothing: Python 3.6 or later, standard library only.

Copy it beside your program, set ZHONGKONG_HUB and ZHONGKONG_KEY, and:

    from business_server import access_token, call_wechat
    call_wechat("wx0123456789abcdef", "/cgi-bin/user/get")

It asks the hub again when the hub said so, and goes on with what it has while the hub is away. A refused token is
reported and the call repeated once. Safe to use from many threads: one of them asks, the others use what there is.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus

HUB = os.environ.get("ZHONGKONG_HUB", "http://127.0.0.1:8600").rstrip("/")
WECHAT = os.environ.get("WECHAT_API", "https://api.weixin.qq.com").rstrip("/")
REFUSED = (40001, 40014, 42001)
TIMEOUT = 10.0

_held = {}  # appid -> (token, ETag, ask again at, usable until), by time.monotonic()
_locks = {}  # appid -> who asks
_locks_lock = threading.Lock()


def access_token(appid):
    """Return the account's access_token; asks the hub only when it is time to."""
    held = _held.get(appid)
    if held is not None and time.monotonic() < held[2]:
        return held[0]
    with _locks_lock:
        lock = _locks.setdefault(appid, threading.Lock())
    if held is not None and time.monotonic() < held[3]:
        if not lock.acquire(blocking=False):
            return held[0]  # somebody asks already, and this one is good
    else:
        lock.acquire()
    try:
        return _ask(appid)
    finally:
        lock.release()


def reject(appid, token):
    """Tell the hub that WeChat refused the token; return another one, or "" when the hub knows nothing better."""
    began = time.monotonic()
    answer = _open("/v1/accounts/%s/access_token/reject" % appid, {"rejected": token})
    body = json.loads(answer.read().decode())
    _held[appid] = _keep(body, answer.headers["ETag"], began)
    return body["access_token"] if body["outcome"] != "still_valid" else ""


def call_wechat(appid, path, body=None):
    """Call WeChat with the account's token and return its answer; a refused token is replaced once."""
    token = access_token(appid)
    answer = _call(path, token, body)
    if answer.get("errcode") in REFUSED:
        better = reject(appid, token)
        if better:
            answer = _call(path, better, body)
    return answer


def _ask(appid):
    held = _held.get(appid)
    began = time.monotonic()
    if held is not None and began < held[2]:
        return held[0]  # another thread asked while this one waited
    try:
        answer = _open("/v1/accounts/%s/access_token" % appid, etag=held[1] if held else "")
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_MODIFIED:
            fresh = int(error.headers["Cache-Control"].rpartition("=")[2])
            _held[appid] = (held[0], held[1], began + fresh, held[3])
            return held[0]
        if error.code < HTTPStatus.INTERNAL_SERVER_ERROR or held is None or began >= held[3]:
            raise  # the hub's problem+json says who must do what: error.read()
    except OSError:
        if held is None or began >= held[3]:
            raise
    else:
        _held[appid] = held = _keep(json.loads(answer.read().decode()), answer.headers["ETag"], began)
        return held[0]
    _held[appid] = (held[0], held[1], began + 1.0, held[3])  # the hub is away: go on, ask again in a second
    return held[0]


def _keep(body, etag, began):
    return body["access_token"], etag, began + body["refresh_in"], began + body["expires_in"]


def _open(path, body=None, etag=""):
    headers = {"Authorization": "Bearer " + os.environ["ZHONGKONG_KEY"]}
    if etag:
        headers["If-None-Match"] = etag
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(HUB + path, data, headers), timeout=TIMEOUT)


def _call(path, token, body):
    url = WECHAT + path + ("&" if "?" in path else "?") + urllib.parse.urlencode({"access_token": token})
    data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    with urllib.request.urlopen(url, data, timeout=TIMEOUT) as answer:
        return json.loads(answer.read().decode())


if __name__ == "__main__":
    import sys

    print(json.dumps(call_wechat(sys.argv[1], "/cgi-bin/user/get"), ensure_ascii=False))
