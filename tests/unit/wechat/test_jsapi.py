"""The signature of a page, against the platform's own examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.wechat.jsapi import is_page_url, sign_page

TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
NONCE = "Wm3WZYTPz0wzccnW"
TIME = 1414587457


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        pytest.param("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed", id="official"),
        pytest.param("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b", id="official, older"),
        pytest.param(
            "https://example.com/a/b?x=1&y=2#/route?z=3", "75d179db3f6cd621e8c674d2659ab8da02a0f058", id="fragment"
        ),
        pytest.param("https://example.com/", "171e7eafc556878f1faabe71f2a6462bef4e98bc", id="slash"),
        pytest.param("https://example.com", "dd90d2ebdf7b74978de3ee44c1255b1cef2a6b01", id="no slash"),
        pytest.param(
            "https://example.com/p?q=%E4%BD%A0%E5%A5%BD", "69618b51b499986bea03f46768404cd416155db7", id="percent"
        ),
    ],
)
def test_a_page_is_signed_as_the_documents_show(url: str, signature: str) -> None:
    """Two of these are printed in the appendix; the others were computed by its rule, apart from this program."""
    assert sign_page(TICKET, NONCE, TIME, url) == signature
    assert is_page_url(url)


def test_a_page_on_a_port_of_this_machine_is_signed_too() -> None:
    """Where people try it first."""
    url = "http://127.0.0.1:8080/demo?k=v"
    assert sign_page("SIM_TICKET_0001", "nonce123", 1700000000, url) == "5fe7d39af871b160ab19cc36a827939e7dc0586d"


@given(st.text(alphabet="abc/?&=%#", max_size=30))
def test_whatever_follows_the_first_hash_changes_nothing(rest: str) -> None:
    """A single-page application changes it all the time."""
    page = "https://example.com/app?x=1"
    assert sign_page(TICKET, NONCE, TIME, f"{page}#{rest}") == sign_page(TICKET, NONCE, TIME, page)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "/a",
            "example.com/a",
            "//example.com/a",
            "ftp://example.com",
            "javascript:alert(1)",
            "https://",
            "https:///a",
        ),
        *("https://example.com/a b", "https://example.com/\n", " https://example.com", "https://example.com/?q=你好"),
        *("https://[::1/a", "http://?x=1", "http://#a"),
    ],
)
def test_what_is_no_address_of_a_page_is_told_from_one(url: str) -> None:
    """A blank and a Chinese letter mean that it was decoded once too often."""
    assert not is_page_url(url)


@given(st.text(max_size=60))
def test_no_text_makes_it_fail(url: str) -> None:
    """It comes from outside."""
    is_page_url("http://" + url)
