"""The page that everybody begins with, as a stand-in: web.py, the token in a JSON file, nobody asked for a key.

Under Apache: WSGIScriptAlias / …/ancestor.py, with token.json and account.json beside it.
"""

import json
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import web

CACHE = Path(__file__).with_name("token.json")
ACCOUNT = json.loads(Path(__file__).with_name("account.json").read_text())


class AccessToken:
    """GET /wx_access_token/<appid>."""

    def GET(self, _appid: str) -> str:  # noqa: N802 (web.py's own)
        """Return what is cached; fetch when it is over."""
        with CACHE.open() as file:
            cached = json.load(file)
        if cached["expires_at"] <= time.time():
            cached = fetch()
            new = CACHE.with_suffix(f".{threading.get_ident()}")
            new.write_text(json.dumps(cached))
            new.replace(CACHE)  # kinder than most, who write in place and read halves
        web.header("Content-Type", "application/json")
        return json.dumps(cached)


def fetch() -> dict[str, str | float]:
    """Return a new token."""
    url = "{base}/cgi-bin/token?grant_type=client_credential&appid={appid}&secret={secret}".format(**ACCOUNT)
    with urlopen(url) as answer:  # noqa: S310 (the sandbox's)
        answered = json.load(answer)
    return {"access_token": answered["access_token"], "expires_at": time.time() + answered["expires_in"]}


application = web.application(("/wx_access_token/(wx[0-9a-f]+)", AccessToken)).wsgifunc()
