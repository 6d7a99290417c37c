"""What can be set: which source wins, what is refused and in which words, and what readers are promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.core.model import AccountKind, Mode, Secret
from zhongkong.errors import SettingInvalid
from zhongkong.messages import LANGUAGES, codes
from zhongkong.settings import Bind, default_data_dir, find_file, load_settings, read_accounts, table
from zhongkong.wechat.advice import explain_error


def _write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "zhongkong.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _refused(file: Path | None = None, **environ: str) -> SettingInvalid:
    with pytest.raises(SettingInvalid) as caught:
        load_settings(file, environ)
    for lang in LANGUAGES:
        assert explain_error(caught.value, lang)
    return caught.value


def test_without_anything_said_the_defaults_hold(tmp_path: Path) -> None:
    """A newcomer starts a hub that only his own machine reaches, with everything in one directory."""
    settings = load_settings(flags={"data_dir": str(tmp_path)})
    assert (settings.host, settings.port, settings.sandbox_port) == ("127.0.0.1", 8600, 8601)
    assert settings.store_url == f"sqlite:///{tmp_path}/zhongkong.db"
    assert settings.seal_file == tmp_path / "zhongkong.seal"
    assert (settings.store_prefix, settings.poll_seconds, settings.metrics_bind) == ("zhongkong_", 1.0, None)
    assert settings.declarations == ()


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """The nearer to the person, the stronger."""
    file = _write(tmp_path, "port = 1\nhost = '10.0.0.1'\nworkers = 2\n")
    settings = load_settings(file, {"ZHONGKONG_PORT": "2", "ZHONGKONG_WORKERS": "3"}, {"port": 3, "host": None})
    assert (settings.host, settings.port, settings.workers) == ("10.0.0.1", 3, 3)


def test_every_setting_can_be_written_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    """One table: what one way knows the other knows."""
    text = """
        data_dir = "data"
        lang = "en"
        host = "::1"
        port = 1
        tls_port = 4
        workers = 2
        public_url = "https://wx.example.com"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        metrics_bind = "127.0.0.1:9"
        log_format = "json"
        access_log = false
        egress_proxy = "http://proxy:3128"
        poll_seconds = 0.5
        longest_call_seconds = 10
        seal_file = "my.seal"
        [store]
        url = "sqlite:////x/y.db"
        prefix = "wx_"
        bell = "redis://:hunter2@redis:6379"
        [gateway]
        body_limit = 5
        in_flight = 6
        [sandbox]
        port = 3
    """
    written = load_settings(_write(tmp_path, text))
    environ = {
        "ZHONGKONG_DATA_DIR": str(tmp_path / "data"),
        "ZHONGKONG_LANG": "en",
        "ZHONGKONG_HOST": "::1",
        "ZHONGKONG_PORT": "1",
        "ZHONGKONG_TLS_PORT": "4",
        "ZHONGKONG_WORKERS": "2",
        "ZHONGKONG_PUBLIC_URL": "https://wx.example.com",
        "ZHONGKONG_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "ZHONGKONG_METRICS_BIND": "127.0.0.1:9",
        "ZHONGKONG_LOG_FORMAT": "json",
        "ZHONGKONG_ACCESS_LOG": "false",
        "ZHONGKONG_EGRESS_PROXY": "http://proxy:3128",
        "ZHONGKONG_POLL_SECONDS": "0.5",
        "ZHONGKONG_LONGEST_CALL_SECONDS": "10",
        "ZHONGKONG_SEAL_FILE": str(tmp_path / "my.seal"),
        "ZHONGKONG_STORE_URL": "sqlite:////x/y.db",
        "ZHONGKONG_STORE_PREFIX": "wx_",
        "ZHONGKONG_STORE_BELL": "redis://:hunter2@redis:6379",
        "ZHONGKONG_GATEWAY_BODY_LIMIT": "5",
        "ZHONGKONG_GATEWAY_IN_FLIGHT": "6",
        "ZHONGKONG_SANDBOX_PORT": "3",
    }
    assert set(environ) == {setting.variable for setting in table()}
    said = load_settings(environ=environ)
    for setting in table():
        assert getattr(written, setting.field) == getattr(said, setting.field), setting.name
        assert getattr(said, setting.field) != getattr(load_settings(), setting.field), setting.name
    assert said.metrics_bind == Bind("127.0.0.1", 9)


def test_paths_in_the_file_begin_at_the_file(tmp_path: Path) -> None:
    """A service is started from anywhere; its file says where things are."""
    settings = load_settings(_write(tmp_path, "data_dir = 'data'\n"))
    assert settings.data_dir == tmp_path / "data"


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("\nprot = 1", ":2", "setting_misspelt"),
        ("zzz = 1", ":1", "setting_unknown"),
        ("[store]\nurl = 'x'", ":2", "setting_wants_store_url"),
        ("[stroe]\nurl = 'sqlite:///x'", ":2", "setting_misspelt"),
        ("port = 'eight'", ":1", "setting_wants_port"),
        ("port = true", ":1", "setting_wants_port"),
        ("port = 70000", ":1", "setting_wants_port"),
        ("# port = 1\n\nport = -1", ":3", "setting_wants_port"),
        ("workers = 0", ":1", "setting_wants_workers"),
        ("poll_seconds = 0", ":1", "setting_wants_seconds"),
        ("poll_seconds = nan", ":1", "setting_wants_seconds"),
        ("lang = 'fr'", ":1", "setting_wants_lang"),
        ("log_format = 1", ":1", "setting_wants_log_format"),
        ("access_log = 'off'", ":1", "setting_wants_flag"),
        ("access_log = 0", ":1", "setting_wants_flag"),
        ("trusted_proxies = ['10.0.0.300']", ":1", "setting_wants_networks"),
        ("trusted_proxies = 3", ":1", "setting_wants_networks"),
        ("metrics_bind = '9600'", ":1", "setting_wants_bind"),
        ("metrics_bind = 'a:b'", ":1", "setting_wants_bind"),
        ("egress_proxy = 'socks5://x'", ":1", "setting_wants_proxy"),
        ("host = 'a b'", ":1", "setting_wants_host"),
        ("data_dir = ''", ":1", "setting_wants_path"),
        ("store = 'sqlite:///x'", ":1", "setting_misspelt"),
        ("[store]\nprefix = 'a-b'", ":2", "setting_wants_prefix"),
        ("account = 1", ":1", "setting_wants_account"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(tmp_path: Path, text: str, where: str, code: str) -> None:
    """A setting that is passed over in silence is believed to hold."""
    error = _refused(_write(tmp_path, text))
    assert error.code == code
    assert str(error.values["where"]) == f"{tmp_path / 'zhongkong.toml'}{where}"


def test_every_reader_has_its_words() -> None:
    """Codes of readers are put together at run time, so no other check sees them."""
    assert all(setting.read for setting in table())
    wanted = {"bind", "host", "lang", "log_format", "networks", "path", "port", "prefix", "proxy", "seconds"}
    wanted |= {"account_kind", "appid", "base_url", "flag", "mode", "store_url", "text", "workers"}
    assert {f"setting_wants_{one}" for one in wanted} <= codes()


def test_every_setting_has_its_help() -> None:
    """--help and the documentation speak from the catalogue."""
    assert {f"setting_help_{setting.field}" for setting in table()} <= codes()


@pytest.mark.parametrize("text", ["port = 1\nport = 2\n", "[store]\nbell = ''\n[store]\nprefix = 'a'\n"])
def test_what_is_written_twice_is_called_so(tmp_path: Path, text: str) -> None:
    """A place alone sends the eye over a line in which nothing is wrong."""
    error = _refused(_write(tmp_path, text))
    assert error.code == "setting_file_twice"
    assert "line" in str(error.values["why"])


def test_a_malformed_file_is_told_by_its_place_and_not_quoted(tmp_path: Path) -> None:
    """What stands in the wrong place may be a secret."""
    error = _refused(_write(tmp_path, "port = 1\nsecret = hush-hush\n"))
    assert error.code == "setting_file_malformed"
    assert "line 2" in str(error.values["why"])
    assert "hush" not in str(error)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """Who names a file means it: the defaults instead would be another hub."""
    assert _refused(tmp_path / "none.toml").code == "setting_file_unreadable"


def test_an_unknown_variable_is_refused() -> None:
    """ZHONGKONG_PROT would otherwise be a port that does not change."""
    error = _refused(ZHONGKONG_PROT="1")
    assert (error.code, error.values["meant"]) == ("setting_misspelt", "ZHONGKONG_PORT")


def test_what_kubernetes_writes_beside_a_service_of_our_name_is_passed_over() -> None:
    """It puts ZHONGKONG_PORT=tcp://… into every pod of the namespace, and no hub could start there."""
    links = {
        "ZHONGKONG_PORT": "tcp://10.0.0.7:8600",
        "ZHONGKONG_TLS_PORT": "tcp://10.0.0.9:8643",
        "ZHONGKONG_SERVICE_HOST": "10.0.0.7",
        "ZHONGKONG_SERVICE_PORT": "8600",
        "ZHONGKONG_SERVICE_PORT_HTTP": "8600",
        "ZHONGKONG_PORT_8600_TCP": "tcp://10.0.0.7:8600",
        "ZHONGKONG_PORT_8600_TCP_ADDR": "10.0.0.7",
        "ZHONGKONG_HUB_SERVICE_HOST": "10.0.0.8",
    }
    assert load_settings(environ=links).port == 8600


@pytest.mark.parametrize(("poll", "longest", "holds"), [("1", "238", True), ("1", "239", False), ("200", "60", False)])
def test_settings_that_would_break_the_promise_are_refused(poll: str, longest: str, *, holds: bool) -> None:
    """Together, poll + refresh_in + the longest business call stay below the platform's overlap of 300 s."""
    environ = {"ZHONGKONG_POLL_SECONDS": poll, "ZHONGKONG_LONGEST_CALL_SECONDS": longest}
    if holds:
        load_settings(environ=environ)
    else:
        assert _refused(None, **environ).code == "setting_breaks_promise"


def test_the_file_is_the_one_that_is_named_or_the_one_here_or_the_data_directorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person sees at a glance which file counts."""
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share"), "LOCALAPPDATA": str(tmp_path / "share")}
    assert find_file(environ) is None
    there = default_data_dir(environ)
    there.mkdir(parents=True)
    (there / "zhongkong.toml").touch()
    assert find_file(environ) == there / "zhongkong.toml"
    _write(tmp_path, "")
    assert find_file(environ) == Path("zhongkong.toml")
    assert find_file({**environ, "ZHONGKONG_CONFIG": "other.toml"}) == Path("other.toml")


# --- declared accounts


def test_accounts_of_the_file_have_their_secrets_read_when_they_are_needed(tmp_path: Path) -> None:
    """Who only lists accounts needs no secret, and may have no right to read one."""
    (tmp_path / "secret").write_text("hush\n")
    file = _write(
        tmp_path,
        """
        [[account]]
        appid = "wx1111"
        secret_file = "secret"
        name = "店铺"

        [[account]]
        appid = "wx2222"
        kind = "miniprogram"
        mode = "classic"
        base_url = "http://127.0.0.1:8601/"
        is_test = true
        secret_env = "SHOP_SECRET"
        """,
    )
    settings = load_settings(file)
    assert not any(one.account.secret for one in settings.declarations)
    first, second = read_accounts(settings.declarations, {"SHOP_SECRET": "psst"})
    assert (first.appid, first.secret, first.declared, first.name) == ("wx1111", Secret("hush"), True, "店铺")
    assert (second.kind, second.mode, second.secret) == (AccountKind.MINIPROGRAM, Mode.CLASSIC, Secret("psst"))
    assert (second.base_url, second.is_test) == ("http://127.0.0.1:8601", True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("appid = 'wx1111'\nsecret = 'hush'", "setting_secret_in_file"),
        ("appid = 'wx1111'", "setting_wants_secret"),
        ("appid = 'wx1111'\nsecret_file = 'a'\nsecret_env = 'B'", "setting_wants_secret"),
        ("secret_env = 'B'", "setting_wants_appid"),
        ("appid = 'wx1111'\nsecret_env = 'B'\nkind = 'x'", "setting_wants_account_kind"),
        ("appid = 'wx1111'\nsecret_env = 'B'\nmode = 'x'", "setting_wants_mode"),
        ("appid = 'wx1111'\nsecret_env = 'B'\nbase_url = 'ftp://x'", "setting_wants_base_url"),
        ("appid = 'wx1111'\nsecret_env = 'B'\nis_test = 'yes'", "setting_wants_flag"),
        ("appid = 'wx1111'\nsecret_env = 'B'\nmod = 'stable'", "setting_misspelt"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, code: str) -> None:
    """The line is that of its [[account]]: there may be many."""
    file = _write(tmp_path, f"[[account]]\nappid = 'wx0000'\nsecret_env = 'A'\n\n[[account]]\n{text}\n")
    error = _refused(file)
    assert error.code == code
    assert error.values["where"] == f"{file}:5"
    assert "hush" not in str(error)


def test_one_appid_is_declared_once(tmp_path: Path) -> None:
    """Two secrets for one appid: the wrong one would win half of the time."""
    file = _write(tmp_path, "[[account]]\nappid = 'wx1111'\nsecret_env = 'A'\n")
    error = _refused(file, ZHONGKONG_ACCOUNTS="wx1111:s")
    assert (error.code, error.values["first"]) == ("setting_account_twice", f"{file}:1")


def test_the_environment_declares_accounts_too() -> None:
    """In a container there is often no file."""
    settings = load_settings(environ={"ZHONGKONG_ACCOUNTS": "wx1111:hush, wx2222:psst:miniprogram:classic,"})
    first, second = read_accounts(settings.declarations, {})
    assert (first.appid, first.kind, first.mode, first.secret) == (
        "wx1111",
        AccountKind.OFFICIAL,
        Mode.STABLE,
        Secret("hush"),
    )
    assert (second.kind, second.mode) == (AccountKind.MINIPROGRAM, Mode.CLASSIC)
    assert "hush" not in repr(settings)


def test_an_application_of_wecom_is_declared_with_the_colon_of_its_appid() -> None:
    """Its mode and its host are those of its kind; a kind that does not go with the appid is told."""
    entries = {"ZHONGKONG_ACCOUNTS": "ww1111:crm:hush:wecom,ww1111:oa:psst:wecom:follow,wx1111:shh"}
    crm, oa, shop = (one.account for one in load_settings(environ=entries).declarations)
    assert (crm.appid, crm.kind, crm.mode) == ("ww1111:crm", AccountKind.WECOM, Mode.WECOM)
    assert crm.base_url == "https://qyapi.weixin.qq.com"
    assert (oa.appid, oa.mode, shop.kind) == ("ww1111:oa", Mode.FOLLOW, AccountKind.OFFICIAL)
    for entry, code in (
        ("ww1111:s:wecom", "setting_unfit_appid"),
        ("ww1111:crm:s:wecom:stable", "setting_unfit_mode"),
    ):
        with pytest.raises(SettingInvalid) as caught:
            read_accounts(load_settings(environ={"ZHONGKONG_ACCOUNTS": entry}).declarations, {})
        assert caught.value.code == code


@pytest.mark.parametrize(
    "entries", ["wx1111", "wx1111:", ":s", "wx1111:s:x", "wx1111:s:official:x", "w x:s", "a:b:c:d:e"]
)
def test_a_malformed_account_in_the_environment_is_refused_without_being_quoted(entries: str) -> None:
    """The variable holds secrets."""
    error = _refused(ZHONGKONG_ACCOUNTS=entries)
    assert error.values == {"where": "ZHONGKONG_ACCOUNTS"}


@given(st.text(max_size=30))
def test_whatever_stands_in_the_accounts_variable_is_read_or_refused(entries: str) -> None:
    """Nothing that a person can write there is a crash."""
    try:
        load_settings(environ={"ZHONGKONG_ACCOUNTS": entries})
    except SettingInvalid as error:
        assert error.code in ("setting_wants_accounts", "setting_account_twice")  # noqa: PT017 (either is right)


@pytest.mark.parametrize("source", ["secret_env = 'NONE'", "secret_file = 'none'", "secret_file = 'empty'"])
def test_a_secret_that_is_not_where_it_should_be_is_told_with_its_place(tmp_path: Path, source: str) -> None:
    """An empty secret would be sent to the platform, which answers something else."""
    (tmp_path / "empty").write_text("\n")
    settings = load_settings(_write(tmp_path, f"[[account]]\nappid = 'wx1111'\n{source}\n"))
    with pytest.raises(SettingInvalid) as caught:
        read_accounts(settings.declarations, {})
    assert caught.value.code in ("setting_secret_missing", "setting_secret_unreadable")
    assert str(caught.value.values["where"]).endswith("zhongkong.toml:1")
    assert explain_error(caught.value, "zh")


@pytest.mark.parametrize("place", ["secret_env", "secret_file"])
def test_a_secret_written_in_place_of_its_place_is_not_repeated(tmp_path: Path, place: str) -> None:
    """The log of a hub that does not start is read by many."""
    secret = "8f14e45fceea167a5a36dedd4bea2543"
    settings = load_settings(_write(tmp_path, f"[[account]]\nappid = 'wx1111'\n{place} = '{secret}'\n"))
    with pytest.raises(SettingInvalid) as caught:
        read_accounts(settings.declarations, {})
    for lang in ("zh", "en"):
        text = explain_error(caught.value, lang)
        assert secret not in text
        assert place in text


def test_a_stores_password_is_not_shown_with_the_settings() -> None:
    """They are printed by whoever looks for a fault."""
    urls = {"store_url": "mysql://hub:hunter2@db/zhongkong", "egress_proxy": "http://me:hunter2@proxy:3128"}
    settings = load_settings(flags=urls)
    assert "hunter2" in settings.store_url
    assert "hunter2" not in repr(settings)
