"""How the command line speaks: two languages, exit codes, no trace of a secret, no terminal needed."""

from __future__ import annotations

import builtins
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from tests.scenario.cli.house import SOON, Terminal, clean_environ
from zhongkong.cli import main
from zhongkong.cli.program import program
from zhongkong.cli.session import find_language

CHINESE = range(0x4E00, 0x9FFF)


def _commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name)


ALL = list(_commands(program))


def _find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = program
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def _is_chinese(text: str) -> bool:
    return any(ord(letter) in CHINESE for letter in text)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_helps_in_both_languages(home: Path, path: tuple[str, ...]) -> None:
    """Whoever reads only one of them finds no word of the other but WeChat's own."""
    assert home.is_dir()
    chinese = CliRunner().invoke(program, [*path, "--help", "--lang", "zh"])
    english = CliRunner().invoke(program, [*path, "--help", "--lang", "en"])
    assert (chinese.exit_code, english.exit_code) == (0, 0)
    assert _is_chinese(chinese.output)
    assert not _is_chinese(english.output)
    assert "cli_" not in chinese.output + english.output
    assert "setting_" not in chinese.output + english.output
    assert "Options:" not in chinese.output


@pytest.mark.parametrize(
    ("arguments", "environ", "lang"),
    [
        ([], {}, "zh"),
        ([], {"LANG": "C.UTF-8"}, "zh"),
        ([], {"LANG": "en_GB.UTF-8"}, "en"),
        ([], {"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "ZHONGKONG_LANG": "en"}, "en"),
        (["events", "--lang", "zh"], {"ZHONGKONG_LANG": "en"}, "zh"),
        (["--lang=en", "events"], {}, "en"),
        (["events", "--lang"], {}, "zh"),
    ],
)
def test_the_language_is_the_flags_the_variables_or_the_locales(
    arguments: list[str], environ: dict[str, str], lang: str
) -> None:
    """Known before anything is understood, so that a misspelt command is told in it."""
    assert find_language(arguments, environ) == lang


def test_the_language_may_stand_in_the_file(terminal: Terminal, home: Path) -> None:
    """A team that reads Chinese sets it once."""
    (home / "zhongkong.toml").write_text("lang = 'zh'\n")
    terminal.type("db", "upgrade")
    assert _is_chinese(terminal.type("account", "list").stdout)
    assert not _is_chinese(terminal.type("account", "list", "--lang", "en").stdout)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["acount"], "account"),
        (["account", "ad"], "add"),
        (["events", "--folow"], "--follow"),
        (["events", "--limit", "x"], "--limit"),
        (["events", "--limit"], "--limit"),
        (["events", "--limit", "0"], "--limit"),
        (["account", "show"], "APPID"),
        (["account", "show", "a", "b"], "--help"),
        (["--lang", "fr", "events"], "zh | en"),
        (["--port", "1"], "--port"),
        (["account", "show", "wx1111", "--hub", "localhost"], "--hub"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--config", "none.toml"], "none.toml"),
        (["serve", "--poll-seconds", "300"], "poll_seconds"),
        (["key", "create", "x", "--appid", "*", "--expires-in", "soon"], "--expires-in"),
        (["key", "create", "x", "--appid", "*", "--from", "10.0.0"], "--from wants"),
        (["key", "create", "x", "--appid", "*", "--appid", "wx1"], "--appid wants"),
        (["key", "create", "x", "--appid", "*", "--expires-in", "9999d"], "--expires-in wants 1 second to 3660 days"),
        (["key", "create", "x", "--appid", "*", "--rate", "9999999"], "--rate wants a whole number 0..6000000"),
        (["key", "create", "x", "--appid", "*", "--rate", "-1"], "--rate wants a whole number of 0 or more"),
        (["key", "create", "x", "--appid", "*", "--path", "message"], "--path wants"),
        (["key", "create", "a\tb", "--appid", "*"], "no tab"),
        (["account", "add", "w x"], "APPID cannot be used"),
        (["account", "add", "ww0123456789abcdef:crm"], "add --kind wecom"),
        (["account", "add", "wx0123456789abcdef", "--kind", "wecom"], "corpid:name"),
        (["account", "add", "ww0123456789abcdef:CRM", "--kind", "wecom"], "corpid:name"),
        (["events", "--limit", "0"], "--limit wants a whole number from 1 to 1000"),
        (["demo", "--duration", "0"], "--duration wants a number above 0"),
        (["sandbox", "--expires-in", "1"], "--expires-in wants a whole number from 2 to 86400"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_exit_2_and_told_in_both_languages(
    terminal: Terminal, words: list[str], told: str
) -> None:
    """The words name what to change."""
    assert told in terminal.type(*words, code=2).stderr
    if "fr" not in words:
        assert _is_chinese(terminal.type(*words, "--lang", "zh", code=2).stderr)


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["account", "add", "wx0123456789abcdef"], "two words\n", "AppSecret cannot be used"),
        (["account", "add", "wx0123456789abcdef", "--name", "a\tb"], "secret\n", "--name"),
        (["account", "add", "wx0123456789abcdef", "--mode", "wecom"], "secret\n", "stable | classic | follow"),
        (["account", "add", "wx0123456789abcdef", "--mode", "follow"], "secret\n", "--base-url wants"),
        (["account", "add", "wx0123456789abcdef", "--mode", "follow", "--base-url", "http://hub"], "s\n", "key (zk_…)"),
        (["account", "add", "wx0123456789abcdef", "--base-url", "hub"], "secret\n", "--base-url wants"),
        (["reject", "SHOP", "--sha256", "abc"], "", "--sha256 wants"),
        (["reject", "SHOP", "--force", "--generation", "1"], "", "in one way alone"),
        (["account", "set", "SHOP", "--mode", "wecom"], "", "--mode does not go"),
        (["account", "set", "SHOP", "--make-callback-token", "--callback-token"], "token\n", "--make-callback-token"),
        (["callback", "verify", "SHOP", "--url", "here"], "", "--url wants"),
    ],
)
def test_what_the_interface_refuses_is_told_by_option(
    terminal: Terminal, shop: str, words: list[str], stdin: str, told: str
) -> None:
    """Whoever typed options knows nothing of the fields of a request; a program still has them by name."""
    words = [shop if word == "SHOP" else word for word in words]
    assert told in terminal.type(*words, stdin=stdin, code=2).stderr
    chinese = terminal.type(*words, "--lang", "zh", stdin=stdin, code=2).stderr
    assert _is_chinese(chinese)
    assert "请求中的" not in chinese
    problem = json.loads(terminal.type(*words, "--json", stdin=stdin, code=2).stderr)
    assert problem["code"] == "request_invalid"
    assert told in problem["detail"]


@pytest.mark.parametrize(
    ("words", "chinese", "english"),
    [
        (["acount", "list"], "没有命令 acount。是不是 account？", "no command acount. Is it account?"),
        (["account", "lst"], "没有命令 lst。是不是 list 或 set？", "no command lst. Is it list or set?"),
        (["events", "--folow"], "没有选项 --folow。是不是 --follow？", "no option --folow. Is it --follow?"),
        (["serve", "--bogus"], "没有选项 --bogus。用 --help", "no option --bogus. --help"),
        (["0123456789abcdef"], "没有这个命令。用 --help", "no such command. --help"),
    ],
)
def test_a_typo_is_named_and_what_was_meant_is_asked(
    terminal: Terminal, words: list[str], chinese: str, english: str
) -> None:
    """Whoever reads the name of the right command behind "there is no" looks for another program."""
    assert chinese in terminal.type(*words, "--lang", "zh", code=2).stderr
    assert english in terminal.type(*words, "--lang", "en", code=2).stderr


def test_a_hub_that_is_none_is_told_by_where_it_was_said(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of last week is not looked for behind an option that nobody typed."""
    option = terminal.type("account", "list", "--hub", "foo", code=2).stderr
    assert "--hub wants" in option
    assert "http://127.0.0.1:8600" in option
    monkeypatch.setenv("ZHONGKONG_HUB", "foo")
    assert "ZHONGKONG_HUB wants" in terminal.type("account", "list", code=2).stderr
    assert "ZHONGKONG_HUB 需要" in terminal.type("account", "list", "--lang", "zh", code=2).stderr
    assert "--hub wants" in terminal.type("account", "list", "--hub", "foo", code=2).stderr


def test_a_secret_in_place_of_a_command_is_not_repeated(terminal: Terminal) -> None:
    """What a terminal shows is kept by it."""
    secret = "0123456789abcdef0123456789abcdef"
    assert secret not in terminal.type(secret, code=2).output
    assert secret not in terminal.type("account", secret, code=2).output


def test_a_failure_is_one_json_object_on_stderr_for_programs(terminal: Terminal) -> None:
    """They decide by `code`; stdout holds an answer or nothing."""
    terminal.type("db", "upgrade")
    for words, code in ((["account", "show", "wx1111"], 3), (["serve", "--port", "x"], 2), (["events", "--folow"], 2)):
        failed = terminal.type(*words, "--json", code=code)
        assert failed.stdout == ""
        assert {"code", "detail"} <= set(json.loads(failed.stderr.splitlines()[-1]))


def test_without_a_terminal_nobody_is_asked(terminal: Terminal, shop: str) -> None:
    """A job of the night waits for no answer: it is told which option or argument to give."""
    key = terminal.read("key", "create", "shop", "--appid", shop, shows=True)["id"]
    for words, told in (
        (["account", "remove", shop], "--yes"),
        (["key", "revoke", key], "--yes"),
        (["account", "add", "--kind", "wecom"], "corpid:name"),
    ):
        refused = terminal.type(*words, code=2)
        assert told in refused.stderr
        assert "[y/N]" not in refused.stderr
        assert _is_chinese(terminal.type(*words, "--lang", "zh", code=2).stderr)
        (line,) = terminal.type(*words, "--json", code=2).stderr.splitlines()
        assert {"code", "detail"} <= set(json.loads(line))
    assert [one["id"] for one in terminal.read("key", "list")["keys"]] == [key]
    assert terminal.read("account", "show", shop)["appid"] == shop


def test_a_mistake_of_ours_is_told_without_what_it_held(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback of a library may hold a URL with a secret in it; ours tells where, and hides what looks like one."""

    def breaks(_: object) -> None:
        message = "GET /cgi-bin/token?appid=wx1&secret=0123456789abcdef0123456789abcdef"
        raise RuntimeError(message)

    monkeypatch.setattr("zhongkong.cli.session.find_file", breaks)
    failed = terminal.type("account", "list", code=70)
    assert "RuntimeError" in failed.stderr
    assert "0123456789abcdef" not in failed.stderr
    assert "report" in failed.stderr


@pytest.mark.parametrize("path", [path for path in ALL if isinstance(_find(path), click.Group)], ids=" ".join)
def test_a_group_alone_shows_what_it_holds(terminal: Terminal, path: tuple[str, ...]) -> None:
    """Somebody feels his way."""
    shown = CliRunner().invoke(program, path)
    assert shown.exit_code == 2
    assert "Commands:" in shown.stderr
    assert terminal.secrets == set()


def test_the_version_is_told(terminal: Terminal) -> None:
    """A report of trouble begins with it."""
    assert terminal.type("--version").stdout.startswith("zhongkong ")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install .` alone is the client of a hub: its command line explains itself."""
    for name in [name for name in sys.modules if name.startswith("zhongkong.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without_click(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (as __import__ has it)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        if name == "click":
            raise ModuleNotFoundError(name="click")
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without_click)
    monkeypatch.setenv("ZHONGKONG_LANG", "en")
    heeded = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as caught:
        main()
    signal.signal(signal.SIGINT, heeded)  # a program that ends has no more use for it
    assert "pip install" in str(caught.value.code)
    assert "click" in str(caught.value.code)


def test_without_a_terminal_everything_works_and_nothing_is_coloured(home: Path, terminal: Terminal) -> None:
    """In a container, a pipe or CI there is nobody to draw for."""
    terminal.type("db", "upgrade")
    command = [sys.executable, "-c", "from zhongkong.cli import main; main()", "key", "list"]
    ended = subprocess.run(
        command,
        cwd=home,
        env=clean_environ(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SOON,
        check=True,
    )
    assert b"\x1b" not in ended.stdout + ended.stderr
