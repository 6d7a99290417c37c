"""A hub with everything on and everything going wrong tells no secret: not in logs, answers, terminals, nor files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scenario.end_to_end.guises import find_secrets, read_files
from tests.scenario.end_to_end.programs import BIN, SOON, Program, build_environment, find_free_port

ROOT = Path(__file__).parents[3]
APPID = "wx0123456789abcdef"
SECRET = "a+b/c=d%e_f-0123456789-abcdefghi"
WRONG = "fedcba9876543210fedcba9876543210"
TOKEN = f"/v1/accounts/{APPID}/access_token"
STABLE = "/cgi-bin/stable_token"
FAULTS: list[dict[str, Any]] = [
    {"answer": "drop"},
    {"answer": "drop", "acts": True},
    {"answer": "cut"},
    {"answer": "garbage"},
    {"status": 502},
    {"errcode": 45009},
    {"errcode": 40164, "errmsg": f"invalid ip 198.51.100.7, request was ?secret={SECRET}"},
    {"errcode": 99999, "errmsg": f"what is {SECRET}"},
]


@dataclass
class Story:
    """A sandbox, a loud hub, and all that was said; `secrets` grows as they are met."""

    hub: str
    sandbox: str
    environment: dict[str, str]
    secrets: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, secret: str) -> str:
        """Note a secret to be searched for. Of a key that is the part which is not its id."""
        self.secrets[name] = secret.split("_", 2)[2].encode() if secret.startswith("zk_") else secret.encode()
        return secret

    def tell(self, place: str, content: str) -> None:
        """Note what was said in a place where no secret is meant to be."""
        self.places[f"{len(self.places)} {place}"] = content.encode()

    def ask(self, method: str, path: str, key: str, *, told: bool = True, **options: Any) -> httpx.Response:
        """Ask the hub; what it answers is searched, unless a secret is meant to be `told`: then only its headers."""
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        answer = httpx.request(method, self.hub + path, headers=headers, timeout=SOON, trust_env=False, **options)
        self.tell(f"{method} {path.partition('?')[0]}", str(answer.headers) + (answer.text if told else ""))
        return answer

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        """Do something at the platform."""
        answer = httpx.request(method, f"{self.sandbox}/sandbox/v1{path}", json=body, timeout=SOON, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def type(self, *words: str, typed: str = "", **more: str) -> int:
        """Run a command of ours; all it writes is searched. Returns its exit code."""
        done = subprocess.run(
            [BIN / "zhongkong", *words],
            env=self.environment | more,
            input=typed,
            capture_output=True,
            text=True,
            timeout=SOON,
            check=False,
        )
        self.tell(f"zhongkong {words[0]}", done.stdout + done.stderr)
        return done.returncode


@pytest.fixture(name="story", scope="module")
def _story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A day with everything that people and networks do wrong, told to its end."""
    directory = tmp_path_factory.mktemp("story")
    ports = find_free_port(), find_free_port()
    environment = build_environment(directory) | {
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONPATH": str(ROOT),
        "ZHONGKONG_DATA_DIR": str(directory / "data"),
        "ZHONGKONG_LOG_FORMAT": "json",
        "ZHONGKONG_PORT": str(ports[0]),
    }
    story = Story(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", environment)
    sandbox = [str(BIN / "zhongkong"), "sandbox", "--json", "--port", str(ports[1])]
    serve = [sys.executable, "-m", "tests.scenario.end_to_end.loud", "serve", "--json"]
    with Program(sandbox, environment, directory) as platform, Program(serve, environment, directory) as hub:
        platform.await_line("sandbox_url")
        admin = story.keep("first key", json.loads(hub.await_line("hub_url"))["first_key"])
        story.control("POST", "/accounts", appid=APPID, secret=SECRET)
        live(story, admin, directory / "data")
        assert hub.end() == 0, hub.told
    story.tell("log", "".join(hub.err))
    story.tell("stdout", "".join(hub.out[1:]))
    return story


def live(story: Story, admin: str, data: Path) -> None:
    """Have the day happen."""
    key = add_the_account(story, admin)
    make_mistakes(story, admin, key)
    break_the_platform(story, admin, key)
    look_around(story, admin)
    use_the_terminal(story, admin, key)
    keep_the_seal(story, "seal", data)
    story.places |= {f"file {name}": content for name, content in read_files(data).items() if ".seal" not in name}
    assert story.type("seal", "rotate") == 0
    keep_the_seal(story, "next seal", data)
    story.places |= {f"then {name}": content for name, content in read_files(data).items() if ".seal" not in name}


def add_the_account(story: Story, admin: str) -> str:
    """Add the account at the second try, and make keys; returns one for reading."""
    new = {"appid": APPID, "base_url": story.sandbox}
    story.keep("wrong secret", WRONG)
    story.keep("secret", SECRET)
    assert story.ask("POST", "/v1/accounts", admin, json={**new, "secret": WRONG}).status_code == 422
    assert story.ask("POST", "/v1/accounts", admin, json={**new, "secret": SECRET}).status_code == 201
    made = story.ask("POST", "/v1/keys", admin, told=False, json={"name": "shop", "appids": [APPID]}).json()
    key = story.keep("key", made["key"])
    rotated = story.ask("POST", f"/v1/keys/{made['id']}/rotate", admin, told=False).json()
    story.keep("twin", rotated["key"])
    assert story.ask("DELETE", f"/v1/keys/{rotated['id']}", admin).status_code == 204
    return key


def make_mistakes(story: Story, admin: str, key: str) -> None:
    """Put secrets where they do not belong, and requests in shapes that they should not have."""
    token = read_token(story, key)
    account = f"/v1/accounts/{APPID}"
    assert story.ask("GET", f"{TOKEN}?key={key}&secret={SECRET}", "zk_nobody00_here").status_code == 401
    assert story.ask("GET", account, admin, headers={"Authorization": f"Basic {key}"}).status_code == 401
    assert story.ask("GET", f"{account}?access_token={token}", f"{admin}x").status_code == 401
    assert story.ask("GET", account, key).status_code == 403
    assert story.ask("PATCH", account, admin, json={"secrets": SECRET}).status_code == 400
    assert story.ask("PATCH", account, admin, json={"mode": SECRET}).status_code == 400
    assert story.ask("PATCH", account, admin, content=json.dumps({"secret": SECRET})[:-1]).status_code == 400
    assert story.ask("PATCH", account, admin, json={"secret": WRONG}).status_code == 422
    assert story.ask("POST", "/v1/accounts", admin, json={"appid": APPID, "secret": SECRET}).status_code == 409
    assert story.ask("POST", f"{TOKEN}/reject", key, json={"rejected": token, "x": token}).status_code == 400
    foreign = story.keep("foreign token", "83_" + "foreign-token-" * 8)
    assert story.ask("POST", f"{TOKEN}/reject", key, told=False, json={"rejected": foreign}).status_code == 200


def break_the_platform(story: Story, admin: str, key: str) -> None:
    """Revoke the token while the platform fails in every way it can, until it is well and a new one is had."""
    token = read_token(story, key)
    story.control("POST", "/faults", path=STABLE, errcode=-1)
    story.control("POST", f"/accounts/{APPID}/revoke")
    former = 1
    for fault in FAULTS:
        there = story.control("POST", "/faults", path=STABLE, **fault)["id"]
        story.control("DELETE", f"/faults/{former}")
        refused = story.ask("POST", f"{TOKEN}/reject", key, json={"rejected": token})
        assert refused.status_code in (429, 503), refused.text
        tried = story.ask("PATCH", f"/v1/accounts/{APPID}", admin, json={}).json()
        assert tried["credentials"]["access_token"]["state"] != "well"
        former = there
    story.control("DELETE", "/faults")
    story.ask("PATCH", f"/v1/accounts/{APPID}", admin, json={})
    assert read_token(story, key) != token
    for issued in story.control("GET", f"/accounts/{APPID}/tokens")["tokens"]:
        story.keep(f"token {issued['issued_at']}", issued["access_token"])


def read_token(story: Story, key: str) -> str:
    """Read the token at the hub."""
    answer = story.ask("GET", TOKEN, key, told=False)
    assert answer.status_code == 200, answer.text
    return str(story.keep(f"token {answer.json()['generation']}", answer.json()["access_token"]))


def look_around(story: Story, admin: str) -> None:
    """Open everything that can be looked at."""
    pages = ["/", "/docs", "/docs/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/whoami", "/v1/keys"]
    for path in [*pages, "/v1/accounts", f"/v1/accounts/{APPID}", "/v1/events?limit=1000", "/v1/nothing"]:
        story.ask("GET", path, admin)
    headers = {"Authorization": f"Bearer {admin}", "Accept": "text/event-stream"}
    with httpx.stream(
        "GET", f"{story.hub}/v1/events?after=0", headers=headers, timeout=SOON, trust_env=False
    ) as stream:
        lines = stream.iter_lines()
        story.tell("event stream", "\n".join(next(lines) for _ in range(30)))


def use_the_terminal(story: Story, admin: str, key: str) -> None:
    """Say everything in words and as JSON, here and over HTTP, with secrets typed in the wrong place."""
    there = {"ZHONGKONG_HUB": story.hub, "ZHONGKONG_KEY": admin}
    assert story.type("account", "show", APPID) == 0
    assert story.type("account", "list", "--json", **there) == 0
    assert story.type("key", "list", **there) == 0
    assert story.type("events", "--limit", "1000", "--json") == 0
    assert story.type("doctor") == 0
    assert story.type("doctor", "--json", **there) == 0
    assert story.type("account", "add", "wxother", SECRET) == 2
    assert story.type("account", "set", APPID, f"--secret={SECRET}") == 2
    assert story.type("account", "set", APPID, "--secret", "--json", typed=WRONG) == 4
    assert story.type("reject", APPID, story.secrets["token 1"].decode()) == 2
    assert story.type("token", "wxother", ZHONGKONG_HUB=story.hub, ZHONGKONG_KEY=key) == 6


def keep_the_seal(story: Story, name: str, data: Path) -> None:
    """Note the newest key of the seal: as it stands in its file it is base64, and what it stands for is bytes."""
    [path] = data.glob("*.seal")
    text = next(line for line in path.read_text().splitlines() if not line.startswith("#"))
    story.keep(name, text)


def test_everything_was_on(story: Story) -> None:
    """A search proves only as much as was searched: debug logs, events, errors, the write-ahead log of the store."""
    log = next(content for name, content in story.places.items() if name.endswith(" log"))
    for logger in (b"sqlalchemy.engine", b"sqlalchemy.pool", b"zhongkong.access", b"zhongkong.events"):
        assert b'"logger":"' + logger in log, logger
    for event in (b"mint_failed", b"condemned", b"foreign_token", b"account_tried", b"key_rotated"):
        assert any(event in content for content in story.places.values()), event
    files = {name for name in story.places if name.startswith("file ")}
    assert files >= {"file zhongkong.db", "file zhongkong.db-wal", "file zhongkong.db-shm"}
    assert len(story.places) > 50


def test_nothing_that_was_told_is_secret(story: Story) -> None:
    """Neither in clear nor in hex, base64 or a URL, and no piece of it."""
    assert {"first key", "key", "twin", "secret", "wrong secret", "token 1", "foreign token", "seal"} <= set(
        story.secrets
    )
    assert find_secrets(story.secrets, story.places) == []
