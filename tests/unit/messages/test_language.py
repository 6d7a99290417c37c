"""Which language is spoken to whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.messages import LANGUAGES, choose_language


@pytest.mark.parametrize(
    ("wishes", "spoken"),
    [
        ((), "zh"),
        ((None, ""), "zh"),
        (("en",), "en"),
        (("EN",), "en"),
        (("en-GB",), "en"),
        (("zh-Hans-CN",), "zh"),
        (("en_US.UTF-8",), "en"),
        (("C.UTF-8",), "zh"),
        (("POSIX",), "zh"),
        ((None, "en", "zh_CN.UTF-8"), "en"),
        (("fr", None, "en_US.UTF-8"), "en"),
        (("zh-CN,zh;q=0.9,en;q=0.8",), "zh"),
        (("en-US,en;q=0.9,zh-CN;q=0.8",), "en"),
        (("zh;q=0.3, en;q=0.7",), "en"),
        (("fr-FR, fr;q=0.9, en;q=0.1",), "en"),
        (("en;q=0, zh",), "zh"),
        (("en;q=0",), "zh"),
        (("*",), "zh"),
        (("english",), "zh"),
        (("en;q=x, zh;q=0.1",), "zh"),
    ],
)
def test_the_first_wish_that_we_can_meet_is_met(wishes: tuple[str | None, ...], spoken: str) -> None:
    """One reader of tags, locales and Accept-Language serves the command line and the hub alike."""
    assert choose_language(*wishes) == spoken


def test_the_default_is_the_callers_to_choose() -> None:
    """The hub speaks Chinese to who does not say; a test or an embedding program may differ."""
    assert choose_language("fr", default="en") == "en"


@given(st.text())
def test_no_header_raises(header: str) -> None:
    """The header is written by strangers."""
    assert choose_language(header) in LANGUAGES
