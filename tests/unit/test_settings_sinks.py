"""`[[sink]]` in the settings: what is understood, what is refused and in which words, and that secrets stay apart."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sinks.entries import ACCOUNT, APPID
from zhongkong.core.model import Kind, Secret
from zhongkong.core.sinks import LAYOUTS, Form, SinkKind
from zhongkong.errors import SettingInvalid
from zhongkong.messages import LANGUAGES, codes
from zhongkong.settings import SINK_SETTINGS, load_settings, read_sinks
from zhongkong.settings.sinks import declare_sink
from zhongkong.wechat.advice import explain_error


def _write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "zhongkong.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _refused(tmp_path: Path, text: str) -> SettingInvalid:
    with pytest.raises(SettingInvalid) as caught:
        load_settings(_write(tmp_path, f"[[sink]]\nkind = 'file'\npath = '{{appid}}'\n\n[[sink]]\n{text}\n"))
    for lang in LANGUAGES:
        assert "hush" not in explain_error(caught.value, lang)
    return caught.value


def test_sinks_of_the_file_have_their_secrets_read_when_they_are_opened(tmp_path: Path) -> None:
    """Every setting of each kind, once; workers get the declarations by pickle."""
    (tmp_path / "secret").write_text("hush\n")
    text = """
        [[sink]]
        kind = "redis"
        name = "java"
        url = "rediss://hub@10.0.0.5:6380/2?ssl_ca_certs=/etc/ca.pem"
        layout = "wxjava"
        prefix = "shop"
        secret_file = "secret"
        appids = ["wx0123456789abcdef", "wx2222"]

        [[sink]]
        kind = "redis"
        url = "unix:///run/redis.sock?db=1"
        key = "token:{appid}:{kind}"
        format = "json"

        [[sink]]
        kind = "file"
        path = "tokens/{appid}.json"
        format = "json"
        mode = "0640"

        [[sink]]
        kind = "webhook"
        url = "https://shop.internal/hooks/wx"
        secret_env = "HOOK"
    """
    settings = pickle.loads(pickle.dumps(load_settings(_write(tmp_path, text))))  # noqa: S301 (our own bytes)
    java, plain, file, hook = (aim for aim, _ in read_sinks(settings.sinks, {"HOOK": "psst"}))
    assert (java.name, java.kind, java.appids) == ("java", SinkKind.REDIS, frozenset({APPID, "wx2222"}))
    assert java.layout.place_of(ACCOUNT, Kind.ACCESS_TOKEN) == f"shop:access_token:{APPID}"
    assert (plain.name, plain.appids, plain.layout.form) == ("redis", frozenset(), Form.JSON)
    assert plain.layout.place_of(ACCOUNT, Kind.ACCESS_TOKEN) == f"token:{APPID}:access_token"
    assert (file.layout.template, file.mode) == (str(tmp_path / "tokens" / "{appid}.json"), 0o640)
    assert (hook.name, hook.url) == ("webhook", "https://shop.internal/hooks/wx")
    secrets = [secret for _, secret in read_sinks(settings.sinks, {"HOOK": "psst"})]
    assert secrets == [Secret("hush"), None, None, Secret("psst")]
    assert "hush" not in repr(settings)


def test_the_least_that_can_be_said_is_the_tutorials_key(tmp_path: Path) -> None:
    """On the machine's own Redis, for all accounts."""
    [(aim, secret)] = read_sinks(load_settings(_write(tmp_path, "[[sink]]\nkind='redis'\nurl='redis://h'")).sinks, {})
    assert (aim.name, aim.layout, aim.appids, secret) == ("redis", LAYOUTS["tutorial"], frozenset(), None)
    both = load_settings(_write(tmp_path, "[[sink]]\nkind='redis'\nurl='redis://h'\nappids='*'")).sinks
    assert both[0].aim.appids == frozenset()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_can_be_named(tmp_path: Path, name: str) -> None:
    """And each has a place for each account."""
    text = f"[[sink]]\nkind = 'redis'\nurl = 'redis://h'\nlayout = '{name}'"
    assert load_settings(_write(tmp_path, text)).sinks[0].aim.layout == LAYOUTS[name]


REDIS = "kind = 'redis'\nurl = 'redis://h'\n"
HOOK = "kind = 'webhook'\nsecret_env = 'A'\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("url = 'redis://h'", "setting_wants_sink_kind"),
        ("kind = 'kafka'", "setting_wants_sink_kind"),
        (REDIS + "layuot = 'wxjava'", "setting_misspelt"),
        (REDIS + "zzz = 1", "setting_unknown"),
        (REDIS + "layout = 'x'", "setting_wants_sink_layout"),
        (REDIS + "format = 'xml'", "setting_wants_sink_format"),
        (REDIS + "name = 'A b'", "setting_wants_sink_name"),
        (REDIS + "appids = []", "setting_wants_appids"),
        (REDIS + "appids = 'wx1111'", "setting_wants_appids"),
        (REDIS + "appids = ['w x']", "setting_wants_appid"),
        (REDIS + "key = '{appid'", "setting_wants_key_template"),
        (REDIS + "key = '{secrets}'", "setting_wants_key_template"),
        (REDIS + "key = ''", "setting_wants_key_template"),
        (REDIS + "key = 3", "setting_wants_key_template"),
        (REDIS + "key = 'token'", "setting_sink_one_place"),
        (REDIS + "key = 'token'\nappids = ['wx1111', 'wx2222']", "setting_sink_one_place"),
        (REDIS + "path = '/x/{appid}'", "setting_sink_misplaced"),
        (REDIS + "mode = '0600'", "setting_sink_misplaced"),
        (REDIS + "password = 'hush'", "setting_sink_secret_in_file"),
        (REDIS + "secret = 'hush'", "setting_sink_secret_in_file"),
        (REDIS + "secret_file = 'a'\nsecret_env = 'B'", "setting_sink_secrets"),
        ("kind = 'redis'", "setting_sink_lacks"),
        ("kind = 'redis'\nurl = 'http://h'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://user:hush@h'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://:hush@h'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h?password=hush'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h/zero'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h?db=x'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h?retry=9'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h:0'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://h:x'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'redis://'", "setting_sink_wants_url"),
        ("kind = 'redis'\nurl = 'unix://'", "setting_sink_wants_url"),
        ("kind = 'file'", "setting_sink_lacks"),
        ("kind = 'file'\npath = '{secret}{appid}'", "setting_wants_path_template"),
        ("kind = 'file'\npath = ''", "setting_wants_path"),
        ("kind = 'file'\npath = '/x/token'", "setting_sink_one_place"),
        ("kind = 'file'\npath = '{appid}'\nmode = '0444'", "setting_wants_file_mode"),
        ("kind = 'file'\npath = '{appid}'\nmode = 600", "setting_wants_file_mode"),
        ("kind = 'file'\npath = '{appid}'\nurl = 'redis://h'", "setting_sink_misplaced"),
        ("kind = 'file'\npath = '{appid}'\nsecret_env = 'A'", "setting_sink_misplaced"),
        ("kind = 'file'\npath = '{appid}'", "setting_sink_twice"),
        ("kind = 'webhook'\nurl = 'https://h'", "setting_sink_lacks"),
        (HOOK, "setting_sink_lacks"),
        (HOOK + "url = 'https://user:hush@h/x'", "setting_sink_wants_url"),
        (HOOK + "url = 'https://hush@h/x'", "setting_sink_wants_url"),
        (HOOK + "url = 'ftp://h'", "setting_sink_wants_url"),
        (HOOK + "url = 'https:///x'", "setting_sink_wants_url"),
        (HOOK + "url = 'https://h/a b'", "setting_sink_wants_url"),
        (HOOK + "url = 'https://h'\nlayout = 'wxjava'", "setting_sink_misplaced"),
    ],
)
def test_a_sink_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, code: str) -> None:
    """The line is that of its [[sink]]; a URL is never quoted, it may hold a password."""
    error = _refused(tmp_path, text)
    assert error.code == code
    assert error.values["where"] == f"{tmp_path / 'zhongkong.toml'}:5"


def test_sinks_are_written_with_two_brackets(tmp_path: Path) -> None:
    """As accounts are."""
    with pytest.raises(SettingInvalid) as caught:
        load_settings(_write(tmp_path, "[sink]\nkind = 'redis'\n"))
    assert caught.value.code == "setting_wants_sink"


@pytest.mark.parametrize("source", ["secret_env = 'NONE'", "secret_file = 'none'", "secret_file = 'empty'"])
def test_a_secret_that_is_not_where_it_should_be_is_told_with_its_place(tmp_path: Path, source: str) -> None:
    """An empty password would be tried at the Redis, and an empty key sign for everybody."""
    (tmp_path / "empty").write_text("\n")
    settings = load_settings(_write(tmp_path, f"[[sink]]\n{REDIS}{source}\n"))
    with pytest.raises(SettingInvalid) as caught:
        read_sinks(settings.sinks, {})
    assert caught.value.code in ("setting_sink_secret_missing", "setting_sink_secret_unreadable")
    assert str(caught.value.values["where"]).endswith("zhongkong.toml:1")
    assert all(explain_error(caught.value, lang) for lang in LANGUAGES)


@pytest.mark.parametrize("place", ["secret_env", "secret_file"])
def test_a_secret_written_in_place_of_its_place_is_not_repeated(tmp_path: Path, place: str) -> None:
    """The log of a hub that does not start is read by many."""
    settings = load_settings(_write(tmp_path, f"[[sink]]\n{REDIS}{place} = 'hush-hush-hush'\n"))
    with pytest.raises(SettingInvalid) as caught:
        read_sinks(settings.sinks, {})
    for lang in LANGUAGES:
        assert "hush" not in explain_error(caught.value, lang)
        assert place in explain_error(caught.value, lang)


def test_every_reader_of_a_sink_has_its_words() -> None:
    """Codes of readers are put together at run time, so no other check sees them."""
    wanted = {"sink", "sink_kind", "sink_name", "sink_layout", "sink_format"}
    wanted |= {"appids", "key_template", "path_template", "file_mode"}
    assert {f"setting_wants_{one}" for one in wanted} <= codes()
    assert {"kind", "layout", "secret_env"} <= SINK_SETTINGS
    choices = {"layout": [*LAYOUTS], "format": [*Form], "kind": [*SinkKind]}
    for name, text in choices.items():
        told = explain_error(SettingInvalid(f"setting_wants_sink_{name}", where="x", setting=f"sink.{name}"), "en")
        assert all(str(one) in told for one in text)


@given(st.dictionaries(st.sampled_from(sorted(SINK_SETTINGS)), st.text(max_size=40) | st.integers() | st.booleans()))
def test_whatever_stands_in_a_sink_is_read_or_refused(values: dict[str, object]) -> None:
    """Nothing that a person can write there is a crash."""
    try:
        declare_sink({"kind": "redis", "url": "redis://h", **values}, "here", Path())
    except SettingInvalid as error:
        assert all(explain_error(error, lang) for lang in LANGUAGES)  # noqa: PT017 (either is right)
