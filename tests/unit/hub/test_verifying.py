"""What is found when we knock at our own address, step by step."""

from __future__ import annotations

import pytest

from zhongkong.core.callbacks import Callback
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered, Undelivered
from zhongkong.hub.verifying import STEPS, Finding, judge_echo, judge_key, judge_push, judge_url, url_of
from zhongkong.messages import LANGUAGES, render

ECHO = "4375120948345356249"
URL = "https://wx.example.com/callback/wx1"


@pytest.mark.parametrize(
    ("url", "step"),
    [
        ("", "unknown"),
        ("ftp://wx.example.com/callback/wx1", "url"),
        ("https:///callback/wx1", "url"),
        ("https://wx.example.com:99999/", "url"),
        ("https://wx.example.com:8443/callback/wx1", "port"),
        ("http://wx.example.com:8600/callback/wx1", "port"),
        ("http://127.0.0.1/callback/wx1", "inside"),
        ("http://10.0.0.5/callback/wx1", "inside"),
        ("https://[::1]/callback/wx1", "inside"),
        ("https://hub/callback/wx1", "inside"),
        ("https://hub.internal/callback/wx1", "inside"),
        (URL, None),
        ("http://wx.example.com:80/callback/wx1", None),
        ("https://wx.example.com:443/callback/wx1", None),
        ("http://203.0.114.5/callback/wx1", None),
    ],
)
def test_an_address_is_judged_before_anything_is_asked(url: str, step: str | None) -> None:
    """The platform comes to two ports only, and never inside a network."""
    found = judge_url(url)
    assert (found.step if found else None) == step


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (Delivered(200, ECHO.encode()), None),
        (Delivered(200, b"\xef\xbb\xbf" + ECHO.encode()), "bom"),
        (Delivered(200, f'"{ECHO}"'.encode()), "quotes"),
        (Delivered(200, f"{ECHO}\n".encode()), "blanks"),
        (Delivered(200, b"<!DOCTYPE html>"), "page"),
        (Delivered(200, b""), "echo"),
        (Delivered(301, b""), "redirect"),
        (Delivered(404, b"<html>nginx</html>"), "path"),
        (Delivered(502, b""), "status"),
        (Delivered(403, b"", "token"), "refused_token"),
        (Delivered(403, b"", "odd<words>"), "page"),
        (Undelivered("name_unknown", was_sent=False), "dns"),
        (Undelivered("certificate_invalid", was_sent=False), "certificate"),
        (Undelivered("tls_failed", was_sent=False), "tls"),
        (Undelivered("not_tls", was_sent=False), "tls"),
        (Undelivered("connect_failed", was_sent=False), "closed"),
        (Undelivered("connect_timeout", was_sent=False), "closed"),
        (Undelivered("timeout", was_sent=True), "silent"),
        (Undelivered("cut", was_sent=True), "cut"),
        (Undelivered("unexpected_Odd", was_sent=True), "cut"),
    ],
)
def test_the_answer_to_a_check_is_judged(said: Delivered | Undelivered, step: str | None) -> None:
    """Each of these was somebody's long evening; each has its words in both languages."""
    found = judge_echo(said, ECHO, 0.1)
    assert (found.step if found else None) == step
    if found is not None:
        for lang in LANGUAGES:
            assert render(f"verify_{found.step}", lang, appid="wx1", url=URL, said=found.said)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (Delivered(200, b"success"), None),
        (Delivered(200, b"<html></html>"), "page"),
        (Delivered(403, b"", "body"), "body_eaten"),
        (Delivered(403, b"", "key"), "refused_key"),
        (Delivered(405, b""), "post_barred"),
        (Delivered(413, b""), "post_barred"),
        (Delivered(403, b"<html>waf</html>"), "status"),
        (Undelivered("cut", was_sent=True), "cut"),
    ],
)
def test_the_answer_to_a_push_is_judged(said: Delivered | Undelivered, step: str | None) -> None:
    """GET may be well while something on the way eats what is posted."""
    found = judge_push(said, 0.1)
    assert (found.step if found else None) == step
    if found is not None:
        for lang in LANGUAGES:
            assert render(f"verify_{found.step}", lang, appid="wx1", url=URL, said=found.said)


def test_a_slow_answer_is_told_with_its_seconds() -> None:
    """It came, but the platform would have hung up."""
    assert judge_echo(Delivered(200, ECHO.encode()), ECHO, 4.25) == Finding("slow", "4.2")
    assert judge_push(Delivered(200, b"success"), 5.0) == Finding("slow", "5.0")


def test_a_key_of_another_length_is_told() -> None:
    """An older program may have stored it."""
    assert judge_key(Callback("wx1", Secret("token"), Secret("a" * 42))) == Finding("key_length", "42")
    assert judge_key(Callback("wx1", Secret("token"), Secret("a" * 43))) is None
    assert judge_key(Callback("wx1", Secret("token"))) is None


def test_every_step_of_a_refusal_has_its_words() -> None:
    """Whichever the hub at the other end names."""
    for step in STEPS:
        for lang in LANGUAGES:
            assert render(f"verify_refused_{step}", lang, appid="wx1", url=URL, said="")


def test_the_address_names_the_account() -> None:
    """WeCom's have a colon."""
    assert url_of("https://wx.example.com", "ww1:name") == "https://wx.example.com/callback/ww1%3Aname"
    assert url_of("", "wx1") == ""
