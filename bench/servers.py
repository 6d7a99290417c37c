"""The servers that benches ask, each one worker, each on a port of its own, ended on the way out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import peers
import psutil

APPS = Path(__file__).parent / "apps"
APPID = "wx0123456789abcdef"
SOON = 30.0
TOKEN = "83_" + "t" * 137
PAGE = {
    "appid": APPID,
    "kind": "access_token",
    "access_token": TOKEN,
    "expires_in": 7000,
    "expires_at": 1999999999,
    "generation": 7,
}
KEY = "zk_abcdefgh_" + "k" * 43
ONLY_CPU, ASIDE = 0, 1
"""The CPU that servers run on, where there are two; the load comes from the other, and so does what they ask."""
USERS = json.dumps(
    {
        "total": 6,
        "count": 6,
        "data": {"openid": [f"o6_bmjrPTlm6_2sgVt7hMZOPfL{n}M" for n in range(6)]},
        "next_openid": "",
    }
)
"""What `GET /cgi-bin/user/get` is answered: about 300 bytes."""


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Return what its processes have used of the CPU."""
        top = psutil.Process(self.pid)
        return sum(one.cpu_times().user + one.cpu_times().system for one in (top, *top.children(recursive=True)))

    def read(self) -> httpx.Response:
        """Return one answer."""
        return httpx.get(self.url, headers=self.headers, timeout=SOON, trust_env=False).raise_for_status()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def running(
    *command: str | Path, url: str, log: Path, env: Mapping[str, str] | None = None, cpu: int = ONLY_CPU, **headers: str
) -> Iterator[Served]:
    """Run a server until the end, from when it listens on."""
    with log.open("ab") as told:
        process = subprocess.Popen(
            command, stdout=told, stderr=told, env={**os.environ, **(env or {})}, start_new_session=True
        )
    if (os.cpu_count() or 1) > 1:
        psutil.Process(process.pid).cpu_affinity([cpu])
    try:
        _await(process, httpx.URL(url).port or 0, log)
        yield Served(url, process.pid, headers)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SOON)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + SOON
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args}: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.05)
        else:
            return


# --- nginx


def nginx(directory: Path, *, access_log: bool) -> AbstractContextManager[Served]:
    """Serve the page as a file."""
    home = directory / f"nginx-{'logged' if access_log else 'plain'}"
    home.mkdir()
    (home / "token.json").write_text(json.dumps(PAGE, separators=(",", ":")))
    return _nginx(home, f"root {home};", "/token.json", access_log=access_log)


def _nginx(
    home: Path, server: str, path: str, *, http: str = "", access_log: bool = False, cpu: int = ONLY_CPU
) -> AbstractContextManager[Served]:
    """Run nginx with one worker; `http` and `server` are what its configuration holds there besides."""
    port = free_port()
    home.chmod(0o755)
    (home / "nginx.conf").write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""}
        worker_processes 1; daemon off; pid {home}/pid; error_log {home}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log {f"{home}/access.log" if access_log else "off"};
            default_type application/json; sendfile on; keepalive_requests 1000000000;
            client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
            uwsgi_temp_path {home}; scgi_temp_path {home};
            {http}
            server {{ listen 127.0.0.1:{port}; {server} }}
        }}"""
    )
    program = peers.need("nginx")
    return running(
        program, "-p", home, "-c", home / "nginx.conf", url=f"http://127.0.0.1:{port}{path}", log=home / "log", cpu=cpu
    )


# --- calls that are sent on

CALL = "/cgi-bin/user/get"


def platform(directory: Path) -> AbstractContextManager[Served]:
    """Answer every call with the same few bytes, and every request for a token with the same one: nginx, aside."""
    home = directory / "platform"
    home.mkdir()
    granted = json.dumps({"access_token": TOKEN, "expires_in": 7200})
    server = f"location / {{ return 200 '{USERS}'; }} location ~ token$ {{ return 200 '{granted}'; }}"
    return _nginx(home, server, f"{CALL}?access_token={TOKEN}", cpu=ASIDE)


def nginx_proxy(directory: Path, upstream: str) -> AbstractContextManager[Served]:
    """Send calls on by nginx, over connections that stay."""
    home = directory / "nginx-proxy"
    home.mkdir()
    aim = httpx.URL(upstream)
    http = (
        f"upstream platform {{ server {aim.host}:{aim.port}; keepalive 64;"
        " keepalive_requests 1000000000; keepalive_timeout 60s; }"
    )
    server = (
        'location / { proxy_pass http://platform; proxy_http_version 1.1; proxy_set_header Connection "";'
        " client_body_buffer_size 1m; }"
    )
    return _nginx(home, server, f"{CALL}?access_token={TOKEN}", http=http)


def aiohttp_proxy(directory: Path, upstream: str) -> AbstractContextManager[Served]:
    """Send calls on by `aiohttp_proxy.py`."""
    port = free_port()
    return running(
        *(peers.PYTHON, APPS / "aiohttp_proxy.py", str(port), upstream),
        url=f"http://127.0.0.1:{port}{CALL}?access_token={TOKEN}",
        log=directory / "aiohttp-proxy.log",
    )


@contextmanager
def gateway(directory: Path, upstream: str) -> Iterator[Served]:
    """Send calls on by the hub, for a client with a virtual token."""
    home = directory / "gateway"
    home.mkdir()
    account = {"appid": APPID, "secret": "5" * 32, "sandbox_url": upstream}
    with serve(home, account, grant="gateway") as served:
        key = served.headers["Authorization"].removeprefix("Bearer ")
        asked = {"grant_type": "client_credential", "appid": APPID, "secret": key}
        url = httpx.URL(served.url).copy_with(path="/cgi-bin/token")
        until = time.monotonic() + SOON
        while "access_token" not in (told := httpx.get(url, params=asked, trust_env=False).json()):
            if time.monotonic() > until:
                raise RuntimeError(f"gateway: {told}")
            time.sleep(0.05)
        yield Served(f"{url.copy_with(path=CALL)}?access_token={told['access_token']}", served.pid)


# --- the ancestor


def ancestor(directory: Path, account: Mapping[str, str] | None = None) -> AbstractContextManager[Served]:
    """Serve `ancestor.py` by Apache with mod_wsgi in its own process; without an account its token needs no other."""
    port, home, modules = free_port(), directory / "ancestor", peers.MOD_WSGI.parent
    home.mkdir()
    (home / "ancestor.py").write_text((APPS / "ancestor.py").read_text())
    (home / "account.json").write_text(json.dumps(account))
    (home / "token.json").write_text(json.dumps({**PAGE, "expires_at": 0 if account else time.time() + 7000}))
    if os.geteuid() == 0:
        for path in (home, home / "token.json"):
            shutil.chown(path, "www-data", "www-data")
    lines = [
        f"ServerRoot {home}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}",
        f"PidFile {home}/pid\nErrorLog {home}/error.log",
        *(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in ("mpm_event", "authz_core", "wsgi")),
        "KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\nServerLimit 1\nStartServers 1",
        "ThreadLimit 128\nThreadsPerChild 128\nMaxRequestWorkers 128\nMaxSpareThreads 128\nMaxConnectionsPerChild 0",
        *(["User www-data\nGroup www-data"] if os.geteuid() == 0 else []),
        f"WSGIPythonPath {home}/site\nWSGIScriptAlias / {home}/ancestor.py",
        f"<Directory {home}>\nRequire all granted\n</Directory>",
    ]
    (home / "site").symlink_to(peers.WEBPY)
    (home / "apache.conf").write_text("\n".join(lines) + "\n")
    program = peers.need("apache2")
    return running(
        program,
        "-f",
        home / "apache.conf",
        "-DFOREGROUND",
        url=f"http://127.0.0.1:{port}/wx_access_token/{APPID}",
        log=home / "log",
    )


# --- FastAPI over Redis


@contextmanager
def fastapi_over_redis(directory: Path) -> Iterator[Served]:
    """Serve `fastapi_over_redis.py` by uvicorn, as its documentation has it, over a Redis of its own."""
    redis_port, port, home = free_port(), free_port(), directory / "fastapi"
    home.mkdir()
    program = peers.need("redis-server")
    redis = subprocess.Popen(
        [program, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)],
        stdout=subprocess.DEVNULL,
    )
    try:
        env = {"REDIS_URL": f"redis://127.0.0.1:{redis_port}/0", "APPID": APPID, "TOKEN": TOKEN, "KEY": KEY}
        with running(
            *(peers.PYTHON, "-m", "uvicorn", "--app-dir", APPS, "fastapi_over_redis:app"),
            *("--port", str(port), "--no-access-log", "--log-level", "warning"),
            url=f"http://127.0.0.1:{port}/v1/accounts/{APPID}/access_token",
            env=env,
            log=home / "log",
            Authorization=f"Bearer {KEY}",
        ) as served:
            yield served
    finally:
        redis.terminate()
        redis.wait(SOON)


# --- raw ASGI


def raw_asgi(directory: Path) -> AbstractContextManager[Served]:
    """Serve fixed bytes by the hub's own server: what an application of ours can never be faster than."""
    port = free_port()
    return running(
        peers.PYTHON,
        APPS / "raw_asgi.py",
        str(port),
        json.dumps(PAGE, separators=(",", ":")),
        url=f"http://127.0.0.1:{port}/",
        log=directory / "raw.log",
    )


# --- ours


@contextmanager
def hub(directory: Path, *, access_log: bool) -> Iterator[Served]:
    """Serve an account of a sandbox by `zhongkong serve`, with one worker and a key that may read it."""
    home = directory / f"hub-{'logged' if access_log else 'plain'}"
    home.mkdir()
    with sandbox(home) as told, serve(home, told, access_log=access_log) as served:
        until = time.monotonic() + SOON
        while httpx.get(served.url, headers=served.headers, trust_env=False).is_error and time.monotonic() < until:
            time.sleep(0.05)
        yield served


def serve(
    home: Path, account: Mapping[str, str], *, access_log: bool = False, grant: str = "read"
) -> AbstractContextManager[Served]:
    """Serve `account` (`appid`, `secret`, `sandbox_url`) by `zhongkong serve`, from when it listens on."""
    port = free_port()
    env = {
        "ZHONGKONG_DATA_DIR": str(home / "data"),
        "ZHONGKONG_CONFIG": str(home / "zhongkong.toml"),
        "ZHONGKONG_PORT": str(port),
        "ZHONGKONG_ACCESS_LOG": str(access_log).lower(),
        "BENCH_SECRET": account["secret"],
    }
    lines = [f'appid = "{account["appid"]}"', 'secret_env = "BENCH_SECRET"', f'base_url = "{account["sandbox_url"]}"']
    (home / "zhongkong.toml").write_text("[[account]]\n" + "\n".join(lines) + "\n")
    return running(
        peers.PYTHON.with_name("zhongkong"),
        "serve",
        url=f"http://127.0.0.1:{port}/v1/accounts/{account['appid']}/access_token",
        env=env,
        log=home / "log",
        Authorization=f"Bearer {_create_key(env, home, grant)}",
    )


@contextmanager
def sandbox(home: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run a sandbox; yield its URL, and appid and secret of its account."""
    command = [peers.PYTHON.with_name("zhongkong"), "sandbox", "--json", "--port", str(free_port()), *options]
    with (home / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError(f"{command}: {(home / 'sandbox.log').read_text()}")
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(SOON)


def _create_key(env: Mapping[str, str], home: Path, grant: str) -> str:
    program = peers.PYTHON.with_name("zhongkong")
    command = [program, "key", "create", "bench", "--appid", "*", "--grant", grant, "--json"]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=True, cwd=home)
    return str(json.loads(done.stdout)["key"])


Start = Callable[[Path], AbstractContextManager[Served]]
