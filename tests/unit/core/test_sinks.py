"""What a sink is to hold: how long, in which form, under which name, and who is a stranger there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sinks.entries import ACCOUNT, APPID, NOW, SECRET, aim, entry
from zhongkong.core.handing import Handed
from zhongkong.core.model import Account, AccountKind, Credential, Kind, Mode, Record, Secret, Slot, hash_value
from zhongkong.core.sinks import (
    DOUBTFUL_FOR,
    LAYOUTS,
    Entry,
    Form,
    Layout,
    SinkKind,
    decode,
    encode,
    find_stranger,
    names_in,
    plan_entry,
)

SLOT = Slot(APPID)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), min_size=1, max_size=512)


def _planned(*, left: float, promised: int, doubtful: bool = False) -> Entry | None:
    """Plan the entry of a credential that ends in `left` seconds and is promised for `promised`."""
    credential = Credential(3, "t3", hash_value("t3"), Mode.CLASSIC, NOW, NOW, NOW + left, 7200)
    record = Record(SLOT, generation=3, credential=credential, past=(hash_value("t2"), hash_value("t1")))
    handed = Handed(APPID, Kind.ACCESS_TOKEN, "t3", 3, NOW + promised, promised, 60, doubtful)
    return plan_entry(ACCOUNT, record, handed, NOW)


def test_an_entry_expires_when_the_promise_does() -> None:
    """Not when the token does: where a mint ends the former one, less is promised than it lives."""
    planned = _planned(left=7000, promised=5700)
    assert planned is not None
    assert (planned.expires_in, planned.expires_at) == (5700, NOW + 5700)
    assert (planned.value, planned.generation, planned.doubtful) == ("t3", 3, False)
    assert planned.known == {hash_value("t1"), hash_value("t2"), hash_value("t3")}


def test_a_doubtful_credential_stands_for_two_more_writes_and_never_beyond_its_end() -> None:
    """Nothing is promised of it; but with nothing there old programs would mint, and end it for sure."""
    planned = _planned(left=3000, promised=0, doubtful=True)
    assert planned is not None
    assert (planned.expires_in, planned.doubtful) == (DOUBTFUL_FOR, True)
    near_its_end = _planned(left=30.5, promised=0, doubtful=True)
    assert near_its_end is not None
    assert near_its_end.expires_in == 30


@pytest.mark.parametrize("doubtful", [True, False])
def test_what_would_not_last_a_second_is_not_written(doubtful: bool) -> None:  # noqa: FBT001 (a case)
    """Redis refuses a life of nothing, and nobody could use it."""
    assert _planned(left=0.9, promised=0, doubtful=doubtful) is None


def test_an_entry_does_not_show_its_value() -> None:
    """It travels through code that may be logged."""
    assert entry(1).value not in repr(entry(1))
    assert SECRET not in repr(entry(1))


# --- forms


@given(TOKENS, st.sampled_from(Form))
def test_what_is_written_in_a_form_is_read_back_from_it(value: str, form: Form) -> None:
    """Reading is how a stranger is told from ourselves."""
    assert decode(form, encode(form, entry(1, value))) == value


@given(st.binary(max_size=200), st.sampled_from(Form))
def test_whatever_stands_there_can_be_judged(content: bytes, form: Form) -> None:
    """Other programs write what they like."""
    stranger = find_stranger(form, content, entry(1))
    assert len(stranger) == 64 or decode(form, content) == entry(1).value


def test_the_forms_are_those_that_programs_read() -> None:
    """PHP counts bytes; JSON readers want these two members."""
    made = entry(1, "a-b_c")
    assert encode(Form.PLAIN, made) == b"a-b_c"
    assert encode(Form.JSON_STRING, made) == b'"a-b_c"'
    assert json.loads(encode(Form.JSON, made)) == {"value": "a-b_c", "expire": NOW + 7000}
    assert encode(Form.PHP_STRING, made) == b's:5:"a-b_c";'
    assert encode(Form.PHP_ARRAY, made) == b'a:2:{s:12:"access_token";s:5:"a-b_c";s:10:"expires_in";i:7000;}'


def test_a_value_of_ours_is_no_strangers_in_whatever_form_it_is() -> None:
    """Known are the present value and former ones; a former one that somebody put back is one of ours, too."""
    later = entry(3)
    for form in Form:
        assert find_stranger(form, encode(form, entry(1)), later) == ""
        assert find_stranger(form, encode(form, entry(1, "foreign")), later) == hash_value("foreign")


# --- layouts


def test_a_place_for_people_shows_no_secret() -> None:
    """EasyWeChat's key has the AppSecret in it."""
    layout = LAYOUTS["easywechat6"]
    assert SECRET in layout.place_of(ACCOUNT, Kind.ACCESS_TOKEN)
    assert layout.show(ACCOUNT, Kind.ACCESS_TOKEN) == f"official_account.access_token.{APPID}.<secret>.0"
    for one in LAYOUTS.values():
        assert SECRET not in one.show(ACCOUNT, Kind.ACCESS_TOKEN)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_has_one_place_for_each_account(name: str) -> None:
    """Two accounts under one key would take turns."""
    others = [Account("wxother", kind, Secret(SECRET)) for kind in AccountKind]
    places = {LAYOUTS[name].place_of(one, Kind.ACCESS_TOKEN) for one in (ACCOUNT, *others)}
    assert len(places) >= 2
    assert LAYOUTS[name].place_of(ACCOUNT, Kind.ACCESS_TOKEN) in places


def test_a_prefix_that_is_set_holds_for_every_kind() -> None:
    """WxJava's `key-prefix`, where a program has changed it."""
    layout = replace(LAYOUTS["wxjava"], prefix="shop")
    mini = replace(ACCOUNT, kind=AccountKind.MINIPROGRAM)
    assert {layout.place_of(one, Kind.ACCESS_TOKEN) for one in (ACCOUNT, mini)} == {f"shop:access_token:{APPID}"}


@pytest.mark.parametrize("template", ["{", "{x}", "{appid!r}", "{appid:>9}", "{0}", "{}", "{appid.kind}", "{appid[0]}"])
def test_a_template_that_asks_for_what_there_is_not_is_refused(template: str) -> None:
    """It would fail at the first write, when nobody is looking; or reach into our objects."""
    with pytest.raises(ValueError):  # noqa: PT011 (what Formatter says differs; that it is refused does not)
        names_in(template)


def test_a_template_may_have_braces_of_its_own() -> None:
    """Doubled, as everywhere in Python; a Redis cluster gives them a meaning."""
    assert names_in("{{shop}}:{appid}") == {"appid"}
    assert Layout("{{shop}}:{appid}").place_of(ACCOUNT, Kind.ACCESS_TOKEN) == "{shop}:" + APPID


def test_a_sink_takes_the_accounts_it_is_for() -> None:
    """None named is all of them."""
    assert aim().takes(SLOT)
    assert aim(appids=frozenset({APPID})).takes(SLOT)
    assert not aim(appids=frozenset({"wxother"})).takes(SLOT)
    assert aim(kind=SinkKind.WEBHOOK).takes(SLOT)
