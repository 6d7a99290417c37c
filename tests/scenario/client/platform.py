"""A platform on this machine, over real sockets, that takes one token and answers as strangely as WeChat may."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from zhongkong.client.source import Credential, Outcome, Rejected
from zhongkong.errors import CredentialUnavailable

APPID = "wx0123456789abcdef"
PICTURE = bytes(range(256)) * 4096
"""A mebibyte that is no text."""


class Platform:
    """Takes calls that bear `alive`; each path of `_Handler` answers in a way of its own."""

    def __init__(self) -> None:
        self.alive = "token-1"
        self.errcode = 40001
        self.seen: list[tuple[str, str, bytes]] = []
        """Path, token and body of every call."""
        self.hosts: list[str] = []
        handler = type("Handler", (_Handler,), {"platform": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()

    def tokens(self) -> list[str]:
        """Return the tokens of all calls, in order."""
        return [token for _, token, _ in self.seen]

    def bodies(self) -> list[bytes]:
        """Return their bodies."""
        return [body for _, _, body in self.seen]

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of the five that are usual the sixth client is reset


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: Platform

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        place = urlsplit(self.path)
        token = parse_qs(place.query).get("access_token", [""])[0]
        self.platform.seen.append((place.path, token, self._read_body()))
        self.platform.hosts.append(self.headers["Host"])
        if place.path == "/redirect":
            target = parse_qs(place.query)["to"][0]
            self._send(302, {"Location": target}, b"")
        elif token != self.platform.alive and place.path != "/elsewhere":
            refusal = {"errcode": self.platform.errcode, "errmsg": "invalid credential rid: 6720ea21-0dc53ebd-5bdb45c7"}
            self._send_refusal(place.path, json.dumps(refusal).encode())
        elif place.path == "/cgi-bin/media/get":
            self._send(200, {"Content-Type": "image/jpeg"}, PICTURE)
        elif place.path == "/big":
            body = json.dumps({"data": {"openid": ["o" * 28] * 10_000}}).encode()
            self._send(200, {"Content-Type": "application/json"}, body)
        else:
            self._send(200, {"Content-Type": "application/json; encoding=utf-8"}, b'{"errcode":0,"errmsg":"ok"}')

    def _send_refusal(self, path: str, body: bytes) -> None:
        kind = "application/json; encoding=utf-8"
        if path == "/plain":
            kind = "text/plain"
        if path == "/gzip":
            self._send(200, {"Content-Type": kind, "Content-Encoding": "gzip"}, gzip.compress(body))
        elif path == "/chunked":
            self._send(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"}, body)
        elif path == "/html":
            self._send(200, {"Content-Type": "text/html"}, body)
        else:
            self._send(200, {"Content-Type": kind}, body)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        is_chunked = "Transfer-Encoding" in headers
        for name, value in headers.items():
            self.send_header(name, value)
        if not is_chunked:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if is_chunked:
            middle = len(body) // 2
            for piece in (body[:middle], body[middle:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            body = b"0\r\n\r\n"
        self.wfile.write(body)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class Keeper:
    """A source that hands out `held`, and knows `next_one` when that is rejected. For threads."""

    def __init__(self) -> None:
        self.appid = APPID
        self.held = "token-1"
        self.next_one = "token-2"
        self.outcome: Outcome = "refreshed"
        self.fails = False
        self.rejected: list[str] = []

    def access_token(self, appid: str) -> str:
        """Return what is held."""
        assert appid == self.appid
        return self.held

    def credential(self, appid: str, kind: str = "access_token") -> Credential:
        """Return it as a credential."""
        return Credential(appid, kind, self.held, 1, 7000, 60)

    def reject(self, appid: str, value: str, kind: str = "access_token") -> Rejected:
        """Take the report."""
        self.rejected.append(value)
        if self.fails:
            raise CredentialUnavailable(appid, kind, "refreshing", retry_after=1.0)
        if self.outcome != "still_valid":
            self.held = self.next_one
        return Rejected(self.outcome, self.credential(appid))


class AsyncKeeper:
    """The same for coroutines."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    async def access_token(self, appid: str) -> str:
        """Return what is held."""
        return self.keeper.access_token(appid)

    async def reject(self, appid: str, value: str) -> Rejected:
        """Take the report."""
        return self.keeper.reject(appid, value)
