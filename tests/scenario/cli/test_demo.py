"""zhongkong demo: all of it at once, for a minute, and nothing stays."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.cli.house import SOON, Terminal, end, started
from zhongkong.cli.session import Session
from zhongkong.cli.show_demo import Drawn, choose_show
from zhongkong.core.model import Credential, Event, Mode
from zhongkong.core.ports import KeptEvent
from zhongkong.demo import Stage

ANY_PORTS = ("--hub-port", "0", "--sandbox-port", "0")


def _get(url: str, key: str = "") -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 (our own)
    with urllib.request.urlopen(request, timeout=SOON) as answer:  # noqa: S310
        read: dict[str, Any] = json.load(answer)
        return read


@pytest.fixture(autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))


def _left_behind(home: Path) -> list[Path]:
    return [*home.iterdir(), *Path(os.environ["TMPDIR"]).iterdir()]


def test_the_first_line_says_where_everything_is_and_events_follow(home: Path) -> None:
    """Programs begin with it; `--json` is how the demo is used in tests of others."""
    with started("demo", "--json", *ANY_PORTS, home=home) as demo:
        assert demo.stdout is not None
        stage = json.loads(demo.stdout.readline())
        known = ["hub_url", "sandbox_url", "appid", "secret", "key", "corpid", "corpsecret", "corpkey"]
        assert list(stage) == known
        handed = _get(f"{stage['hub_url']}/v1/accounts/{stage['appid']}/access_token", stage["key"])
        assert 0 < handed["expires_in"] <= 60
        followers = _get(f"{stage['sandbox_url']}/cgi-bin/user/get?access_token={handed['access_token']}")
        assert followers["total"] == 2
        codes = [json.loads(demo.stdout.readline())["code"] for _ in range(3)]
        assert codes == ["account_added", "minted", "key_created"]
        code, _, complained = end(demo, signal.SIGINT)
        assert (code, complained) == (0, "")
    assert _left_behind(home) == []


def test_nothing_stays_of_a_demo_whose_terminal_was_closed(home: Path) -> None:
    """Of that two SIGHUPs come, of the shell and of the system; and nobody reads any more what is said."""
    with started("demo", *ANY_PORTS, home=home) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        assert len(_left_behind(home)) == 1
        demo.stdout.close()
        demo.stderr.close()
        demo.send_signal(signal.SIGHUP)
        demo.send_signal(signal.SIGHUP)
        demo.wait(SOON)
    assert _left_behind(home) == []


def test_the_key_may_do_everything_a_demo_shows(home: Path) -> None:
    """`*`, read, gateway and admin, no rate; one follower has a Chinese nickname, and there is one template."""
    with started("demo", "--json", *ANY_PORTS, home=home) as demo:
        assert demo.stdout is not None
        stage = json.loads(demo.stdout.readline())
        key = _get(f"{stage['hub_url']}/v1/whoami", stage["key"])
        assert (key["appids"], key["grants"], key["rate"]) == (["*"], ["admin", "gateway", "read"], 0)
        account, corp = sorted(
            _get(f"{stage['hub_url']}/v1/accounts", stage["key"])["accounts"], key=lambda one: str(one["kind"])
        )
        assert (corp["kind"], corp["mode"]) == ("wecom", "wecom")
        assert (account["kind"], account["mode"]) == ("official", "stable")
        control = f"{stage['sandbox_url']}/sandbox/v1/accounts/{stage['appid']}"
        names = [one["nickname"] for one in _get(f"{control}/followers")["followers"]]
        assert len(names) == 2
        assert any(not name.isascii() for name in names)
        assert len(_get(f"{control}/templates")["templates"]) == 1
        assert end(demo, signal.SIGTERM)[0] == 0


def test_the_corp_is_asked_as_its_sdks_ask(home: Path) -> None:
    """The corpkey in the corpsecret's place at the hub, the corpsecret at the sandbox; each brings its own token."""
    with started("demo", "--json", *ANY_PORTS, home=home) as demo:
        assert demo.stdout is not None
        stage = json.loads(demo.stdout.readline())
        route = f"/cgi-bin/gettoken?corpid={stage['corpid']}&corpsecret="
        virtual = _get(stage["hub_url"] + route + stage["corpkey"])
        assert (virtual["errcode"], 1800 < virtual["expires_in"] <= 7200) == (0, True)
        call = f"/cgi-bin/user/get?userid=xiaoming&access_token={virtual['access_token']}"
        assert _get(stage["hub_url"] + call)["name"] == "小明"
        real = _get(stage["sandbox_url"] + route + stage["corpsecret"])
        assert (real["errcode"], 0 < real["expires_in"] <= 60) == (0, True)
        assert end(demo)[0] == 0


def test_it_ends_by_itself_after_its_duration_as_on_ctrl_c(home: Path) -> None:
    """Exit 0; tokens of four seconds were renewed meanwhile, and nothing else happened."""
    with started("demo", "--json", *ANY_PORTS, "--expires-in", "4", "--duration", "7", home=home) as demo:
        said, complained = demo.communicate(timeout=SOON)
        assert (demo.returncode, complained) == (0, "")
    events = [json.loads(line) for line in said.splitlines()[1:]]
    appid = json.loads(said.splitlines()[0])["appid"]
    minted = [event for event in events if event["code"] == "minted" and event["appid"] == appid]
    assert [event["values"]["generation"] for event in minted] == list(range(1, len(minted) + 1))
    assert len(minted) >= 2
    assert {event["code"] for event in events} == {"account_added", "key_created", "minted"}
    assert _left_behind(home) == []


def test_people_are_told_three_things_to_try(home: Path) -> None:
    """curl, Python, and the page; each to be copied as it is."""
    with started("demo", *ANY_PORTS, "--duration", "0.5", home=home) as demo:
        said, complained = demo.communicate(timeout=SOON)
        assert (demo.returncode, complained) == (0, "")
    assert "curl -H" in said
    assert "urllib.request.urlopen" in said
    assert "/sandbox/" in said
    assert "nothing stays" in said
    assert "\x1b" not in said


def test_the_python_it_shows_runs(home: Path) -> None:
    """Three lines that do not work would be the first thing a newcomer sees."""
    with started("demo", *ANY_PORTS, home=home) as demo:
        assert demo.stdout is not None
        shown: list[str] = []
        while not shown or not shown[-1].startswith("  print("):
            shown.append(demo.stdout.readline())
            assert shown[-1], "the demo ended before it had shown them"
        lines = [line.strip() for line in shown if line.startswith(("  import", "  request", "  print("))]
        assert len(lines) == 3
        printed: list[str] = []
        exec("\n".join(lines), {"print": printed.append})  # noqa: S102 (it is what the demo tells people to run)
        assert len(printed[0]) > 100
        end(demo)


@pytest.mark.parametrize("flag", ["--hub-port", "--sandbox-port"])
def test_a_port_that_is_taken_is_told_with_the_flag_that_chooses_another(terminal: Terminal, flag: str) -> None:
    """The usual ports are taken as soon as a hub runs here."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        refused = terminal.type("demo", *ANY_PORTS, flag, str(port), code=2)
    assert flag in refused.stderr
    assert str(port) in refused.stderr


def test_in_a_terminal_the_token_is_drawn_with_what_is_left_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generation, a bar, and what happened."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    show = choose_show(Session("en"))
    assert isinstance(show, Drawn)
    show.open(Stage("http://hub", "http://sandbox", "wx1111", "s", "zk_k", "ww1", "s", "zk_c"))
    show.look(None, 0.0)
    show.happened(KeptEvent(1, 0.0, Event("minted", "wx1111", {"generation": 3, "mode": "stable", "life": 60})))
    show.look(Credential(3, "token", "sha", Mode.STABLE, 0.0, 0.0, 60.0, 60), 30.0)
    show.close()
    drawn = capsys.readouterr().out
    assert "on its way" in drawn
    assert "generation 3" in drawn
    assert "30 s left" in drawn
    assert "━" in drawn
    assert "token of generation 3 minted" in drawn
