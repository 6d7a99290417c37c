"""Faults without a network: which call meets which, and what its answer becomes."""

import json

import pytest

from zhongkong.sandbox.faults import GARBAGE, JSON_TYPE, Fault, Faults, Reply, build_reply
from zhongkong.sandbox.rendering import choose_language

BODY = {"errcode": 0, "errmsg": "好"}


def test_without_a_fault_the_body_leaves_as_the_platform_writes_it() -> None:
    """Compact, raw, whole."""
    assert build_reply(BODY, None) == Reply('{"errcode":0,"errmsg":"好"}'.encode(), 200, JSON_TYPE, None)


def test_a_status_may_go_with_a_whole_body() -> None:
    """Some gateways pass the body on under another status."""
    assert build_reply(BODY, Fault(path="*", status=500)).status == 500


def test_a_cut_body_is_shorter_than_it_says_and_never_empty() -> None:
    """Of one byte the whole is sent, and still the connection ends."""
    reply = build_reply(BODY, Fault(path="*", answer="cut"))
    assert reply.until == len(reply.content) // 2


def test_garbage_is_no_text_and_no_json() -> None:
    """Whatever a client tries first must fail."""
    with pytest.raises(UnicodeDecodeError):
        GARBAGE.decode()
    with pytest.raises(ValueError, match=r"."):
        json.loads(GARBAGE)


def test_faults_are_met_in_the_order_they_were_added() -> None:
    """One time each, then the next."""
    faults = Faults()
    first = faults.add(Fault(path="/a*", errcode=1, answer="errcode", times=1))
    second = faults.add(Fault(path="*", errcode=2, answer="errcode", appid="wx1"))
    assert faults.draw("/abc", "wx1") is first
    assert faults.draw("/abc", "wx1") is second
    assert faults.draw("/abc", "wx2") is None
    assert ([fault.id for fault in faults], second.met) == ([2], 1)


def test_a_fault_of_one_path_costs_another_no_draw() -> None:
    """Only calls that fit are drawn for, so that a replay needs only those."""
    faults = Faults(seed=3)
    faults.add(Fault(path="/a", answer="drop", probability=0.5))
    alone = [faults.draw("/a", None) is not None for _ in range(20)]
    faults.clear()
    faults.add(Fault(path="/a", answer="drop", probability=0.5))
    mixed = [(faults.draw("/b", None), faults.draw("/a", None) is not None)[1] for _ in range(20)]
    assert alone == mixed


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "zh"), ("en", "en"), ("zh;q=0.5, en;q=0.8", "en"), ("en;q=x, zh;q=0.1", "zh"), ("*", "zh"), ("EN-gb", "en")],
)
def test_the_page_is_in_the_language_asked_for(accepted: str, language: str) -> None:
    """Chinese where nothing is said."""
    assert choose_language(accepted) == language
