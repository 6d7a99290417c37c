"""zhongkong account: a person adds an account and is told at once whether it works, and if not, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.cli.house import Platform, Terminal


def test_adding_an_account_mints_at_once(terminal: Terminal, platform: Platform) -> None:
    """Whether secret, allow-list and network are right is known now, not when the first reader comes."""
    added = terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret)
    assert f"{platform.appid} was added" in added.stdout
    assert "is well" in added.stdout
    assert "zhongkong key create" in added.stdout
    assert len(platform.do(lambda running: list(running.journal.read(0)))) > 0


@pytest.mark.parametrize("way", ["--secret-file", "--secret-env", "stdin file"])
def test_a_secret_comes_from_anywhere_but_the_command_line(
    terminal: Terminal, platform: Platform, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Arguments are seen by every user of the machine, and kept in the shell's history."""
    Path("secret").write_text(platform.secret + "\n")
    monkeypatch.setenv("SHOP_SECRET", platform.secret)
    given = {
        "--secret-file": (["--secret-file", "secret"], ""),
        "--secret-env": (["--secret-env", "SHOP_SECRET"], ""),
        "stdin file": (["--secret-file", "-"], platform.secret),
    }
    words, stdin = given[way]
    terminal.type("account", "add", platform.appid, "--base-url", platform.url, *words, stdin=stdin)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(terminal: Terminal) -> None:
    """What somebody typed in the wrong place must not go on into a log."""
    refused = terminal.type("account", "add", "wx1111", "hush-hush-hush", code=2)
    assert "hush" not in refused.output
    assert "never arguments" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add", "wx1111", "--secret-file"),
        ("account", "add", "wx1111", "--secret-env"),
        ("account", "set", "wx1111", "--secret-file"),
        ("reject", "wx1111", "--token-file"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("secret", ["8f14e45fceea167a5a36dedd4bea2543", "83_hush/hush-" * 30])
def test_a_secret_given_in_place_of_its_file_or_variable_is_not_repeated(
    terminal: Terminal, words: tuple[str, ...], secret: str
) -> None:
    """It was meant well, and is in the shell's history already: it must not be in a log too."""
    for more in ([], ["--json"]):
        refused = terminal.type(*words, secret, *more, code=2)
        assert secret[:12] not in refused.output
        assert words[-1] in refused.stderr


def test_a_file_that_is_there_is_named(terminal: Terminal, home: Path) -> None:
    """What is a path is no secret, and a person must know which one it was."""
    (home / "empty").write_text("\n")
    assert "empty" in terminal.type("account", "add", "wx1111", "--secret-file", "empty", code=2).stderr
    assert str(home) in terminal.type("account", "add", "wx1111", "--secret-file", str(home), code=2).stderr


def test_nothing_on_stdin_is_no_secret(terminal: Terminal) -> None:
    """An empty secret would be refused by the platform with words about something else."""
    assert "stdin" in terminal.type("account", "add", "wx1111", code=2).stderr


def test_a_wrong_secret_is_told_in_words_and_nothing_is_added(terminal: Terminal, platform: Platform) -> None:
    """40125: the text says where the right one is to be had."""
    terminal.secrets.add("0123456789abcdef")
    refused = terminal.type(
        "account", "add", platform.appid, "--base-url", platform.url, stdin="0123456789abcdef", code=4
    )
    assert "40125" in refused.stderr
    assert "secret" in refused.stderr
    assert terminal.read("account", "list")["accounts"] == []


def test_an_address_that_is_not_allowed_is_named_and_after_the_fix_set_tries_again(
    terminal: Terminal, platform: Platform
) -> None:
    """40164: the person copies the address into the allow-list; the account is kept meanwhile."""
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list(["203.0.113.9"]))
    added = terminal.type("account", "add", platform.appid, "--base-url", platform.url, stdin=platform.secret, code=4)
    assert "was added" in added.stdout
    assert "127.0.0.1" in added.stdout
    assert terminal.read("account", "show", platform.appid)["credentials"]["access_token"]["errcode"] == 40164
    platform.do(lambda running: running.world.accounts[platform.appid].set_allow_list(None))
    assert "is well" in terminal.type("account", "set", platform.appid).stdout


def test_accounts_are_listed_for_people_and_for_programs(terminal: Terminal, shop: str) -> None:
    """The table shows what one looks for; JSON is what the hub's interface answers."""
    table = terminal.type("account", "list").stdout
    assert shop in table
    assert "well" in table
    (account,) = terminal.read("account", "list")["accounts"]
    assert (account["appid"], account["credentials"]["access_token"]["state"]) == (shop, "well")
    assert "secret" not in account


def test_showing_an_account_shows_all_but_its_secret(terminal: Terminal, shop: str, platform: Platform) -> None:
    """Whoever looks over the shoulder learns nothing that works elsewhere."""
    shown = terminal.type("account", "show", shop).stdout
    assert platform.url in shown
    assert "stable" in shown


def test_a_secret_that_was_reset_is_changed_and_tried_before_it_counts(
    terminal: Terminal, shop: str, platform: Platform
) -> None:
    """A mistyped new secret must not replace the old one."""
    fresh = platform.do(lambda running: running.world.reset_secret(shop, running.clock.now()))
    terminal.secrets |= {fresh, "fedcba9876543210"}
    refused = terminal.type("account", "set", shop, "--secret", stdin="fedcba9876543210", code=4)
    assert "40125" in refused.stderr
    assert "the old one stays in use" in refused.stderr
    assert "was changed" in terminal.type("account", "set", shop, "--secret", stdin=fresh).stdout


def test_the_secret_that_is_stored_already_is_said_to_be_the_same(
    terminal: Terminal, shop: str, platform: Platform
) -> None:
    """Who pastes the old one again believes that the new one is in place; it is tried all the same."""
    same = terminal.type("account", "set", shop, "--secret", stdin=platform.secret).stdout
    assert "has already" in same
    assert "was changed" not in same
    assert "was tried" in same
    told = terminal.read("account", "set", shop, "--secret", "--name", "x", stdin=platform.secret)
    assert (told["changed"], told["name"]) == (["name"], "x")
    assert (
        "has already" in terminal.type("account", "set", shop, "--secret", "--name", "y", stdin=platform.secret).stdout
    )


def test_an_account_is_removed_after_a_question(terminal: Terminal, shop: str) -> None:
    """One slip of the finger must not take a shop off the air."""
    terminal.type("account", "remove", shop, stdin="n\n", code=130)
    assert terminal.read("account", "list")["accounts"]
    assert terminal.read("account", "remove", shop, "--yes") == {"appid": shop, "removed": True}
    assert "no account yet" in terminal.type("account", "list").stdout


def test_an_account_that_is_not_there_is_exit_3(terminal: Terminal) -> None:
    """Scripts tell "unknown" from "refused"."""
    terminal.type("db", "upgrade")
    for words in (["show"], ["set"], ["remove", "--yes"]):
        terminal.type("account", words[0], "wx1111", *words[1:], code=3)


def test_adding_it_twice_is_a_conflict(terminal: Terminal, shop: str, platform: Platform) -> None:
    """`set` changes an account; `add` must not."""
    terminal.type("account", "add", shop, "--base-url", platform.url, stdin=platform.secret, code=2)


def test_what_cannot_be_an_appid_or_a_url_is_refused(terminal: Terminal) -> None:
    """The platform would answer in words about something else."""
    terminal.type("account", "add", "wx 1", stdin="s", code=2)
    terminal.type("account", "add", "wx1111", "--base-url", "localhost", stdin="s", code=2)
    assert "official | miniprogram" in terminal.type("account", "add", "wx1", "--kind", "x", stdin="s", code=2).stderr


CORP = "ww0123456789abcdef"
CRM = f"{CORP}:crm"


@pytest.fixture
def corpsecret(terminal: Terminal, platform: Platform) -> str:
    """Open an application of a corp on the platform and return its secret, which nothing may show."""
    platform.do(lambda running: running.world.accounts.pop(CRM, None))
    secret = platform.do(lambda running: running.world.add_account(CRM, kind="wecom").secret)
    terminal.secrets.add(secret)
    return secret


def test_an_application_of_wecom_is_asked_for_by_corpid_name_and_secret(
    terminal: Terminal, platform: Platform, corpsecret: str
) -> None:
    """One line after the other; the appid is made of the first two, and the SDK's line says where the key goes."""
    words = ("account", "add", "--kind", "wecom", "--base-url", platform.url)
    added = terminal.type(*words, stdin=f"{CORP}\ncrm\n{corpsecret}\n")
    assert f"{CRM} was added" in added.stdout
    assert CRM in terminal.type("account", "list").stdout
    shown = terminal.type("account", "show", CRM).stdout
    assert "wecom" in shown
    assert platform.url in shown
    token = platform.do(lambda running: running.world.accounts[CRM].wecom.current.value)  # type: ignore[union-attr]
    assert terminal.type("token", CRM, shows=True).stdout.strip() == token
    key = terminal.type("key", "create", "crm", "--appid", CRM, "--grant", "gateway", shows=True).stdout
    assert f"/cgi-bin/gettoken?corpid={CORP}&corpsecret=$ZHONGKONG_KEY" in key
    terminal.type("account", "set", CRM, "--name", "CRM")
    terminal.type("account", "remove", CRM, "--yes")


def test_its_appid_may_be_given_as_it_is(terminal: Terminal, platform: Platform, corpsecret: str) -> None:
    """For scripts; the secret comes as always. A corpid alone is not enough."""
    words = ("--kind", "wecom", "--base-url", platform.url)
    refused = terminal.type("account", "add", CORP, *words, stdin=corpsecret, code=2)
    assert "corpid:name" in refused.stderr
    terminal.type("account", "add", CRM, *words, stdin=corpsecret)


def test_a_wrong_secret_of_wecom_is_told_in_its_own_words(
    terminal: Terminal, platform: Platform, corpsecret: str
) -> None:
    """40001 is the secret's there; the platform is asked before anything is kept."""
    words = ("account", "add", CRM, "--kind", "wecom", "--base-url", platform.url)
    refused = terminal.type(*words, stdin="nonsense", code=4)
    assert "40001" in refused.stderr
    assert "work.weixin.qq.com" in refused.stderr
    assert corpsecret not in refused.stderr


def test_an_address_that_wecom_does_not_trust_is_named_also_by_doctor(
    terminal: Terminal, platform: Platform, corpsecret: str
) -> None:
    """60020: the person copies it into the list of trusted addresses."""
    platform.do(lambda running: running.world.accounts[CRM].set_allow_list(["203.0.113.9"]))
    words = ("account", "add", CRM, "--kind", "wecom", "--base-url", platform.url)
    added = terminal.type(*words, stdin=corpsecret, code=4)
    assert "127.0.0.1" in added.stdout
    assert "企业可信IP" in terminal.type("doctor", code=1).output


def test_an_official_account_wants_its_appid(terminal: Terminal) -> None:
    """Only of WeCom there are two parts to ask for."""
    terminal.type("account", "add", stdin="wx1\n", code=2)
