"""zhongkong ca and serve --tls-port: programs that ask for the platform's names are answered by a hub they trust."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.forging import forge
from tests.needs import need
from tests.scenario.cli.house import Platform, Terminal, clean_environ, started
from zhongkong.adapters.certificates import CA_FILE, NAMES, TLS_FILE, at, issue, load_authority, save_certificate
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal
from zhongkong.cli.doctor.tls import judge_leads_here
from zhongkong.settings import default_data_dir

NAME = "api.weixin.qq.com"
LIMIT = 90.0
NOW = at(MachineClock().wall())


@pytest.fixture
def directory(terminal: Terminal) -> Path:
    """A data directory with a CA and a certificate."""
    terminal.type("ca", "init")
    terminal.type("ca", "issue")
    return default_data_dir()


@contextmanager
def serving(home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve with a TLS port, and yield it."""
    port = _free_port()
    with started("serve", "--port", "0", "--tls-port", str(port), *words, home=home) as hub:
        assert hub.stdout is not None
        said = [hub.stdout.readline(), hub.stdout.readline()]
        assert str(port) in said[1], (said, hub.stderr and hub.stderr.read())
        yield hub, port


def end(hub: subprocess.Popen[str]) -> tuple[int, str]:
    """End a hub as an init system does; return exit code and log."""
    hub.terminate()
    _, log = hub.communicate(timeout=LIMIT)
    return hub.returncode, log


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def curl(directory: Path, port: int, *more: str, name: str = NAME) -> subprocess.CompletedProcess[str]:
    """Ask as a program does for which a hosts entry leads the platform's name here."""
    resolve = ("--resolve", f"{name}:{port}:127.0.0.1")
    words = ("curl", "-sS", "--fail", "--noproxy", "*", "--cacert", str(directory / CA_FILE), *resolve, *more)
    return subprocess.run(
        [*words, f"https://{name}:{port}/healthz"], capture_output=True, text=True, check=False, timeout=LIMIT
    )


REQUESTS = """
import requests, socket, sys
port, real = int(sys.argv[1]), socket.getaddrinfo
socket.getaddrinfo = lambda host, _port, *more, **named: real("127.0.0.1", port, *more, **named)
print(requests.get("https://api.weixin.qq.com/healthz", timeout=60).text)
"""
WECHATPY = """
import os, socket, sys
from wechatpy import WeChatClient
port, real = int(sys.argv[1]), socket.getaddrinfo
socket.getaddrinfo = lambda host, _port, *more, **named: real("127.0.0.1", port, *more, **named)
print(WeChatClient(sys.argv[2], os.environ["KEY"]).user.get_followers()["total"])
"""
NODE = """
const here = [{address: '127.0.0.1', family: 4}]
const lookup = (host, options, tell) => options.all ? tell(null, here) : tell(null, '127.0.0.1', 4)
const options = {hostname: 'api.weixin.qq.com', port: process.argv[1], path: '/healthz', lookup}
const failed = error => { console.error(error.code); process.exit(1) }
require('https').get(options, answer => answer.pipe(process.stdout)).on('error', failed)
"""


def run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these variables beside a person's own."""
    environ = {**clean_environ(home), "no_proxy": "*", **variables}
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT)


def test_curl_and_requests_ask_for_the_platforms_name_and_are_answered(home: Path, directory: Path) -> None:
    """Unmodified: each trusts the CA by the variable that is its own, and no SDK of theirs is told of a hub."""
    need("curl", "curl")
    ca = str(directory / CA_FILE)
    with serving(home) as (hub, port):
        for name in NAMES:
            answered = curl(directory, port, name=name)
            assert json.loads(answered.stdout)["status"] == "ok", answered.stderr
        assert json.loads(curl(directory, port, "--tls-max", "1.2").stdout)["status"] == "ok"
        python = run(home, sys.executable, "-c", REQUESTS, str(port), REQUESTS_CA_BUNDLE=ca)
        assert json.loads(python.stdout)["status"] == "ok", python.stderr
        assert "CERTIFICATE_VERIFY_FAILED" in run(home, sys.executable, "-c", REQUESTS, str(port)).stderr
        assert end(hub)[0] == 0


def test_node_asks_for_the_platforms_name_and_is_answered(home: Path, directory: Path) -> None:
    """Its variable adds a CA to those it trusts."""
    need("node", "nodejs")
    with serving(home) as (_, port):
        node = run(home, "node", "-e", NODE, str(port), NODE_EXTRA_CA_CERTS=str(directory / CA_FILE))
        assert json.loads(node.stdout)["status"] == "ok", node.stderr
        assert run(home, "node", "-e", NODE, str(port)).returncode == 1


def test_an_unmodified_sdk_calls_through_the_hub(
    home: Path, terminal: Terminal, platform: Platform, shop: str, directory: Path
) -> None:
    """Host and port are those in its own code; it holds a key of the hub and neither secret nor token."""
    made = terminal.read("key", "create", "sdk", "--appid", shop, "--grant", "gateway", shows=True)
    bundle = {"REQUESTS_CA_BUNDLE": str(directory / CA_FILE)}
    with serving(home) as (_, port):
        ran = run(home, sys.executable, "-c", WECHATPY, str(port), shop, KEY=made["key"], **bundle)
    assert ran.stdout.strip() == "2", ran.stderr
    assert "/cgi-bin/user/get" in platform.do(lambda running: [entry.path for entry in running.journal.read(0)])


def test_a_foreign_name_is_refused_by_the_client_forged_or_not(home: Path, directory: Path) -> None:
    """Who has stolen the CA's key is still nobody but the platform's names to those who trust it."""
    need("curl", "curl")
    with serving(home) as (_, port):
        assert "does not match" in _told(curl(directory, port, name="www.example.com"))
        authority = load_authority(directory, FileSeal(directory / "zhongkong.seal"))
        save_certificate(directory, forge(authority, "www.example.com", NOW))
        assert "permitted subtree violation" in _told(curl(directory, port, name="www.example.com"))
        save_certificate(directory, forge(authority, NAME, NOW))
        assert curl(directory, port).returncode == 0


def _told(answered: subprocess.CompletedProcess[str]) -> str:
    assert answered.returncode == 60, answered
    return re.sub(r"no alternative certificate subject name matches", "does not match", answered.stderr)


def test_an_ended_certificate_is_told_in_words_and_renewed_without_a_restart(
    home: Path, terminal: Terminal, directory: Path
) -> None:
    """By the client, the log and the doctor; the plain port goes on meanwhile."""
    need("curl", "curl")
    authority = load_authority(directory, FileSeal(directory / "zhongkong.seal"))
    save_certificate(directory, issue(authority, [], NOW - timedelta(days=500)))
    with serving(home) as (hub, port):
        assert "certificate has expired" in _told(curl(directory, port))
        (home / "zhongkong.toml").write_text(f"tls_port = {port}\n")
        (found,) = [one for one in terminal.read("doctor", code=1)["findings"] if one["area"] == "tls"]
        assert (found["state"], found["code"]) == ("todo", "tls_certificate_ended")
        assert "zhongkong ca issue" in terminal.type("ca", "issue").stdout
        assert json.loads(curl(directory, port).stdout)["status"] == "ok"
        code, log = end(hub)
    assert code == 0
    assert "certificate has expired" in log
    assert "The new TLS certificate is in use" in log


def test_workers_share_the_port_and_drain_although_a_client_rests(home: Path, directory: Path) -> None:
    """A client whose connection lies in a pool answers no goodbye; the end does not wait for it."""
    need("curl", "curl")
    trusting = ssl.create_default_context(cafile=directory / CA_FILE)
    with serving(home, "--workers", "2") as (hub, port):
        resting = trusting.wrap_socket(socket.create_connection(("127.0.0.1", port), LIMIT), server_hostname=NAME)
        with resting:
            resting.sendall(b"GET /healthz HTTP/1.1\r\nhost: api.weixin.qq.com\r\n\r\n")
            assert resting.recv(4096).startswith(b"HTTP/1.1 200")
            code, log = end(hub)
    assert code == 0
    assert "timeout graceful shutdown exceeded" not in log


def test_an_answer_under_way_ends_in_order_before_the_hub_does(home: Path, terminal: Terminal, directory: Path) -> None:
    """As on the plain port: who follows the events is told that there are no more."""
    key = terminal.read("key", "create", "admin", "--appid", "*", "--grant", "admin", shows=True)["key"]
    trusting = ssl.create_default_context(cafile=directory / CA_FILE)
    asked = f"host: x\r\nauthorization: Bearer {key}\r\naccept: text/event-stream\r\n\r\n"
    with serving(home) as (hub, port):
        waiting = trusting.wrap_socket(socket.create_connection(("127.0.0.1", port), LIMIT), server_hostname=NAME)
        with waiting:
            waiting.sendall(f"GET /v1/events HTTP/1.1\r\n{asked}".encode())
            came = waiting.recv(65_536)
            assert came.startswith(b"HTTP/1.1 200")
            code, log = end(hub)
            with suppress(ConnectionError):
                while more := waiting.recv(65_536):
                    came += more
    assert code == 0
    assert came.endswith(b"0\r\n\r\n")
    assert "timeout graceful shutdown exceeded" not in log


# --- commands


def test_ca_init_says_what_was_made_what_it_risks_and_what_comes_next(terminal: Terminal, home: Path) -> None:
    """A person who has not read the page is told all the same; a second one is refused."""
    said = terminal.type("ca", "init", "--name", "hub.internal").stdout
    for told in ("zhongkong.seal", CA_FILE, "hub.internal", "The risk", "NODE_EXTRA_CA_CERTS", "zhongkong ca issue"):
        assert told in said
    assert "BEGIN" not in said
    made = (default_data_dir() / CA_FILE).read_bytes()
    assert "stays as it is" in terminal.type("ca", "init", code=2).stderr
    assert (default_data_dir() / CA_FILE).read_bytes() == made
    assert terminal.read("ca", "init", "--data-dir", str(home / "other"))["names"] == list(NAMES)


def test_a_renewed_certificate_has_the_names_of_the_former(terminal: Terminal, directory: Path) -> None:
    """Whoever renews it a year later does not remember them; who names others means those."""
    assert directory.is_dir()
    words = ("ca", "issue", "--name", "A.MP.weixin.qq.com.")
    assert terminal.read(*words)["names"] == [*NAMES, "a.mp.weixin.qq.com"]
    assert terminal.read("ca", "issue")["names"] == [*NAMES, "a.mp.weixin.qq.com"]
    assert terminal.read("ca", "issue", "--name", "b.api.weixin.qq.com")["names"] == [*NAMES, "b.api.weixin.qq.com"]


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "*.weixin.qq.com", "a b", "", "-a.com", "a..b"])
def test_what_is_no_name_is_refused(terminal: Terminal, name: str) -> None:
    """An address would not be believed, for none is permitted."""
    assert "no DNS name" in terminal.type("ca", "init", "--name", name, code=2).stderr


def test_what_is_missing_is_told_with_the_next_command(terminal: Terminal, home: Path) -> None:
    """In the order in which they are needed."""
    assert home.is_dir()
    assert "zhongkong ca init" in terminal.type("ca", "issue", code=2).stderr
    terminal.type("ca", "init")
    assert "cannot vouch for example.com" in terminal.type("ca", "issue", "--name", "example.com", code=2).stderr
    assert "zhongkong ca issue" in terminal.type("serve", "--port", "0", "--tls-port", code=2).stderr
    (home / "zhongkong.toml").write_text("tls_port = 8643\n")
    assert "tls_certificate_missing" in {one["code"] for one in terminal.read("doctor", code=1)["findings"]}


def test_a_bare_flag_is_8643(home: Path, directory: Path) -> None:
    """The port that everybody means needs no number; here it is taken, by us or by somebody else."""
    assert directory.is_dir()
    with ExitStack() as taken:
        with suppress(OSError):
            taken.enter_context(socket.create_server(("127.0.0.1", 8643)))
        program = (sys.executable, "-c", "from zhongkong.cli import main; main()")
        ended = run(home, *program, "serve", "--port", "0", "--tls-port")
    assert (ended.returncode, "127.0.0.1:8643" in ended.stderr) == (2, True)


def test_two_rotations_of_the_seal_leave_the_ca_as_good_as_before(terminal: Terminal, directory: Path) -> None:
    """The first forgets nothing, the second the key that had closed it."""
    for _ in range(2):
        assert terminal.read("seal", "rotate")["resealed"] >= 1
    terminal.type("ca", "issue")
    FileSeal(directory / "zhongkong.seal").rotate()  # cut short: the CA is still closed by the former key
    terminal.type("seal", "rotate")
    terminal.type("ca", "issue")


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing elsewhere")
def test_a_key_that_others_may_read_is_told(terminal: Terminal, directory: Path) -> None:
    """Whoever reads it is the platform to those who trust the CA."""
    (directory / TLS_FILE).chmod(0o644)
    found = [one["text"] for one in terminal.read("doctor", code=1)["findings"] if one["code"] == "doctor_exposed"]
    assert [text.endswith(f"chmod 600 {directory / TLS_FILE}.") for text in found] == [True]


@pytest.mark.parametrize(
    ("address", "own", "leads_here"),
    [
        ("127.0.0.1", "0.0.0.0", True),  # noqa: S104 (no socket is bound)
        ("::1", "127.0.0.1", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("101.226.212.27", "10.0.0.5", False),
        ("fe80::1%eth0", "10.0.0.5", False),
    ],
)
def test_a_hub_whose_names_lead_to_itself_is_found(address: str, own: str, *, leads_here: bool) -> None:
    """The hosts entry that clients need is a trap on the hub's own machine."""
    assert judge_leads_here(address, own) is leads_here
