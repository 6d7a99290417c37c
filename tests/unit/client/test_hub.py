"""What a hub's source needs to be told, and why a hub was not reached, in the system's words."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx
import pytest

from zhongkong.client.hub import Hub
from zhongkong.client.wire import explain_failure
from zhongkong.errors import SettingInvalid

KEY = "zk_abcdefgh_0123456789"
URL = "https://hub.test"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8600", "http://127.0.0.1:8600"),
        ("https://hub.internal/", "https://hub.internal"),
        ("https://hub.internal/zhongkong/", "https://hub.internal/zhongkong"),
        ("http://[::1]:8600", "http://[::1]:8600"),
    ],
)
def test_a_url_is_kept_without_its_last_slash(url: str, shown: str) -> None:
    """It is shown in errors, and paths are put after it."""
    hub = Hub(url, KEY)
    assert hub.url == shown
    assert repr(hub) == f"<hub {shown}>"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub.internal:8600",
        "ftp://hub.internal",
        "http://",
        "http://:8600",
        "http://hub.internal:port",
        "http://hub.internal:99999",
        "http://user:password@hub.internal",
        "http://hub.internal/?key=password",
        "http://hub.internal/#password",
        "http://[::1",
    ],
)
def test_a_url_that_cannot_be_a_hubs_is_refused_and_not_repeated(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(SettingInvalid) as caught:
        Hub(url, KEY)
    assert (caught.value.code, caught.value.values) == ("hub_url_unusable", {})


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in a file often ends in a line break; one that was given goes first."""
    monkeypatch.setenv("ZHONGKONG_KEY", f"{KEY}\n")
    for given, sent in ((None, KEY), ("zk_given", "zk_given")):
        hub = Hub(URL, given)
        headers = hub.make_engine()._wire._client.headers  # noqa: SLF001 (what it would send)
        assert headers["authorization"] == f"Bearer {sent}"
        assert sent not in repr(headers) + repr(hub)


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://:password@proxy:1080", "http://", "http://[::1", 3128])
def test_a_proxy_that_cannot_be_used_is_refused_when_it_is_named(proxy: Any) -> None:
    """At the first request it would be too late: the program runs by then. It may hold a password."""
    with pytest.raises(SettingInvalid) as caught:
        Hub(URL, KEY, proxy=proxy)
    assert (caught.value.code, caught.value.values["setting"]) == ("setting_wants_proxy", "proxy")
    assert "password" not in repr(caught.value.values)


@pytest.mark.parametrize("proxy", [None, "", "http://proxy:3128", "http://user:password@proxy"])
def test_a_proxy_that_can_be_used_is(proxy: str | None) -> None:
    """None is none; it may want a password."""
    Hub(URL, KEY, proxy=proxy).make_engine()


@pytest.mark.parametrize("verify", [False, True, "ca.pem"])
def test_a_certificate_is_judged_by_a_context_and_nothing_else(verify: Any) -> None:
    """What other clients take would fail at the first request, or be taken for no wish at all."""
    with pytest.raises(SettingInvalid) as caught:
        Hub(URL, KEY, verify=verify)
    assert caught.value.code == "hub_verify_unusable"
    Hub(URL, KEY, verify=ssl.create_default_context()).make_engine()


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_it_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """Nothing is sent that can only be refused."""
    monkeypatch.delenv("ZHONGKONG_KEY", raising=False)
    with pytest.raises(SettingInvalid) as caught:
        Hub(URL, key)
    assert caught.value.code == "hub_key_missing"


@pytest.mark.parametrize("key", ["zk_…", "zk_...", "zk_4fQx81Zb_…"])
def test_a_placeholder_is_told_as_such(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Copied straight from a page: nothing is wrong with how, and copying it again would not help."""
    monkeypatch.setenv("ZHONGKONG_KEY", key)
    with pytest.raises(SettingInvalid) as caught:
        Hub(URL)
    assert caught.value.code == "hub_key_placeholder"


@pytest.mark.parametrize("key", ["zk_a b", "zk_a\r\nX: 1", "zk_中控", "zk_" + "x" * 600])
def test_a_key_that_was_copied_wrongly_is_refused_and_not_repeated(key: str) -> None:
    """And cannot put a header of its own into the request."""
    with pytest.raises(SettingInvalid) as caught:
        Hub(URL, key)
    assert caught.value.code == "hub_key_malformed"
    assert key not in str(caught.value)


def test_a_certificate_of_the_system_or_of_the_world_is_trusted() -> None:
    """A company's own authority is known to the machines of that company."""
    context = Hub(URL, KEY)._verify  # noqa: SLF001 (what it judges by)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] > 50


def failure(*causes: BaseException) -> httpx.ConnectError:
    """Return an error of the HTTP client with its causes behind it."""
    error: BaseException = httpx.ConnectError("https://user:password@hub.test failed")
    first = error
    for cause in causes:
        error.__cause__ = error = cause
    assert isinstance(first, httpx.ConnectError)
    return first


def certificate_error() -> ssl.SSLCertVerificationError:
    """Return what Python raises for a certificate that nobody vouches for."""
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "self-signed certificate in certificate chain"
    return error


@pytest.mark.parametrize(
    ("causes", "cause", "why"),
    [
        (
            [ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")],
            "hub_unreachable",
            "Connection refused",
        ),
        (
            [
                OSError("All connection attempts failed"),
                ExceptionGroup("several", [ConnectionRefusedError(111, "x"), TimeoutError()]),
            ],
            "hub_unreachable",
            "Connection refused",
        ),
        ([socket.gaierror(-2, "Name or service not known")], "hub_unreachable", "Name or service not known"),
        ([], "hub_unreachable", "ConnectError"),
        ([certificate_error()], "hub_tls", "self-signed certificate in certificate chain"),
        ([ssl.SSLEOFError(8, "EOF occurred")], "hub_tls", "ssleoferror"),
    ],
)
def test_why_a_hub_was_not_reached_is_told_in_the_systems_words(
    causes: list[BaseException], cause: str, why: str
) -> None:
    """Not in the HTTP client's, which may hold the whole URL, nor as a number."""
    trouble = explain_failure(URL, failure(*causes))
    assert (trouble.cause, trouble.values) == (cause, {"hub": URL, "why": why})
