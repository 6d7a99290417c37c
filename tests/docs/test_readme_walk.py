"""The README is walked from the first command to the last, with WeChat played by the sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.readme import CHINESE, ENGLISH, read_page
from tests.docs.terminal import APPID, Done, Terminal
from zhongkong.cli.exits import Exit

SECRET = "0123456789abcdef0123456789abcdef"
PAGE = read_page(CHINESE)
USERS = "/cgi-bin/user/get"


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
def test_the_readme_can_be_walked(terminal: Terminal) -> None:
    """A newcomer copies line by line; each line does what the README says, and none is left out."""
    added = terminal.run_block("account", typed=f"{SECRET}\n")
    assert added.code == Exit.DONE, added
    make_a_key(terminal)
    with terminal.start(PAGE.block("serve").text.strip()) as hub:
        hub.await_line(terminal.hub)
        token = read_a_token(terminal)
        assert read_in_python(terminal) == token
        older_programs_go_on(terminal, token)
        newer = report_a_refused_token(terminal, token)
        change_the_secret(terminal)
        assert terminal.call(USERS, newer)["total"] == 0
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


def read_in_python(terminal: Terminal) -> str:
    """Run the function that replaces the line which read the cache."""
    function = PAGE.block("python").text.replace("http://127.0.0.1:8600", terminal.hub)
    program = f"{function}\nprint(access_token({APPID!r}))"
    environment = {**terminal.environment, "ZHONGKONG_KEY": terminal.key}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True, timeout=30
    )
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
    told = {code for code in PAGE.inline_code if code.startswith("zhongkong ")}
    elsewhere = {f"zhongkong account set {APPID}", "zhongkong demo --expires-in 6"}
    assert told - set(terminal.ran) == elsewhere
    shown = [block for block in PAGE.blocks if block.mark not in ("clone", "bare", "activate", "python", "")]
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
