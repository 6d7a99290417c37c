"""A hub with all three sinks on, everything going wrong with them: it serves on, heals them, tells no secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.contract.sinks.redis_server import RedisServer
from tests.scenario.end_to_end.guises import find_secrets
from tests.scenario.end_to_end.programs import find_free_port
from tests.scenario.sinks.street import APPID, SECRET, Street, await_truth

PASSWORD = "a+b/c=redis-password-0123456789"
SIGNING = "a+b/c=webhook-secret-0123456789"
KEY = f"wx:access_token:{APPID}"


class Receiver:
    """A receiver of posts. `status` is what it answers; what it was told is in `bodies`."""

    def __init__(self) -> None:
        self.status = 204
        self.bodies: list[dict[str, Any]] = []
        self.forged = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(body, self.headers["Zhongkong-Timestamp"], self.headers["Zhongkong-Signature"])
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (theirs)
                pass

        self._handler = Handler
        self._port = find_free_port()
        self.url = f"http://127.0.0.1:{self._port}/hooks/wx"

    def take(self, body: bytes, timestamp: str, signature: str) -> None:
        """Verify as docs/sinks.md says, and note what was told."""
        mac = hmac.new(SIGNING.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        self.forged += not hmac.compare_digest("sha256=" + mac, signature)
        if self.status < 300:
            self.bodies.append(json.loads(body))

    @contextmanager
    def served(self) -> Iterator[None]:
        """Have it listen."""
        with ThreadingHTTPServer(("127.0.0.1", self._port), self._handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


def settings(server: RedisServer, receiver: Receiver, tmp_path: Path) -> str:
    """Return a hub's settings with one sink of each kind."""
    return f"""
        metrics_bind = "127.0.0.1:0"

        [[account]]
        appid = "{APPID}"
        secret_file = "secret"

        [[sink]]
        kind = "redis"
        url = "{server.url}"
        layout = "wxjava"
        secret_env = "REDIS_PASSWORD"

        [[sink]]
        kind = "file"
        path = "{tmp_path}/out/{{appid}}.token"

        [[sink]]
        kind = "webhook"
        url = "{receiver.url}"
        secret_env = "HOOK_SECRET"
    """


def test_whatever_happens_to_the_sinks_the_hub_serves_and_they_are_filled_again(tmp_path: Path) -> None:
    """Redis killed, restarted empty; a receiver that fails; a directory that is missing; then all is searched."""
    street, receiver = Street(tmp_path), Receiver()
    street.environment |= {"REDIS_PASSWORD": PASSWORD, "HOOK_SECRET": SIGNING}
    token_file = tmp_path / "out" / f"{APPID}.token"
    tokens: list[str] = []
    server = RedisServer(tmp_path, password=PASSWORD)
    with street.platform(), receiver.served(), server, street.hub(settings(server, receiver, tmp_path), loud=True):
        tokens.append(street.token())
        await_truth(lambda: server.client.get(KEY) == tokens[0].encode())
        await_truth(lambda: receiver.bodies and receiver.bodies[-1]["value"] == tokens[0])
        await_truth(lambda: "sink_file_no_directory" in causes(street))

        server.kill()
        receiver.status = 500
        token_file.parent.mkdir()
        await_truth(lambda: token_file.exists() and token_file.read_text() == tokens[0])
        assert token_file.stat().st_mode & 0o777 == 0o600
        tokens.append(street.renew())
        await_truth(lambda: token_file.read_text() == tokens[1])
        await_truth(lambda: {"sink_away", "sink_webhook_refused"} <= set(causes(street)))
        assert street.token() == tokens[1]
        code, said = street.type("doctor")
        assert code == 1
        assert f"连不上 127.0.0.1:{server.port}" in said

        server.start()
        receiver.status = 200
        await_truth(lambda: server.client.get(KEY) == tokens[1].encode())
        await_truth(lambda: receiver.bodies[-1]["value"] == tokens[1])
        await_truth(lambda: len(street.events("sink_well")) == 3)
        assert sorted(causes(street)) == ["sink_away", "sink_file_no_directory", "sink_webhook_refused"]
        assert receiver.forged == 0
        measures = street.ask("GET", "/metrics").text
        for sink in ("redis", "file", "webhook"):
            assert f'zhongkong_sink_writes_total{{outcome="failed",sink="{sink}"}}' in measures
            assert f'zhongkong_sink_writes_total{{outcome="written",sink="{sink}"}}' in measures
        street.told.append(measures)
        street.type("doctor", "--json")

        assert street.ask("GET", f"/v1/accounts/{APPID}").status_code == 200
    search(street, tokens)


def causes(street: Street) -> list[str]:
    """Return why sinks failed, as the events tell."""
    return [str(one["values"]["cause"]) for one in street.events("sink_failing")]


def search(street: Street, tokens: list[str]) -> None:
    """Look for every secret in all that was written and answered."""
    told = "\n".join(street.told)
    assert '"logger":"sqlalchemy.pool' in told  # libraries spoke at debug
    assert all(code in told for code in ("sink_away", "sink_webhook_refused", "doctor_sink_holds"))
    secrets = {"password": PASSWORD, "signing": SIGNING, "secret": SECRET, "first": tokens[0], "second": tokens[1]}
    found = find_secrets(
        {name: secret.encode() for name, secret in secrets.items()}, {"all that was told": told.encode()}
    )
    assert found == []


def test_a_sink_that_cannot_be_opened_is_told_before_anything_begins(tmp_path: Path) -> None:
    """A secret that is not there: serve ends with the words, and no hub runs without what it was to write."""
    street = Street(tmp_path)
    (tmp_path / "zhongkong.toml").write_text("[[sink]]\nkind = 'webhook'\nurl = 'http://h'\nsecret_env = 'NONE'\n")
    code, said = street.type("serve")
    assert code == 2
    assert "secret_env" in said
    assert "NONE" not in said, "what was taken for a name may be the secret itself"
    code, said = street.type("doctor")
    assert code == 1
    assert "secret_env" in said


def test_an_account_that_is_removed_leaves_no_key_behind(tmp_path: Path) -> None:
    """By command, while the hub runs; and workers are one writer."""
    street = Street(tmp_path)
    with street.platform(), RedisServer(tmp_path) as server:
        sink = f"workers = 2\n[[sink]]\nkind = 'redis'\nurl = '{server.url}'\n"
        with street.hub(sink):
            new = {"appid": APPID, "secret": SECRET, "base_url": street.sandbox}
            assert street.ask("POST", "/v1/accounts", json=new).status_code == 201
            key = f"wx_access_token_{APPID}"
            await_truth(lambda: server.client.get(key))
            assert len(server.client.client_list()) <= 3
            assert street.ask("DELETE", f"/v1/accounts/{APPID}").status_code == 204
            await_truth(lambda: server.client.keys("*") == [])
