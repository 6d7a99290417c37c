"""What `connect` takes, and what it says to what it does not take."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from zhongkong.connecting import connect, connect_async
from zhongkong.errors import SettingInvalid

APPID = "wx0123456789abcdef"
URL = "sqlite:///wx.db"
SECRET = "8f14e45fceea167a5a36dedd4bea2543"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything begins in an empty directory, and errors speak English."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHONGKONG_LANG", "en")
    return tmp_path


def refusal(*given: Any, **options: Any) -> SettingInvalid:
    """Return how connecting is refused, the same way by both."""
    with pytest.raises(SettingInvalid) as refused:
        connect(*given, **options)
    with pytest.raises(SettingInvalid, match=refused.value.code):
        connect_async(*given, **options)
    return refused.value


def told(error: SettingInvalid) -> str:
    """Return all that a traceback shows of the error."""
    return "\n".join([str(error), *error.__notes__])


def test_to_connect_begins_nothing(directory: Path) -> None:
    """It stands at the top of a module: nothing is opened, made or sent before somebody asks for a token."""
    before = threading.active_count()
    source = connect("sqlite:///wx.db", accounts={APPID: SECRET})
    assert repr(source) == f"<zhongkong source: sqlite:///{directory / 'wx.db'}>"
    assert list(directory.iterdir()) == []
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "url",
    ["wx.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", f"mysql://root:{SECRET}@db/wx", f"zk_abcdefgh_{SECRET}"],
)
def test_what_is_no_url_of_ours_is_refused_and_not_repeated(url: str) -> None:
    """It may be a key or hold a password; what would do is said."""
    error = refusal(url)
    assert error.code == "connect_url_unknown"
    assert "sqlite:///wx.db" in told(error)
    assert SECRET not in told(error)


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("sqlite:///wx.db", {"key": "zk_1_2"}),
        ("sqlite:///wx.db", {"acounts": {APPID: SECRET}}),
        ("https://hub.internal:8600", {"accounts": {APPID: SECRET}}),
        ("https://hub.internal:8600", {"poll_seconds": 2.0}),
    ],
)
def test_an_option_that_does_not_go_with_the_url_is_named_with_those_that_do(url: str, option: dict[str, Any]) -> None:
    """A program that moves from a file to a hub is told what to leave out."""
    error = refusal(url, **option)
    [name] = option
    assert error.code == "connect_option_unfit"
    assert name in told(error)
    assert ("accounts, poll_seconds" if url.startswith("sqlite") else "key, proxy, verify") in told(error)


@pytest.mark.parametrize(
    ("accounts", "code"),
    [
        ([APPID], "setting_wants_accounts_named"),
        ({APPID: None}, "setting_secret_missing"),
        ({APPID: "  "}, "setting_secret_missing"),
        ({APPID: {"mode": "stable"}}, "setting_secret_missing"),
        ({APPID: {"secret": SECRET, "mod": "stable"}}, "setting_misspelt"),
        ({APPID: {"secret": SECRET, "mode": "new"}}, "setting_wants_mode"),
        ({APPID: {"secret": SECRET, "kind": "app"}}, "setting_wants_account_kind"),
        ({APPID: {"secret": SECRET, "base_url": "api.weixin.qq.com"}}, "setting_wants_base_url"),
        ({"wx 1": SECRET}, "setting_wants_appid"),
    ],
)
def test_accounts_that_cannot_be_used_are_refused_by_the_word_that_is_wrong(accounts: Any, code: str) -> None:
    """The commonest is a variable of the environment that is not set."""
    error = refusal("sqlite:///wx.db", accounts=accounts)
    assert error.code == code
    assert "zhongkong.connect" in told(error)
    assert SECRET not in told(error)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"patience": 0}, "setting_wants_seconds"),
        ({"patience": float("nan")}, "setting_wants_seconds"),
        ({"poll_seconds": -1}, "setting_wants_seconds"),
        ({"poll_seconds": 200}, "setting_breaks_promise"),
        ({"proxy": "proxy:3128"}, "setting_wants_proxy"),
        ({"seal_file": 7}, "setting_wants_path"),
    ],
)
def test_figures_and_paths_are_read_as_in_the_settings(options: dict[str, Any], code: str) -> None:
    """With them no promise could be kept."""
    assert refusal("sqlite:///wx.db", **options).code == code


@pytest.mark.parametrize("missing", ["aiohttp", "sqlalchemy", "cryptography"])
def test_a_missing_extra_is_named(missing: str) -> None:
    """The base installs nothing that a reader of a hub does not need."""
    program = f"import sys; sys.modules[{missing!r}] = None; from zhongkong.connecting import connect; connect({URL!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    said, words = done.stderr.splitlines()[-2:]
    assert said == f"zhongkong.errors.SettingInvalid: connect_extra_missing (module={missing!r})"
    assert 'pip install ".[local]"' in words
