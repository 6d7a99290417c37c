"""The README is walked from the first command to the last, with WeChat played by the sandbox."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.readme import CHINESE, ENGLISH, RUN_ELSEWHERE, RUN_NOWHERE, read_page
from tests.docs.terminal import APPID, Done, Terminal
from zhongkong.cli.exits import Exit

SECRET = "0123456789abcdef0123456789abcdef"
PAGE = read_page(CHINESE)
USERS = "/cgi-bin/user/get"
WECOM = "ww0123456789abcdef:crm"


@pytest.fixture(name="terminal", params=["zh", "en"])
def _terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal beside a sandbox that has the README's account, started as the README starts it."""
    terminal = Terminal(read_page({"zh": CHINESE, "en": ENGLISH}[request.param]), tmp_path, request.param)
    start, _ = PAGE.block("sandbox").text.splitlines()
    with terminal.start(start) as sandbox:
        sandbox.await_line(terminal.sandbox)
        terminal.control("POST", "/accounts", appid=APPID, secret=SECRET)
        yield terminal


@pytest.mark.parametrize("terminal", ["zh"], indirect=True)
def test_the_readme_can_be_walked(terminal: Terminal, tmp_path: Path) -> None:
    """A newcomer copies line by line; each line does what the README says, and none is left out."""
    added = terminal.run_block("account", typed=f"{SECRET}\n")
    assert added.code == Exit.DONE, added
    make_a_key(terminal)
    with terminal.start(PAGE.block("serve").text.strip()) as hub:
        hub.await_line(terminal.hub)
        token = read_a_token(terminal)
        assert call_in_python(terminal)["total"] == 0
        assert keep_in_python(terminal, tmp_path) == token
        use_an_sdk(terminal, token)
        keep_an_application(terminal)
        older_programs_go_on(terminal, token)
        receive_a_push(terminal)  # before the platform's clock is turned: its stamps are fresh
        newer = report_a_refused_token(terminal, token)
        change_the_secret(terminal)
        assert terminal.call(USERS, newer)["total"] == 1  # who wrote
        assert terminal.run_block("doctor").code == Exit.DONE
        read_the_log(terminal, newer)
        assert hub.end() == 0, hub.told
    again = terminal.run(PAGE.block("sandbox").text.splitlines()[1], typed=f"{SECRET}\n")
    assert again.code == Exit.USAGE  # it is there already
    nothing_is_left_out(terminal)


def make_a_key(terminal: Terminal) -> None:
    """Make a key, and write down the line that it is shown in."""
    made = terminal.run_block("key")
    assert made.code == Exit.DONE, made
    [terminal.key] = re.findall(r"export ZHONGKONG_KEY=(zk_\S+)", made.out)
    assert f"{terminal.hub}/v1/accounts/{APPID}/access_token" in made.out


def read_a_token(terminal: Terminal) -> str:
    """Read the token; the answer is of the form that the README shows."""
    read = terminal.run_block("read")
    answer = json.loads(read.out)
    [shown] = [json.loads(block.text) for block in PAGE.blocks if block.language == "json"]
    assert list(answer) == list(shown)
    assert 0 < answer["refresh_in"] <= 60
    assert "errcode" not in terminal.call(USERS, answer["access_token"])
    return str(answer["access_token"])


def call_in_python(terminal: Terminal) -> dict[str, object]:
    """Call the platform with a client that bears the hub's token."""
    program = PAGE.block("python").text.replace("http://127.0.0.1:8600", terminal.hub)
    program = program.replace("https://api.weixin.qq.com", terminal.sandbox)
    told = run_python(program, terminal, ZHONGKONG_KEY=terminal.key)
    return dict(ast.literal_eval(told))


def keep_in_python(terminal: Terminal, directory: Path) -> str:
    """Keep the token in the program itself; in stable mode two keepers are given the same one."""
    account = f'{{"secret": os.environ["APPSECRET"], "base_url": "{terminal.sandbox}"}}'
    program = PAGE.block("library").text.replace('os.environ["APPSECRET"]', account)
    program = program.replace("sqlite:///", f"sqlite:///{directory}/")
    return run_python(program, terminal, APPSECRET=SECRET)


def use_an_sdk(terminal: Terminal, token: str) -> None:
    """Fetch a token as an SDK does, and call the platform through the hub with it."""
    made = terminal.run_block("sdk")
    assert made.code == Exit.DONE, made
    assert f"{terminal.hub}/cgi-bin/token" in made.out
    key = terminal.key
    [terminal.key] = re.findall(r"export ZHONGKONG_KEY=(zk_\S+)", made.out)
    tries = (json.loads(terminal.run_block("gateway").out) for _ in range(500))
    answer = next(one for one in tries if one.get("errcode") != 40125)  # the running hub sees the key within 2 s
    terminal.key = key
    assert answer["expires_in"] == 7200, answer
    assert answer["access_token"] != token
    params = {"access_token": answer["access_token"]}
    assert httpx.get(f"{terminal.hub}{USERS}", params=params, trust_env=False).json()["total"] == 0


def receive_a_push(terminal: Terminal) -> None:
    """Set the callback up, have the platform check and save it, and a person write; no program is behind it yet."""
    made = terminal.run_block("callback")
    assert made.code == Exit.DONE, made
    token, key = (re.search(rf"^{name}: (\S+)$", made.out, re.MULTILINE) for name in ("Token", "EncodingAESKey"))
    assert token is not None
    assert key is not None
    url = f"{terminal.hub}/callback/{APPID}"
    words = {"url": url, "token": token[1], "encoding_aes_key": key[1], "mode": "safe"}
    terminal.control("PUT", f"/accounts/{APPID}/callback", **words)
    person = terminal.control("POST", f"/accounts/{APPID}/followers", nickname="小明")["openid"]
    done = terminal.control("POST", f"/accounts/{APPID}/followers/{person}/say", content="你好")
    assert ([one["status"] for one in done["attempts"]], done["notice"]) == ([200], None)
    verified = terminal.run(f"zhongkong callback verify {APPID}")
    assert (verified.code, "public_url" in verified.err) == (Exit.FAILED, True)


def keep_an_application(terminal: Terminal) -> None:
    """Keep an application of WeCom, and fetch a token at the hub as its SDK does."""
    corpid, name = WECOM.split(":")
    corpsecret = terminal.control("POST", "/accounts", appid=WECOM, kind="wecom")["secret"]
    added = terminal.run_block("wecom", typed=f"{corpid}\n{name}\n{corpsecret}\n")
    assert added.code == Exit.DONE, added
    made = terminal.run_block("wecomkey")
    assert made.code == Exit.DONE, made
    [key] = re.findall(r"export ZHONGKONG_KEY=(zk_\S+)", made.out)
    [shown] = re.findall(r'curl "(\S+)"', made.out)
    url = shown.replace("$ZHONGKONG_KEY", key)
    tries = (httpx.get(url, trust_env=False).json() for _ in range(500))
    answer = next(one for one in tries if one["errcode"] not in (40013, 40125))  # the running hub sees both within 2 s
    assert answer["errcode"] == 0, answer
    params = {"access_token": answer["access_token"]}
    departments = httpx.get(f"{terminal.hub}/cgi-bin/department/list", params=params, trust_env=False).json()
    assert departments["errcode"] == 0


def run_python(program: str, terminal: Terminal, **variables: str) -> str:
    """Run a program and return what it printed."""
    environment = {**terminal.environment, **variables}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def older_programs_go_on(terminal: Terminal, token: str) -> None:
    """Whether another program fetches classic or stable tokens, its token and ours both work."""
    stranger = {"classic": False, "stable": True}
    for mode, is_ours in stranger.items():
        theirs = terminal.control("POST", f"/accounts/{APPID}/mint", mode=mode, force_refresh=False)["access_token"]
        assert (theirs == token) == is_ours
        for one in (theirs, token):
            assert "errcode" not in terminal.call(USERS, one)


def report_a_refused_token(terminal: Terminal, token: str) -> str:
    """Have another program force a refresh; once the old token is over, the README's two lines get the new one."""
    terminal.control("POST", f"/accounts/{APPID}/mint", mode="stable", force_refresh=True)
    terminal.control("PATCH", "/clock", forward=301)
    assert terminal.call(USERS, token)["errcode"] == 40001
    answer = json.loads(terminal.run_block("reject").out)
    assert answer["outcome"] == "refreshed"
    assert "errcode" not in terminal.call(USERS, answer["access_token"])
    return str(answer["access_token"])


def change_the_secret(terminal: Terminal) -> None:
    """Reset the AppSecret at the platform, then tell the hub; a wrong one is refused and changes nothing."""
    terminal.control("POST", f"/accounts/{APPID}/secret", secret=SECRET[::-1])
    refused = terminal.run_block("reset", typed="not-the-secret\n")
    assert (refused.code, "40125" in refused.err) == (Exit.PERSON, True)
    changed = terminal.run_block("reset", typed=f"{SECRET[::-1]}\n")
    assert changed.code == Exit.DONE, changed


def read_the_log(terminal: Terminal, token: str) -> None:
    """Every act is in the log, and no secret."""
    told = terminal.run("zhongkong events")
    assert told.code == Exit.DONE
    assert len(told.out.splitlines()) > 5
    assert not [one for one in (SECRET, SECRET[::-1], token, terminal.key) if one in told.out]


def nothing_is_left_out(terminal: Terminal) -> None:
    """Whatever the README tells to type was typed here, or in the tests of its other parts."""
    assert PAGE.inline_commands - set(terminal.ran) == {*RUN_ELSEWHERE, *RUN_NOWHERE}
    shown = [block for block in PAGE.blocks if block.mark not in ("clone", "bare", "activate", "python", "library", "")]
    assert not [line for block in shown for line in block.text.splitlines() if line not in terminal.ran]


def test_a_wrong_secret_is_told_in_words(terminal: Terminal) -> None:
    """40125: the account is not kept, and after a correction the same command adds it."""
    refused = terminal.run_block("account", typed="not-the-secret\n")
    assert (refused.code, refused.out) == (Exit.PERSON, "")
    assert "40125" in refused.err
    assert "AppSecret" in refused.err or "secret" in refused.err
    assert "not-the-secret" not in refused.err
    assert is_kept(terminal) is False
    assert terminal.run_block("account", typed=f"{SECRET}\n").code == Exit.DONE
    assert is_kept(terminal) is True


def test_an_address_that_is_not_listed_is_named(terminal: Terminal) -> None:
    """40164: the account is kept, the text names the address, and after it was listed the README's command mends it."""
    terminal.control("PATCH", f"/accounts/{APPID}", allow_list=["203.0.113.9"])
    refused = terminal.run_block("account", typed=f"{SECRET}\n")
    assert refused.code == Exit.PERSON
    assert "127.0.0.1" in told_by(refused)
    assert "IP白名单" in told_by(refused)
    assert f"zhongkong account set {APPID}" in told_by(refused)
    assert is_kept(terminal) is True
    terminal.control("PATCH", f"/accounts/{APPID}", allow_list=["127.0.0.1"])
    mended = terminal.run(f"zhongkong account set {APPID}")
    assert mended.code == Exit.DONE, mended
    assert terminal.run(f"zhongkong token {APPID}").out.startswith("83_")


def told_by(done: Done) -> str:
    """Return all that a command wrote."""
    return done.out + done.err


def is_kept(terminal: Terminal) -> bool:
    """Say whether the account is in the store."""
    listed = json.loads(terminal.run("zhongkong account list --json").out)
    return APPID in [account["appid"] for account in listed["accounts"]]
